"""Axes before and after a view: which of them it takes for others, at another place than their numbers lie."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shapecheck.analysis.order import parts
from shapecheck.dims import Size, TooComplex, as_quotient, as_symbol, compare, exact_div, symbol, symbols
from shapecheck.engine.facts import Applied, Called, Facts
from shapecheck.engine.values import Axis, Items, Joined, Num, Partial, Tensor, Unknown
from shapecheck.ops.axes import product
from shapecheck.ops.kinds import LINEAR, SEARCHES, SUBSCRIPT


def moved_run(
    before: tuple[Axis, ...], after: tuple[Axis, ...], facts: Facts, alone: bool = False
) -> tuple[int, int, int] | None:
    """Neighbouring axes (first, last) that the view takes as one, at another place: `x.view(b, h * w, -1)` of
    `[b, c, h, w]`. A view keeps the number of elements in front of what it leaves whole."""
    known = frozenset[str]().union(*(symbols(a.size) for a in before))
    try:
        for i in range(len(before)):
            for k in range(i if alone else i + 1, len(before)):
                if any(isinstance(a.size, int) for a in before[i : k + 1]):
                    continue
                size = product([a.size for a in before[i : k + 1]])
                there = [j for j, a in enumerate(after) if equal(a.size, size)]
                if len(there) != 1 or len(_runs(before, size)) != 1:
                    continue
                front = product([a.size for a in before[:i]]), product([a.size for a in after[: there[0]]])
                if not _open(front, facts) and symbols(front[1]) <= known and not equal(*front):
                    return i, k, there[0]
    except TooComplex:
        return None
    return None


def _runs(before: tuple[Axis, ...], size: Size) -> list[tuple[int, int]]:
    """All neighbouring axes that have so many elements together."""
    ends = [(i, k) for i in range(len(before)) for k in range(i, len(before))]
    return [(i, k) for i, k in ends if equal(product([a.size for a in before[i : k + 1]]), size)]


def same_sizes(before: tuple[Axis, ...], after: tuple[Axis, ...]) -> bool:
    return len(before) == len(after) and all(a.size == b.size for a, b in zip(before, after))


def equal(a: Size, b: Size) -> bool:
    try:
        return compare(a, b).always
    except TooComplex:
        return False


def divided(size: Size, by: Size) -> Size | None:
    try:
        return exact_div(size, by)
    except TooComplex:
        return None


def as_many(before: tuple[Axis, ...], after: tuple[Axis, ...]) -> bool:
    try:
        plain = compare(product([a.size for a in before]), product([a.size for a in after]))
        return plain.always or compare(_total(before), _total(after)).always
    except TooComplex:
        return False


def to_the_front(before: tuple[Axis, ...], after: tuple[Axis, ...], moved: tuple[int, int]) -> bool:
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
        if _open(front, facts) or compare(*front).always:
            continue
        return i, there[0]
    return None


def _open(front: tuple[Size, Size], facts: Facts) -> bool:
    """May the two well be one number: a plain number, or one count, beside another count that nobody named?"""
    plain = all(isinstance(s, int) or as_symbol(s) is not None for s in front)
    if plain and any(_unknown(s, facts) for s in front):
        return True
    return any(_fits(one, other, facts) for one, other in (front, front[::-1]))


def _fits(one: Size, other: Size, facts: Facts) -> bool:
    """Is there a count that nobody named which makes the two equal, other than 1? `n*m` and `2*n`."""
    for name in symbols(one) - symbols(other):
        if _unknown(symbol(name), facts):
            rest = divided(one, symbol(name))
            needed = None if rest is None else divided(other, rest)
            if needed is not None and needed != 1:
                return True
    return False


def _unknown(size: Size, facts: Facts) -> bool:
    """A bare symbol of which nothing is known: it may well be the number that stands on the other side."""
    name = as_symbol(size)
    return name is not None and name.startswith("?") and name not in facts.authored


def as_found(before: tuple[Axis, ...], after: tuple[Axis, ...]) -> tuple[Axis, ...] | None:
    """The operand's axes where the sizes agree as they stand, or where the view had to teach us no more than one."""
    try:
        if as_many(before, after):
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
    return axis.origin is not None and bool(axis.origin.kind & (SUBSCRIPT | SEARCHES))


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


def padded(axes: tuple[Axis, ...]) -> bool:
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


