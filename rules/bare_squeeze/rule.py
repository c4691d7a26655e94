"""SC601: `squeeze()` without a dim also drops a batch axis that happens to be 1."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.batch import may_be_one, rows, uses
from shapecheck.analysis.origin import base
from shapecheck.analysis.squeezed import (
    SAME_AXES,
    bare,
    from_batch,
    hands_back,
    harmless,
    has_one,
    row_symbols,
    second_axis,
)
from shapecheck.dims import Size, symbols
from shapecheck.engine.facts import Applied, Called, Facts
from shapecheck.engine.values import Axis, Partial, Site, Tensor, Unknown
from shapecheck.findings.rule import Edit, Finding, Fix, Note, Rule, Severity
from shapecheck.ops.kinds import (
    BINARY_LOSS,
    CREATES,
)
from shapecheck.source.program import Attr, Call, Expr

META = Rule(
    "SC601",
    "bare-squeeze",
    Severity.WARNING,
    "squeeze() without a dim drops the batch axis too when the batch has one row",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    if fact.key != "squeeze" or "dim" in fact.given or not isinstance(fact.result, Tensor):
        return
    x = _operand(fact)
    if x is None or fact.site.path != facts.path or harmless(fact, facts):
        return
    if _indices(x, facts):
        yield META.finding(
            fact.site,
            "squeeze() of the indices that nonzero() finds, one a row, leaves no axis where it finds just one",
            condition="more than one element is not zero",
            help=f"name the axis: {_written(fact, '.squeeze(-1)')}",
            fix=_fix(fact, ".squeeze(-1)"),
        )
        return
    found = _broken_use(fact, facts)
    axes = x.axes
    if axes is not None:
        ones = [i for i, a in enumerate(axes) if a.size == 1]
        if len(axes) < 2 or not may_be_one(axes[0].size) or not (ones or found):
            return
        yield _of_known(fact, facts, axes, ones, found)
        return
    if found is not None:
        severity, message, note = found
        yield META.finding(fact.site, message, severity, notes=(note,), condition="there is more than one row",
                           help=f"name the axis: {_written(fact, '.squeeze(-1)')}")  # fmt: skip
    else:
        yield from _of_unknown(fact, facts, x)


def _operand(fact: Called) -> Tensor | None:
    match fact.args.get("input"):
        case Tensor() as x:
            return x
        case Unknown(hint="", key=key):
            return Tensor(Partial(key=key))
        case _:
            return None


def _of_known(
    fact: Called, facts: Facts, axes: tuple[Axis, ...], ones: list[int], found: tuple[Severity, str, Note] | None
) -> Finding:
    names = facts.names()
    shape, batch = names.shape(axes), names.axis(axes[0])
    left = names.shape(tuple(a for a in axes if a.size != 1))
    lost = names.shape(tuple(a for a in axes[1:] if a.size != 1))
    notes = (found[2],) if found else ()
    message = (
        f"squeeze() of {shape} is {left}, but {lost} for a batch of one: it drops every axis of size 1, {batch} too"
    )
    if found and not ones:
        message = found[1]
    calls = "".join(f".squeeze({i - len(axes) if i == len(axes) - 1 else i})" for i in reversed(ones))
    return META.finding(
        fact.site,
        message,
        found[0] if found else None,
        notes=notes,
        condition=f"{batch} > 1",
        help=f"name the axis: {_written(fact, calls or '.squeeze(-1)')}",
        fix=_fix(fact, calls) if calls else None,
    )


def _of_unknown(fact: Called, facts: Facts, x: Tensor) -> Iterator[Finding]:
    """The rank is not known, but the batch in front is."""
    assert isinstance(x.shape, Partial)
    source = _applied(fact, facts)
    if source is not None:
        names = facts.names()
        given = source.args[0] if isinstance(source.args[0], Tensor) else None
        front = rows(given) if given is not None else None
        batch = f"{names.axis(front)} > 1" if front is not None else "the batch has more than one row"
        yield META.finding(
            fact.site,
            f"squeeze() of what `{source.name}` returns drops every axis of size 1: for a batch of one, the batch too",
            notes=(
                Note(
                    f"`{source.name}` is given {names.shape(given) if given and front else 'a batch'} here", source.site
                ),
            ),
            condition=batch,
            help=f"keep the first axis: {_written(fact, '.flatten(1)')}",
        )
        return
    head, tail = x.shape.head, x.shape.tail
    ones = any(a.size == 1 for a in (*head, *tail))
    handed_back = x.made is None and not head and not tail and hands_back(fact, facts)
    if handed_back or (not head and has_one(x) and (from_batch(x, facts) or second_axis(fact, facts))):
        last = next((i - len(tail) for i, a in enumerate(tail) if a.size == 1), None)
        yield META.finding(
            fact.site,
            f"squeeze() of {facts.names().shape(x)} drops every axis of size 1: for a batch of one, the batch too",
            condition="the batch has more than one row",
            help=f"name the axis: {_written(fact, f'.squeeze({last or -1})')}",
        )
        return
    if head and ones and may_be_one(head[0].size):
        names = facts.names()
        at = next((i - len(tail) for i, a in enumerate(tail) if a.size == 1), None)
        if at is None:
            at = next(i for i, a in enumerate(head) if a.size == 1)
        yield META.finding(
            fact.site,
            f"squeeze() of {names.shape(x)} drops every axis of size 1: for a batch of one, {names.axis(head[0])} too",
            condition=f"{names.axis(head[0])} > 1",
            help=f"name the axis: {_written(fact, f'.squeeze({at})')}",
        )


def _applied(fact: Called, facts: Facts) -> Applied | None:
    """The call of a member (a backbone handed in) on a batch that this squeezes the result of."""
    x = _operand(fact)
    if x is None or x.made is not None or not isinstance(x.shape, Partial) or x.shape.key is None:
        return None
    for f in facts.of(Applied):
        if f.member and isinstance(f.result, Unknown) and f.result.key == x.shape.key:
            given = f.args[0] if f.args else None
            if isinstance(given, Unknown) and given.hint == "":
                return f
            if isinstance(given, Tensor) and given.rank not in (0, 1):
                front = rows(given)
                return f if front is None or may_be_one(front.size) else None
    return None


def _indices(x: Tensor, facts: Facts) -> bool:
    """What `nonzero()` gave, of something unknown too: an array's gives a tuple, which has no squeeze."""
    if x.made is not None:
        return x.made.key == "nonzero"
    key = x.shape.key if isinstance(x.shape, Partial) else None
    return key is not None and any(
        f.name.endswith(".nonzero") and not f.args and isinstance(f.result, Unknown) and f.result.key == key
        for f in facts.of(Applied)
    )


