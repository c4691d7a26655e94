"""Products of `[B, D]` and `[B, G, D]` that score each query against all groups."""

from __future__ import annotations

import torch

from ..case import Case
from ..cells import Table, table
from ..structures import (
    passage,
)
from .entry import bug, negatives

_EINSUM = "`torch.einsum('bd,bgd->bg', queries, passages)`, or `(queries.unsqueeze(1) * passages).sum(-1)`"


def crossed(case: Case) -> Table:
    """[B, D] @ [B, D, G] is [B, B, G]; a view to [B, B*G] and zeros: row b holds all queries against group b."""
    b, g = case.batch, case.group
    cells = torch.arange(b * g)
    return table(cells // g, passage(case, torch.arange(b)[:, None], cells % g), cells == 0)


def crossed_own_target(case: Case) -> Table:
    """The same cells, target i*G: each row is a group, its positive the own query's."""
    b, g = case.batch, case.group
    cells = torch.arange(b * g)
    return table(cells // g, passage(case, torch.arange(b)[:, None], cells % g), cells == torch.arange(b)[:, None] * g)


def crossed_rows(case: Case) -> Table:
    """The same product, viewed as [B*B, G]: every query against every group, each group's first the positive."""
    b, g = case.batch, case.group
    pair = torch.arange(b * b)
    return table((pair % b)[:, None], passage(case, (pair // b)[:, None], torch.arange(g)), torch.arange(g) == 0)


def crossed_classes(case: Case) -> Table:
    """cross_entropy of [B, B, G] with zeros: classes lie on the middle axis, query 0 is everyone's class."""
    b, g = case.batch, case.group
    cell = torch.arange(b * g)
    return table(torch.arange(b), (case.batch + cell)[:, None], torch.arange(b) == 0)


def crossed_first(case: Case) -> Table:
    """The first G columns of `[B, B*G]`: query 0 against each group."""
    rows = torch.arange(case.batch)[:, None]
    return table(rows * 0, passage(case, rows, torch.arange(case.group)), torch.arange(case.group) == 0)


CROSSED_OWN = (
    bug(
        "crossed batch, first columns kept",
        "each query is scored against all groups, [B, B, G], and only query 0's scores are kept",
        crossed_first,
        "SC101",
        _EINSUM,
        only=negatives,
    ),
)

CROSSED = (
    bug(
        "crossed batch",
        "each query is scored against all groups: a similarity of [B, D] and [B, G, D] makes [B, B, G]",
        crossed,
        "SC101",
        _EINSUM,
        only=negatives,
        wide=True,
    ),
    bug(
        "crossed batch, own target",
        "each query is scored against all groups: a similarity of [B, D] and [B, G, D] makes [B, B, G]",
        crossed_own_target,
        "SC101",
        _EINSUM,
        only=negatives,
    ),
    bug(
        "crossed batch, row after row",
        "each query is scored against all groups and the first of each is called its positive",
        crossed_rows,
        "SC101",
        _EINSUM,
        only=negatives,
    ),
    bug(
        "crossed batch, classes in the middle",
        "each query is scored against all groups, and the softmax runs over queries",
        crossed_classes,
        "SC101",
        _EINSUM,
        only=negatives,
    ),
)
