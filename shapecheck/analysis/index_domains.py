"""For which axis an index was made, and of what that axis is a part.

An index counts the places of the axis that it was made for: `topk`, `argsort`, `argmax` and `nonzero` of that axis,
`randperm(n)` and `arange(n)` of a size, `multinomial` of the last axis. Cut, cast or picked from, it still counts
those. An axis is a part of another where a mask or an index picked it from there. Both are told by the names of sizes:
a size that two tensors only happen to share, and sizes that are plain numbers, say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shapecheck.analysis.axes import place
from shapecheck.analysis.origin import ancestors, identity, operands
from shapecheck.dims import Size, as_symbol, compare
from shapecheck.engine.facts import Called, Facts, Stored
from shapecheck.engine.values import Items, Lit, Made, Num, Site, SliceVal, Tensor, Unknown
from shapecheck.ops.kinds import (
    ADDS_AXIS,
    CAST,
    COUNTS,
    DROPS_AXIS,
    GATHERS,
    PICKS,
    RANDOM,
    RESHAPES,
    SORTS,
    SUBSCRIPT,
)

_SAME_PLACES = CAST | RESHAPES | ADDS_AXIS | DROPS_AXIS


@dataclass(frozen=True, slots=True)
class Part:
    """An axis that a mask or an index picked: how long the whole is, what picked, and where."""

    whole: Size
    chosen: object
    site: Site


@dataclass(frozen=True, slots=True)
class Domain:
    """The axis that an index counts the places of: its size, and where the index was made."""

    size: Size
    site: Site
    of: Tensor | None = None  # the tensor that was asked for the size


def domain(index: Tensor) -> Domain | None:
    """What the numbers of this index count; None where they are values of another meaning."""
    for _ in range(30):
        made = index.made
        if made is None:
            return None
        size = _counted(made, index)
        if size is not None:
            return Domain(size, made.site, _asked(made))
        inner = operands(made)
        if not made.kind & (_SAME_PLACES | SUBSCRIPT) or not inner:
            return None
        index = inner[0]
    return None


def _asked(made: Made) -> Tensor | None:
    """The tensor whose first axis `randperm(x.size(0))` counts."""
    until = made.args.get("n", made.args.get("end", made.args.get("start")))
    return until.of if isinstance(until, Num) and until.at == 0 else None


def _counted(made: Made, index: Tensor) -> Size | None:
    if made.kind & COUNTS or (made.kind & RANDOM and "n" in made.args):
        start = made.args.get("start")
        until = made.args.get("n", made.args.get("end"))
        if isinstance(start, Num) and until in (None, Lit(None)):
            start, until = None, start  # `arange(n)`
        return until.size if isinstance(until, Num) and start in (None, 0, Num(0), Lit(None)) else None
    x = made.tensor("input")
    if made.key == "where" or x is None:
        x = made.args.get("condition") if made.key == "where" else None
    if not isinstance(x, Tensor) or x.axes is None or not x.axes or index.dtype != "int":
        return None
    if made.key == "multinomial":
        return x.axes[-1].size
    if made.key == "where" or made.key == "nonzero":
        return x.axes[0].size if len(x.axes) == 1 else None
    dim = made.dim()
    if made.kind & (PICKS | SORTS) or (made.key in ("max", "min")):
        at = place(-1 if dim is None and made.kind & SORTS else dim, len(x.axes)) if dim is not None else None
        at = len(x.axes) - 1 if at is None and (made.kind & SORTS or len(x.axes) == 1) else at
        return x.axes[at].size if at is not None and 0 <= at < len(x.axes) else None
    return None


def parts(facts: Facts) -> dict[str, Part]:
    """Every axis of the file that was picked from another, by the name of its size."""
    return facts.once(_parts)


def _parts(facts: Facts) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for fact in facts.of(Called):
        for name, part in _picked(fact):
            found.setdefault(name, part)
    return found


def _picked(fact: Called) -> Iterator[tuple[str, Part]]:
    x = fact.tensor("input")
    if fact.key == "where" or fact.key == "nonzero":
        x = x if fact.key == "nonzero" else fact.tensor("condition")
        results = fact.result.items if isinstance(fact.result, Items) else (fact.result,)
        first = results[0] if results else None
        if x is not None and x.axes is not None and len(x.axes) == 1 and isinstance(first, Tensor) and first.axes:
            yield from _named(first.axes[0].size, Part(x.axes[0].size, identity(x), fact.site))
        return
    if x is None or x.axes is None or not isinstance(fact.result, Tensor) or not fact.result.axes:
        return
    if fact.key == "masked_select" and len(x.axes) == 1:
        yield from _named(fact.result.axes[0].size, Part(x.axes[0].size, _chosen(fact.args.get("mask")), fact.site))
    for at, index in places(fact):
        if isinstance(index, Tensor) and index.rank == 1 and at < len(x.axes) and _picks(index):
            size = fact.result.axes[at].size if at < len(fact.result.axes) else 1
            yield from _named(size, Part(x.axes[at].size, _chosen(index), fact.site))


def _picks(index: Tensor) -> bool:
    """Does it pick some: a mask, or the numbers of an index that came from elsewhere? A run of numbers does not: who
    counts from an offset knows where it is."""
    if index.dtype == "bool":
        return True
    counted = any(t.made is not None and t.made.kind & COUNTS for t in ancestors(index, 20))
    return domain(index) is None and not counted


def _chosen(index: object) -> object:
    return identity(index, CAST)


def _named(size: Size, part: Part) -> Iterator[tuple[str, Part]]:
    name = as_symbol(size)
    whole = isinstance(part.whole, int) or compare(size, part.whole).always
    if name is not None and name.startswith("?") and not whole:
        yield name, part


def places(fact: Called | Stored) -> list[tuple[int, object]]:
    """Which axis of the operand each item of a subscript, or the index of a call, speaks of."""
    if isinstance(fact, Called) and fact.kind & GATHERS:
        dim, index = fact.dim(), fact.args.get("index")
        return [(dim, index)] if dim is not None and dim >= 0 and fact.key == "index_select" else []
    if isinstance(fact, Called) and not fact.kind & SUBSCRIPT:
        return []
    index = fact.items if isinstance(fact, Stored) else fact.args.get("index")
    items = index.items if isinstance(index, Items) else index if isinstance(index, tuple) else (index,)
    found: list[tuple[int, object]] = []
    at = 0
    for item in items:
        match item:
            case Lit(value=None):
                continue
            case Tensor() as tensor if tensor.dtype == "bool" and tensor.rank != 1:
                return found
            case SliceVal() | Num() | Tensor() | Unknown(hint="int"):
                found.append((at, item))
                at += 1
            case _:
                return found if found else [(0, item)] if len(items) == 1 else []
    return found


@dataclass(frozen=True, slots=True)
class Astray:
    """An index of the places of a part, used on the whole."""

    axis: int
    domain: Domain
    part: Part


def astray(fact: Called | Stored, facts: Facts) -> Astray | None:
    """Does this subscript or selection use an index of a part on the axis that the part was picked from?"""
    x = fact.tensor if isinstance(fact, Stored) else fact.tensor("input")
    if not isinstance(x, Tensor):
        return None
    for at, index in places(fact):
        found = domain(index) if isinstance(index, Tensor) and index.dtype != "bool" else None
        name = as_symbol(found.size) if found is not None else None
        part = parts(facts).get(name) if name is not None else None
        if part is None and found is not None:
            part = _part_of(found.of)
        if found is None or part is None:
            continue
        if x.axes is not None:
            whole = at < len(x.axes) and compare(x.axes[at].size, part.whole).always
        else:
            whole = at == 0 and _cut_likewise(x, part, facts)
        if whole:
            return Astray(at, found, part)
    return None


def _part_of(x: Tensor | None) -> Part | None:
    """Of rows that something unknown picked, an index or a mask, the axis of what it picked them from."""
    made = x.made if x is not None else None
    whole = made.tensor("input") if made is not None and made.kind & SUBSCRIPT else None
    if x is None or made is None or whole is None or not whole.axes or isinstance(whole.axes[0].size, int):
        return None
    index = made.args.get("index")
    item = index.items[0] if isinstance(index, Items) and index.items else index
    if not isinstance(item, Unknown) or item.hint or item.key is None:
        return None
    return Part(whole.axes[0].size, item.key, made.site)


def _cut_likewise(x: Tensor, part: Part, facts: Facts) -> bool:
    """Is the part of this tensor taken elsewhere, by what took the part that the index counts?"""
    own = identity(x)
    return own is not None and any(
        identity(f.tensor("input")) == own and any(_chosen(i) == part.chosen for at, i in places(f) if at == 0)
        for f in facts.of(Called)
        if f.kind & SUBSCRIPT and part.chosen is not None
    )


__all__ = ["Astray", "Domain", "Part", "astray", "domain", "parts", "places"]
