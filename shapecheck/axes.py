"""Following one axis of a tensor back through the ops that only move it."""

from __future__ import annotations

from shapecheck.dims import Size
from shapecheck.facts import Called
from shapecheck.values import Layer, Lit, Num, Tensor, Value

STILL = frozenset({"to", "same", "float", "double", "half", "bfloat16", "cuda", "cpu", "contiguous", "detach", "clone",
                   "type", "type_as", "dropout", "Dropout", "masked_fill", "nan_to_num"})  # fmt: skip
ALONG = frozenset({"softmax", "log_softmax", "softmin", "Softmax", "LogSoftmax", "Softmin", "normalize"})


def dim_of(args: dict[str, Value]) -> int | None:
    """The `dim` of a call, or of the layer that was called; None where it is absent or not a plain number."""
    layer = args.get("self")
    value = layer.arg("dim") if isinstance(layer, Layer) else args.get("dim")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return value.size if isinstance(value, Num) and isinstance(value.size, int) else None


def is_implicit(fact: Called) -> bool:
    """Did the code leave `dim` out, for torch to choose?"""
    layer = fact.args.get("self")
    if isinstance(layer, Layer):
        return layer.arg("dim") == Lit(None)
    return "dim" not in fact.given and fact.args.get("dim") is None


def place(dim: int, rank: int) -> int:
    """A dim counted from the front."""
    return dim + rank if dim < 0 else dim


def back(tensor: Tensor, axis: int) -> tuple[Tensor, int] | None:
    """The tensor of known rank that was normalised (`ALONG`), and where this axis stood in it."""
    for _ in range(30):
        made, rank = tensor.made, tensor.rank
        if made is None or rank is None or not 0 <= axis < rank:
            return None
        if made.op in ALONG:
            return tensor, axis
        source = made.args.get("input")
        if not isinstance(source, Tensor) or source.rank is None:
            return None
        moved = _before(made.op, made.args, axis, source.rank)
        if moved is None:
            return None
        tensor, axis = source, moved
    return None


def _before(op: str, args: dict[str, Value], axis: int, rank: int) -> int | None:
    """Where the result's axis stood in the operand of that rank."""
    if op in STILL:
        return axis
    match op:
        case "t":
            return rank - 1 - axis
        case "transpose" | "swapaxes":
            dims = [_number(args.get(name)) for name in ("dim0", "dim1")]
            if dims == [None, None] and "dim0" not in args:  # mT
                dims = [-1, -2]
            if None in dims:
                return None
            a, b = (place(d, rank) for d in dims if d is not None)
            return {a: b, b: a}.get(axis, axis)
        case "unsqueeze":
            at = _number(args.get("dim"))
            at = None if at is None else place(at, rank + 1)
            return None if at is None or at == axis else axis - (axis > at)
        case "squeeze":
            at = _number(args.get("dim"))
            at = None if at is None else place(at, rank)
            return None if at is None else axis + (axis >= at)
        case _:
            return None


def _number(value: object) -> int | None:
    size: Size | object = value.size if isinstance(value, Num) else value
    return size if isinstance(size, int) and not isinstance(size, bool) else None


__all__ = ["ALONG", "STILL", "back", "dim_of", "is_implicit", "place"]
