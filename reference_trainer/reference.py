"""The loss by its definition: one query at a time over its list of candidates, in float64, with none of
the trainer's tensor code.

Slow on purpose. It is the judge of everything fast: start-up oracles, tests and benchmarks compare with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .modes import Mode
from .settings import Distill, LossSettings


@dataclass(frozen=True)
class Joint:
    """The batch of all W processes, joined in rank order: queries [W*B, D], passages [W*B*G, D], float64."""

    queries: Tensor
    passages: Tensor
    ids: list[int] | None
    teacher: Tensor | None
    world_size: int = 1


def reference_loss(loss: LossSettings, joint: Joint, scale: Tensor | float, normalize: bool = True) -> Tensor:
    """Mean over queries, then over Matryoshka widths, of the declared loss of each query."""
    widths = loss.dims or (joint.queries.shape[1],)
    count = joint.queries.shape[0]
    values = [_query_loss(loss, joint, i, w, scale, normalize) for w in widths for i in range(count)]
    return torch.stack(values).mean()


def _query_loss(loss: LossSettings, joint: Joint, i: int, width: int, scale: Tensor | float, normalize: bool) -> Tensor:
    count = joint.queries.shape[0]
    group = joint.passages.shape[0] // count
    positive = i * group
    share = count // joint.world_size
    first = 0 if loss.cross_device else i // share * share
    last = count if loss.cross_device else first + share
    text = None if joint.ids is None or not loss.mask_duplicates else joint.ids[positive]

    def head(vectors: Tensor) -> Tensor:
        if width == vectors.shape[-1]:
            return vectors
        cut = vectors[..., :width]
        return cut / cut.norm(dim=-1, keepdim=True) if normalize else cut

    query = head(joint.queries[i])
    own = list(range(positive, positive + group))
    mine = own if loss.mode is Mode.IN_GROUP else list(range(first * group, last * group))
    if text is not None and joint.ids is not None:
        mine = [c for c in mine if c == positive or joint.ids[c] != text]
    value = _cross_entropy(head(joint.passages[mine]) @ query * scale, mine.index(positive))
    if loss.symmetric:
        others = list(range(first, last))
        if text is not None and joint.ids is not None:
            others = [o for o in others if o == i or joint.ids[o * group] != text]
        back = _cross_entropy(head(joint.queries[others]) @ head(joint.passages[positive]) * scale, others.index(i))
        value = (value + back) / 2
    if loss.distill is not Distill.NONE:
        if joint.teacher is None:
            raise ValueError("distill needs teacher scores")
        value = value + loss.distill_weight * _teacher(loss, head(joint.passages[own]) @ query, joint.teacher[i], scale)
    return value


def _cross_entropy(scores: Tensor, positive: int) -> Tensor:
    return scores.exp().sum().log() - scores[positive]


def _teacher(loss: LossSettings, mine: Tensor, teacher: Tensor, scale: Tensor | float) -> Tensor:
    if loss.distill is Distill.MARGIN_MSE:
        gaps = [((mine[0] - mine[k]) - (teacher[0] - teacher[k])) ** 2 for k in range(1, len(teacher))]
        return torch.stack(gaps).mean()
    wanted = (teacher / loss.teacher_temperature).exp()
    wanted = wanted / wanted.sum()
    logs = mine * scale - (mine * scale).exp().sum().log()
    return (wanted * (wanted.log() - logs)).sum()
