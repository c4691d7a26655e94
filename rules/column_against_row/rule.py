"""SC102: `[B]` meets `[B, 1]` and every row meets every other."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.columns import Told, flattened_column, is_column, told_by, unscaled
from shapecheck.analysis.crossing import (
    called_by,
    column_on_purpose,
    confirmed,
    contradicted,
    laundering,
    meets_matrix,
    needless_column,
    outer,
    picked_from,
)
from shapecheck.analysis.labels import operand_sites, written_operands
from shapecheck.analysis.origin import IN_PLACE_ORDER, base, blame, same
from shapecheck.dims import Size, compare
from shapecheck.engine.facts import Broadcasted, Called, Facts
from shapecheck.engine.values import Partial, Site, Tensor
from shapecheck.findings.rule import Edit, Finding, Fix, Label, Note, Rule, Severity
from shapecheck.ops.kinds import ARITHMETIC, BLENDS, BOUNDS, CAST, CHAINS, COMPARES, ELEMENTWISE_LOSS, EQUALS, LINEAR
from shapecheck.source.program import Index, Name, Slice

META = Rule(
    "SC102",
    "column-against-row",
    Severity.ERROR,
    "a column [B, 1] meets a row [B] in arithmetic, a comparison or an elementwise loss: the result is [B, B]",
)

COVERS = ("SC701", "SC702", "SC105", "SC902", "SC104", "SC106")
MEETING = ARITHMETIC | COMPARES | BOUNDS | BLENDS


@META.on(Broadcasted)
def check(fact: Broadcasted, facts: Facts) -> Iterator[Finding]:
    crossed = outer(fact)
    if crossed is None:
        return
    column, row = crossed.column, crossed.row
    called = called_by(fact, facts)
    result = called.result if called is not None and isinstance(called.result, Tensor) else fact.result
    needless = needless_column(column)
    if not fact.kind & ELEMENTWISE_LOSS:
        if needless is not None:
            if base(needless).made is not None and base(needless).made is base(row).made:
                return
        elif column_on_purpose(column) or _of_one_tensor(column, row):
            return
        if confirmed(result, facts) or meets_matrix(result, facts):
            return
    names = facts.names()
    contract = contradicted(result, facts)
    hidden = laundering(result, facts)
    site = blame(fact, [column, row], facts.path)
    shown, crossed_shape = _as_meant(column, row, fact.result)
    tall, flat, wide = names.shape(shown), names.shape(row), names.shape(crossed_shape)
    batch = names.size(crossed.batch)
    notes = [Note(f"{tall} is made here", made.site) for made in (base(column).made,) if made is not None]
    if contract is not None:
        text = f'the {contract.declared.source} says "{contract.declared.text}"'
        notes.append(Note(text, contract.declared.site))
    if hidden is not None:
        notes.append(Note(f"this {hidden.op} hides the extra axis: no later line will complain", hidden.site))
    yield META.finding(
        site,
        f"{tall} against {flat} computes {wide}: every row meets every one of the {batch} rows, "
        "where row should meet row",
        Severity.WARNING if needless is not None and contract is None else None,
        labels=_labels(site, column, row, facts, tall, flat),
        notes=tuple(notes),
        condition=f"{batch} = 1",
        help=f"drop the column's axis with `.squeeze(1)`, or keep it in both, so that {tall} meets {tall}"
        if column.rank == 2
        else "drop the axis that was added with `.squeeze(1)`, or do not add it",
        fix=_fix(site, fact.site, column, row, facts, safe=bool(fact.kind & ELEMENTWISE_LOSS)),
        covers=COVERS,
    )


@META.on(Called)
def check_loss(fact: Called, facts: Facts) -> Iterator[Finding]:
    """A loss of `[..., 1]`, the output of a head, against `[B]`: whatever the rank is, the two can only cross."""
    if not fact.kind & ELEMENTWISE_LOSS:
        return
    left, right = fact.args.get("input"), fact.args.get("target")
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return
    for column, row in ((left, right), (right, left)):
        made = base(column).made
        if row.axes is None or len(row.axes) != 1 or row.axes[0].size == 1 or not _last_is_one(column):
            continue
        if made is None or (column.rank is None and not made.kind & (LINEAR | CHAINS)) or _known_rows(column, row):
            continue
        site = blame(fact, [column, row], facts.path)
        names = facts.names()
        tall, flat = names.shape(column), names.shape(row)
        batch = names.axis(row.axes[0])
        yield META.finding(
            site,
            f"{tall} against {flat} in {fact.op} crosses every prediction with every target: {batch} rows against "
            f"{batch} columns",
            labels=_labels(site, column, row, facts, tall, flat),
            notes=(Note(f"{tall} comes from here: its last axis is 1", made.site),),
            condition=f"{batch} = 1",
            help="give both one shape: `.squeeze(-1)` on the prediction, or `.unsqueeze(-1)` on the target",
            covers=COVERS,
        )


def _last_is_one(column: Tensor) -> bool:
    """`[..., 1]`, `[N, 1]`."""
    axes = column.shape.tail if isinstance(column.shape, Partial) else column.shape[1:]
    return bool(axes) and axes[-1].size == 1 and (column.rank or 2) == 2


def _known_rows(column: Tensor, row: Tensor) -> bool:
    """Are there as many rows on both sides, which `check` speaks of, or one, or never as many?"""
    if column.axes is None or row.axes is None:
        return False
    verdict = compare(column.axes[0].size, row.axes[0].size)
    return verdict.always or verdict.never or column.axes[0].size == 1


@META.on(Called)
def check_open_rank(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`[N, 1, ...]` against `[N, 1, 1, ...]`: a column that was made a column once more, whatever follows."""
    if not fact.kind & (MEETING | ELEMENTWISE_LOSS):
        return
    left, right = fact.args.get("input"), fact.args.get("other", fact.args.get("target"))
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return
    for column, row in ((left, right), (right, left)):
        needless = needless_column(column)
        if needless is None or not isinstance(row.shape, Partial) or not isinstance(needless.shape, Partial):
            continue
        have, twin = row.shape.head, needless.shape.head
        if [a.size for a in have] != [a.size for a in twin] or len(have) < 2 or isinstance(have[0].size, int):
            continue
        if base(needless).made is not None and base(needless).made is base(row).made:
            continue
        names = facts.names()
        tall, flat, batch = names.shape(column), names.shape(row), names.axis(have[0])
        added = base(column).made
        site = blame(fact, [column, row], facts.path)
        yield META.finding(
            site,
            f"{tall} against {flat} computes [{batch}, {batch}, ...]: both were {flat} before one got another axis",
            Severity.WARNING,
            labels=_labels(site, column, row, facts, tall, flat),
            notes=(Note(f"the axis is added here to a tensor of {flat}", added.site),) if added is not None else (),
            condition=f"{batch} = 1",
            help="do not add the axis: two tensors of one shape meet row by row as they are",
            covers=COVERS,
        )


