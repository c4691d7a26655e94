"""How two embeddings are compared: what is normalised, over which axis, and dot product or distance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from .case import Case, Kind


@dataclass(frozen=True)
class Similarity:
    """What is done to the rows before they are compared, and how; `code` and `bug` where it is a known mistake."""

    name: str
    prepare: Callable[[Case], Tensor]
    compare: Callable[[Tensor], Tensor]
    normalises: bool = False
    bug: str = ""
    code: str = ""
    kinds: tuple[Kind, ...] = tuple(Kind)
    grouped: bool = False  # needs groups of several passages

    def fits(self, case: Case) -> bool:
        return case.kind in self.kinds and (case.group > 1 or not self.grouped)

    def __call__(self, case: Case) -> Tensor:
        """The similarity of every two rows, `[N, N]`."""
        return self.compare(self.prepare(case))


def dot(rows: Tensor) -> Tensor:
    return rows @ rows.T


def minus_square(rows: Tensor) -> Tensor:
    squares = (rows * rows).sum(1)
    return 2 * rows @ rows.T - squares.unsqueeze(1) - squares.unsqueeze(0)


def minus_distance(rows: Tensor) -> Tensor:
    return -(-minus_square(rows)).clamp_min(1e-24).sqrt()


def as_is(case: Case) -> Tensor:
    return case.rows


def by_length(case: Case) -> Tensor:
    return F.normalize(case.rows, dim=1)


def _sides(case: Case, queries: Callable[[Tensor], Tensor], passages: Callable[[Tensor], Tensor]) -> Tensor:
    if case.kind in (Kind.CLASSES, Kind.VIEWS):
        return queries(case.rows)
    import torch

    return torch.cat([queries(case.queries), passages(case.rows[case.batch :])])


def _same(rows: Tensor) -> Tensor:
    return rows


def _length(rows: Tensor) -> Tensor:
    return F.normalize(rows, dim=1)


def _batch(rows: Tensor) -> Tensor:
    return F.normalize(rows, dim=0)


def _within_group(case: Case) -> Tensor:
    import torch

    queries = F.normalize(case.queries, dim=1)
    return torch.cat([queries, F.normalize(case.passages, dim=1).flatten(0, 1)])


def _within_group_alone(case: Case) -> Tensor:
    import torch

    return torch.cat([case.queries, F.normalize(case.passages, dim=1).flatten(0, 1)])


def _over_batch_grouped(case: Case) -> Tensor:
    import torch

    return torch.cat([F.normalize(case.queries, dim=1), F.normalize(case.passages, dim=0).flatten(0, 1)])


def _all_rows_over_batch(case: Case) -> Tensor:
    return F.normalize(case.rows, dim=0)


def _over_views(case: Case) -> Tensor:
    return F.normalize(case.views, dim=1).flatten(0, 1) if case.kind is Kind.VIEWS else by_length(case)


def _axes_exchanged(case: Case) -> Tensor:
    """Queries [B, D], passages whose last two axes were exchanged by a view instead of a transpose."""
    import torch

    b, g = case.batch, case.group
    turned = case.passages.reshape(b, -1, g).transpose(1, 2)  # B G D
    return torch.cat([case.queries, turned.flatten(0, 1)])


def _axes_exchanged_normalised(case: Case) -> Tensor:
    return _axes_exchanged(case.with_rows(by_length(case)))


DOT = Similarity("dot product", as_is, dot)
COSINE = Similarity("cosine", by_length, dot, normalises=True)
QUERIES_ONLY = Similarity("dot product with normalised queries", lambda c: _sides(c, _length, _same), dot)
PASSAGES_ONLY = Similarity("dot product with normalised passages", lambda c: _sides(c, _same, _length), dot)
DISTANCE = Similarity("Euclidean distance", as_is, minus_distance)
SQUARED = Similarity("squared Euclidean distance", as_is, minus_square)
COSINE_DISTANCE = Similarity("Euclidean distance of normalised embeddings", by_length, minus_distance, normalises=True)
COSINE_SQUARED = Similarity("squared distance of normalised embeddings", by_length, minus_square, normalises=True)

RIGHT = (DOT, COSINE, DISTANCE, SQUARED, COSINE_DISTANCE, COSINE_SQUARED)

_OVER_BATCH = "embeddings are normalised over the batch, not over their own axis"
WRONG = (
    Similarity("", lambda c: _sides(c, _batch, _batch), dot, bug=_OVER_BATCH, code="SC402"),
    Similarity(
        "", lambda c: _sides(c, _batch, _length), dot, bug="queries are normalised over the batch", code="SC402"
    ),
    Similarity(
        "", lambda c: _sides(c, _length, _batch), dot, bug="passages are normalised over the batch", code="SC402"
    ),
    Similarity("", lambda c: _sides(c, _batch, _same), dot, bug="queries are normalised over the batch", code="SC402"),
    Similarity("", lambda c: _sides(c, _same, _batch), dot, bug="passages are normalised over the batch", code="SC402"),
    Similarity("", _all_rows_over_batch, dot, bug=_OVER_BATCH, code="SC402"),
    Similarity(
        "",
        _within_group,
        dot,
        bug="passages are normalised over their group, not their own axis",
        code="SC401",
        kinds=(Kind.GROUPS,),
        grouped=True,
    ),
    Similarity(
        "",
        _within_group_alone,
        dot,
        bug="passages are normalised over their group, not their own axis",
        code="SC401",
        kinds=(Kind.GROUPS,),
        grouped=True,
    ),
    Similarity(
        "",
        _over_batch_grouped,
        dot,
        bug="passages are normalised over the batch",
        code="SC402",
        kinds=(Kind.GROUPS,),
        grouped=True,
    ),
    Similarity(
        "",
        _over_views,
        dot,
        bug="views are normalised over the views, not over their own axis",
        code="SC401",
        kinds=(Kind.VIEWS,),
    ),
    Similarity(
        "",
        _axes_exchanged,
        dot,
        bug="a view exchanges the passages' last two axes without moving memory",
        code="SC201",
        kinds=(Kind.GROUPS,),
        grouped=True,
    ),
    Similarity(
        "",
        _axes_exchanged_normalised,
        dot,
        bug="a view exchanges the passages' last two axes without moving memory",
        code="SC201",
        kinds=(Kind.GROUPS,),
        grouped=True,
    ),
)
