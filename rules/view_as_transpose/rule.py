"""SC201: a view that asks for the same axes in another order: the sizes move, the memory does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shapecheck.dataflow import blame
from shapecheck.dims import Size, TooComplex, as_quotient, as_symbol, compare
from shapecheck.facts import Called, Crashed, Facts
from shapecheck.ops.axes import product
from shapecheck.order import parts
from shapecheck.program import Attr, Call
from shapecheck.rule import Edit, Finding, Fix, Note, Rule, Severity
from shapecheck.values import Affine, Axis, Items, Joined, Num, Site, Tensor

META = Rule(
    "SC201",
    "view-as-transpose",
    Severity.ERROR,
    "a view puts a named axis in another place without moving the memory",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    if fact.op != "view" or not isinstance(fact.result, Tensor):
        return
    given = fact.args.get("input")
    if not isinstance(given, Tensor) or given.axes is None or fact.result.axes is None:
        return
    if isinstance(given.content, Affine) and given.content.stride == 0:  # all elements are one number
        return
    before, after = given.axes, fact.result.axes
    if any(as_quotient(a.size) is not None and _solved(fact, i) for i, a in enumerate(after)):
        return
    found = _as_found(before, after)
    moved = moved_axis(found, after, facts) if found is not None else None
    if _padded(before):
        return
    if found is None or moved is None:
        yield from _cut_across(fact, before, after, facts)
        return
    source, target = moved
    if found is not before and _solved(fact, target):
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
        condition=" or ".join(f"{names.size(s)} = 1" for s in swapped),
        help=help_,
        fix=fix,
    )


def _cut_across(
    fact: Called, before: tuple[Axis, ...], after: tuple[Axis, ...], facts: Facts
) -> Iterator[Finding]:
    """A flat axis is cut into its parts in another order than they were put together: `cat([a, b]).view(B, 2, D)`."""
    flat = [axis for axis in before if len(parts(axis)) > 1]
    inner = tuple(part for axis in before for part in parts(axis))
    moved = moved_axis(inner, after, facts) if flat else None
    if moved is None or not (_as_many(inner, after) or _to_the_front(inner, after, moved)):
        return
    if any(crash.site.node is fact.site.node for crash in facts.of(Crashed)):
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
        condition=" or ".join(f"{names.size(p.size)} = 1" for p in parts(axis) if not isinstance(p.size, int)),
        help="view them in the order in which they lie, and move the axes after: "
        f"`.view({', '.join(names.size(p.size) for p in inner)}).transpose(0, 1)`",
    )


def _as_many(before: tuple[Axis, ...], after: tuple[Axis, ...]) -> bool:
    try:
        return compare(_total(before), _total(after)).always
    except TooComplex:
        return False


def _to_the_front(before: tuple[Axis, ...], after: tuple[Axis, ...], moved: tuple[int, int]) -> bool:
    """Nothing stands in front of it on one side, so that whatever the view teaches, its place is another."""
    return 0 in moved and moved[0] != moved[1] and len(before) == len(after)


def moved_axis(before: tuple[Axis, ...], after: tuple[Axis, ...], facts: Facts) -> tuple[int, int] | None:
    """An axis of symbolic size, alone of that size on both sides, that the view gives another stride."""
    old, new = _strides(before), _strides(after)
    if old is None or new is None:
        return None
    for i, axis in enumerate(before):
        if isinstance(axis.size, int):
            continue
        here = [j for j, a in enumerate(before) if compare(a.size, axis.size).always]
        there = [j for j, a in enumerate(after) if compare(a.size, axis.size).always]
        if len(here) != 1 or len(there) != 1 or compare(old[i], new[there[0]]).always or _made_to_fit(axis):
            continue
        # a view keeps the number of elements: as many in front of the axis means as many behind it
        front = _total(before[:i]), _total(after[: there[0]])
        open_ = any(isinstance(s, int) for s in front) and any(_unknown(s, facts) for s in front)
        if open_ or compare(*front).always:
            continue
        return i, there[0]
    return None


def _unknown(size: Size, facts: Facts) -> bool:
    """A bare symbol of which nothing is known: it may well be the number that stands on the other side."""
    name = as_symbol(size)
    return name is not None and name.startswith("?") and name not in facts.authored


def _as_found(before: tuple[Axis, ...], after: tuple[Axis, ...]) -> tuple[Axis, ...] | None:
    """The operand's axes where the sizes agree as they stand, or where the view had to teach us no more than one."""
    try:
        if compare(_total(before), _total(after)).always:
            return before
        left, right = [a.size for a in before], [a.size for a in after]
        lost = [i for i, s in enumerate(left) if s not in right]
        new = [s for s in right if s not in left]
        if len(lost) != 1 or not new or any(as_quotient(s) is not None for s in new):
            return None
        if len(left) == len(right) and right[lost[0]] in left:
            return None
        return tuple(replace(a, size=product(new)) if i == lost[0] else a for i, a in enumerate(before))
    except TooComplex:
        return None


def _solved(fact: Called, target: int) -> bool:
    """Was this size left to torch, as -1, so that it is only what the others leave?"""
    asked = fact.args.get("shape", ())
    given = asked[0].items if len(asked) == 1 and isinstance(asked[0], Items) else asked
    size = given[target] if target < len(given) else None
    return isinstance(size, Num) and size.size == -1


def _total(axes: tuple[Axis, ...]) -> Size:
    """How many elements, where `d // h` beside `h` are the d that they divide evenly."""
    sizes = [a.size for a in axes]
    for size in tuple(sizes):
        parts = as_quotient(size)
        if parts is not None and parts[1] in sizes:
            sizes.remove(size)
            sizes.remove(parts[1])
            sizes.append(parts[0])
    return product(sizes)


def _made_to_fit(axis: Axis) -> bool:
    return axis.origin is not None and axis.origin.text in ("slice", "boolean mask", "nonzero")


def _strides(axes: tuple[Axis, ...]) -> list[Size] | None:
    total: Size = 1
    found: list[Size] = []
    try:
        for axis in reversed(axes):
            found.append(total)
            total = total * axis.size
    except TooComplex:
        return None
    return found[::-1]


def _padded(axes: tuple[Axis, ...]) -> bool:
    """A column joined on, a view, a column cut off: the relative-position shift of attention, done on purpose."""
    return any(_made_to_fit(a) for a in axes) or any(
        isinstance(a.layout, Joined) and any(p.size == 1 for p in a.layout.parts) for a in axes
    )


def permutation(before: tuple[Axis, ...], after: tuple[Axis, ...]) -> tuple[int, ...] | None:
    """The order of axes that the author had in mind, where the result has the operand's own axes and no others."""
    if len(before) != len(after):
        return None
    order: list[int] = []
    for axis in after:
        found = [i for i, a in enumerate(before) if a.size == axis.size and i not in order]
        if len(found) != 1:
            return None
        order.append(found[0])
    return tuple(order)


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