@META.on(Called)
def check_flattened(fact: Called, facts: Facts) -> Iterator[Finding]:
    """Two columns, one of which was made flat: `q.view(-1)` of a `[..., 1]` against `x.sum(1, keepdim=True)`."""
    left, right = fact.args.get("input"), fact.args.get("other", fact.args.get("target"))
    if not fact.kind & (MEETING | ELEMENTWISE_LOSS):
        return
    if not isinstance(left, Tensor) or not isinstance(right, Tensor) or not isinstance(fact.result, Tensor):
        return
    for column, row in ((unscaled(left), right), (unscaled(right), left)):
        source = flattened_column(row)
        if source is None or not is_column(column) or column_on_purpose(column) or column.rank not in (None, 2):
            continue
        if _known_rows(column, row) or same(column, source, CAST) or _of_one_tensor(column, source):
            continue
        assert row.axes is not None
        if row.axes[0].size == 1 or meets_matrix(fact.result, facts):
            continue
        names = facts.names()
        tall, flat, was = names.shape(column), names.shape(row), names.shape(source)
        batch = names.axis(row.axes[0])
        made = base(row, IN_PLACE_ORDER).made
        site = blame(fact, [column, row], facts.path)
        yield META.finding(
            site,
            f"{tall} against {flat} crosses every row with every row: {flat} was a column, {was}, before it was made "
            "flat, and the other still is one",
            Severity.WARNING,
            labels=_labels(site, column, row, facts, tall, flat),
            notes=(Note(f"{was} is made flat here", made.site),) if made is not None else (),
            condition=f"{batch} = 1",
            help="make both flat, or leave both columns",
            covers=COVERS,
        )
        return


