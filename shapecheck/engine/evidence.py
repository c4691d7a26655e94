"""What was seen of values while a program ran: the interpreter asks it where the text alone does not tell.

Plain data and no opinion; `shapecheck.recording` collects it, `engine/told.py` makes values of it. Of a tensor its
sizes and dtype are kept, of a number that it was one; never what stood in a tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from shapecheck.source.positions import spans
from shapecheck.source.program import Function, Node, Program, Stmt, walk

if TYPE_CHECKING:
    from shapecheck.source.positions import Positions


# ---------------------------------------------------------------- what was seen


@dataclass(frozen=True, slots=True)
class SeenTensor:
    sizes: tuple[int, ...]
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class SeenInt:
    """A number; `value` None: now this one, now that."""

    value: int | None


@dataclass(frozen=True, slots=True)
class SeenConst:
    """None, a truth value or a short text."""

    value: bool | str | None


@dataclass(frozen=True, slots=True)
class SeenFloat:
    pass


@dataclass(frozen=True, slots=True)
class SeenItems:
    """A tuple or list: all its members where they are few, else the first one for all of them (`length`: how many)."""

    kind: str
    items: tuple[Seen, ...]
    length: int


@dataclass(frozen=True, slots=True)
class SeenMapping:
    """A dict, or (`kind` "ModelOutput", "namedtuple") an object of a library that holds tensors by name."""

    kind: str
    items: tuple[tuple[str, Seen], ...]


@dataclass(frozen=True, slots=True)
class SeenObject:
    """Another object: its class, and those of its attributes that the code around it names."""

    cls: str
    attrs: tuple[tuple[str, Seen], ...] = ()


Seen: TypeAlias = SeenTensor | SeenInt | SeenConst | SeenFloat | SeenItems | SeenMapping | SeenObject

Place = tuple[int, int, int, int]  # row and column of the start, row and column behind the end, all from 1
MOST_VALUES = 4  # different values kept of one place


@dataclass(slots=True, eq=False)
class Ran:
    """One way in which a function (or a module's top level) ran: what it was given, and what its lines computed.

    `line` is the row of its first line, decorators included, `names` what a name held when the statement on that row
    had given it a value, `arcs` which row was run after which.
    """

    name: str
    line: int
    args: dict[str, Seen] = field(default_factory=dict)
    values: dict[Place, list[Seen]] = field(default_factory=dict)
    names: dict[tuple[int, str], list[Seen]] = field(default_factory=dict)
    arcs: set[tuple[int, int]] = field(default_factory=set)
    results: list[Seen] = field(default_factory=list)
    times: int = 0
    number: int = 0  # each way has its own
    others: tuple[Ran, ...] = ()  # of one that stands for several
    calls: dict[Place, list[int]] = field(
        default_factory=dict
    )  # expression -> the ways that it ran, of other functions
    made: int | None = None  # of a method: the way of running `__init__` that made its object
    outer: bool = False  # was it called by something that was not watched
    raised: set[Place] = field(default_factory=set)  # the expressions in which something was raised

    def note(self, known: list[Seen], seen: Seen) -> None:
        if len(known) < MOST_VALUES and seen not in known:
            known.append(seen)

    def given(self, name: str) -> list[Seen]:
        """What an argument held, in all of the ways that this stands for."""
        return [ran.args[name] for ran in (self, *self.others) if name in ran.args]

    def rows(self) -> set[int]:
        """The rows that were run, those of the function's head included."""
        found = {row for arc in self.arcs for row in arc if row > 0}
        first = min((there for here, there in self.arcs if here == self.line and there > here), default=self.line)
        return found.union(range(self.line, first))


def joined(ways: Sequence[Ran]) -> Ran:
    """One that stands for several of one function, nobody knows which."""
    first, *others = ways
    one = replace(first, values={}, names={}, arcs=set(), results=[], raised=set(), calls={}, others=tuple(others))
    for ran in ways:
        for place, seen in ran.values.items():
            _add(one.values.setdefault(place, []), seen)
        for name, seen in ran.names.items():
            _add(one.names.setdefault(name, []), seen)
        for place, numbers in ran.calls.items():
            known = one.calls.setdefault(place, [])
            known += [n for n in numbers if n not in known]
        _add(one.results, ran.results)
        one.arcs |= ran.arcs
        one.raised |= ran.raised
    return one


def _add(known: list[Seen], more: list[Seen]) -> None:
    known += [seen for seen in more if seen not in known]


def either(a: Seen, b: Seen) -> Seen | None:
    """What is true of both; None: nothing."""
    match a, b:
        case _ if a == b:
            return a
        case SeenInt(), SeenInt():
            return SeenInt(None)
        case SeenItems(kind=kind, items=xs, length=n), SeenItems(items=ys, length=k) if n == k and len(xs) == len(ys):
            found = [either(x, y) for x, y in zip(xs, ys)]
            return SeenItems(kind, tuple(f for f in found if f is not None), n) if None not in found else None
        case SeenMapping(kind=kind, items=pairs), SeenMapping(items=more):
            return SeenMapping(kind, _both(pairs, more))
        case SeenObject(cls=cls, attrs=pairs), SeenObject(attrs=more):
            return SeenObject(cls, _both(pairs, more))
        case _:
            return None


def _both(pairs: tuple[tuple[str, Seen], ...], more: tuple[tuple[str, Seen], ...]) -> tuple[tuple[str, Seen], ...]:
    theirs = dict(more)
    found = [(k, either(v, theirs[k])) for k, v in pairs if k in theirs]
    return tuple((k, v) for k, v in found if v is not None)


# -------------------------------------------------------------------- asking


class OfFile:
    """What was seen of one file, by the nodes of its program."""

    def __init__(self, program: Program, ways: Iterable[Ran]) -> None:
        self._program = program
        self._ways: dict[tuple[str, int], list[Ran]] = {}
        for ran in ways:
            self._ways.setdefault((ran.name.rsplit(".", 1)[-1], ran.line), []).append(ran)
        self._places: dict[int, Place] = {}

    @cached_property
    def _spans(self) -> Positions:
        return spans(self._program)

    @cached_property
    def _functions(self) -> dict[Function, list[Ran]]:
        """Of a decorated function Python says the row of the first decorator."""
        found: dict[Function, list[Ran]] = {}
        for node in walk(self._program):
            if isinstance(node, Function):
                rows = [self.place(n)[0] for n in (node, *node.decorators)]
                ways = [ran for row in dict.fromkeys(rows) for ran in self._ways.get((node.name, row), ())]
                if ways:
                    found[node] = ways
        return found

    def place(self, node: Node) -> Place:
        """Raises KeyError for a node of another program."""
        found = self._places.get(id(node))
        if found is None:
            at = self._spans.span(node)
            found = self._places[id(node)] = (at.row, at.column, at.end_row, at.end_column)
        return found

    def ways(self, function: Function | None) -> list[Ran]:
        """How this function ran; of None: the top level."""
        if function is None:
            return self._ways.get(("<module>", 1), [])
        return self._functions.get(function, [])

    def value(self, ran: Ran, node: Node) -> list[Seen]:
        """What the expression was worth, each time that it was something else."""
        return ran.values.get(self.place(node), []) if ran.values else []

    def name(self, ran: Ran, target: Node, name: str) -> list[Seen]:
        """What the name held once the statement around `target` had set it."""
        return ran.names.get((self.place(target)[0], name), [])

    def went(self, ran: Ran, test: Node, body: tuple[Stmt, ...]) -> bool | None:
        """Did all runs of `if test` go into the body (True), or none (False)? None: some did, or nobody can tell."""
        first, _, last, _ = self.place(test)
        start, end = self.place(body[0])[0], self.place(body[-1])[2]
        if start <= last:  # on one row with the test
            return None
        to = {there for here, there in ran.arcs if first <= here <= last and not first <= there <= last}
        inside = {start <= there <= end for there in to}
        return inside.pop() if len(inside) == 1 else None


class Evidence:
    """What was seen of the files of a project: `Project.evidence`, asked by the engine.

    `only_ran`: facts are wanted of what ran alone.
    """

    def __init__(self, files: dict[str, list[Ran]], *, only_ran: bool = False) -> None:
        self.files = files
        self.only_ran = only_ran
        self._of: dict[str, tuple[Program, OfFile]] = {}
        self.entered: set[int] = set()  # ids of ways that the interpreter has come through
        self.refusals: dict[tuple[str, Place], str] = {}  # what torch refused there, in a sentence
        self.disagreements: dict[tuple[str, Place], str] = {}

    def of(self, path: str, program: Program | None) -> OfFile | None:
        """What was seen of that file."""
        if program is None or path not in self.files or program.module is None:
            return None
        known = self._of.get(path)
        if known is None or known[0] is not program:
            known = self._of[path] = (program, OfFile(program, self.files[path]))
        return known[1]

    def rows(self, path: str) -> set[int]:
        """The rows of the file that were run."""
        return set().union(*(ran.rows() for ran in self.files.get(path, ())))


def in_characters(text: str) -> Any:
    """A function from a place in bytes of UTF-8, columns from 0, as Python counts them, to one in characters from 1."""
    lines = text.split("\n")
    plain = text.isascii()

    def column(row: int, at: int) -> int:
        if plain or not 0 < row <= len(lines):
            return at + 1
        return len(lines[row - 1].encode()[:at].decode(errors="replace")) + 1

    return lambda row, start, end_row, end: (row, column(row, start), end_row, column(end_row, end))
