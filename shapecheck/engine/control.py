"""How a run goes: its limits, what breaks it off, the choices inside a statement, how control leaves one, and the
functions that run at the moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from shapecheck.dims.record import record
from shapecheck.engine.evidence import Ran
from shapecheck.engine.state import State
from shapecheck.engine.values import NONE, Assumption, Axis, ClassVal, Site, Value
from shapecheck.intent import Written
from shapecheck.source.program import Expr, Function, Lambda, Node

MAX_STATES = (6, 4, 3, 2, 2)  # paths kept apart inside one function, by the depth of calls around it
MAX_CHOICES = (8, 6, 4, 2, 2)  # ways tried through one statement, likewise
STRAINED = (400, 800, 1_600, 3_000)  # steps of an entry after which it is run as if one, two, ... deeper
MAX_DEPTH = 9  # project calls inside project calls
STEPS_PER_FILE = 150_000
STEPS_PER_ENTRY = 10_000
STEPS_OF_A_MODULE = 50_000  # of a method of a `torch.nn.Module`: what trains is never broken off
STEPS_AT_TOP = 24_000  # a script trains at its top level, all in one run
STEPS_OF_INIT = 13_000  # of an `__init__`: all methods of its class stand on it
STEPS_PER_INIT = 6_000  # of the `__init__` behind a method that is run on its own
STEPS_WITHOUT_TENSORS = 3_000  # a function that met no tensor by then is not about tensors
STEPS_AT_A_GLANCE = 1_500  # of a function whose text says that it meets none


class PathEnds(Exception):
    """Python raises here (an attribute of None): this way through the code is never gone further."""


class OutOfBudget(Exception):
    """This run has looked at enough; what it found so far stands."""


class MeetsNone(OutOfBudget):
    """No tensor in so many steps: there is none in this run, and nothing is missed."""


@dataclass(slots=True)
class Oracle:
    """Decisions inside one statement: replays the given prefix, then takes the first way each time."""

    prefix: tuple[int, ...] = ()
    taken: list[tuple[int, int]] = field(default_factory=list)
    # how the calls of this statement ended, by the decisions before them: a replay comes to the same ends
    ended: dict[tuple[object, ...], list[tuple[list[State], Value]]] = field(default_factory=dict)
    calls: int = 0

    def choose(self, ways: int) -> int:
        at = len(self.taken)
        # a replay may find fewer ways than before: what was learned meanwhile (an imported module) decides some
        choice = min(self.prefix[at], ways - 1) if at < len(self.prefix) else 0
        self.taken.append((choice, ways))
        return choice

    def others(self) -> Iterator[tuple[int, ...]]:
        """The prefixes of the ways that this run left untried."""
        for i in range(len(self.prefix), len(self.taken)):
            for other in range(1, self.taken[i][1]):
                yield (*(c for c, _ in self.taken[:i]), other)


@record
class Signal:
    """How control leaves a statement: "next", "return", "raise", "break" or "continue"."""

    kind: str = "next"
    value: Value = NONE
    node: Node | None = None


NEXT = Signal()


@dataclass(slots=True)
class Outcome:
    state: State
    signal: Signal = NEXT


@dataclass(slots=True)
class Activation:
    """One run of one function body (or of a module's top level)."""

    id: int
    frame: int
    path: str
    function: Function | Lambda | None
    owner: ClassVal | None = None
    self_value: Value | None = None
    outer_frames: tuple[int, ...] = ()
    live: frozenset[str] | None = frozenset()  # names read after the block that runs; None: any may be
    unrolled: int = 1  # how many runs of the loops around, together, the block that runs is one of
    yields: list[Value] = field(default_factory=list)
    result_comment: tuple[Written, Site] | None = None  # a comment in the body told the shape of the result
    ran: Ran | None = None  # how this body ran, where that was seen
    sure: bool = True  # is it known to be that way, or one that fits too
    worth: dict[Expr, Value] = field(default_factory=dict)  # of such a body: what expressions were worth last


@dataclass(frozen=True, slots=True)
class Ranked:
    """How many axes a parameter has: a letter or "" for each, what that rests on, and whose shape it has too."""

    hints: tuple[str, ...]
    assumption: Assumption | None = None
    like: str | None = None


Told = dict[str, Ranked]


@dataclass(slots=True)
class Entry:
    """The function that runs as if called from outside: what an earlier run of it told, and where to learn more."""

    told: Told = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)  # parameter of unknown rank -> the key of its shape
    ends: list[State] = field(default_factory=list)  # what is known at the end of each way through it
    axes: dict[str, tuple[Axis, ...]] = field(default_factory=dict)  # of those parameters that were told a rank


Ends = list[tuple[list[State], Value]]  # the different results of a call, each with the states that end in it
