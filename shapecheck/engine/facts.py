"""What the interpreter states. Facts hold values and places and no opinion: rules have those.

Every fact carries `site` (the node it speaks of) and `stack` (the calls through which the run came there, outermost
first), so that a rule can lay the blame where the operands were made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from shapecheck.dims import Size, Verdict
from shapecheck.dims.record import record
from shapecheck.engine.faults import Fault
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Assumption, Axis, OfOp, Shape, Site, Tensor, Value
from shapecheck.ops.demands import Demand
from shapecheck.ops.kinds import kind_of
from shapecheck.source.program import Function, Program

if TYPE_CHECKING:
    from shapecheck.ops.kit import OpSpec


@record
class Frame:
    """One call on the way: the call node, the activation it started, and the name of what was called."""

    site: Site
    activation: int
    name: str


@record(eq=False, kw_only=True)
class Fact:
    site: Site
    stack: tuple[Frame, ...] = ()
    activation: int = 0
    path: tuple[tuple[str, bool], ...] = ()  # decisions taken on the way: ("self.training", True)


@record(eq=False)
class Called(Fact, OfOp):
    """A known op ran. `spec` is the op, `name` its dotted or method name as found, `args` its bound arguments by
    torch's parameter names (defaults included), `given` the names that the code wrote itself."""

    spec: OpSpec
    name: str
    args: dict[str, Any]
    result: Value
    given: frozenset[str] = frozenset()


@record(eq=False)
class Met(Fact):
    """Two operands met in + - * or /, one of which at least has no known rank."""

    operands: tuple[Value, ...]


@record(eq=False)
class Broadcasted(Fact):
    """Operands of an elementwise op or of a product's batch axes met. `shapes` are as given, `result` as computed.

    `stretched`: (operand, axis index from the right, counted -1, -2, ...) of each axis of size 1, or absent (then
    `absent` lists it likewise), that was stretched to a size that is not 1.
    """

    op: str
    operands: tuple[Tensor, ...]
    result: Tensor
    stretched: tuple[tuple[int, int], ...] = ()
    absent: tuple[tuple[int, int], ...] = ()

    @property
    def kind(self) -> int:
        """What the op is that they met in, as bits of `shapecheck.ops.kinds`."""
        return kind_of(self.op)


@record(eq=False)
class Demanded(Fact):
    """torch demands something of this call that cannot hold (the verdict is NEVER), or holds only where the verdict's
    condition does: then it raises.

    `op` is the op as sentences say it, `kind` what it is (bits of `shapecheck.ops.kinds`), `argument` torch's name of
    the parameter that has to fit ("": the operands together). `left` is what there is, `right` what it must be;
    `detail` says in words what they are, for messages.
    """

    op: str
    kind: int
    demand: Demand
    operands: tuple[Tensor, ...]
    left: Size | None
    right: Size | None
    verdict: Verdict
    detail: str = ""
    argument: str = ""


@record(eq=False)
class Applied(Fact):
    """Something whose code is not known was called: a model handed in, a function from elsewhere.

    `name` is the callee as the code writes it. `member`: it is an attribute of a module's own instance
    (`self.backbone(x)`), so what goes in and what comes out has the batch in front.
    """

    name: str
    args: tuple[Value, ...]
    result: Value
    member: bool = False


@record(eq=False)
class Overridden(Fact):
    """A parameter of `__init__` whose default is a function, where the base class has another default: `result` and
    `inherited` are what each gives for two tensors `[B, D]`. `owner` is the base class, `default` its function."""

    name: str
    result: Tensor
    inherited: Tensor
    owner: str
    default: str


@record(eq=False)
class Stored(Fact):
    """`tensor[items] = value`. An item that counts a `range` is an `Unknown` whose key is in `Facts.counters`."""

    tensor: Tensor
    items: tuple[Value, ...]
    value: Value


@record(eq=False)
class Learned(Fact):
    """Until here nothing was known of the size `symbol`; `op` needs it to be `size`."""

    symbol: str
    size: Size
    op: str


@record(eq=False)
class Squared(Fact):
    """`op` needs two axes of one tensor, of the unknown shape `key`, to be of one size. They are not learned to be."""

    op: str
    key: str
    sizes: tuple[Size, Size]


@record(eq=False)
class Assigned(Fact):
    """A value got a name (or an attribute, an item, a loop variable): `name` as the code writes it."""

    name: str
    value: Value


@record(eq=False)
class Signed(Fact):
    """A function of the file that annotates tensors. `params` and `returns` are the axis strings as written, in the
    order in which a runtime checker reads them; a union or container gives several, `certain` is False for those."""

    function: Function
    params: tuple[Signature, ...]
    returns: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    subject: str
    axes: str
    site: Site
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Declared:
    """A shape that the author wrote down. `axes` are axis texts of the spec language; `sizes` what they mean here
    where that is known (None: that axis says nothing). `source`: "comment" "docstring" "annotation" "assert"."""

    source: str
    text: str
    axes: tuple[str, ...]
    sizes: tuple[Size | None, ...]
    site: Site
    variadic: bool = False


