"""Who is contrasted with whom in losses that are right, as tables of cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .case import Case, Kind
from .cells import Table, table

Build = Callable[[Case], Table]


@dataclass(frozen=True)
class Structure:
    """A mean over tables, and what to say of it; `code` and `fix` where it is a known mistake."""

    name: str
    says: str
    parts: tuple[Build, ...]
    kinds: tuple[Kind, ...] = (Kind.GROUPS,)
    only: Callable[[Case], bool] = lambda case: True
    mode: str = ""
    symmetric: bool = False
    code: str = ""
    fix: str = ""
    wide: bool = False  # asked with every head and similarity, not with the softmax alone


def queries(case: Case) -> Tensor:
    return torch.arange(case.batch)


def passage(case: Case, query: Tensor, place: Tensor | int) -> Tensor:
    """Row of passage `place` of `query`'s group."""
    return case.batch + query * case.group + place


def positives(case: Case) -> Tensor:
    return passage(case, queries(case), 0)


def all_pairs(case: Case, target: Tensor | None = None) -> Table:
    """Every query against every passage; column of the positive: the first of its group."""
    columns = torch.arange(case.batch * case.group)
    target = queries(case) * case.group if target is None else target
    return table(queries(case)[:, None], case.batch + columns, columns == target[:, None])


def own_group(case: Case, place: int = 0) -> Table:
    columns = torch.arange(case.group)
    return table(queries(case)[:, None], passage(case, queries(case)[:, None], columns), columns == place)


