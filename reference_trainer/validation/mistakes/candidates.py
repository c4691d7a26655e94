"""Cells that are counted twice, left out, or scored 0 instead of masked."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..case import Case
from ..cells import Table
from ..structures import (
    all_pairs,
    own_group,
    passage,
    positives,
    queries,
)
from .entry import bug, negatives


def _with_extra(
    build: Callable[[Case], Table], extra: Callable[[Case], Tensor], positive: bool = False
) -> Callable[[Case], Table]:
    """One more column in each row: the same query against the row that `extra` names."""

    def made(case: Case) -> Table:
        base, column = build(case), extra(case)[:, None]
        size = len(base.left)
        return Table(
            torch.cat([base.left, base.left[:, :1]], 1),
            torch.cat([base.right, column], 1),
            torch.cat([base.positive, torch.full((size, 1), positive)], 1),
            torch.cat([base.candidate, torch.ones(size, 1, dtype=torch.bool)], 1),
        )

    return made


def _without(build: Callable[[Case], Table], cells: Callable[[Case, Table], Tensor]) -> Callable[[Case], Table]:
    def made(case: Case) -> Table:
        base = build(case)
        return Table(base.left, base.right, base.positive, base.candidate & ~cells(case, base))

    return made


def _zeroed(case: Case) -> Table:
    """All pairs, other groups multiplied by 0 instead of masked with -inf."""
    base = all_pairs(case)
    other = (base.right - case.batch) // case.group != base.left
    return Table(base.left, base.right, base.positive, base.candidate, other)


def _zeroed_positive(build: Callable[[Case], Table]) -> Callable[[Case], Table]:
    def made(case: Case) -> Table:
        base = build(case)
        zero = base.positive
        return Table(base.left, base.right, base.positive, base.candidate, zero)

    return made


def _column_i(case: Case, made: Table) -> Tensor:
    return (made.right - case.batch) == made.left


def _own_negatives(case: Case, made: Table) -> Tensor:
    mine = (made.right - case.batch) // case.group == made.left
    return mine & ~made.positive


def _other_negatives_of(places: Callable[[Case], Tensor]) -> Callable[[Case, Table], Tensor]:
    def cells(case: Case, made: Table) -> Tensor:
        return torch.isin((made.right - case.batch) % case.group, places(case))

    return cells


def _last_place(case: Case) -> Tensor:
    return passage(case, queries(case), case.group - 1)


CANDIDATES = (
    bug(
        "positive among its negatives (in-group)",
        "the positive is also one of the negatives",
        _with_extra(own_group, positives),
        "",
        "leave the positive out of the negatives",
        only=negatives,
    ),
    bug(
        "positive among its negatives (in-batch)",
        "the positive is counted twice in its own denominator",
        _with_extra(all_pairs, positives),
        "",
        "leave the positive out of the negatives",
    ),
    bug(
        "first negative twice",
        "the first negative is counted twice",
        _with_extra(own_group, lambda c: passage(c, queries(c), 1)),
        "SC305",
        "take each passage once",
        only=negatives,
    ),
    bug(
        "positive in place of the last negative",
        "the positive stands where the last negative should",
        lambda c: _with_extra(_without(own_group, lambda k, m: m.right == _last_place(k)[:, None]), positives)(c),
        "",
        "leave the positive out of the negatives",
        only=negatives,
    ),
    bug(
        "mask of the own column index",
        "the mask takes out column i, which is not query i's positive",
        _without(all_pairs, lambda c, m: _column_i(c, m) & ~m.positive),
        "SC501",
        "mask by group: `arange(B) * G`",
        only=negatives,
    ),
    bug(
        "own negatives left out",
        "the own hard negatives never reach the softmax",
        _without(all_pairs, _own_negatives),
        "SC502",
        "keep the own group's negatives among the candidates",
        only=negatives,
    ),
    bug(
        "negatives unused",
        "only positives reach the softmax: no hard negative is used",
        _without(all_pairs, _other_negatives_of(lambda c: torch.arange(1, c.group))),
        "",
        "score against all passages",
        only=negatives,
    ),
    bug(
        "first negative only",
        "negatives after the first are dropped",
        _without(own_group, lambda c, m: (m.right - c.batch) % c.group > 1),
        "",
        "use all G-1 negatives",
        only=lambda c: c.group > 2,
    ),
    bug(
        "first negative only (in-batch)",
        "negatives after the first are dropped",
        _without(all_pairs, lambda c, m: (m.right - c.batch) % c.group > 1),
        "",
        "use all G-1 negatives",
        only=lambda c: c.group > 2,
    ),
    bug(
        "last negative dropped",
        "the last negative is dropped",
        _without(own_group, lambda c, m: m.right == _last_place(c)[:, None]),
        "",
        "use all G-1 negatives",
        only=lambda c: c.group > 2,
    ),
    bug(
        "last negative dropped (in-batch)",
        "the last negative of each group is dropped",
        _without(all_pairs, lambda c, m: (m.right - c.batch) % c.group == c.group - 1),
        "",
        "use all G-1 negatives",
        only=lambda c: c.group > 2,
    ),
    bug(
        "last passage dropped",
        "the last passage of the batch is dropped",
        _without(all_pairs, lambda c, m: (m.right == c.batch + c.batch * c.group - 1) & ~m.positive),
        "",
        "score against all passages",
        only=negatives,
    ),
    bug(
        "other groups scored 0",
        "other groups are multiplied by 0 instead of masked with -inf: each still counts as exp(0)",
        _zeroed,
        "SC503",
        "`masked_fill(~own, float('-inf'))`, or score the own group alone",
    ),
    bug(
        "positive scored 0 (in-batch)",
        "the positive's own score is masked with 0",
        _zeroed_positive(all_pairs),
        "SC501",
        "leave the positive unmasked",
    ),
    bug(
        "positive scored 0 (in-group)",
        "the positive's own score is masked with 0",
        _zeroed_positive(own_group),
        "SC501",
        "leave the positive unmasked",
        only=negatives,
    ),
)