@record(eq=False)
class Contract(Fact):
    """Something declared was compared with what the code computes. `subject` names it ("scores", "return value")."""

    subject: str
    declared: Declared
    value: Tensor
    verdict: Verdict
    # the first axis that disagrees, counted from the end where it stands behind a "..."; None when the ranks do
    axis: int | None = None

    @property
    def have(self) -> Axis | None:
        """The axis that disagrees, as the code computes it; `declared.sizes[axis]` is what is written."""
        if self.axis is None:
            return None
        shape = self.value.shape
        if isinstance(shape, tuple):
            return shape[self.axis]
        return shape.tail[self.axis] if self.axis < 0 else shape.head[self.axis]


@record(eq=False)
class Beside(Fact):
    """A comment on a line of its own tells a shape that the statement below it does not have. It may speak of a
    neighbour: `contract` holds only where no neighbour has that shape either."""

    contract: Contract


@record(eq=False)
class Returned(Fact):
    """A project function returned to its caller (or the file's own entry run ended)."""

    name: str
    value: Value


T = TypeVar("T", bound=Fact)
R = TypeVar("R")


@dataclass(slots=True)
class Facts:
    """All facts of one file, in the order in which they were found; duplicates from other paths left in."""

    path: str
    items: list[Fact] = field(default_factory=list)
    read: list[str] = field(default_factory=list)  # every project file that was looked at
    authored: dict[str, str] = field(default_factory=dict)  # symbol -> the name that the author gave it
    hints: dict[str, str] = field(default_factory=dict)  # symbol -> a letter that fits
    settled: set[str] = field(default_factory=set)  # symbols of annotations that are `int` parameters of the code too
    counters: dict[str, tuple[Size, Size]] = field(default_factory=dict)  # loop variable -> (first, count)
    # key of an unknown shape -> what the rest of the function taught of it, for whoever shows shapes; rules judge
    # each line by what was known when it ran
    later: dict[str, Shape] = field(default_factory=dict)
    shaped: set[str] = field(default_factory=set)  # keys of unknown things of which an op taught some of the shape
    like: dict[str, str] = field(default_factory=dict)  # key of `x * 2` -> that of x: if a tensor, of the same shape
    assumed: dict[Assumption, None] = field(default_factory=dict)  # all that was taken for granted
    refuted: set[Assumption] = field(default_factory=set)  # written shapes that the code under them cannot have
    supposed: dict[str, Assumption] = field(default_factory=dict)  # symbol -> what says that there is such a size
    # what was found of an entry in the world that its names suggest, and what was taken for granted there
    worlds: list[tuple[list[Fact], dict[Assumption, None]]] = field(default_factory=list)
    program: Program | None = None
    unfinished: list[str] = field(default_factory=list)  # functions that have more to them than the step limit allows
    faults: dict[tuple[str, str, str], Fault] = field(default_factory=dict)  # bugs of ours, each once
    _answers: dict[Any, Any] = field(default_factory=dict)  # of `once`, while there are as many facts as now
    _counted: int = 0

    def names(self) -> Names:
        """A fresh naming for one message."""
        return Names(self.authored, self.hints)

    def forget(self, mark: int) -> None:
        """Take back all that was found since there were `mark` facts."""
        del self.items[mark:]
        self._answers.clear()

    def in_worlds(self) -> Iterator[Facts]:
        """The facts of each customary world, on their own."""
        for items, assumed in self.worlds:
            yield replace(self, items=items, assumed=self.assumed | assumed, worlds=[], _answers={}, _counted=0)

    def of(self, kind: type[T]) -> Sequence[T]:
        """All facts of this kind, in order."""
        return self.once(_all_of, kind)

    def once(self, make: Callable[..., R], *more: Any) -> R:
        """`make(facts, *more)`, made once: rules ask the same for each of thousands of facts."""
        if self._counted != len(self.items):
            self._answers.clear()
            self._counted = len(self.items)
        key = (make, *more)
        if key not in self._answers:
            self._answers[key] = make(self, *more)
        answer: R = self._answers[key]
        return answer


def _all_of(facts: Facts, kind: type[T]) -> list[T]:
    return [f for f in facts.items if isinstance(f, kind)]


__all__ = [
    "Applied",
    "Assigned",
    "Axis",
    "Beside",
    "Broadcasted",
    "Called",
    "Contract",
    "Declared",
    "Demanded",
    "Fact",
    "Facts",
    "Frame",
    "Learned",
    "Met",
    "Overridden",
    "Returned",
    "Shape",
    "Stored",
    "Tensor",
]
