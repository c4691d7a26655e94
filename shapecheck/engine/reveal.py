"""What `shapecheck reveal` shows: for each line, the names that it gives and the shapes that they have."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from shapecheck.engine.entry import run
from shapecheck.engine.facts import Assigned, Facts, Returned
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Items, Many, Partial, Site, Tensor, Unknown, Value
from shapecheck.source.imports import Project
from shapecheck.source.positions import spans
from shapecheck.source.program import Branch, Class, Function, Node, Program, Stmt

Revealed = tuple[str, str, tuple[str, ...]]  # name, shape as shown, and for each axis where it came from


def reveal(program: Program, project: Project) -> dict[int, list[Revealed]]:
    """Every named tensor of the file by line. A line that different ways give different shapes shows each, up to
    three; where some call tells the shape, runs that know less are left out."""
    places = spans(program)

    def row_of(node: Node) -> int:
        return places.span(node).row

    return shapes_by_line(run(program, project).facts, row_of, sorted(map(row_of, _functions(program.body))))


def _functions(body: Sequence[Stmt]) -> Iterator[Function]:
    """Functions and methods, but not what is defined within them."""
    for stmt in body:
        match stmt:
            case Function():
                yield stmt
            case Class(body=inner):
                yield from _functions(inner)
            case Branch(body=inner, orelse=other):
                yield from _functions((*inner, *other))


def shapes_by_line(
    facts: Facts, row_of: Callable[[Node], int], starts: Sequence[int] = ()
) -> dict[int, list[Revealed]]:
    """`starts`: the rows on which functions begin, in order. Each function has a naming of its own."""
    namings: dict[int, Names] = {}
    found: dict[tuple[int, str], dict[str, tuple[str, tuple[str, ...]]]] = {}
    for fact in facts.items:
        match fact:
            case Assigned(name=name, value=value):
                pass
            case Returned(value=value):
                name = "return"
            case _:
                continue
        if fact.site.path != facts.path:
            continue
        value = as_learned(facts, value)
        row = row_of(fact.site.node)
        names = namings.setdefault(bisect_right(starts, row), Names(facts.authored, facts.hints))
        plain = text_of(value, Names({}, {}))  # the same for shapes that differ only in which unknown stands where
        if plain:
            alternatives = found.setdefault((row, name), {})
            if plain not in alternatives:
                alternatives[plain] = (text_of(value, names), why(value, names, facts.path, row_of))
    out: dict[int, list[Revealed]] = {}
    for (row, name), shapes in sorted(found.items()):
        known = [s for s in shapes if "..." not in s] or list(shapes)
        if len(known) > 3:
            continue
        told = " | ".join(shapes[k][0] for k in known)
        out.setdefault(row, []).append((name, told, shapes[known[0]][1]))
    return out


def as_learned(facts: Facts, value: Value) -> Value:
    """The value as the whole function tells of it: `d = x.shape[1]` far below says that x has two axes here too."""
    match value:
        case Unknown(hint="", key=str(key)) | Tensor(shape=Partial(key=str(key))):
            shape = facts.later.get(key)
            for _ in range(20):
                if shape is not None or key not in facts.like:
                    break
                key = facts.like[key]
                shape = facts.later.get(key)
            if shape is None:
                return value
            return replace(value, shape=shape) if isinstance(value, Tensor) else Tensor(shape)
        case Items(items=items):
            return replace(value, items=tuple(as_learned(facts, i) for i in items))
        case _:
            return value


def text_of(value: Value, names: Names) -> str:
    match value:
        case Tensor():
            return names.shape(value)
        case Items(items=items) if items and all(isinstance(i, Tensor) for i in items) and len(items) <= 4:
            return "(" + ", ".join(names.shape(i) for i in items if isinstance(i, Tensor)) + ")"
        case Many(item=Tensor() as item, length=length):
            return f"list of {names.size(length) if length is not None else 'any number'} x {names.shape(item)}"
        case _:
            return ""


def why(value: Value, names: Names, path: str, row_of: Callable[[Node], int]) -> tuple[str, ...]:
    """A line for each axis: its size and how it was learned."""
    if not isinstance(value, Tensor):
        return ()
    shape = value.shape
    axes = (*shape.head, *shape.tail) if isinstance(shape, Partial) else shape
    lines: list[str] = []
    for i, axis in enumerate(axes):
        told = f"{names.size(axis.size)}: "
        if axis.origin is None:
            lines.append(f"axis {i} is {told}carried through unchanged or not known further")
            continue
        place = _place(axis.origin.site, path, row_of)
        assumed = f", assuming {axis.origin.assumption.text}" if axis.origin.assumption is not None else ""
        lines.append(f"axis {i} is {told}{axis.origin.text}{place}{assumed}")
    return tuple(lines)


def _place(site: Site | None, path: str, row_of: Callable[[Node], int]) -> str:
    if site is None:
        return ""
    return f" (line {row_of(site.node)})" if site.path == path else f" ({site.path})"
