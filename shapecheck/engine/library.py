"""What is made of modules once: their globals, their classes, and the results of plain calls.

One `Library` holds what all files of a process share; each file under analysis has a small one of its own beside it,
for its own globals (its top level runs in full) and for whatever rests on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapecheck.dims import Size
    from shapecheck.engine.carrying import Carried
    from shapecheck.engine.results import Making, Result
    from shapecheck.engine.state import Instance
    from shapecheck.engine.values import Assumption, ClassVal, Value
    from shapecheck.intent import Ann
    from shapecheck.source.program import Class, Expr, Function, Loop, Node, Stmt

# Texts of serial numbers sort as the numbers do: all have ten digits. Top levels count apart: what they make means the
# same in every call, so no call's result renames it.
FIRST_SERIAL = 1_000_000_000
FIRST_OF_TOP_LEVELS = 6_000_000_000


@dataclass(slots=True, eq=False)
class Serials:
    """Numbers for unknown things, objects, frames and activations, each given out once in a process."""

    last: int = FIRST_SERIAL


@dataclass(slots=True, eq=False)
class Tables:
    """What is remembered of unknown things beside the state, by their keys or symbols."""

    authored: dict[str, str] = field(default_factory=dict)  # symbol -> the name that the author gave it
    hints: dict[str, str] = field(default_factory=dict)  # symbol -> a letter that fits
    computed: dict[str, Size] = field(default_factory=dict)  # an unknown value's key -> the size that it is
    spoken: dict[Size, str] = field(default_factory=dict)  # a compound size -> the variable that the author put it in
    counters: dict[str, tuple[Size, Size]] = field(default_factory=dict)  # loop variable -> (first, count)
    supposed: dict[str, Assumption] = field(default_factory=dict)  # symbol -> what says that there is such a size
    varying: set[str] = field(default_factory=set)  # symbols that stand for one size or another


@dataclass(slots=True, eq=False)
class Texts:
    """What pieces of the program mention."""

    names: dict[Node, frozenset[str]] = field(default_factory=dict)
    read_after: dict[Stmt, tuple[frozenset[str], ...]] = field(default_factory=dict)  # by a block's first statement
    inside: dict[Node, frozenset[str]] = field(default_factory=dict)  # names that nested functions mention
    nesting: dict[Node, bool] = field(default_factory=dict)
    outer: dict[Node, frozenset[str]] = field(default_factory=dict)  # names declared `global` or `nonlocal`
    words: dict[Function, frozenset[str]] = field(default_factory=dict)  # texts in a function's body
    relevant: dict[Function, bool] = field(default_factory=dict)  # may it meet a tensor
    annotations: dict[Expr, Ann] = field(default_factory=dict)
    carried: dict[Loop, Carried | None] = field(default_factory=dict)  # what a turn hands to the next
    imported: dict[str, frozenset[str]] = field(default_factory=dict)  # file -> its names for parts of torch


@dataclass(slots=True, eq=False)
class Library:
    envs: dict[str, dict[str, Any]] = field(default_factory=dict)  # path -> the module's globals, as far as made
    heap: dict[int, Instance] = field(default_factory=dict)  # objects that top levels made
    bases: dict[ClassVal, list[Value]] = field(default_factory=dict)
    lines: dict[ClassVal, list[Value]] = field(default_factory=dict)  # class -> itself and its bases in order
    set_later: dict[ClassVal, frozenset[str]] = field(default_factory=dict)  # attributes that other methods set
    bodies: dict[Class, dict[str, Stmt]] = field(default_factory=dict)
    members: dict[tuple[ClassVal, str], tuple[ClassVal, Stmt] | None] = field(default_factory=dict)
    evaluated: dict[Node, Value] = field(default_factory=dict)  # defaults and class attributes, made where they stand
    aliases: dict[str, dict[str, Expr]] = field(default_factory=dict)
    results: dict[Any, Result] = field(default_factory=dict)
    source_read: int = 0  # characters of imported modules


@dataclass(slots=True, eq=False)
class Shared:
    """All that the files of a process have in common."""

    library: Library = field(default_factory=Library)
    tables: Tables = field(default_factory=Tables)
    serials: Serials = field(default_factory=Serials)
    of_top_levels: Serials = field(default_factory=lambda: Serials(FIRST_OF_TOP_LEVELS))
    making: list[Making] = field(default_factory=list)  # results that are being made, outermost first
    for_now: dict[Any, tuple[Result, int]] = field(default_factory=dict)  # results that rest on one of those
    texts: Texts = field(default_factory=Texts)
    unfinished: int = 0  # results of which not all is known
    reader: Any = None  # the machine that makes globals of imported modules
