"""Following one axis of a tensor back through the ops that only move it."""

from __future__ import annotations

from dataclasses import dataclass

from shapecheck.analysis.origin import same
from shapecheck.dims import Size, TooComplex, compare
from shapecheck.engine.facts import Called
from shapecheck.engine.values import Axis, Items, Layer, Lit, Made, Many, Num, SliceVal, Tensor
from shapecheck.ops.kinds import (
    BOUNDS,
    CAST,
    DROPS,
    JOINS,
    LENGTH,
    MASKS,
    RESHAPES,
    SHIFTS,
    SOFTMAX,
    STRETCHES,
    SWAPS,
    UNIT,
)

# what leaves every axis where it was
STILL = CAST | DROPS | MASKS
ALONG = SOFTMAX | UNIT


def is_implicit(fact: Called) -> bool:
    """Did the code leave `dim` out, for torch to choose?"""
    layer = fact.args.get("self")
    if isinstance(layer, Layer):
        return layer.arg("dim") == Lit(None)
    return "dim" not in fact.given and fact.args.get("dim") is None


def place(dim: int, rank: int) -> int:
    """A dim counted from the front."""
    return dim + rank if dim < 0 else dim


@dataclass(frozen=True, slots=True)
class Found:
    """The tensor that was normalised (`ALONG`), where the axis stood in it, and its rank (None: not known)."""

    tensor: Tensor
    axis: int
    rank: int | None


def back(tensor: Tensor, axis: int, rank: int | None = None) -> Found | None:
    """Where this axis (counted from the front) stood when the tensor was normalised. `rank`: what its use demands."""
    for _ in range(30):
        made = tensor.made
        rank = tensor.rank if tensor.rank is not None else rank
        if made is None or axis < 0 or (rank is not None and axis >= rank):
            return None
        if made.kind & ALONG or norm_dim(tensor) is not None:
            return Found(tensor, axis, rank)
        source = _first(made) if made.kind & JOINS else made.arg("input")
        if not isinstance(source, Tensor):
            return None
        before = source.rank if source.rank is not None else _rank_before(made, rank)
        moved = _cut(tensor, source, axis) if made.kind & RESHAPES else _before(made, axis, before)
        if moved is None:
            return None
        tensor, axis, rank = source, moved, before
    return None


def normal_dim(tensor: Tensor) -> int | None:
    """The dim that the call which made this tensor normalised along; None for all other tensors."""
    made = tensor.made
    if made is None:
        return None
    return made.dim() if made.kind & ALONG else norm_dim(tensor)


def norm_dim(tensor: Tensor) -> int | None:
    """The dim of `x / x.norm(dim=..., keepdim=True)`."""
    made = tensor.made
    if made is None or made.key != "div":
        return None
    given, length = made.args.get("input"), made.args.get("other")
    for _ in range(5):  # clamp, + eps
        if not isinstance(length, Tensor) or length.made is None:
            return None
        if length.made.kind & LENGTH:
            return length.made.dim() if length.made.keeps_dim() and same(length.made.arg("input"), given) else None
        if not length.made.kind & (SHIFTS | BOUNDS | STRETCHES):
            return None
        length = length.made.args.get("input")
    return None


def _first(made: Made) -> Tensor | None:
    """The first of the tensors that a `cat` joins."""
    match made.args.get("tensors"):
        case Items(items=(Tensor() as first, *_)) | Many(item=Tensor() as first):
            return first
        case _:
            return None


def _rank_before(made: Made, rank: int | None) -> int | None:
    """The rank of the operand, where the op tells it from that of the result."""
    if rank is None:
        return None
    match made.key:
        case "unsqueeze":
            return rank - 1
        case "squeeze":
            return rank + 1 if made.dim() is not None else None
        case "getitem":
            kept = _chosen(made)
            return None if kept is None else rank - kept[1].count(None) + sum(1 for k in kept[0] if k is None)
        case key:
            return rank if made.kind & (STILL | SWAPS) or key == "cat" else None


def _cut(tensor: Tensor, source: Tensor, axis: int) -> int | None:
    """The operand's axis that a view leaves whole: of the same size, with as many elements in front of it."""
    if tensor.axes is None or source.axes is None:
        return None
    try:
        front = _product(tensor.axes[:axis])
        for i, own in enumerate(source.axes):
            same = compare(own.size, tensor.axes[axis].size).always and own.size != 1
            if same and compare(_product(source.axes[:i]), front).always:
                return i
    except TooComplex:
        return None
    return None


def _product(axes: tuple[Axis, ...]) -> Size:
    total: Size = 1
    for axis in axes:
        total = total * axis.size
    return total


def _chosen(made: Made) -> tuple[list[int | None], list[int | None]] | None:
    """What a subscript does to the axes: for each axis of the operand that it names, its place in the result (None:
    gone), and for each leading axis of the result the operand's (None: new). None where it is not known."""
    index = made.args.get("index")
    if not isinstance(index, Items):
        return None
    places: list[int | None] = []
    origins: list[int | None] = []
    lists = 0
    for item in index.items:
        match item:
            case SliceVal():
                origins.append(len(places))
                places.append(len(origins) - 1)
            case Lit(value=None):
                origins.append(None)
            case Num():
                places.append(None)
            case Tensor(shape=(_,)) if not lists:
                lists += 1
                origins.append(len(places))
                places.append(len(origins) - 1)
            case _:
                return None
    return places, origins


def _before(made: Made, axis: int, rank: int | None) -> int | None:
    """Where the result's axis stood in the operand of that rank."""
    if made.kind & STILL:
        return axis
    match made.key:
        case "cat":
            at = made.dim()
            at = None if at is None or (rank is None and at < 0) else place(at, rank or 0)
            return None if at is None or at == axis else axis
        case "getitem":
            found = _chosen(made)
            if found is None:
                return None
            places, origins = found
            return origins[axis] if axis < len(origins) else axis - len(origins) + len(places)
        case "t":
            return 1 - axis
        case "transpose":
            dims = [made.number("dim0"), made.number("dim1")]
            if dims == [None, None] and "dim0" not in made.args:  # mT
                dims = [-1, -2]
            if None in dims or rank is None:
                return None
            a, b = (place(d, rank) for d in dims if d is not None)
            return {a: b, b: a}.get(axis, axis)
        case "unsqueeze":
            at = made.dim()
            at = None if at is None or (rank is None and at < 0) else place(at, (rank or 0) + 1)
            return None if at is None or at == axis else axis - (axis > at)
        case "squeeze":
            at = made.dim()
            at = None if at is None or (rank is None and at < 0) else place(at, rank or 0)
            return None if at is None else axis + (axis >= at)
        case _:
            return None


__all__ = ["ALONG", "STILL", "Found", "back", "is_implicit", "normal_dim", "place"]