def turned(given: Tensor, after: tuple[Axis, ...], facts: Facts) -> tuple[Applied, Axis, Axis] | None:
    """`encode(x.view(b * n, ...)).view(n, b, -1)`: the rows that went in come out, and are counted the other way."""
    key = given.shape.key if isinstance(given.shape, Partial) and given.made is None else None
    if key is None or len(after) < 2:
        return None
    for f in facts.of(Applied):
        first = f.args[0] if isinstance(f.result, Unknown) and f.result.key == key and f.args else None
        rows = parts(first.axes[0]) if isinstance(first, Tensor) and first.axes else ()
        if len(rows) == 2 and all(not isinstance(r.size, int) or r.size > 1 for r in rows):
            outer, inner = rows
            if after[0].size == inner.size != outer.size and after[1].size == outer.size:
                return f, outer, inner
    return None


def asked_for(fact: Called, given: Tensor, after: tuple[Axis, ...]) -> tuple[int, int, int] | None:
    """A plain number that the code asked of this tensor, `c = x.shape[1]`, stands at another place in the view."""
    asked = fact.args.get("shape", ())
    sizes = asked[0].items if len(asked) == 1 and isinstance(asked[0], Items) else asked
    for there, size in enumerate(sizes):
        if not isinstance(size, Num) or size.of is None or size.of.made is not given.made or given.axes is None:
            continue
        own = given.axes[size.at].size if -len(given.axes) <= size.at < len(given.axes) else 1
        at = size.at % len(given.axes) if given.axes else 0
        alone = isinstance(own, int) and own > 1 and [a.size for a in given.axes].count(own) == 1
        if not alone or size.of.sizes != given.sizes or [a.size for a in after].count(own) != 1:
            continue
        front = product([a.size for a in given.axes[:at]]), product([a.size for a in after[:there]])
        if not equal(*front):
            return at, at, there
    return None


@dataclass(frozen=True, slots=True)
class Inner:
    """`parts` equal parts of the last axis, which a view takes for parts of `rows`, or of what lies behind them.
    `sure`: the last axis is known to be made of so many; else only that it does not stay whole."""

    rows: Size
    parts: Size
    last: Size
    sure: bool


def innermost(fact: Called, given: Tensor, before: tuple[Axis, ...], after: tuple[Axis, ...]) -> Inner | None:
    """`x.view(n * h, -1, d)` or `x.view(n, h, -1, d)` of `[n, s, h*d]`: attention heads that were cut off in front.
    A last axis that stays whole is no such case: there the axis before it is cut, `[n, g*s, d]` as `[n*g, s, d]`."""
    if len(before) not in (2, 3) or len(after) not in (3, 4) or (given.rank is not None and len(before) != given.rank):
        return None
    kept = len(before) == 3 and equal(after[-2].size, before[1].size)  # then the counts say what the last axis is
    if given.rank == 2 or not (kept or left_to_torch(fact, len(after) - 2)):
        return None
    if len(before) == 3 and before[1].size == 1:  # nothing lies between the rows and the heads
        return None
    rows, last, part = before[0].size, before[-1].size, after[-1].size
    if len(after) == 3:
        heads = divided(after[0].size, rows)
    else:
        heads = after[1].size if equal(after[0].size, rows) else None
    if heads is None or heads == 1 or equal(part, last) or equal(heads, before[1].size):
        return None
    sure = as_many((Axis(heads), Axis(part)), (Axis(last),))
    opaque = as_symbol(last) is not None and as_symbol(part) is not None and not symbols(heads) & symbols(last)
    if sure and kept and as_many(before, after):  # found by its strides
        return None
    if sure or (opaque and len(before) == 3 and _layered(given) and not isinstance(heads, int)):
        return Inner(rows, heads, last, sure or kept)
    return None


def _layered(x: Tensor) -> bool:
    return x.made is not None and bool(x.made.kind & LINEAR)


def left_to_torch(fact: Called, target: int) -> bool:
    """Was this size left to torch, as -1, so that it is only what the others leave?"""
    asked = fact.args.get("shape", ())
    given = asked[0].items if len(asked) == 1 and isinstance(asked[0], Items) else asked
    size = given[target] if target < len(given) else None
    return isinstance(size, Num) and size.size == -1


__all__ = [
    "Inner", "as_found", "as_many", "asked_for", "divided", "equal", "innermost", "left_to_torch", "moved_axis",
    "moved_run", "padded", "permutation", "same_sizes", "to_the_front", "turned",
]  # fmt: skip
