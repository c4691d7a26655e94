"""SC201: a view that asks for the same axes in another order: the sizes move, the memory does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shapecheck.analysis.order import parts
from shapecheck.analysis.origin import blame
from shapecheck.dims import Size, TooComplex, as_quotient, as_symbol, compare, exact_div, symbol, symbols
from shapecheck.engine.facts import Applied, Called, Demanded, Facts
from shapecheck.engine.values import Affine, Axis, Items, Joined, Num, Partial, Site, Tensor, Unknown
from shapecheck.findings.rule import Edit, Finding, Fix, Note, Rule, Severity
from shapecheck.ops.axes import product
from shapecheck.ops.kinds import SEARCHES, SUBSCRIPT
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
    if any(as_quotient(a.size) is not None and _solved(fact, i) for i, a in enumerate(after)):
        return
    found = _as_found(before, after)
    moved = moved_axis(found, after, facts) if found is not None else None
    if _padded(before):
        return
    if found is None or moved is None:
        run = moved_run(before, after, facts) or _asked_for(fact, given, after)
        if run is not None and _as_many(before, after):
            yield _report_run(fact, given, before, run, facts)
        else:
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
    run = moved_run(shape.head, after, facts, alone=True)
    if run is not None:
        yield _report_run(fact, given, shape.head, run, facts)
        return
    turned = _turned(given, after, facts)
    if turned is not None:
        source, outer, inner = turned
        names = facts.names()
        rows = f"{names.axis(outer)} of {names.axis(inner)}"
        yield META.finding(
            fact.site,
            f"what `{source.name}` returns has its rows in the order in which it was given them, {rows}; "
            f"this view takes them for {names.axis(inner)} of {names.axis(outer)}",
            Severity.WARNING,
            notes=(Note(f"{rows} rows are given here", source.site),),
            condition=f"{names.axis(outer)} = 1 or {names.axis(inner)} = 1",
            help=f"view them as `{names.axis(outer)}, {names.axis(inner)}, ...` and move the axes after",
        )
        return
    wild = [j for j in range(len(after)) if _solved(fact, j)]
    if len(wild) != 1:
        return
    names = facts.names()
    have, asked = names.shape(given), names.shape(after)
    rest = wild[0]
    for i, axis in enumerate(shape.head):
        # `x.view(x.size(0), -1, x.size(1))`: what is left stands in front of an axis that it lies behind
        there = [j for j, a in enumerate(after) if j > rest and a.size == axis.size]
        alone = [a for a in shape.head if a.size == axis.size] == [axis] and not isinstance(axis.size, int)
        if alone and len(there) == 1 and _same(shape.head[:i], after[:rest]):
            yield META.finding(
                blame(fact, [given], facts.path),
                f"this view of {have} as {asked} moves no memory: {names.axis(axis)} is axis {i}, in front of what -1 "
                f"stands for, and only the label of axis {there[0]} of the result, behind it",
                Severity.WARNING,
                condition=f"{names.axis(axis)} is the last axis, or {names.axis(axis)} = 1",
                help="move the axes with `permute` or `transpose` first, then `reshape`",
            )
            return
    if not shape.head or not shape.tail or rest == 0 or rest == len(after) - 1:
        return
    batch, last = shape.head[0].size, shape.tail[-1].size
    heads = _divided(after[0].size, batch)
    if heads is None or heads == 1 or len(after) != 3 or not _equal(heads * after[-1].size, last):
        return
    h, b, d = names.size(heads), names.size(batch), names.size(last)
    yield META.finding(
        blame(fact, [given], facts.path),
        f"this view of {have} as {asked} moves no memory: the {h} parts of the last axis ({d}) lie innermost, and "
        f"{names.axis(after[0])} rows take them for parts of axis 0, so rows of different meaning are mixed",
        Severity.WARNING,
        condition=f"{h} = 1, or there is nothing between {b} and {d}",
        help=f"cut the last axis first, then move it: `.view({b}, -1, {h}, {names.axis(after[-1])}).transpose(1, 2)`",
    )


def _turned(given: Tensor, after: tuple[Axis, ...], facts: Facts) -> tuple[Applied, Axis, Axis] | None:
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
                there = [j for j, a in enumerate(after) if _equal(a.size, size)]
                if len(there) != 1 or len(_runs(before, size)) != 1:
                    continue
                front = product([a.size for a in before[:i]]), product([a.size for a in after[: there[0]]])
                if not _open(front, facts) and symbols(front[1]) <= known and not _equal(*front):
                    return i, k, there[0]
    except TooComplex:
        return None
    return None


def _asked_for(fact: Called, given: Tensor, after: tuple[Axis, ...]) -> tuple[int, int, int] | None:
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
        if not _equal(*front):
            return at, at, there
    return None


def _runs(before: tuple[Axis, ...], size: Size) -> list[tuple[int, int]]:
    """All neighbouring axes that have so many elements together."""
    ends = [(i, k) for i in range(len(before)) for k in range(i, len(before))]
    return [(i, k) for i, k in ends if _equal(product([a.size for a in before[i : k + 1]]), size)]


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
        condition=" or ".join(f"{n} = 1" for n in front),
        help="move the axes with `permute` or `transpose` first, then `reshape`",
    )


def _same(before: tuple[Axis, ...], after: tuple[Axis, ...]) -> bool:
    return len(before) == len(after) and all(a.size == b.size for a, b in zip(before, after))


def _equal(a: Size, b: Size) -> bool:
    try:
        return compare(a, b).always
    except TooComplex:
        return False


def _divided(size: Size, by: Size) -> Size | None:
    try:
        return exact_div(size, by)
    except TooComplex:
        return None


def _cut_across(fact: Called, before: tuple[Axis, ...], after: tuple[Axis, ...], facts: Facts) -> Iterator[Finding]:
    """A flat axis is cut into its parts in another order than they were put together: `cat([a, b]).view(B, 2, D)`."""
    flat = [axis for axis in before if len(parts(axis)) > 1]
    inner = tuple(part for axis in before for part in parts(axis))
    moved = moved_axis(inner, after, facts) if flat else None
    if moved is None or not (_as_many(inner, after) or _to_the_front(inner, after, moved)):
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
        condition=" or ".join(f"{names.size(p.size)} = 1" for p in parts(axis) if not isinstance(p.size, int)),
        help="view them in the order in which they lie, and move the axes after: "
        f"`.view({', '.join(names.size(p.size) for p in inner)}).transpose(0, 1)`",
    )


def _as_many(before: tuple[Axis, ...], after: tuple[Axis, ...]) -> bool:
    try:
        plain = compare(product([a.size for a in before]), product([a.size for a in after]))
        return plain.always or compare(_total(before), _total(after)).always
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
            rest = _divided(one, symbol(name))
            needed = None if rest is None else _divided(other, rest)
            if needed is not None and needed != 1:
                return True
    return False


def _unknown(size: Size, facts: Facts) -> bool:
    """A bare symbol of which nothing is known: it may well be the number that stands on the other side."""
    name = as_symbol(size)
    return name is not None and name.startswith("?") and name not in facts.authored


def _as_found(before: tuple[Axis, ...], after: tuple[Axis, ...]) -> tuple[Axis, ...] | None:
    """The operand's axes where the sizes agree as they stand, or where the view had to teach us no more than one."""
    try:
        if _as_many(before, after):
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
