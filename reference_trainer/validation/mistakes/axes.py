"""A softmax over the batch, where it must run over the candidates."""

from __future__ import annotations

import torch

from ..case import Case
from ..cells import Table, table
from ..structures import (
    backward,
    passage,
    positives,
    queries,
)
from .entry import bug, negatives


def softmax_over_queries(case: Case) -> Table:
    """Scores of the own groups, softmax over the batch axis: positives compete with each other."""
    i = queries(case)
    return table(i.expand(len(i), -1), positives(case), i == i[:, None])


def softmax_over_queries_all(case: Case) -> Table:
    """Scores of all pairs, softmax over the query axis, every column of the own group a row."""
    b, g = case.batch, case.group
    cell = torch.arange(b * g)
    return table(torch.arange(b), (case.batch + cell)[:, None], torch.arange(b) == (cell // g)[:, None])


def own_pairs_over_batch(case: Case) -> Table:
    """Row-wise similarities, softmax over the batch: place g of each group against place g of the others."""
    b, g = case.batch, case.group
    i = torch.arange(b)
    place = torch.arange(g)
    row_place, row_item = place.repeat_interleave(b), i.repeat(g)
    return table(i, passage(case, i, row_place[:, None]), i == row_item[:, None])


AXES = (
    bug(
        "softmax over the batch",
        "the softmax runs over the batch: positives of different queries compete",
        softmax_over_queries,
        "SC402",
        "`dim=-1`: the axis of the candidates",
        wide=True,
    ),
    bug(
        "softmax over the batch, all places",
        "the softmax runs over the batch, place by place",
        own_pairs_over_batch,
        "SC402",
        "`dim=-1`: the axis of the candidates",
        only=negatives,
    ),
    bug(
        "softmax over the queries",
        "the softmax runs over queries: each passage is contrasted with queries, not each query with passages",
        backward,
        "SC402",
        "`dim=-1`: the axis of the candidates",
    ),
    bug(
        "softmax over the queries, every passage",
        "the softmax runs over queries, negatives of a group count as its positives",
        softmax_over_queries_all,
        "SC402",
        "`dim=-1`: the axis of the candidates",
        only=negatives,
    ),
)
