"""The mathematics of a contrastive loss, as a table: rows of cells, each the similarity of two embeddings of the batch.

A row is one softmax (or hinge, or sigmoid): some of its cells are candidates, some of them are positives. Nearly every
contrastive loss, right or wrong, is such a table under one of a few heads; only the table says who meets whom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Table:
    """Cell (r, c) compares rows left[r, c] and right[r, c] of the batch; `zero` cells score 0 whatever they compare."""

    left: Tensor
    right: Tensor
    positive: Tensor
    candidate: Tensor
    zero: Tensor | None = None
    weight: Tensor | None = None


def table(
    left: Tensor,
    right: Tensor,
    positive: Tensor,
    candidate: Tensor | None = None,
    zero: Tensor | None = None,
    weight: Tensor | None = None,
) -> Table:
    """A table of what broadcasts to `[R, C]`; every cell is a candidate unless said otherwise."""
    parts = [left, right, positive, torch.ones((), dtype=torch.bool) if candidate is None else candidate]
    shape = (left + right + positive.long() + parts[3].long()).shape
    left, right, positive, candidate = (part.expand(shape) for part in parts)
    return Table(left, right, positive.bool(), candidate.bool(), zero, weight)


Head = Callable[[Tensor, Table, Tensor], Tensor]  # scores [R, C], their table, parameters [K] -> values of rows [K, R]


def rows_mean(values: Tensor, made: Table) -> Tensor:
    """[K, R] to [K]."""
    return values.mean(-1) if made.weight is None else values @ made.weight


def scores(similarity: Tensor, made: Table) -> Tensor:
    seen = similarity[made.left, made.right]
    return seen if made.zero is None else seen.masked_fill(made.zero, 0.0)


def _lse(logits: Tensor, chosen: Tensor) -> Tensor:
    return logits.masked_fill(~chosen, float("-inf")).logsumexp(-1)


def _positive(logits: Tensor, made: Table) -> Tensor:
    """Mean over a row's positives, [..., R]."""
    return torch.where(made.positive, logits, 0.0).sum(-1) / made.positive.sum(-1).clamp_min(1)


