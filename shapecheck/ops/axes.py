"""Reading arguments, and the few moves on shapes that every op is made of: take, put, drop, insert, require.

All of them keep what is sound of a `Partial`: `dim=0` touches its head, `dim=-1` its tail, the rest survives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapecheck.dims import NEVER, Size, exact_div, symbol, symbols
from shapecheck.engine.values import (
    Axis,
    Extern,
    Items,
    Lit,
    Many,
    Mapping,
    Num,
    Partial,
    Shape,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.ops.demands import Demand
from shapecheck.ops.kit import Kit

MAX_RANK = 64  # no tensor of torch's has more axes

# ------------------------------------------------------------------ arguments


def as_tensor(value: Any) -> Tensor:
    """The tensor that torch makes of an operand: a number is a scalar, an unknown thing a tensor of unknown shape."""
    match value:
        case Tensor():
            return value
        case bool() | Lit(bool()):
            return Tensor((), "bool")
        case int() | Num():
            return Tensor((), "int")
        case float() | Lit(float()):
            return Tensor((), "float")
        case complex() | Lit(complex()):
            return Tensor((), "complex")
        case Unknown(hint="float" | "int" | "bool" as hint):
            return Tensor((), hint)
        case Unknown(hint="", key=str(key)):
            return Tensor(Partial(key=key))
        case _:
            return Tensor()


def is_number(value: Any) -> bool:
    """Is this a Python number, not a tensor? (An unknown thing is not known to be one.)"""
    return not isinstance(value, Tensor) and as_tensor(value).rank == 0


def is_none(value: Any) -> bool:
    return value is None or value == Lit(None)


def flag(value: Any) -> bool | None:
    """The truth of a flag argument; None when it is not known."""
    match value:
        case bool() | int():
            return bool(value)
        case Lit(bool() | None as known):
            return bool(known)
        case None:
            return False
        case Num(int() as size):
            return bool(size)
    return None


def text(value: Any) -> str | None:
    """A string argument such as `reduction="mean"`; None when it is not known."""
    match value:
        case str():
            return value
        case Lit(str() as known):
            return known
    return None


def members(value: Any) -> tuple[Value, ...] | None:
    """The members of a tuple or list of known length."""
    match value:
        case Items(_, items):
            return items
        case Mapping(items, None, "namedtuple"):
            return tuple(v for _, v in items)
        case tuple() | list():
            return tuple(value)
    return None


def integers(kit: Kit, value: Any) -> tuple[int, ...] | None:
    """`dim=1` or `dim=(1, 2)` as a tuple; None when it is not known."""
    one = kit.integer(value)
    if one is not None:
        return (one,)
    many = members(value)
    if many is None:
        return None
    found = tuple(kit.integer(v) for v in many)
    known = tuple(v for v in found if v is not None)
    return known if len(known) == len(found) else None


def many_tensors(value: Any) -> tuple[Tensor, ...] | Many | None:
    """The tensors of a list argument (`cat`, `stack`): all of them, one that stands for all, or None."""
    if isinstance(value, Many):
        return value
    if isinstance(value, Tensor):  # a tensor iterates over its first axis
        axes = value.axes
        return Many(Tensor(axes[1:], value.dtype), axes[0].size) if axes else None
    items = members(value)
    return None if items is None else tuple(as_tensor(v) for v in items)


_DTYPES = {
    "float": "float", "float16": "float", "float32": "float", "float64": "float", "bfloat16": "float", "half": "float",
    "double": "float", "int": "int", "int8": "int", "int16": "int", "int32": "int", "int64": "int", "long": "int",
    "short": "int", "uint8": "byte", "bool": "bool", "complex64": "complex", "complex128": "complex",
    "cfloat": "complex",
}  # fmt: skip


def dtype_of(value: Any, otherwise: str | None = None) -> str | None:
    """The family of a `dtype=` argument: `torch.long` is "int"; `otherwise` when none is given."""
    match value:
        case Extern(name):
            return _DTYPES.get(name.rpartition(".")[2])
        case None | Lit(None):
            return otherwise
    return None


_ORDER = ("bool", "byte", "int", "float", "complex")


def promote(*dtypes: str | None) -> str | None:
    """The family that arithmetic on these gives."""
    known = [d for d in dtypes if d is not None]
    if "complex" in known:
        return "complex"
    if len(known) < len(dtypes):
        return None
    return max(known, key=_ORDER.index, default=None)


def named(**fields: Value) -> Mapping:
    """What torch returns as a named tuple."""
    return Mapping(tuple(fields.items()), None, "namedtuple")


# --------------------------------------------------------------------- shapes


def like(tensor: Tensor, dtype: str | None = "same") -> Tensor:
    """A new tensor of the same shape; its values are new too."""
    return Tensor(tensor.shape, tensor.dtype if dtype == "same" else dtype)


def position(shape: Shape, dim: int) -> int | None:
    """`dim` counted from the front, or None where it lies outside (a Partial: outside of what is known)."""
    if isinstance(shape, tuple):
        index = dim + len(shape) if dim < 0 else dim
        return index if 0 <= index < len(shape) else None
    if 0 <= dim < len(shape.head):
        return dim
    return None


def take(shape: Shape, dim: int) -> Axis | None:
    """The axis at `dim`, where that is known."""
    if isinstance(shape, tuple):
        index = position(shape, dim)
        return None if index is None else shape[index]
    if dim >= 0:
        return shape.head[dim] if dim < len(shape.head) else None
    return shape.tail[dim] if -dim <= len(shape.tail) else None


def put(shape: Shape, dim: int, *axes: Axis) -> Shape:
    """`shape` with the axis at `dim` replaced by `axes` (none of them: dropped). `dim` must be in range."""
    if isinstance(shape, tuple):
        index = position(shape, dim)
        if index is None:
            raise IndexError(dim)
        return (*shape[:index], *axes, *shape[index + 1 :])
    head, tail = shape.head, shape.tail
    if dim >= 0:
        if dim < len(head):
            return Partial((*head[:dim], *axes, *head[dim + 1 :]), tail)
        return Partial(head)  # the axis may lie in the tail
    if -dim <= len(tail):
        index = len(tail) + dim
        return Partial(head, (*tail[:index], *axes, *tail[index + 1 :]))
    return Partial((), tail)


def insert(shape: Shape, dim: int, axis: Axis) -> Shape | None:
    """`shape` with a new axis that ends up at `dim`; None when `dim` is out of range."""
    if isinstance(shape, tuple):
        index = dim + len(shape) + 1 if dim < 0 else dim
        return (*shape[:index], axis, *shape[index:]) if 0 <= index <= len(shape) else None
    head, tail = shape.head, shape.tail
    if dim >= 0:
        return Partial((*head[:dim], axis, *head[dim:]), tail) if dim <= len(head) else Partial(head)
    index = len(tail) + 1 + dim
    return Partial(head, (*tail[:index], axis, *tail[index:])) if index >= 0 else Partial((), tail)


def reach(kit: Kit, op: str, tensor: Tensor, *dims: int) -> Tensor | None:
    """The tensor, known to have these dims: torch raises on others (stated; then None). Teaches an unknown tensor
    that it has at least so many axes (a scalar, which torch lets pass for dim 0, is never meant)."""
    for dim in dims:
        shape = tensor.shape
        if isinstance(shape, tuple):
            if position(shape, dim) is None and not (not shape and dim in (0, -1)):
                wrong_dim(kit, op, tensor, dim)
                return None
        elif not -MAX_RANK <= dim < MAX_RANK:
            refuse(kit, op, (tensor,), f"it is over dim {dim}, and no tensor has so many axes", dim, MAX_RANK)
            return None
        elif dim >= len(shape.head) and not shape.tail:
            extra = tuple(Axis(kit.fresh("n")) for _ in range(dim + 1 - len(shape.head)))
            tensor = kit.refine(tensor, Partial((*shape.head, *extra), (), shape.key))
        elif dim < 0 and -dim > len(shape.tail) and not shape.head:
            extra = tuple(Axis(kit.fresh("n")) for _ in range(-dim - len(shape.tail)))
            tensor = kit.refine(tensor, Partial((), (*extra, *shape.tail), shape.key))
    return tensor


def wrong_dim(kit: Kit, op: str, tensor: Tensor, dim: int, extra: int = 0) -> None:
    """State that `dim` is out of range for this tensor."""
    rank = tensor.rank or 0
    kit.crash("dim", op, (tensor,), dim, rank + extra, NEVER, f"dim {dim} of a tensor of rank {rank}", "dim")


# ----------------------------------------------------------------- agreements


def require(
    kit: Kit,
    demand: Demand,
    op: str,
    operands: Sequence[Tensor],
    a: Size,
    b: Size,
    detail: str = "",
    argument: str = "",
) -> bool:
    """torch needs a == b: learn it, or state the crash. False when they are never equal."""
    verdict = kit.agree(a, b)
    if verdict.never or (verdict.sometimes and not _unsettled(kit, a, b)):
        kit.crash(demand, op, operands, a, b, verdict, detail, argument)
    return not verdict.never


def within(kit: Kit, op: str, tensor: Tensor, axis: Axis, at: Size) -> None:
    """torch needs a place of this axis: state where `at` lies past it, or before it."""
    if isinstance(at, int) and isinstance(axis.size, int):
        past = at >= axis.size or -at > axis.size
    else:
        over = at - axis.size
        past = isinstance(over, int) and over >= 0
    if past:
        kit.crash("within", op, (tensor,), at, axis.size, NEVER, "the index", "index")


def is_open(kit: Kit, size: Size) -> bool:
    """Does the size depend on one that nothing is known of, or that is configured ("$")?"""
    return any(name.startswith("$") or kit.is_free(symbol(name)) for name in symbols(kit.resolve(size)))


def _unsettled(kit: Kit, a: Size, b: Size) -> bool:
    """May two sizes be equal for all that is known? W*N and N may not, whatever N is: they are W = 1 apart."""
    for whole, part in ((kit.resolve(a), kit.resolve(b)), (kit.resolve(b), kit.resolve(a))):
        times = exact_div(whole, part)
        if times is not None and not is_open(kit, times):
            return False
    return is_open(kit, a) or is_open(kit, b)


def same_axis(kit: Kit, a: Axis, b: Axis) -> Axis:
    """One axis for two that were required to be equal: the one that says more."""
    if kit.is_free(a.size) and not kit.is_free(b.size):
        return b
    return b if a.layout is None and b.layout is not None else a


def same_shape(kit: Kit, demand: Demand, op: str, operands: Sequence[Tensor], a: Shape, b: Shape) -> Shape:
    """torch needs equal shapes, without broadcasting: what is known of both."""
    if isinstance(a, Partial) and isinstance(b, Partial):
        return a if a.min_rank >= b.min_rank else b
    if isinstance(a, Partial) or isinstance(b, Partial):
        known, other = (b, a) if isinstance(a, Partial) else (a, b)
        assert isinstance(known, tuple)
        assert isinstance(other, Partial)
        if other.min_rank > len(known):
            rank_crash(kit, op, operands, len(known), other.min_rank)
            return known
        for x, y in [*zip(known, other.head), *zip(reversed(known), reversed(other.tail))]:
            require(kit, demand, op, operands, x.size, y.size)
        owner = next((t for t in operands if t.shape is other), None)
        if owner is not None:
            kit.refine(owner, known)
        return known
    if len(a) != len(b):
        rank_crash(kit, op, operands, len(a), len(b))
        return a
    for x, y in zip(a, b):
        require(kit, demand, op, operands, x.size, y.size)
    return tuple(same_axis(kit, x, y) for x, y in zip(a, b))


def rank_crash(kit: Kit, op: str, operands: Sequence[Tensor], left: int, right: int, detail: str = "") -> None:
    kit.crash("rank", op, operands, left, right, NEVER, detail or f"rank {left} against rank {right}")


def refuse(
    kit: Kit, op: str, operands: Sequence[Tensor], detail: str, left: Size | None = None, right: Size | None = None
) -> None:
    """State that torch raises whatever else is given: an argument is none that the op takes. `detail` says which."""
    kit.crash("setting", op, operands, left, right, NEVER, detail)


def not_positive(kit: Kit, op: str, x: Tensor, name: str, value: Size | None, least: int = 1) -> bool:
    """Is the argument a number below `least`? Then torch raises, which is stated."""
    if isinstance(value, int) and value < least:
        refuse(kit, op, (x,), f"{name} is {value}, and must be {least} or more", value, least)
        return True
    return False


def product(sizes: Sequence[Size]) -> Size:
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def numel(tensor: Tensor) -> Size | None:
    return None if tensor.sizes is None else product(tensor.sizes)


def convolved(kit: Kit, op: str, x: Tensor, weight: Tensor, rank: int) -> bool:
    """Whether the ranks fit for windows over `rank` axes; a crash where they don't."""
    if x.rank not in (rank + 1, rank + 2):
        rank_crash(kit, op, (x, weight), x.rank or 0, rank + 2, f"the input needs rank {rank + 1} or {rank + 2}")
    elif weight.rank != rank + 2:
        rank_crash(kit, op, (x, weight), weight.rank or 0, rank + 2, f"the weight needs rank {rank + 2}")
    else:
        return True
    return False
