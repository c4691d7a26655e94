"""SC102: `[B]` meets `[B, 1]` and every row meets every other."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.columns import (
    Told,
    as_meant,
    ends_in_one,
    flattened_column,
    is_column,
    of_one_tensor,
    picked_columns,
    rows_are_known,
    told_by,
    unscaled,
)
from shapecheck.analysis.crossing import (
    called_by,
    column_on_purpose,
    confirmed,
    contradicted,
    laundering,
    meets_matrix,
    needless_column,
    outer,
)
from shapecheck.analysis.labels import labels_of, operand_sites
from shapecheck.analysis.origin import IN_PLACE_ORDER, base, blame, same
from shapecheck.dims import Size
from shapecheck.engine.facts import Broadcasted, Called, Facts
from shapecheck.engine.values import Made, Partial, Site, Tensor
from shapecheck.findings.rule import Edit, Finding, Fix, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import ARITHMETIC, BLENDS, BOUNDS, CAST, CHAINS, COMPARES, ELEMENTWISE_LOSS, LINEAR

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
        elif column_on_purpose(column) or of_one_tensor(column, row):
            return
        if confirmed(result, facts) or meets_matrix(result, facts):
            return
    names = facts.names()
    contract = contradicted(result, facts)
    hidden = laundering(result, facts)
    site = blame(fact, [column, row], facts.path)
    shown, crossed_shape = as_meant(column, row, fact.result)
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
        labels=labels_of(site, (column, row), (tall, flat), facts),
        notes=tuple(notes),
        condition=when_one(batch),
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
        if row.axes is None or len(row.axes) != 1 or row.axes[0].size == 1 or not ends_in_one(column):
            continue
        if made is None or (column.rank is None and not made.kind & (LINEAR | CHAINS)) or rows_are_known(column, row):
            continue
        site = blame(fact, [column, row], facts.path)
        names = facts.names()
        tall, flat = names.shape(column), names.shape(row)
        batch = names.axis(row.axes[0])
        yield META.finding(
            site,
            f"{tall} against {flat} in {fact.op} crosses every prediction with every target: {batch} rows against "
            f"{batch} columns",
            labels=labels_of(site, (column, row), (tall, flat), facts),
            notes=(Note(f"{tall} comes from here: its last axis is 1", made.site),),
            condition=when_one(batch),
            help="give both one shape: `.squeeze(-1)` on the prediction, or `.unsqueeze(-1)` on the target",
            covers=COVERS,
        )


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
            labels=labels_of(site, (column, row), (tall, flat), facts),
            notes=(Note(f"the axis is added here to a tensor of {flat}", added.site),) if added is not None else (),
            condition=when_one(batch),
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
        if rows_are_known(column, row) or same(column, source, CAST) or of_one_tensor(column, source):
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
            labels=labels_of(site, (column, row), (tall, flat), facts),
            notes=(Note(f"{was} is made flat here", made.site),) if made is not None else (),
            condition=when_one(batch),
            help="make both flat, or leave both columns",
            covers=COVERS,
        )
        return


@META.on(Called)
def check_told(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`r - v`, where `mse_loss(r.unsqueeze(1), v)` tells that v has an axis of size 1 that r lacks."""
    yield from (_told(told, facts) for told in told_by(fact, facts))


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


@META.on(Called)
def check_picked_column(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`x[:, k] - x.gather(1, i)`: a k that is compared with a row of labels picks one column, `[B]`, or makes a matrix;
    against `[B, 1]` both cross."""
    for column, row, rows, picked in picked_columns(fact, facts) if fact.kind & MEETING else ():
        names = facts.names()
        batch = names.axis(rows)
        tall = f"[{batch}, 1]"
        yield META.finding(
            blame(fact, [column, row], facts.path),
            f"[{batch}], the column that {picked} picks, against {tall} computes [{batch}, {batch}]: every row meets "
            f"every one of the {batch} rows, where row should meet row",
            Severity.WARNING,
            labels=labels_of(fact.site, (column, row), (tall, f"[{batch}]"), facts),
            notes=_note(base(row, IN_PLACE_ORDER).made, f"one number for {picked} leaves [{batch}] here"),
            condition=when_one(batch),
            help="drop the column's axis with `.squeeze(1)`",
            fix=_fix(fact.site, fact.site, column, row, facts, safe=False),
            covers=COVERS,
        )


def _note(made: Made | None, text: str) -> tuple[Note, ...]:
    return (Note(text, made.site),) if made is not None else ()


def _fix(site: Site, op: Site, column: Tensor, row: Tensor, facts: Facts, safe: bool) -> Fix | None:
    """`.squeeze(1)` behind the column, where it is written in the expression itself."""
    place = operand_sites(site, [column, row], facts)[0]
    sizes: tuple[Size, ...] = column.sizes or ()
    if place is None or site.node is not op.node or len(sizes) < 2 or sizes[1] != 1:
        return None
    edit = Edit(place[0], "{column}.squeeze(1)", (("column", place[0]),))
    return Fix("drop the column's axis", (edit,), safe=safe)
