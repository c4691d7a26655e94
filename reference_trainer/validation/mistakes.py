"""Known wrong losses, as tables: whom each query really meets, which rule finds the line, what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .case import Case
from .cells import Table, table
from .structures import (
    CLASSES,
    VIEWS,
    Structure,
    all_pairs,
    backward,
    own_group,
    passage,
    positives,
    queries,
    row_labels,
)

CHUNKS = (1, 2, 3, 4, 5, 6, 8, 16, 32)


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


def crossed_classes_own(case: Case) -> Table:
    b, g = case.batch, case.group
    cell = torch.arange(b * g)
    return table(torch.arange(b), (case.batch + cell)[:, None], torch.arange(b) == (cell // g)[:, None])


def _target(column: Callable[[Case], Tensor]) -> Callable[[Case], Table]:
    def build(case: Case) -> Table:
        return all_pairs(case, column(case).clamp(0, case.batch * case.group - 1))

    return build


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


def _other_order(case: Case) -> Tensor:
    """Row of passage [b, g] if the flat passages are read as [G, B, D]."""
    b, g = case.batch, case.group
    return case.batch + torch.arange(g) * b + torch.arange(b)[:, None]


def group_major(case: Case) -> Table:
    return table(queries(case)[:, None], _other_order(case), torch.arange(case.group) == 0)


def group_major_all(case: Case) -> Table:
    columns = _other_order(case).flatten()
    return table(queries(case)[:, None], columns, columns == positives(case)[0] + queries(case)[:, None])


def tiled_queries(case: Case) -> Table:
    """queries.repeat(G, 1) beside passages that lie group after group: pair r has query r % B."""
    pair = torch.arange(case.batch * case.group).view(case.batch, case.group)
    return table(pair % case.batch, case.batch + pair, torch.arange(case.group) == 0)


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
    for mode, build in (("in-batch", all_pairs), ("preset", own_group)):
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


def _own_backward(case: Case) -> Table:
    return backward(case)


def _backward_zero(case: Case) -> Table:
    rows = queries(case)
    return table(positives(case)[:, None], rows, (rows == 0).expand(len(rows), -1))


def _towers(case: Case) -> Tensor:
    return torch.cat([queries(case), positives(case)])


def _views_table(partner: Callable[[Tensor, int], Tensor], self_counts: bool) -> Callable[[Case], Table]:
    def made(case: Case) -> Table:
        rows = _towers(case)
        at = torch.arange(len(rows))
        wanted = torch.ones(len(rows), len(rows), dtype=torch.bool) if self_counts else at != at[:, None]
        return table(rows[:, None], rows, at == partner(at, case.batch)[:, None], wanted)

    return made


def _opposite(at: Tensor, batch: int) -> Tensor:
    return (at + batch) % (2 * batch)


def _first_half_masked(case: Case) -> Table:
    """The self mask covers the first half only."""
    rows = _towers(case)
    at = torch.arange(len(rows))
    wanted = (at != at[:, None]) | (at >= case.batch)
    return table(rows[:, None], rows, at == _opposite(at, case.batch)[:, None], wanted)


def _zero_self(case: Case) -> Table:
    rows = _towers(case)
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


def _pairs(case: Case) -> bool:
    return case.group == 1


def _negatives(case: Case) -> bool:
    return case.group > 1


def _last_place(case: Case) -> Tensor:
    return passage(case, queries(case), case.group - 1)


def _bug(name: str, says: str, build: Callable[[Case], Table], code: str, fix: str, **more: object) -> Structure:
    return Structure(name, says, (build,), code=code, fix=fix, **more)  # type: ignore[arg-type]


_EINSUM = "`torch.einsum('bd,bgd->bg', queries, passages)`, or `(queries.unsqueeze(1) * passages).sum(-1)`"
_STRIDE = "`target = torch.arange(B) * G`"
_MASK = "mask with -inf before the softmax, where row and column are the same embedding"
_GROUP_VIEW = "`passages.view(B, G, -1)`: passages lie group after group"

ALL = (
    _bug(
        "crossed batch",
        "each query is scored against all groups: a similarity of [B, D] and [B, G, D] makes [B, B, G]",
        crossed,
        "SC101",
        _EINSUM,
        only=_negatives,
        wide=True,
    ),
    _bug(
        "crossed batch, own target",
        "each query is scored against all groups: a similarity of [B, D] and [B, G, D] makes [B, B, G]",
        crossed_own_target,
        "SC101",
        _EINSUM,
        only=_negatives,
    ),
    _bug(
        "crossed batch, row after row",
        "each query is scored against all groups and the first of each is called its positive",
        crossed_rows,
        "SC101",
        _EINSUM,
        only=_negatives,
    ),
    _bug(
        "crossed batch, classes in the middle",
        "each query is scored against all groups, and the softmax runs over queries",
        crossed_classes,
        "SC101",
        _EINSUM,
        only=_negatives,
    ),
    _bug(
        "zero target on all pairs",
        "all pairs are scored, and column 0, query 0's positive, is everyone's target",
        _target(lambda c: queries(c) * 0),
        "SC301",
        f"{_STRIDE}, since column 0 is the positive of query 0 alone",
        wide=True,
    ),
    _bug(
        "no stride",
        "the target of query i is column i, which is passage i of the flat ones, not the first of group i",
        _target(queries),
        "SC302",
        _STRIDE,
        only=_negatives,
        wide=True,
    ),
    _bug(
        "stride of G-1",
        "the target of query i is column i*(G-1)",
        _target(lambda c: queries(c) * (c.group - 1)),
        "SC302",
        _STRIDE,
        only=lambda c: c.group > 2,
    ),
    _bug(
        "stride of G+1",
        "the target of query i is column i*(G+1)",
        _target(lambda c: queries(c) * (c.group + 1)),
        "SC302",
        _STRIDE,
    ),
    _bug(
        "second of the group",
        "the target is the first negative of the group, i*G + 1",
        _target(lambda c: queries(c) * c.group + 1),
        "SC302",
        _STRIDE,
        only=_negatives,
    ),
    _bug(
        "last of the group",
        "the target is the last negative of the group",
        _target(lambda c: queries(c) * c.group + c.group - 1),
        "SC302",
        _STRIDE,
        only=_negatives,
    ),
    _bug(
        "target of the next query",
        "the target is the next query's positive",
        _target(lambda c: (queries(c) + 1) % c.batch * c.group),
        "SC302",
        _STRIDE,
    ),
    _bug(
        "target of the query before",
        "the target is the positive of the query before",
        _target(lambda c: (queries(c) - 1) % c.batch * c.group),
        "SC302",
        _STRIDE,
    ),
    _bug(
        "targets in reverse",
        "the targets run backwards",
        _target(lambda c: (c.batch - 1 - queries(c)) * c.group),
        "SC302",
        _STRIDE,
    ),
    _bug(
        "last place of the own group",
        "the last negative of the own group is called the positive",
        lambda c: own_group(c, c.group - 1),
        "SC306",
        "target 0: the positive leads its group",
        only=_negatives,
    ),
    _bug(
        "second place of the own group",
        "the first negative of the own group is called the positive",
        lambda c: own_group(c, 1),
        "SC306",
        "target 0: the positive leads its group",
        only=lambda c: c.group > 2,
    ),
    _bug(
        "softmax over the batch",
        "the softmax runs over the batch: positives of different queries compete",
        softmax_over_queries,
        "SC402",
        "`dim=-1`: the axis of the candidates",
        wide=True,
    ),
    _bug(
        "softmax over the batch, all places",
        "the softmax runs over the batch, place by place",
        own_pairs_over_batch,
        "SC402",
        "`dim=-1`: the axis of the candidates",
        only=_negatives,
    ),
    _bug(
        "softmax over the queries",
        "the softmax runs over queries: each passage is contrasted with queries, not each query with passages",
        backward,
        "SC402",
        "`dim=-1`: the axis of the candidates",
    ),
    _bug(
        "softmax over the queries, every passage",
        "the softmax runs over queries, negatives of a group count as its positives",
        softmax_over_queries_all,
        "SC402",
        "`dim=-1`: the axis of the candidates",
        only=_negatives,
    ),
    _bug(
        "group-major view",
        "flat passages that lie group after group are read as [G, B, D]: a query meets passages of other groups",
        group_major,
        "SC202",
        _GROUP_VIEW,
        only=_negatives,
        wide=True,
    ),
    _bug(
        "tiled queries",
        "queries are tiled (repeat) where passages lie group after group: pair r has query r % B",
        tiled_queries,
        "SC202",
        "`queries.repeat_interleave(G, dim=0)`",
        only=_negatives,
        wide=True,
    ),
    _bug(
        "next query's negatives",
        "the negatives are those of the next query",
        _rolled,
        "SC202",
        _GROUP_VIEW,
        only=_negatives,
    ),
    _bug(
        "negatives of the query before",
        "the negatives are those of the query before",
        _rolled_back,
        "SC202",
        _GROUP_VIEW,
        only=_negatives,
    ),
    _bug(
        "next query's group",
        "each query is contrasted with the next query's group",
        next_group,
        "SC202",
        _GROUP_VIEW,
        only=_negatives,
    ),
    _bug(
        "first group for all",
        "every query is contrasted with the first group",
        first_group,
        "SC305",
        _GROUP_VIEW,
        only=_negatives,
    ),
    _bug(
        "first query for all",
        "the first query stands for every query",
        first_query,
        "SC104",
        "use each row's own query",
        only=_negatives,
    ),
    _bug(
        "positive among its negatives (preset)",
        "the positive is also one of the negatives",
        _with_extra(own_group, positives),
        "",
        "leave the positive out of the negatives",
        only=_negatives,
    ),
    _bug(
        "positive among its negatives (in-batch)",
        "the positive is counted twice in its own denominator",
        _with_extra(all_pairs, positives),
        "",
        "leave the positive out of the negatives",
    ),
    _bug(
        "first negative twice",
        "the first negative is counted twice",
        _with_extra(own_group, lambda c: passage(c, queries(c), 1)),
        "SC305",
        "take each passage once",
        only=_negatives,
    ),
    _bug(
        "positive in place of the last negative",
        "the positive stands where the last negative should",
        lambda c: _with_extra(_without(own_group, lambda k, m: m.right == _last_place(k)[:, None]), positives)(c),
        "",
        "leave the positive out of the negatives",
        only=_negatives,
    ),
    _bug(
        "mask of the own column index",
        "the mask takes out column i, which is not query i's positive",
        _without(all_pairs, lambda c, m: _column_i(c, m) & ~m.positive),
        "SC501",
        "mask by group: `arange(B) * G`",
        only=_negatives,
    ),
    _bug(
        "own negatives left out",
        "the own hard negatives never reach the softmax",
        _without(all_pairs, _own_negatives),
        "SC502",
        "keep the own group's negatives among the candidates",
        only=_negatives,
    ),
    _bug(
        "negatives unused",
        "only positives reach the softmax: no hard negative is used",
        _without(all_pairs, _other_negatives_of(lambda c: torch.arange(1, c.group))),
        "",
        "score against all passages",
        only=_negatives,
    ),
    _bug(
        "first negative only",
        "negatives after the first are dropped",
        _without(own_group, lambda c, m: (m.right - c.batch) % c.group > 1),
        "",
        "use all G-1 negatives",
        only=lambda c: c.group > 2,
    ),
    _bug(
        "first negative only (in-batch)",
        "negatives after the first are dropped",
        _without(all_pairs, lambda c, m: (m.right - c.batch) % c.group > 1),
        "",
        "use all G-1 negatives",
        only=lambda c: c.group > 2,
    ),
    _bug(
        "last negative dropped",
        "the last negative is dropped",
        _without(own_group, lambda c, m: m.right == _last_place(c)[:, None]),
        "",
        "use all G-1 negatives",
        only=lambda c: c.group > 2,
    ),
    _bug(
        "last negative dropped (in-batch)",
        "the last negative of each group is dropped",
        _without(all_pairs, lambda c, m: (m.right - c.batch) % c.group == c.group - 1),
        "",
        "use all G-1 negatives",
        only=lambda c: c.group > 2,
    ),
    _bug(
        "last passage dropped",
        "the last passage of the batch is dropped",
        _without(all_pairs, lambda c, m: (m.right == c.batch + c.batch * c.group - 1) & ~m.positive),
        "",
        "score against all passages",
        only=_negatives,
    ),
    _bug(
        "other groups scored 0",
        "other groups are multiplied by 0 instead of masked with -inf: each still counts as exp(0)",
        _zeroed,
        "SC503",
        "`masked_fill(~own, float('-inf'))`, or score the own group alone",
    ),
    _bug(
        "positive scored 0 (in-batch)",
        "the positive's own score is masked with 0",
        _zeroed_positive(all_pairs),
        "SC501",
        "leave the positive unmasked",
    ),
    _bug(
        "positive scored 0 (preset)",
        "the positive's own score is masked with 0",
        _zeroed_positive(own_group),
        "SC501",
        "leave the positive unmasked",
        only=_negatives,
    ),
    Structure(
        "backward target zero",
        "the second direction calls query 0 everyone's target",
        (all_pairs, _backward_zero),
        code="SC301",
        fix="the same targets in both directions",
    ),
    _bug(
        "self among the candidates",
        "each view meets itself in its own softmax",
        _views_table(_opposite, True),
        "SC501",
        _MASK,
        only=_pairs,
    ),
    _bug(
        "self scored 0",
        "each view's similarity with itself is set to 0, which still counts as exp(0)",
        _zero_self,
        "SC503",
        _MASK,
        only=_pairs,
    ),
    _bug(
        "own row as target",
        "the target of each view is the view itself, not its partner",
        _views_table(lambda at, b: at, True),
        "SC306",
        "`(arange(2*B) + B) % (2*B)`",
        only=_pairs,
    ),
    _bug(
        "neighbour as partner",
        "views that lie [first; second] are paired with their neighbours",
        _views_table(lambda at, b: at ^ 1, False),
        "SC202",
        "`(arange(2*B) + B) % (2*B)`",
        only=_pairs,
    ),
    _bug(
        "neighbour as partner, self among the candidates",
        "views that lie [first; second] are paired with their neighbours",
        _views_table(lambda at, b: at ^ 1, True),
        "SC202",
        "`(arange(2*B) + B) % (2*B)`",
        only=_pairs,
    ),
    _bug(
        "targets of the first half twice",
        "both halves have targets 0..B-1: the first half's target is itself",
        _views_table(lambda at, b: at % b, True),
        "SC306",
        "`(arange(2*B) + B) % (2*B)`",
        only=_pairs,
    ),
    _bug(
        "targets of the second half twice",
        "both halves have targets B..2B-1: the second half's target is itself",
        _views_table(lambda at, b: at % b + b, True),
        "SC306",
        "`(arange(2*B) + B) % (2*B)`",
        only=_pairs,
    ),
    _bug(
        "partner off by one",
        "the partner of each view is the next item's",
        _views_table(lambda at, b: (at + b + 1) % (2 * b), False),
        "SC306",
        "`(arange(2*B) + B) % (2*B)`",
        only=_pairs,
    ),
    _bug(
        "self mask on the first half",
        "the self mask covers the first B views alone",
        _first_half_masked,
        "SC501",
        _MASK,
        only=_pairs,
    ),
    _bug(
        "self among positives and candidates",
        "each row is its own positive",
        _labelled(_same, True),
        "SC306",
        _MASK,
        kinds=CLASSES + VIEWS,
    ),
    _bug(
        "self among positives",
        "each row is its own positive, though not a candidate",
        _labelled(_same, False),
        "SC306",
        _MASK,
        kinds=CLASSES + VIEWS,
    ),
    _bug(
        "self among candidates",
        "each row meets itself in its own softmax",
        _labelled(_same_other, True),
        "SC501",
        _MASK,
        kinds=CLASSES + VIEWS,
    ),
    _bug(
        "self scored 0 ",
        "each row's similarity with itself is set to 0, which still counts as exp(0)",
        _labelled(_same_other, True, True),
        "SC503",
        _MASK,
        kinds=CLASSES + VIEWS,
    ),
    _bug(
        "labels compared row by row",
        "labels [N] were compared with [N] instead of [N, 1]: only the row itself is its positive",
        _labelled(_self_only, True),
        "SC102",
        "`labels.unsqueeze(0) == labels.unsqueeze(1)`",
        kinds=CLASSES + VIEWS,
    ),
    _bug(
        "every row a positive",
        "every other row is a positive, whatever its label",
        _labelled(_all_others, False),
        "SC102",
        "`labels.unsqueeze(0) == labels.unsqueeze(1)`",
        kinds=CLASSES + VIEWS,
    ),
    _bug(
        "labels tiled",
        "labels are repeated view after view where rows lie item after item",
        _labelled(_tiled, False),
        "SC202",
        "`labels.repeat_interleave(V)`, or flatten the views in the labels' order",
        kinds=VIEWS,
    ),
    *(structure for size in CHUNKS for structure in _chunked(size)),
)


def without_rank_offset(world: int) -> Structure:
    """The joined batch where each process's targets start at column 0."""

    def build(case: Case) -> Table:
        share = case.batch // world
        return all_pairs(case, queries(case) % share * case.group)

    return Structure("rank offset forgotten", "targets of every process start at 0", (build,), code="SC303")
