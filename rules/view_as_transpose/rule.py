"""SC201: a view that asks for the same axes in another order: the sizes move, the memory does not."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.order import parts
from shapecheck.analysis.origin import blame
from shapecheck.analysis.recut import (
    Inner,
    as_found,
    as_many,
    asked_for,
    innermost,
    left_to_torch,
    moved_axis,
    moved_run,
    padded,
    permutation,
    same_sizes,
    to_the_front,
    turned,
)
from shapecheck.dims import as_quotient, symbols
from shapecheck.engine.facts import Called, Demanded, Facts
from shapecheck.engine.values import Affine, Axis, Partial, Site, Tensor
from shapecheck.findings.rule import Edit, Finding, Fix, Note, Rule, Severity, when_one
from shapecheck.source.program import Attr, Call

META = Rule(
    "SC201",
    "view-as-transpose",
    Severity.ERROR,
    "a view puts a named axis in another place without moving the memory",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    if fact.key != "view" or not isinstance(fact.result, Tensor):
        return
    given = fact.args.get("input")
    if not isinstance(given, Tensor) or fact.result.axes is None or _is_parameter(given):
        return
    if isinstance(given.shape, Partial):
        yield from _of_open_rank(fact, given, given.shape, fact.result.axes, facts)
        return
    if isinstance(given.content, Affine) and given.content.stride == 0:  # all elements are one number
        return
    before, after = given.shape, fact.result.axes
    inner = innermost(fact, given, before, after)
    if inner is not None:
        yield _report_inner(fact, given, after, inner, facts)
        return
    kept = {a.size for a in before}
    if any(
        as_quotient(a.size) is not None and a.size not in kept and left_to_torch(fact, i) for i, a in enumerate(after)
    ):
        return
    found = as_found(before, after)
    moved = moved_axis(found, after, facts) if found is not None else None
    if padded(before):
        return
    if found is None or moved is None:
        run = moved_run(before, after, facts) or asked_for(fact, given, after)
        if run is not None and as_many(before, after):
            yield _report_run(fact, given, before, run, facts)
        else:
            yield from _cut_across(fact, before, after, facts)
        return
    source, target = moved
    if found is not before and left_to_torch(fact, target):
        return
    order = permutation(found, after)
    names = facts.names()
    have, asked = names.shape(given), names.shape(fact.result)
    axis = names.size(before[source].size)
    swapped = [before[source].size]
    fix, help_ = None, "move the axes with `permute` or `transpose` first, then `reshape`"
    if order is not None:
        call = _move(order)
        places = [i for i, o in enumerate(order) if i != o]
        if len(places) == 2 and places[1] == places[0] + 1:
            swapped = [before[i].size for i in places if not isinstance(before[i].size, int)]
        help_ = f"move the axes instead: `.{call}`"
        fix = _fix(fact, call)
    notes = []
    why = before[source].origin
    if why is not None and why.site is not None and why.site.node is not fact.site.node:
        notes.append(Note(f"{axis} is axis {source} of the operand: {why.text}", why.site))
    yield META.finding(
        blame(fact, [given], facts.path),
        f"this view of {have} as {asked} moves no memory: {axis} is axis {source} of the numbers and only the label of "
        f"axis {target} of the result, so rows of different meaning are mixed",
        notes=tuple(notes),
        condition=when_one(*(names.size(s) for s in swapped)),
        help=help_,
        fix=fix,
        cause=(id(fact.site.node),),
    )


def _is_parameter(tensor: Tensor) -> bool:
    """A weight as it was made: its numbers have no meaning yet, whatever it is cut into."""
    names = [n for a in tensor.axes or () for n in symbols(a.size)]
    return tensor.made is None and bool(names) and all(n.startswith("$") for n in names)


def _of_open_rank(
    fact: Called, given: Tensor, shape: Partial, after: tuple[Axis, ...], facts: Facts
) -> Iterator[Finding]:
    """The rank is not known, but the code asked for sizes of this tensor and puts them in another order."""
    if after and after[0].size == 1 and shape.head and not isinstance(shape.head[0].size, int):
        return  # as many elements as the one in front has: the tensor's own first axis is 1 too
    run = moved_run(shape.head, after, facts, alone=True)
    if run is not None and run[1] == len(shape.head) - 1 and not shape.tail and run[2] == len(after) - 1:
        return  # the last axis, if these are all: it stays the last
    if run is not None:
        yield _report_run(fact, given, shape.head, run, facts)
        return
    counted = turned(given, after, facts)
    if counted is not None:
        source, outer, inner = counted
        names = facts.names()
        rows = f"{names.axis(outer)} of {names.axis(inner)}"
        yield META.finding(
            fact.site,
            f"what `{source.name}` returns has its rows in the order in which it was given them, {rows}; "
            f"this view takes them for {names.axis(inner)} of {names.axis(outer)}",
            Severity.WARNING,
            notes=(Note(f"{rows} rows are given here", source.site),),
            condition=when_one(names.axis(outer), names.axis(inner)),
            help=f"view them as `{names.axis(outer)}, {names.axis(inner)}, ...` and move the axes after",
        )
        return
    wild = [j for j in range(len(after)) if left_to_torch(fact, j)]
    if len(wild) != 1:
        return
    names = facts.names()
    have, asked = names.shape(given), names.shape(after)
    rest = wild[0]
    for i, axis in enumerate(shape.head):
        # `x.view(x.size(0), -1, x.size(1))`: what is left stands in front of an axis that it lies behind
        there = [j for j, a in enumerate(after) if j > rest and a.size == axis.size]
        alone = [a for a in shape.head if a.size == axis.size] == [axis] and not isinstance(axis.size, int)
        behind = shape.min_rank > 1  # `x.view(-1, x.size(0))` of one axis makes a row of it
        if behind and alone and len(there) == 1 and same_sizes(shape.head[:i], after[:rest]):
            yield META.finding(
                blame(fact, [given], facts.path),
                f"this view of {have} as {asked} moves no memory: {names.axis(axis)} is axis {i}, in front of what -1 "
                f"stands for, and only the label of axis {there[0]} of the result, behind it",
                Severity.WARNING,
                condition=f"{names.axis(axis)} is the last axis, or {names.axis(axis)} = 1",
                help="move the axes with `permute` or `transpose` first, then `reshape`",
            )
            return
    found = innermost(fact, given, (*shape.head[:1], *shape.tail[-1:]), after)
    if found is not None and rest != 0:
        yield _report_inner(fact, given, after, found, facts)


def _report_inner(fact: Called, given: Tensor, after: tuple[Axis, ...], found: Inner, facts: Facts) -> Finding:
    names = facts.names()
    have, asked = names.shape(given), names.shape(after)
    h, b, d = names.size(found.parts), names.size(found.rows), names.size(found.last)
    return META.finding(
        blame(fact, [given], facts.path),
        f"this view of {have} as {asked} moves no memory: the {h} parts of the last axis ({d}) lie innermost, and the "
        f"view takes them for parts of what stands in front of it, so rows of different meaning are mixed",
        None if found.sure and given.axes is not None else Severity.WARNING,
        condition=f"{h} = 1, or there is nothing between {b} and {d}",
        help=f"cut the last axis first, then move it: `.view({b}, -1, {h}, {names.axis(after[-1])}).transpose(1, 2)`",
    )


def _report_run(
    fact: Called, given: Tensor, before: tuple[Axis, ...], run: tuple[int, int, int], facts: Facts
) -> Finding:
    first, last, there = run
    names = facts.names()
    after = fact.result.axes or () if isinstance(fact.result, Tensor) else ()
    have, asked = names.shape(given), names.shape(after)
    where = f"axis {first}" if first == last else f"axes {first} to {last}"
    ahead = [a.size for a in after[:there]]
    skipped = [a for a in before[:first] if a.size not in ahead and not isinstance(a.size, int)]
    front = [names.axis(a) for a in skipped] or [names.axis(after[there])]
    front = front if not front[0].isdigit() else []
    return META.finding(
        blame(fact, [given], facts.path),
        f"this view of {have} as {asked} moves no memory: {names.axis(after[there])} is {where} of the numbers and "
        f"only the label of axis {there} of the result, so rows of different meaning are mixed",
        condition=when_one(*front),
        help="move the axes with `permute` or `transpose` first, then `reshape`",
    )


def _cut_across(fact: Called, before: tuple[Axis, ...], after: tuple[Axis, ...], facts: Facts) -> Iterator[Finding]:
    """A flat axis is cut into its parts in another order than they were put together: `cat([a, b]).view(B, 2, D)`."""
    flat = [axis for axis in before if len(parts(axis)) > 1]
    inner = tuple(part for axis in before for part in parts(axis))
    moved = moved_axis(inner, after, facts) if flat else None
    if moved is None or not (as_many(inner, after) or to_the_front(inner, after, moved)):
        return
    if any(crash.site.node is fact.site.node for crash in facts.of(Demanded)):
        return
    names = facts.names()
    axis = next((a for a in flat if any(p is inner[moved[0]] for p in parts(a))), None)
    made = axis.origin.site if axis is not None and axis.origin is not None else None
    if axis is None or made is None or made.node is fact.site.node:
        return
    have, asked = names.shape(before), names.shape(after)
    order = [f"{names.size(p.size)} blocks" if p.role in ("block", "copy") else names.size(p.size) for p in parts(axis)]
    yield META.finding(
        blame(fact, [fact.args["input"]], facts.path) if isinstance(fact.args["input"], Tensor) else fact.site,
        f"this view of {have} as {asked} cuts the {names.axis(axis)} rows across their order in memory, which is "
        f"{' of '.join(order)}: one row of the result takes its numbers from different rows",
        notes=(Note(f"the rows are put together here, {' of '.join(order)}", made),),
        condition=when_one(*(names.size(p.size) for p in parts(axis) if not isinstance(p.size, int))),
        help="view them in the order in which they lie, and move the axes after: "
        f"`.view({', '.join(names.size(p.size) for p in inner)}).transpose(0, 1)`",
    )


def _move(order: tuple[int, ...]) -> str:
    swapped = [i for i, o in enumerate(order) if i != o]
    if len(swapped) == 2:
        return f"transpose({swapped[0]}, {swapped[1]})"
    return f"permute({', '.join(map(str, order))})"


def _fix(fact: Called, call: str) -> Fix | None:
    node = fact.site.node
    if not isinstance(node, Call):
        return None
    path = fact.site.path
    if isinstance(node.func, Attr) and node.func.name in ("view", "reshape"):
        owner = node.func.value
        if fact.name == "torch.reshape":
            owner = node.args[0].value
        edit = Edit(fact.site, "{tensor}." + call, (("tensor", Site(path, owner)),))
        return Fix(f"write `.{call}`", (edit,))
    return None
