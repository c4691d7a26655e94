"""Two views and labels: a row that meets itself, or the wrong partner."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..case import Case
from ..cells import Table, table
from ..structures import (
    CLASSES,
    VIEWS,
    row_labels,
    several_positives,
    towers,
)
from .entry import bug, pairs

_MASK = "mask with -inf before the softmax, where row and column are the same embedding"


def _views_table(partner: Callable[[Tensor, int], Tensor], self_counts: bool) -> Callable[[Case], Table]:
    def made(case: Case) -> Table:
        rows = towers(case)
        at = torch.arange(len(rows))
        wanted = torch.ones(len(rows), len(rows), dtype=torch.bool) if self_counts else at != at[:, None]
        return table(rows[:, None], rows, at == partner(at, case.batch)[:, None], wanted)

    return made


def _opposite(at: Tensor, batch: int) -> Tensor:
    return (at + batch) % (2 * batch)


def _partner_masked(case: Case) -> Table:
    """The mask of self lies on the partner: the view itself is a candidate, and its partner is not."""
    rows = towers(case)
    at = torch.arange(len(rows))
    partner = at == _opposite(at, case.batch)[:, None]
    return table(rows[:, None], rows, partner, ~partner)


def _first_half_masked(case: Case) -> Table:
    """The self mask covers the first half only."""
    rows = towers(case)
    at = torch.arange(len(rows))
    wanted = (at != at[:, None]) | (at >= case.batch)
    return table(rows[:, None], rows, at == _opposite(at, case.batch)[:, None], wanted)


def _zero_self(case: Case) -> Table:
    rows = towers(case)
    at = torch.arange(len(rows))
    every = torch.ones(len(rows), len(rows), dtype=torch.bool)
    made = table(rows[:, None], rows, at == _opposite(at, case.batch)[:, None], every)
    return Table(made.left, made.right, made.positive, made.candidate, at == at[:, None])


def _labelled(
    positive: Callable[[Tensor, Tensor], Tensor], self_counts: bool, zero_self: bool = False
) -> Callable[[Case], Table]:
    """Rows against rows; `positive` of labels [N] and places [N]."""

    def made(case: Case) -> Table:
        labels = row_labels(case)
        at = torch.arange(len(labels))
        wanted = torch.ones(len(at), len(at), dtype=torch.bool) if self_counts else at != at[:, None]
        chosen = positive(labels, at)
        kept = chosen.any(1)
        base = table(at[kept][:, None], at, chosen[kept], wanted[kept])
        zero = (at == at[:, None])[kept] if zero_self else None
        return Table(base.left, base.right, base.positive, base.candidate, zero)

    return made


def _same(labels: Tensor, at: Tensor) -> Tensor:
    return labels == labels[:, None]


def _same_other(labels: Tensor, at: Tensor) -> Tensor:
    return _same(labels, at) & (at != at[:, None])


def _self_only(labels: Tensor, at: Tensor) -> Tensor:
    return at == at[:, None]


def _all_others(labels: Tensor, at: Tensor) -> Tensor:
    return at != at[:, None]


def _tiled(labels: Tensor, at: Tensor) -> Tensor:
    """Labels repeated view after view beside rows that lie item after item."""
    count = len(set(labels.tolist()))
    turned = at % count
    return (turned == turned[:, None]) & (at != at[:, None])


def _tiled_positives(case: Case) -> Table:
    """Columns lie item after item, the mask of positives place after place."""
    made = several_positives(case)
    at = torch.arange(made.left.shape[1])
    return Table(made.left, made.right, at % case.batch == torch.arange(case.batch)[:, None], made.candidate)


TWO_VIEWS = (
    bug(
        "positives tiled",
        "columns lie item after item, the mask of positives place after place: an anchor is drawn to other items",
        _tiled_positives,
        "SC202",
        "`mask.repeat_interleave(P, dim=1)`",
        kinds=VIEWS,
        only=lambda c: c.group > 2,
        wide=True,
    ),
    bug(
        "the partner masked instead of self",
        "each view meets itself in its own softmax, and its partner is masked",
        _partner_masked,
        "SC501",
        _MASK,
        only=pairs,
    ),
    bug(
        "self among the candidates",
        "each view meets itself in its own softmax",
        _views_table(_opposite, True),
        "SC501",
        _MASK,
        only=pairs,
    ),
    bug(
        "self scored 0",
        "each view's similarity with itself is set to 0, which still counts as exp(0)",
        _zero_self,
        "SC503",
        _MASK,
        only=pairs,
    ),
    bug(
        "own row as target",
        "the target of each view is the view itself, not its partner",
        _views_table(lambda at, b: at, True),
        "SC306",
        "`(arange(2*B) + B) % (2*B)`",
        only=pairs,
    ),
    bug(
        "neighbour as partner",
        "views that lie [first; second] are paired with their neighbours",
        _views_table(lambda at, b: at ^ 1, False),
        "SC202",
        "`(arange(2*B) + B) % (2*B)`",
        only=pairs,
    ),
    bug(
        "neighbour as partner, self among the candidates",
        "views that lie [first; second] are paired with their neighbours",
        _views_table(lambda at, b: at ^ 1, True),
        "SC202",
        "`(arange(2*B) + B) % (2*B)`",
        only=pairs,
    ),
    bug(
        "targets of the first half twice",
        "both halves have targets 0..B-1: the first half's target is itself",
        _views_table(lambda at, b: at % b, True),
        "SC306",
        "`(arange(2*B) + B) % (2*B)`",
        only=pairs,
    ),
    bug(
        "targets of the second half twice",
        "both halves have targets B..2B-1: the second half's target is itself",
        _views_table(lambda at, b: at % b + b, True),
        "SC306",
        "`(arange(2*B) + B) % (2*B)`",
        only=pairs,
    ),
    bug(
        "partner off by one",
        "the partner of each view is the next item's",
        _views_table(lambda at, b: (at + b + 1) % (2 * b), False),
        "SC306",
        "`(arange(2*B) + B) % (2*B)`",
        only=pairs,
    ),
    bug(
        "self mask on the first half",
        "the self mask covers the first B views alone",
        _first_half_masked,
        "SC501",
        _MASK,
        only=pairs,
    ),
    bug(
        "self among positives and candidates",
        "each row is its own positive",
        _labelled(_same, True),
        "SC306",
        _MASK,
        kinds=CLASSES + VIEWS,
    ),
    bug(
        "self among positives",
        "each row is its own positive, though not a candidate",
        _labelled(_same, False),
        "SC306",
        _MASK,
        kinds=CLASSES + VIEWS,
    ),
    bug(
        "self among candidates",
        "each row meets itself in its own softmax",
        _labelled(_same_other, True),
        "SC501",
        _MASK,
        kinds=CLASSES + VIEWS,
    ),
    bug(
        "self scored 0 ",
        "each row's similarity with itself is set to 0, which still counts as exp(0)",
        _labelled(_same_other, True, True),
        "SC503",
        _MASK,
        kinds=CLASSES + VIEWS,
    ),
    bug(
        "labels compared row by row",
        "labels [N] were compared with [N] instead of [N, 1]: only the row itself is its positive",
        _labelled(_self_only, True),
        "SC102",
        "`labels.unsqueeze(0) == labels.unsqueeze(1)`",
        kinds=CLASSES + VIEWS,
    ),
    bug(
        "every row a positive",
        "every other row is a positive, whatever its label",
        _labelled(_all_others, False),
        "SC102",
        "`labels.unsqueeze(0) == labels.unsqueeze(1)`",
        kinds=CLASSES + VIEWS,
    ),
    bug(
        "labels tiled",
        "labels are repeated view after view where rows lie item after item",
        _labelled(_tiled, False),
        "SC202",
        "`labels.repeat_interleave(V)`, or flatten the views in the labels' order",
        kinds=VIEWS,
    ),
)
