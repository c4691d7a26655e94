"""Queries that come in chunks: other passages, other targets, other weights than the whole batch has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..case import Case
from ..cells import Table, table
from ..structures import (
    Structure,
    all_pairs,
    own_group,
    passage,
    queries,
)

CHUNKS = (1, 2, 3, 4, 5, 6, 8, 16, 32)


def _chunk(case: Case, size: int) -> Tensor:
    return queries(case) // size * size


def _chunked(size: int) -> Iterator[Structure]:
    def several(case: Case) -> bool:
        return case.batch > size

    def first_passages_all(case: Case) -> Table:
        columns = torch.arange(case.batch * case.group)
        mine = (queries(case) % size * case.group)[:, None]
        width = size * case.group
        return table(queries(case)[:, None], case.batch + columns, columns == mine, columns < width)

    def as_many_first_passages(case: Case) -> Table:
        columns = torch.arange(case.batch * case.group)
        mine = (queries(case) % size * case.group)[:, None]
        rows = (case.batch - _chunk(case, size)).clamp(max=size)
        return table(
            queries(case)[:, None], case.batch + columns, columns == mine, columns < (rows * case.group)[:, None]
        )

    def first_passages_own(case: Case) -> Table:
        columns = torch.arange(case.group)
        first = (queries(case) % size)[:, None]
        return table(queries(case)[:, None], passage(case, first, columns), columns == 0)

    def no_offset(case: Case) -> Table:
        return all_pairs(case, queries(case) % size * case.group)

    def own_chunk(case: Case) -> Table:
        columns = torch.arange(case.batch * case.group)
        rows = queries(case)[:, None]
        same = columns // case.group // size == rows // size
        return table(rows, case.batch + columns, columns == rows * case.group, same)

    def weights(case: Case) -> Tensor:
        starts = _chunk(case, size)
        counts = torch.bincount(starts, minlength=case.batch)[starts].double()
        return 1 / counts / (-(-case.batch // size))

    def unequal(build: Callable[[Case], Table]) -> Callable[[Case], Table]:
        def weighted(case: Case) -> Table:
            made = build(case)
            return Table(made.left, made.right, made.positive, made.candidate, made.zero, weights(case))

        return weighted

    def keep(build: Callable[[Case], Table], chosen: Callable[[Case], Tensor]) -> Callable[[Case], Table]:
        def kept(case: Case) -> Table:
            made, rows = build(case), chosen(case)
            return Table(made.left[rows], made.right[rows], made.positive[rows], made.candidate[rows])

        return kept

    def whole(case: Case) -> Tensor:
        return queries(case) < case.batch // size * size

    def first(case: Case) -> Tensor:
        return queries(case) < size

    def last(case: Case) -> Tensor:
        return queries(case) >= (case.batch - 1) // size * size

    def ragged(case: Case) -> bool:
        return case.batch > size and case.batch % size != 0

    name = f"chunks of {size}"
    move = "slice the passages with the chunk's own bounds, and move the target by the chunk's start"
    yield Structure(
        f"{name}: the first chunk's passages only",
        f"queries come in {name} and each is contrasted with the first chunk's passages",
        (first_passages_all,),
        only=several,
        fix=move,
    )
    yield Structure(
        f"{name}: the first chunk's passages only, as many as rows",
        f"queries come in {name} and each is contrasted with the first chunk's passages",
        (as_many_first_passages,),
        only=several,
        fix=move,
    )
    yield Structure(
        f"{name}: the first chunk's groups only",
        f"queries come in {name} and each is contrasted with a group of the first chunk",
        (first_passages_own,),
        only=several,
        fix=move,
    )
    yield Structure(
        f"{name}: target not moved",
        f"queries come in {name} and the target starts at 0 in each",
        (no_offset,),
        only=several,
        fix=move,
    )
    yield Structure(
        f"{name}: own chunk's passages only",
        f"queries come in {name} and each is contrasted with its own chunk's passages, not the batch's",
        (own_chunk,),
        only=several,
        fix="contrast every chunk of queries with the passages of the whole batch",
    )
    for mode, build in (("in-batch", all_pairs), ("in-group", own_group)):
        yield Structure(
            f"{name}: the last short one weighs too much ({mode})",
            "the mean of the chunks' means counts rows of the short last chunk more",
            (unequal(build),),
            only=ragged,
            fix="sum over the rows of all chunks and divide by B once",
        )
        yield Structure(
            f"{name}: the last short one dropped ({mode})",
            "rows of the short last chunk are left out",
            (keep(build, whole),),
            only=ragged,
            fix="use ceil(B / chunk) chunks",
        )
        if size > 1:
            yield Structure(
                f"{name}: the first one only ({mode})",
                "only the first chunk's rows reach the loss",
                (keep(build, first),),
                only=several,
                fix="add every chunk's loss, not the first one's",
            )
            yield Structure(
                f"{name}: the last one only ({mode})",
                "only the last chunk's rows reach the loss",
                (keep(build, last),),
                only=several,
                fix="add every chunk's loss, not the last one's",
            )


def without_rank_offset(world: int) -> Structure:
    """The joined batch where each process's targets start at column 0."""

    def build(case: Case) -> Table:
        share = case.batch // world
        return all_pairs(case, queries(case) % share * case.group)

    return Structure("rank offset forgotten", "targets of every process start at 0", (build,), code="SC303")


ALL = tuple(structure for size in CHUNKS for structure in _chunked(size))
