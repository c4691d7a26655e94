"""Queries that meet another query's passages: rows are read in another order than they lie in."""

from __future__ import annotations

import torch
from torch import Tensor

from ..case import Case
from ..cells import Table, table
from ..structures import (
    passage,
    queries,
)
from .entry import bug, negatives

_GROUP_VIEW = "`passages.view(B, G, -1)`: passages lie group after group"


def _other_order(case: Case) -> Tensor:
    """Row of passage [b, g] if the flat passages are read as [G, B, D]."""
    b, g = case.batch, case.group
    return case.batch + torch.arange(g) * b + torch.arange(b)[:, None]


def group_major(case: Case) -> Table:
    return table(queries(case)[:, None], _other_order(case), torch.arange(case.group) == 0)


def tiled_queries(case: Case) -> Table:
    """queries.repeat(G, 1) beside passages that lie group after group: pair r has query r % B."""
    pair = torch.arange(case.batch * case.group).view(case.batch, case.group)
    return table(pair % case.batch, case.batch + pair, torch.arange(case.group) == 0)


def _rolled(case: Case) -> Table:
    """Own positive, another query's negatives."""
    rows, place = queries(case)[:, None], torch.arange(case.group)
    owner = torch.where(place == 0, rows, (rows + 1) % case.batch)
    return table(rows, passage(case, owner, place), place == 0)


def _rolled_back(case: Case) -> Table:
    rows, place = queries(case)[:, None], torch.arange(case.group)
    owner = torch.where(place == 0, rows, (rows - 1) % case.batch)
    return table(rows, passage(case, owner, place), place == 0)


def next_group(case: Case) -> Table:
    rows, place = queries(case)[:, None], torch.arange(case.group)
    return table(rows, passage(case, (rows + 1) % case.batch, place), place == 0)


def first_group(case: Case) -> Table:
    rows, place = queries(case)[:, None], torch.arange(case.group)
    return table(rows, passage(case, rows * 0, place), place == 0)


def first_query(case: Case) -> Table:
    rows, place = queries(case)[:, None], torch.arange(case.group)
    return table(rows * 0, passage(case, rows, place), place == 0)


ORDER = (
    bug(
        "group-major view",
        "flat passages that lie group after group are read as [G, B, D]: a query meets passages of other groups",
        group_major,
        "SC202",
        _GROUP_VIEW,
        only=negatives,
        wide=True,
    ),
    bug(
        "tiled queries",
        "queries are tiled (repeat) where passages lie group after group: pair r has query r % B",
        tiled_queries,
        "SC202",
        "`queries.repeat_interleave(G, dim=0)`",
        only=negatives,
        wide=True,
    ),
    bug(
        "next query's negatives",
        "the negatives are those of the next query",
        _rolled,
        "SC202",
        _GROUP_VIEW,
        only=negatives,
    ),
    bug(
        "negatives of the query before",
        "the negatives are those of the query before",
        _rolled_back,
        "SC202",
        _GROUP_VIEW,
        only=negatives,
    ),
    bug(
        "next query's group",
        "each query is contrasted with the next query's group",
        next_group,
        "SC202",
        _GROUP_VIEW,
        only=negatives,
    ),
    bug(
        "first group for all",
        "every query is contrasted with the first group",
        first_group,
        "SC305",
        _GROUP_VIEW,
        only=negatives,
    ),
    bug(
        "first query for all",
        "the first query stands for every query",
        first_query,
        "SC104",
        "use each row's own query",
        only=negatives,
    ),
)