def _broken_use(fact: Called, facts: Facts) -> tuple[Severity, str, Note] | None:
    """Code that cannot do with the squeezed batch: a loss against one target a row, or counting its rows."""
    result = fact.result
    assert isinstance(result, Tensor)
    for use, parameter in uses(facts, result, SAME_AXES):
        if use.kind & BINARY_LOSS:  # refuses an input whose shape the target doesn't fit
            other = use.args.get("target" if parameter == "input" else "input")
            if isinstance(other, Tensor) and not bare(base(other, SAME_AXES)):
                row = rows(other)
                if row is not None and may_be_one(row.size) and not isinstance(other.shape, Partial):
                    names = facts.names()
                    n = names.axis(row)
                    return (
                        Severity.WARNING,
                        f"squeeze() leaves no axis of size 1, but the loss needs {n} rows here: with {n} = 1 it fails",
                        Note(f"meets {names.shape(other)} here", use.site),
                    )
    counted = row_symbols(result, facts)
    if counted:
        for made in facts.of(Called):
            if not made.kind & CREATES or made.tensor("input") is not None:
                continue
            if isinstance(made.result, Tensor) and made.result.rank == 1:
                size: Size = made.result.axes[0].size if made.result.axes else 1
                if symbols(size) & counted:
                    return (
                        Severity.WARNING,
                        "the first axis of this squeeze() counts the rows, but for a single row there is none left",
                        Note("its rows are counted here", made.site),
                    )
    return None


def _receiver(fact: Called) -> Expr | None:
    node = fact.site.node
    if not isinstance(node, Call):
        return None
    if fact.name.startswith("Tensor.") and isinstance(node.func, Attr):
        return node.func.value
    return node.args[0].value if len(node.args) == 1 and not node.args[0].star else None


def _written(fact: Called, calls: str) -> str:
    return f"`{calls}`"


def _fix(fact: Called, calls: str) -> Fix | None:
    receiver = _receiver(fact)
    if receiver is None or not fact.name.endswith(".squeeze"):
        return None
    edit = Edit(fact.site, "{x}" + calls, (("x", Site(fact.site.path, receiver)),))
    return Fix("name the axis to drop", (edit,), safe=True)