@META.on(Called)
def check_told(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`r - v`, where `mse_loss(r.unsqueeze(1), v)` tells that v has an axis of size 1 that r lacks."""
    for told in told_by(fact, facts):
        if told.met.site.path != facts.path:
            continue
        yield _told(told, facts)


def _told(told: Told, facts: Facts) -> Finding:
    loss, met = told.loss, told.met
    names = facts.names()
    shown = next((names.shape(v) for v in met.operands if isinstance(v, Tensor) and v.rank), "")
    what = "takes an axis of size 1 from one of them" if told.drops else "gives one of them an axis of size 1"
    return META.finding(
        met.site,
        f"a column meets a row{', ' + shown if shown else ''}: {loss.op} {what} before it compares the two, so as they "
        "meet here every row meets every row",
        Severity.WARNING,
        notes=(Note("here the two are given one shape first", loss.site),),
        condition="the batch is 1",
        help="reshape the operand here as well, so that both are [B] or both are [B, 1]",
        covers=COVERS,
    )


def _as_meant(column: Tensor, row: Tensor, result: Tensor) -> tuple[Tensor, Tensor]:
    """Column and result with the row's batch in front: rows that `gather` picked are as many as it had."""
    if column.axes is None or row.axes is None or result.axes is None or len(column.axes) != len(result.axes):
        return column, result
    first = row.axes[0]
    return column.with_(shape=(first, *column.axes[1:])), result.with_(shape=(first, *result.axes[1:]))


@META.on(Called)
def check_picked_column(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`x[:, k] - x.gather(1, i)`: a k that is compared with a row of labels picks one column, `[B]`, or makes a matrix;
    against `[B, 1]` both cross."""
    left, right = fact.args.get("input"), fact.args.get("other")
    if not fact.kind & MEETING or not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return
    for column, row in ((left, right), (right, left)):
        made = base(row, IN_PLACE_ORDER).made
        if row.rank is not None or column.rank != 2 or made is None or column_on_purpose(column):
            continue
        source, node = made.args.get("input"), made.site.node
        if not isinstance(source, Tensor) or source.rank != 2 or not isinstance(node, Index) or not column.axes:
            continue
        match node.items:
            case (Slice(lower=None, upper=None, step=None), Name(id=picked)):
                pass
            case _:
                continue
        rows = source.axes[0] if source.axes else column.axes[0]
        if column.axes[1].size != 1 or isinstance(rows.size, int) or not _compared_with_row(picked, fact, facts):
            continue
        if rows.size not in (column.axes[0].size, picked_from(column)):
            continue
        names = facts.names()
        batch = names.axis(rows)
        tall = f"[{batch}, 1]"
        yield META.finding(
            blame(fact, [column, row], facts.path),
            f"[{batch}], the column that {picked} picks, against {tall} computes [{batch}, {batch}]: every row meets "
            f"every one of the {batch} rows, where row should meet row",
            Severity.WARNING,
            labels=_labels(fact.site, column, row, facts, tall, f"[{batch}]"),
            notes=(Note(f"one number for {picked} leaves [{batch}] here", made.site),),
            condition=f"{batch} = 1",
            help="drop the column's axis with `.squeeze(1)`",
            fix=_fix(fact.site, fact.site, column, row, facts, safe=False),
            covers=COVERS,
        )


def _compared_with_row(name: str, fact: Called, facts: Facts) -> bool:
    """Is the variable compared, in this function, with a tensor of rank 1?"""
    for f in facts.of(Called):
        if not f.kind & EQUALS or f.activation != fact.activation:
            continue
        if any(isinstance(o, Name) and o.id == name for o in written_operands(f.site.node)):
            sides = (f.args.get("input"), f.args.get("other"))
            if any(isinstance(s, Tensor) and s.rank == 1 for s in sides):
                return True
    return False


def _of_one_tensor(column: Tensor, row: Tensor) -> bool:
    """`x.sum(1, keepdim=True) + x.sum(1)`: squared distances of all pairs of one tensor's rows."""
    left, right = base(column).made, base(row).made
    if left is None or right is None or left.key != right.key:
        return False
    a, b = left.args.get("input"), right.args.get("input")
    return isinstance(a, Tensor) and isinstance(b, Tensor) and base(a).made is base(b).made


def _labels(site: Site, column: Tensor, row: Tensor, facts: Facts, tall: str, flat: str) -> tuple[Label, ...]:
    found = operand_sites(site, [column, row], facts)
    return tuple(Label(f[0], text) for f, text in zip(found, (tall, flat)) if f is not None)


def _fix(site: Site, op: Site, column: Tensor, row: Tensor, facts: Facts, safe: bool) -> Fix | None:
    """`.squeeze(1)` behind the column, where it is written in the expression itself."""
    place = operand_sites(site, [column, row], facts)[0]
    sizes: tuple[Size, ...] = column.sizes or ()
    if place is None or site.node is not op.node or len(sizes) < 2 or sizes[1] != 1:
        return None
    edit = Edit(place[0], "{column}.squeeze(1)", (("column", place[0]),))
    return Fix("drop the column's axis", (edit,), safe=safe)