def softmax(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    logits = seen * scale.view(-1, 1, 1)
    return _lse(logits, made.candidate) - _positive(logits, made)


def softmax_of_sum(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    """Several positives are one class: -log of their summed share."""
    logits = seen * scale.view(-1, 1, 1)
    return _lse(logits, made.candidate) - _lse(logits, made.positive)


def decoupled(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    """The positive is not in its own denominator (Yeh 2022)."""
    logits = seen * scale.view(-1, 1, 1)
    return _lse(logits, made.candidate & ~made.positive) - _positive(logits, made)


def twice(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    """Softmax of what a softmax gave."""
    logits = (seen * scale.view(-1, 1, 1)).masked_fill(~made.candidate, float("-inf")).softmax(-1)
    return _lse(logits, made.candidate) - _positive(logits, made)


def probability(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    """The log was left out."""
    logits = (seen * scale.view(-1, 1, 1)).masked_fill(~made.candidate, float("-inf")).softmax(-1)
    return -_positive(logits, made)


def positive_unscaled(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    logits = torch.where(made.positive, seen, seen * scale.view(-1, 1, 1))
    return _lse(logits, made.candidate) - _positive(logits, made)


def negatives_unscaled(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    logits = torch.where(made.positive, seen * scale.view(-1, 1, 1), seen)
    return _lse(logits, made.candidate) - _positive(logits, made)


def numerator_unscaled(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    logits = seen * scale.view(-1, 1, 1)
    return _lse(logits, made.candidate) - _positive(seen.unsqueeze(0), made)


def denominator_unscaled(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    logits = seen * scale.view(-1, 1, 1)
    return _lse(seen.unsqueeze(0), made.candidate) - _positive(logits, made)


def with_zero(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    """One candidate more, that scores 0."""
    logits = seen * scale.view(-1, 1, 1)
    whole = _lse(logits, made.candidate)
    return torch.logaddexp(whole, torch.zeros_like(whole)) - _positive(logits, made)


def positive_twice(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    """The positive is a candidate two times."""
    logits = seen * scale.view(-1, 1, 1)
    return torch.logaddexp(_lse(logits, made.candidate), _lse(logits, made.positive)) - _positive(logits, made)


def smoothed(share: float) -> Head:
    """Label smoothing: `share` of the target is spread evenly over the candidates."""

    def head(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
        logits = seen * scale.view(-1, 1, 1)
        even = torch.where(made.candidate, logits, 0.0).sum(-1) / made.candidate.sum(-1).clamp_min(1)
        return _lse(logits, made.candidate) - (1 - share) * _positive(logits, made) - share * even

    return head


def with_margin(margin: float) -> Head:
    """Additive margin: the positive's similarity is lowered by it before scaling."""

    def head(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
        return softmax(torch.where(made.positive, seen - margin, seen), made, scale)

    return head


def _gaps(seen: Tensor, made: Table) -> tuple[Tensor, Tensor]:
    """Negative minus positive in each cell, and which cells are negatives."""
    return seen - _positive(seen, made).unsqueeze(-1), made.candidate & ~made.positive


def logistic(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    """Mean over negatives of softplus(negative - positive): BPR, RankNet, the soft-margin triplet."""
    gaps, negative = _gaps(seen, made)
    cells = torch.nn.functional.softplus(gaps * scale.view(-1, 1, 1))
    return torch.where(negative, cells, 0.0).sum(-1) / negative.sum(-1).clamp_min(1)


def hinge(seen: Tensor, made: Table, margin: Tensor) -> Tensor:
    """Mean over negatives of relu(margin + negative - positive): the triplet loss."""
    gaps, negative = _gaps(seen, made)
    cells = (gaps + margin.view(-1, 1, 1)).clamp_min(0)
    return torch.where(negative, cells, 0.0).sum(-1) / negative.sum(-1).clamp_min(1)


def hardest(seen: Tensor, made: Table, margin: Tensor) -> Tensor:
    """The hinge of the hardest negative alone."""
    gaps, negative = _gaps(seen, made)
    return (gaps.masked_fill(~negative, float("-inf")).amax(-1) + margin.view(-1, 1)).clamp_min(0)


def hinge_turned(seen: Tensor, made: Table, margin: Tensor) -> Tensor:
    """The hinge with positive and negative exchanged."""
    gaps, negative = _gaps(seen, made)
    cells = (margin.view(-1, 1, 1) - gaps).clamp_min(0)
    return torch.where(negative, cells, 0.0).sum(-1) / negative.sum(-1).clamp_min(1)


def sigmoid(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
    """Each cell is a yes or no of its own (SigLIP without its bias); summed over a row."""
    logits = seen * scale.view(-1, 1, 1)
    signed = torch.where(made.positive, logits, -logits)
    return torch.where(made.candidate, -torch.nn.functional.logsigmoid(signed), 0.0).sum(-1)


def sigmoid_with_bias(bias: float) -> Head:
    def head(seen: Tensor, made: Table, scale: Tensor) -> Tensor:
        logits = seen * scale.view(-1, 1, 1) + bias
        signed = torch.where(made.positive, logits, -logits)
        return torch.where(made.candidate, -torch.nn.functional.logsigmoid(signed), 0.0).sum(-1)

    return head


def attract(seen: Tensor, made: Table, unused: Tensor) -> Tensor:
    """1 - similarity of the positive alone: no negatives (BYOL, SimSiam)."""
    return (1 - _positive(seen, made)).expand(len(unused), -1)


def attract_signed(seen: Tensor, made: Table, unused: Tensor) -> Tensor:
    """Minus the similarity of the positive alone."""
    return -_positive(seen, made).expand(len(unused), -1)
