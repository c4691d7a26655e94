"""The right scores with a wrong target."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..case import Case
from ..cells import Table, table
from ..structures import (
    Structure,
    all_pairs,
    own_group,
    positives,
    queries,
)
from .entry import bug, negatives

_STRIDE = "`target = torch.arange(B) * G`"


def _target(column: Callable[[Case], Tensor]) -> Callable[[Case], Table]:
    def build(case: Case) -> Table:
        return all_pairs(case, column(case).clamp(0, case.batch * case.group - 1))

    return build


def _backward_zero(case: Case) -> Table:
    rows = queries(case)
    return table(positives(case)[:, None], rows, (rows == 0).expand(len(rows), -1))


def backward_from_all(case: Case) -> Table:
    """Every passage, hard negatives too, against all queries: its own query the positive."""
    columns, rows = torch.arange(case.batch * case.group), queries(case)
    return table((case.batch + columns)[:, None], rows, rows == (columns // case.group)[:, None])


TARGETS = (
    Structure(
        "negatives as positives on the way back",
        "the way back has a row for every passage, so that hard negatives are drawn to their query",
        (all_pairs, backward_from_all),
        only=negatives,
        code="SC302",
        fix="transpose the columns of the positives alone: `scores[:, target].T`",
        wide=True,
    ),
    bug(
        "zero target on all pairs",
        "all pairs are scored, and column 0, query 0's positive, is everyone's target",
        _target(lambda c: queries(c) * 0),
        "SC301",
        f"{_STRIDE}, since column 0 is the positive of query 0 alone",
        wide=True,
    ),
    bug(
        "no stride",
        "the target of query i is column i, which is passage i of the flat ones, not the first of group i",
        _target(queries),
        "SC302",
        _STRIDE,
        only=negatives,
        wide=True,
    ),
    bug(
        "stride of G-1",
        "the target of query i is column i*(G-1)",
        _target(lambda c: queries(c) * (c.group - 1)),
        "SC302",
        _STRIDE,
        only=lambda c: c.group > 2,
    ),
    bug(
        "stride of G+1",
        "the target of query i is column i*(G+1)",
        _target(lambda c: queries(c) * (c.group + 1)),
        "SC302",
        _STRIDE,
    ),
    bug(
        "second of the group",
        "the target is the first negative of the group, i*G + 1",
        _target(lambda c: queries(c) * c.group + 1),
        "SC302",
        _STRIDE,
        only=negatives,
    ),
    bug(
        "last of the group",
        "the target is the last negative of the group",
        _target(lambda c: queries(c) * c.group + c.group - 1),
        "SC302",
        _STRIDE,
        only=negatives,
    ),
    bug(
        "target of the next query",
        "the target is the next query's positive",
        _target(lambda c: (queries(c) + 1) % c.batch * c.group),
        "SC302",
        _STRIDE,
    ),
    bug(
        "target of the query before",
        "the target is the positive of the query before",
        _target(lambda c: (queries(c) - 1) % c.batch * c.group),
        "SC302",
        _STRIDE,
    ),
    bug(
        "targets in reverse",
        "the targets run backwards",
        _target(lambda c: (c.batch - 1 - queries(c)) * c.group),
        "SC302",
        _STRIDE,
    ),
    bug(
        "last place of the own group",
        "the last negative of the own group is called the positive",
        lambda c: own_group(c, c.group - 1),
        "SC306",
        "target 0: the positive leads its group",
        only=negatives,
    ),
    bug(
        "second place of the own group",
        "the first negative of the own group is called the positive",
        lambda c: own_group(c, 1),
        "SC306",
        "target 0: the positive leads its group",
        only=lambda c: c.group > 2,
    ),
    Structure(
        "backward target zero",
        "the second direction calls query 0 everyone's target",
        (all_pairs, _backward_zero),
        code="SC301",
        fix="the same targets in both directions",
    ),
)
