"""What an expression is worth to the interpreter: tensors with symbolic shapes, sizes, Python containers, callables.

Values are immutable. A mutable Python object (an instance, a list that is appended to) is a `Ref` into the heap of the
interpreter's state, so that two paths through the code never see each other's changes.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from shapecheck.dims import Size
from shapecheck.dims.record import record

if TYPE_CHECKING:
    from shapecheck.ops.kit import OpSpec
    from shapecheck.source.program import Class, Function, Lambda, Node


# ------------------------------------------------------------------- evidence


@record
class Site:
    """A place in the code that is being read: a node and the file it stands in."""

    path: str
    node: Node


@record
class Assumption:
    """Something that nobody proved: `text` goes on after "assuming". `source` is the "comment" or "docstring" at `site`
    that says it; "" of a custom, assumed there."""

    text: str
    site: Site
    source: str = ""


@record
class Origin:
    """How a size was learned: a short phrase ("unpacked from x.shape", "nn.Linear out_features"), where, what has to be
    assumed for it, and what the op is that gave it (bits of `shapecheck.ops.kinds`; 0: no op did)."""

    text: str
    site: Site | None
    assumption: Assumption | None = None
    kind: int = 0


# --------------------------------------------------------------------- shapes


@record
class Merged:
    """A flat axis made of several, row-major: the first factor is outermost. `B*G` rows of a view are (B, G)."""

    factors: tuple[Axis, ...]


@record
class Joined:
    """An axis made by `cat`: one part after the other."""

    parts: tuple[Axis, ...]


Layout: TypeAlias = Merged | Joined | None


@record
class Axis:
    """One axis: its size; outside equality, its memory layout, where it came from, and a role.

    `role`: "" or one of "batch" (first axis of an input), "rank" (process rank after a gather), "block" (index of a
    `cat`/`stack` member), "copy" (equal elements, of `expand` or `repeat`).
    """

    size: Size
    layout: Layout = field(default=None, compare=False)
    origin: Origin | None = field(default=None, compare=False, repr=False)
    role: str = field(default="", compare=False)


@record
class Partial:
    """A shape of unknown rank: at least `len(head) + len(tail)` axes, the first ones `head`, the last ones `tail`.

    `key` names an unknown shape that later code can refine (a parameter's); None when nothing more can be learned.
    """

    head: tuple[Axis, ...] = ()
    tail: tuple[Axis, ...] = ()
    key: str | None = field(default=None, compare=False)

    @property
    def min_rank(self) -> int:
        return len(self.head) + len(self.tail)


Shape: TypeAlias = tuple[Axis, ...] | Partial
UNKNOWN_SHAPE = Partial()


# -------------------------------------------------------------------- content


@record
class Affine:
    """The values of a 1-D integer tensor: element i is `offset + stride * i`. zeros are (0, 0), arange(B) is (0, 1)."""

    offset: Size
    stride: Size


Content: TypeAlias = Affine | None


# --------------------------------------------------------------------- values


class OfOp:
    """What a call of an op, and a tensor's memory of the call that made it, answer of the op and its arguments."""

    __slots__ = ()
    spec: OpSpec
    args: dict[str, Any]

    @property
    def op(self) -> str:
        """The op's name as sentences say it: "matmul", "MSELoss"."""
        return self.spec.name

    @property
    def key(self) -> str:
        """The op's canonical key, one for all its spellings: "mse_loss" of `nn.MSELoss` and `F.mse_loss`."""
        return self.spec.key

    @property
    def kind(self) -> int:
        """What the op is, as bits of `shapecheck.ops.kinds`: `made.kind & REDUCTION`."""
        return self.spec.kind

    def arg(self, role: str) -> Any:
        """The argument that plays this role ("input", "other", "dim", "index"...), or what the layer that was called
        has been given under that name; None where there is none."""
        return self.spec.argument(self.args, role)

    def tensor(self, role: str) -> Tensor | None:
        """The tensor that plays this role."""
        value = self.arg(role)
        return value if isinstance(value, Tensor) else None

    def number(self, role: str) -> int | None:
        """The plain number that plays this role."""
        return as_int(self.arg(role))

    def dim(self) -> int | None:
        """The axis that the op runs over, as the code counts it; None where it is absent, several, or not known."""
        return as_int(self.arg("dim"))

    def keeps_dim(self) -> bool | None:
        """Does a reduction keep the axis? None where that is not known."""
        value = self.arg("keepdim")
        truth = value.value if isinstance(value, Lit) else value
        return truth if isinstance(truth, bool) else False if truth is None else None


@record(eq=False)
class Made(OfOp):
    """The call that produced a tensor: the op, its bound arguments (by torch's parameter names), the place, and the
    activation (one run of one function body) it happened in."""

    spec: OpSpec
    args: dict[str, Any]
    site: Site
    activation: int = 0


@record
class Tensor:
    """A tensor. Two are equal when their shapes and dtypes are; `made` (and so the dataflow behind it), `content`
    and `requires` are outside equality."""

    shape: Shape = UNKNOWN_SHAPE
    dtype: str | None = None  # "float" | "int" | "byte" (uint8) | "bool" | "complex" | None
    made: Made | None = field(default=None, compare=False, repr=False)
    content: Content = field(default=None, compare=False)

    @property
    def axes(self) -> tuple[Axis, ...] | None:
        """The axes, or None when the rank is not known."""
        return self.shape if isinstance(self.shape, tuple) else None

    @property
    def rank(self) -> int | None:
        return len(self.shape) if isinstance(self.shape, tuple) else None

    @property
    def sizes(self) -> tuple[Size, ...] | None:
        return tuple(a.size for a in self.shape) if isinstance(self.shape, tuple) else None

    def with_(self, **changes: Any) -> Tensor:
        return replace(self, **changes)


@record
class Num:
    """A Python int whose value is a size (known or symbolic). `of`: the tensor that has it as the size of its axis
    `at`; `ratio`: the two numbers whose floor quotient it is, and where."""

    size: Size
    origin: Origin | None = field(default=None, compare=False, repr=False)
    of: Tensor | None = field(default=None, compare=False, repr=False)
    at: int = field(default=0, compare=False, repr=False)
    ratio: tuple[Num, Num, Site] | None = field(default=None, compare=False, repr=False)


def as_int(value: object) -> int | None:
    """A plain Python int, by itself or as a value; None for everything else, truth values too."""
    size = value.size if isinstance(value, Num) else value
    return size if isinstance(size, int) and not isinstance(size, bool) else None


@record
class Lit:
    """A Python constant that is not an int: None, True, "text", 0.5, Ellipsis, or a slice of literals."""

    value: Any


@record
class SliceVal:
    lower: Value
    upper: Value
    step: Value


@record
class Unknown:
    """Nothing is known. `hint` may say what kind of thing ("float", "int", "bool", "str", "module") when that is."""

    hint: str = ""
    key: str | None = None  # a stable name of the unknown thing, so that tests on it correlate ("self.training")


@record
class Items:
    """A tuple or list (also torch.Size) whose members are all known."""

    kind: str  # "tuple" | "list" | "size" | "set"
    items: tuple[Value, ...]


@record
class Many:
    """A list, tuple, generator or iterable of unknown or symbolic length, every member of which looks like `item`."""

    item: Value
    length: Size | None = None
    kind: str = "list"


@record
class Mapping:
    """A dict, ModelOutput or batch: known string keys, and what any other key gives (None: KeyError or unknown)."""

    items: tuple[tuple[str, Value], ...] = ()
    rest: Value | None = None
    kind: str = "dict"

    def get(self, key: str) -> Value | None:
        for k, v in self.items:
            if k == key:
                return v
        return self.rest


@record
class ShapeOf:
    """`x.shape` / `x.size()` of a tensor whose rank is not known (else it is an `Items("size", ...)`)."""

    tensor: Tensor


@record
class Extern:
    """Something outside the project, by its full dotted name: "torch.matmul", "einops.rearrange"."""

    name: str


@record
class Layer:
    """An instance of an external class whose call means something: `nn.Linear(d, 1)` is ("torch.nn.Linear", args)."""

    name: str
    args: tuple[tuple[str, Value], ...] = ()
    key: str = ""  # where it was made: two layers with one key are one object

    def arg(self, name: str) -> Value | None:
        for k, v in self.args:
            if k == name:
                return v
        return None


@record
class Method:
    """A bound method of a tensor, layer, mapping, list, string or size: `x.view`, `out.append`."""

    owner: Value
    name: str


@record
class Closure:
    """A function, method or lambda of the project, with the frame it was defined in and, for a method, its owner."""

    node: Function | Lambda
    path: str
    frame: int = 0
    self_value: Value | None = None
    owner: ClassVal | None = None
    decorators: tuple[str, ...] = ()


@record
class Bound:
    """`functools.partial`: a callable with some arguments already given."""

    func: Value
    args: tuple[Value, ...]
    kwargs: tuple[tuple[str, Value], ...]


@record
class OneOf:
    """One of several callables, set in different branches: whoever reads it tries each. `key` as of `Unknown`."""

    key: str
    options: tuple[Value, ...]


@record
class ClassVal:
    """A class of the project."""

    node: Class
    path: str
    frame: int = 0


@record
class Ref:
    """A mutable object in the heap: an instance of a project class, or a list or dict that code changes."""

    id: int


@record
class ModuleVal:
    """A module of the project, by path."""

    path: str
    name: str


Value: TypeAlias = (
    Tensor
    | Num
    | Lit
    | SliceVal
    | Unknown
    | Items
    | Many
    | Mapping
    | ShapeOf
    | Extern
    | Layer
    | Method
    | Closure
    | Bound
    | OneOf
    | ClassVal
    | Ref
    | ModuleVal
)

UNKNOWN = Unknown()
NONE = Lit(None)
TRUE = Lit(True)
FALSE = Lit(False)


def tensor(*axes: Axis | Size, dtype: str | None = None) -> Tensor:
    """A tensor of known rank from axes or bare sizes."""
    return Tensor(tuple(a if isinstance(a, Axis) else Axis(a) for a in axes), dtype)


def only_told(tensor: Tensor, *sources: str) -> bool:
    """Does every axis of this tensor come from a text: the "docstring", a "comment"?"""
    origins = [axis.origin for axis in tensor.axes or ()]
    return bool(origins) and all(origin is not None and origin.text in sources for origin in origins)
