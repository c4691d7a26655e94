"""Values as they were seen: what something unknown is taken for, and what a known shape is checked against.

Of something unknown: so many axes, each of a size of its own that stays a symbol; a size of 1 is 1. Where a known shape
is another than the one seen, the interpreter is wrong: that is noted as its fault, and what was seen stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from shapecheck.dims import Size, TooComplex, as_symbol, evaluate, symbol
from shapecheck.engine.evidence import (
    Evidence,
    OfFile,
    Place,
    Seen,
    SeenConst,
    SeenFloat,
    SeenInt,
    SeenItems,
    SeenMapping,
    SeenTensor,
)
from shapecheck.engine.values import (
    UNKNOWN,
    Axis,
    Items,
    Lit,
    Many,
    Mapping,
    Num,
    Origin,
    Partial,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.source.program import Node

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine


def evidence_of(m: Machine) -> Evidence | None:
    found = m.project.evidence
    return found if isinstance(found, Evidence) else None


def file_of(m: Machine, path: str) -> OfFile | None:
    """What was seen of that file."""
    evidence = evidence_of(m)
    if evidence is None or path not in evidence.files:
        return None
    program = m.facts.program if path == m.path else None
    return evidence.of(path, program or m.project.program(path))


def told(m: Machine, value: Value, seen: list[Seen], node: Node | None = None, *, first: bool = False) -> Value:
    """The value as seen. `first`: a first axis of size 1 is a size like others."""
    value = m.resolve(value)
    match value:
        case Tensor():
            tensors = [s for s in seen if isinstance(s, SeenTensor)]
            return _tensor(m, value, tensors, node, first) if len(tensors) == len(seen) else value
        case Unknown(hint="" | "int" | "float" | "bool" | "array" | "other"):
            made = made_of(m, seen, value, first)
            if made is None:
                return value
            if value.key is not None and not (isinstance(made, Unknown) and made.key == value.key):
                m.state.narrowed[value.key] = made
            return made
        case Items(items=items) if all(isinstance(s, SeenItems) and len(s.items) == len(items) for s in seen):
            return _members(m, value, [s for s in seen if isinstance(s, SeenItems)], node)
        case Many(item=item):
            return _many(m, value, item, [s for s in seen if isinstance(s, SeenItems)], node)
        case Mapping(items=pairs):
            maps = [dict(s.items) for s in seen if isinstance(s, SeenMapping)]
            found = [
                (k, told(m, v, [mapping[k] for mapping in maps]) if maps and all(k in x for x in maps) else v)
                for k, v in pairs
            ]
            known = {k for k, _ in pairs}
            more = dict.fromkeys(k for mapping in maps for k in mapping if k not in known and all(k in x for x in maps))
            for k in more:
                extra = made_of(m, [mapping[k] for mapping in maps], UNKNOWN, first)
                if extra is not None:
                    found.append((k, extra))
            return replace(value, items=tuple(found))
        case Num(size=size):
            _note_number(m, size, seen)
            return value
        case _:
            return value


def _members(m: Machine, value: Items, seen: list[SeenItems], node: Node | None) -> Value:
    items = [told(m, item, [s.items[i] for s in seen], node) for i, item in enumerate(value.items)]
    return replace(value, items=tuple(items))


def _many(m: Machine, value: Many, item: Value, seen: list[SeenItems], node: Node | None) -> Value:
    """One member stands for all: only what all of them have is told of it."""
    members = [i for s in seen for i in s.items]
    if not members or not all(isinstance(i, SeenTensor) for i in members):
        return value
    tensors = [i for i in members if isinstance(i, SeenTensor)]
    if len({len(t.sizes) for t in tensors}) != 1:
        return value
    return replace(value, item=told(m, item, list(tensors), node))


def made_of(m: Machine, seen: list[Seen], unknown: Unknown, first: bool = False) -> Value | None:
    """A value made of what was seen of something unknown; None where that tells nothing."""
    kinds = {type(s) for s in seen}
    if kinds == {SeenTensor}:
        tensors = [s for s in seen if isinstance(s, SeenTensor)]
        return _tensor(m, Tensor(Partial(key=unknown.key)), tensors, None, first)
    if kinds == {SeenInt}:
        numbers = {s.value for s in seen if isinstance(s, SeenInt)}
        return _number(m, numbers, unknown)
    if kinds == {SeenFloat}:
        return Unknown("float", unknown.key)
    if len(set(seen)) != 1:
        return None
    match seen[0]:
        case SeenConst(value=value):
            return Lit(value)
        case SeenItems(kind=kind, items=items, length=length):
            made = [made_of(m, [i], UNKNOWN, first) or m.unknown() for i in items]
            if length == len(items):
                return Items(kind, tuple(made))
            return Many(made[0], None, "list" if kind == "size" else kind)
        case SeenMapping(kind=kind, items=pairs):
            return Mapping(tuple((k, made_of(m, [v], UNKNOWN, first) or m.unknown()) for k, v in pairs), UNKNOWN, kind)
        case _:
            return None


def _number(m: Machine, numbers: set[int | None], unknown: Unknown) -> Value:
    """A number of which a size may be made stays a symbol; 0 and what is below are what they are."""
    value = Unknown("int", unknown.key or m.fresh())
    if len(numbers) != 1:
        return value
    (n,) = numbers
    if n is None:
        return value
    if n >= 1:
        m.observed["$" + str(value.key)] = n
        return value
    return Num(n, Origin("as it was when the program ran", m.site))


def _note_number(m: Machine, size: Size, seen: list[Seen]) -> None:
    numbers = {s.value for s in seen if isinstance(s, SeenInt)}
    name = as_symbol(m.size(size))
    number_then = numbers.pop() if len(numbers) == 1 else None
    if name is not None and number_then is not None and name not in m.observed and name[0] in "?$":
        m.observed[name] = number_then


def _tensor(m: Machine, value: Tensor, seen: list[SeenTensor], node: Node | None, first: bool) -> Tensor:
    ranks = {len(s.sizes) for s in seen}
    value = m.state.tensor(value)
    if len(ranks) != 1:
        return value
    (rank,) = ranks
    dtypes = {s.dtype for s in seen}
    if value.dtype is None and len(dtypes) == 1:
        value = value.with_(dtype=dtypes.pop())
    sizes = [{s.sizes[i] for s in seen} for i in range(rank)]
    axes = value.axes
    if axes is None:
        shape = value.shape
        assert isinstance(shape, Partial)
        if shape.min_rank > rank:
            _disagree(m, node, value, seen)
            return value.with_(shape=_fresh(m, sizes, first))
        middle = _fresh(m, sizes, first)
        tail = rank - len(shape.tail)
        known = (*shape.head, *middle[len(shape.head) : tail], *shape.tail)
        if shape.key is not None and len(set(map(frozenset, sizes))) < rank:  # a square, or by chance
            m.apart.of.setdefault(shape.key, [])
        refined = m.kit.refine(value, tuple(_checked(m, a, s) or f for a, s, f in zip(known, sizes, middle)))
        return refined
    if len(axes) != rank:
        _disagree(m, node, value, seen)
        return value.with_(shape=_fresh(m, sizes, first))
    checked = [_checked(m, a, s) for a, s in zip(axes, sizes)]
    if all(c is not None for c in checked):
        return value
    _disagree(m, node, value, seen)
    fresh = _fresh(m, sizes, first)
    return value.with_(shape=tuple(c or f for c, f in zip(checked, fresh)))


def _fresh(m: Machine, sizes: list[set[int]], first: bool) -> tuple[Axis, ...]:
    """An axis for each size, or sizes, that were seen there."""
    axes: list[Axis] = []
    for i, seen in enumerate(sizes):
        role = "batch" if i == 0 and len(sizes) > 1 else ""
        if seen == {1} and not (first and i == 0):
            axes.append(Axis(1, role=role))
            continue
        name = m.fresh()
        if len(seen) == 1:
            m.observed[name] = next(iter(seen))
        axes.append(Axis(symbol(name), role=role))
    return tuple(axes)


def _checked(m: Machine, axis: Axis, seen: set[int]) -> Axis | None:
    """The axis, if it may have had the size that was seen."""
    size = m.size(axis.size)
    known = number(m, size)
    if known is not None:
        return axis if known in seen or len(seen) > 1 else None
    name = as_symbol(size)
    if name is not None and len(seen) == 1:
        m.observed[name] = next(iter(seen))
    return axis


def as_it_was(m: Machine, key: str) -> int | None:
    """The number that an unknown one was, for ops that need a plain one: an axis, a position."""
    return m.observed.get("$" + key)


def stretches_neither(m: Machine, a: Size, b: Size) -> bool:
    """Had the two axes one size, more than 1, so that neither was stretched to the other?"""
    x = number(m, a)
    return x is not None and x > 1 and x == number(m, b)


def number(m: Machine, size: Size) -> int | None:
    """The number that a size was when the program ran, as far as that is known."""
    size = m.size(size)
    if isinstance(size, int):
        return size
    if not m.observed:
        return None
    try:
        return evaluate(size, m.observed)
    except (KeyError, ZeroDivisionError, TooComplex):
        return None


def _disagree(m: Machine, node: Node | None, value: Tensor, seen: list[SeenTensor]) -> None:
    """The interpreter computes another shape than torch did: its fault, not the program's."""
    evidence = evidence_of(m)
    of_file = file_of(m, m.here.path)
    if evidence is None or of_file is None or not m.here.sure:
        return
    place: Place = (0, 0, 0, 0)
    if node is not None:
        place = of_file.place(node)
    made = "" if value.made is None else f" by {value.made.op}"
    had = " or ".join(str(list(s.sizes)) for s in seen)
    names = m.facts.names()
    numbers = [number(m, a.size) for a in value.axes or ()]
    text = f"{names.shape(value)}{made}, {numbers} at these sizes; torch computed {had}"
    evidence.disagreements.setdefault((m.here.path, place), text)


def tensors_of(name: str, value: Value) -> Iterator[tuple[str, Tensor]]:
    """The tensors in a value, each with how the code would reach it."""
    match value:
        case Tensor():
            yield name, value
        case Items(items=items):
            for i, item in enumerate(items):
                yield from tensors_of(f"{name}[{i}]", item)
        case Mapping(items=pairs):
            for key, item in pairs:
                yield from tensors_of(f"{name}[{key!r}]", item)