def positives_and_own(case: Case) -> Table:
    """Positives of all queries and the own negatives."""
    rows, count = queries(case)[:, None], case.batch * case.group
    columns = torch.arange(count)
    wanted = (columns % case.group == 0) | (columns // case.group == rows)
    return table(rows, case.batch + columns, columns == rows * case.group, wanted)


def positives_only(case: Case) -> Table:
    rows = queries(case)
    return table(rows[:, None], positives(case), rows == rows[:, None])


def backward(case: Case) -> Table:
    """Each positive against all queries."""
    rows = queries(case)
    return table(positives(case)[:, None], rows, rows == rows[:, None])


def towers(case: Case) -> Tensor:
    """Rows of both views: queries, then positives."""
    return torch.cat([queries(case), positives(case)])


def two_views(case: Case) -> Table:
    """SimCLR: each of 2B views against all others, its partner the positive."""
    rows, count = towers(case), 2 * case.batch
    at = torch.arange(count)
    return table(rows[:, None], rows, at == (at[:, None] + case.batch) % count, at != at[:, None])


def two_views_forward(case: Case) -> Table:
    made = two_views(case)
    half = case.batch
    return Table(made.left[:half], made.right[:half], made.positive[:half], made.candidate[:half])


def queries_too(case: Case) -> Table:
    """Every passage of the batch and the other queries."""
    rows, columns = queries(case), torch.arange(case.batch * case.group)
    right = torch.cat([case.batch + columns, rows])
    positive = torch.cat([columns == rows[:, None] * case.group, torch.zeros(len(rows), len(rows)).bool()], 1)
    wanted = torch.cat([torch.ones(len(rows), len(columns)).bool(), rows != rows[:, None]], 1)
    return table(rows[:, None], right, positive, wanted)


# Blocks of pairs beside query-passage ones that may stand in a query's softmax.
BLOCKS = (("qq",), ("pp",), ("pq",), ("qq", "pp"), ("qq", "pq"), ("pp", "pq"), ("qq", "pp", "pq"))


def united(blocks: tuple[str, ...], own: str = "", turned: bool = False) -> Build:
    """One softmax a query over query-passage pairs and these blocks, without self; `turned`: from positives.

    `own` makes a mistake of it: self "counts", "zero" scores 0 and counts, or self "alone" counts of its side.
    """

    def build(case: Case) -> Table:
        b, rows = case.batch, queries(case)
        mine = positives(case)
        passages = case.batch + torch.arange(b * case.group)
        same = (passages - case.batch) // case.group == rows[:, None]
        if turned:
            rows, mine = mine, rows
            others, facing, apart = mine, positives(case), queries(case) != queries(case)[:, None]
            sides = {"qp": (rows, others, None), "qq": (rows, facing, apart), "pp": (mine, others, apart)}
            sides["pq"] = (mine, facing, None)
        else:
            apart = rows != rows[:, None]
            sides = {"qp": (rows, passages, None), "qq": (rows, rows, apart), "pp": (mine, passages, ~same)}
            sides["pq"] = (mine, rows, None)
        left, right, positive, candidate, zero = [], [], [], [], []
        for name in ("qp", *blocks):
            start, columns, kept = sides[name]
            left.append(start[:, None].expand(b, len(columns)))
            right.append(columns.expand(b, -1))
            hit = columns == mine[:, None] if name == "qp" else torch.zeros(b, len(columns), dtype=torch.bool)
            positive.append(hit)
            free = torch.ones(b, len(columns), dtype=torch.bool)
            apart_here = free if kept is None else kept
            candidate.append({"": apart_here, "alone": free if kept is None else ~kept}.get(own, free))
            zero.append(~apart_here)
        return Table(
            torch.cat(left, 1),
            torch.cat(right, 1),
            torch.cat(positive, 1),
            torch.cat(candidate, 1),
            torch.cat(zero, 1) if own == "zero" else None,
        )

    return build


def four_ways(case: Case) -> Table:
    """One softmax over query-passage, query-query, passage-query and passage-passage pairs (Li 2023)."""
    b = case.batch
    rows, columns = queries(case), torch.arange(b * case.group)
    left = torch.cat(
        [rows[:, None].expand(b, len(columns) + b), positives(case)[:, None].expand(b, b + len(columns))], 1
    )
    right = torch.cat([case.batch + columns, rows, rows, case.batch + columns]).expand(b, -1)
    positive = torch.zeros(left.shape, dtype=torch.bool)
    positive[:, : len(columns)] = columns == rows[:, None] * case.group
    wanted = torch.ones(left.shape, dtype=torch.bool)
    wanted[:, len(columns) : len(columns) + b] = rows != rows[:, None]
    wanted[:, len(columns) + 2 * b :] = columns // case.group != rows[:, None]
    return table(left, right, positive, wanted)


def same_label(case: Case) -> Table:
    """Each row against all others; all others of its label (or item) are positives."""
    rows = torch.arange(len(case.rows))
    labels = row_labels(case)
    others = rows != rows[:, None]
    positive = (labels == labels[:, None]) & others
    kept = positive.any(1)
    return table(rows[kept][:, None], rows, positive[kept], others[kept])


def same_label_by_pair(case: Case) -> Table:
    """The same, a mean over pairs of a label: rows with many positives weigh more."""
    made = same_label(case)
    count = made.positive.sum(1).double()
    return Table(made.left, made.right, made.positive, made.candidate, None, count / count.sum())


def row_labels(case: Case) -> Tensor:
    return case.labels if case.kind is Kind.CLASSES else case.labels.repeat_interleave(case.group)


def each_pair(case: Case) -> Table:
    """Each pair of a label by itself against the negatives of its anchor."""
    rows = torch.arange(len(case.rows))
    labels = row_labels(case)
    same = labels == labels[:, None]
    anchor, other = (same & (rows != rows[:, None])).nonzero(as_tuple=True)
    positive = rows == other[:, None]
    return table(anchor[:, None], rows, positive, positive | ~same[anchor])


def label_queries(case: Case) -> Table:
    """Queries against passages, all of the same label positives."""
    rows = queries(case)
    same = case.labels == case.labels[:, None]
    return table(rows[:, None], positives(case), same)


def _pairs(case: Case) -> bool:
    return case.group == 1


def _negatives(case: Case) -> bool:
    return case.group > 1


def _partner_views(case: Case) -> bool:
    return case.group == 2


def view_pairs_forward(case: Case) -> Table:
    """First views against second views."""
    items = torch.arange(case.batch)
    return table(items[:, None] * 2, items * 2 + 1, items == items[:, None])


def several_positives(case: Case) -> Table:
    """First views, the anchors, against all other views; those of the own item are positives."""
    items, place = torch.arange(case.batch), torch.arange(case.batch * (case.group - 1))
    owner = place // (case.group - 1)
    columns = owner * case.group + place % (case.group - 1) + 1
    return table(items[:, None] * case.group, columns, owner == items[:, None])


def view_pairs_backward(case: Case) -> Table:
    items = torch.arange(case.batch)
    return table(items[:, None] * 2 + 1, items * 2, items == items[:, None])


VIEWS, CLASSES = (Kind.VIEWS,), (Kind.CLASSES,)

RIGHT = (
    Structure(
        "in-batch", "each query is contrasted with every passage of the batch", (all_pairs,), mode="in-batch", wide=True
    ),
    Structure(
        "in-group",
        "each query is contrasted with its own group alone",
        (own_group,),
        only=_negatives,
        mode="in-group",
        wide=True,
    ),
    Structure(
        "positives of the batch and own negatives",
        "each query is contrasted with all positives and its own negatives",
        (positives_and_own,),
        only=_negatives,
        mode="in-batch",
    ),
    Structure(
        "in-batch, symmetric",
        "each query with every passage, each positive with every query",
        (all_pairs, backward),
        mode="in-batch",
        symmetric=True,
        wide=True,
    ),
    Structure(
        "positives, symmetric, and own negatives",
        "each query with all positives and its own negatives, each positive with every query",
        (positives_and_own, backward),
        only=_negatives,
        mode="in-batch",
        symmetric=True,
    ),
    Structure(
        "NT-Xent",
        "each of the 2B views is contrasted with all others, its partner the positive",
        (two_views,),
        only=_pairs,
        mode="in-batch",
        symmetric=True,
    ),
    Structure(
        "NT-Xent, first view's rows",
        "each first view is contrasted with all other views",
        (two_views_forward,),
        only=_pairs,
        mode="in-batch",
    ),
    Structure(
        "in-batch with queries",
        "each query is contrasted with every passage and every other query",
        (queries_too,),
        mode="in-batch",
    ),
    Structure(
        "four-way",
        "one softmax over query-passage, query-query, passage-query and passage-passage pairs",
        (four_ways,),
        mode="in-batch",
        symmetric=True,
    ),
    Structure(
        "SupCon",
        "each row is contrasted with all others, those of its label the positives",
        (same_label,),
        kinds=(Kind.CLASSES, Kind.VIEWS),
        mode="in-batch",
        symmetric=True,
        wide=True,
    ),
    Structure(
        "SupCon, averaged over pairs",
        "each row is contrasted with all others, those of its label the positives",
        (same_label_by_pair,),
        kinds=(Kind.CLASSES,),
        mode="in-batch",
        symmetric=True,
    ),
    Structure(
        "each positive pair",
        "each pair of a label is contrasted with the rows of other labels",
        (each_pair,),
        kinds=(Kind.CLASSES, Kind.VIEWS),
        mode="in-batch",
        symmetric=True,
    ),
    Structure(
        "several positives",
        "each anchor is contrasted with the positives of all anchors, its own all positive",
        (several_positives,),
        kinds=VIEWS,
        mode="in-batch",
        wide=True,
    ),
    Structure(
        "pairs of views",
        "each first view is contrasted with all second views",
        (view_pairs_forward,),
        kinds=VIEWS,
        only=_partner_views,
        mode="in-batch",
    ),
    Structure(
        "pairs of views, symmetric",
        "first views with all second views and the reverse",
        (view_pairs_forward, view_pairs_backward),
        kinds=VIEWS,
        only=_partner_views,
        mode="in-batch",
        symmetric=True,
    ),
    *(
        Structure(
            f"in-batch with {' and '.join(blocks)}" + (", symmetric" if both else ""),
            "one softmax over query-passage pairs and those of "
            + " and ".join({"qq": "queries", "pp": "passages", "pq": "the way back"}[block] for block in blocks),
            (united(blocks), united(blocks, turned=True)) if both else (united(blocks),),
            mode="in-batch",
            symmetric=both or "pq" in blocks,
        )
        for blocks in BLOCKS
        for both in (False, True)
    ),
)
