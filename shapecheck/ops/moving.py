"""Ops that give axes, or the numbers along them, another order: transpose, permute, t, movedim, flip, roll."""

from __future__ import annotations

from typing import Any

from shapecheck.dims import NEVER
from shapecheck.engine.values import Axis, Partial, Tensor, Value
from shapecheck.ops import customs
from shapecheck.ops.axes import (
    as_tensor,
    integers,
    is_none,
    like,
    position,
    put,
    reach,
    take,
)  # fmt: skip
from shapecheck.ops.kit import Kit, op


@op("torch.transpose", "Tensor.transpose", "Tensor.transpose_", "torch.swapaxes", "torch.swapdims", "Tensor.swapaxes",
    "Tensor.swapdims", name="transpose", parameters="input, dim0, dim1")  # fmt: skip
def transpose(kit: Kit, input: Value, dim0: Value, dim1: Value) -> Value:
    tensor = as_tensor(input)
    a, b = kit.integer(dim0), kit.integer(dim1)
    if a is None or b is None:
        rank = tensor.rank
        if rank is None:
            return Tensor(Partial(), tensor.dtype)
        return Tensor(tuple(Axis(kit.fresh("n")) for _ in range(rank)), tensor.dtype)
    return transposed(kit, "transpose", tensor, a, b)


def transposed(kit: Kit, name: str, tensor: Tensor, a: int, b: int) -> Tensor:
    found = reach(kit, name, tensor, a, b)
    if found is None:
        return Tensor(Partial(), tensor.dtype)
    shape = found.shape
    if shape == ():
        return like(tensor)
    first, second = take(shape, a), take(shape, b)
    if first is None or second is None or (isinstance(shape, Partial) and (a < 0) != (b < 0)):
        return Tensor(Partial(), tensor.dtype)
    return Tensor(put(put(shape, a, second), b, first), tensor.dtype)


@op("torch.permute", "Tensor.permute")
def permute(kit: Kit, input: Value, *dims: Value, **more: Any) -> Value:
    tensor = as_tensor(input)
    order = integers(kit, more["dims"] if "dims" in more else dims[0] if len(dims) == 1 else dims)
    if order is None:
        return Tensor(Partial(), tensor.dtype)
    tensor = kit.rank(tensor, len(order))
    axes = tensor.axes
    if axes is None:
        return Tensor(Partial(), tensor.dtype)
    where = [position(axes, d) for d in order]
    if len(axes) != len(order) or sorted(w for w in where if w is not None) != list(range(len(axes))):
        kit.crash("setting", "permute", (tensor,), len(order), len(axes), NEVER, f"permute{order} of rank {len(axes)}")
        return Tensor(Partial(), tensor.dtype)
    return Tensor(tuple(axes[w] for w in where if w is not None), tensor.dtype)


@op("torch.t", "Tensor.t", "Tensor.t_")
def t(kit: Kit, input: Value) -> Value:
    """A matrix turned over; vectors and scalars stay. An unknown tensor is taken to be a matrix."""
    tensor = kit.rank(as_tensor(input), 2)
    if tensor.axes is None:
        return Tensor(Partial(), tensor.dtype)
    if len(tensor.axes) > 2:
        kit.crash("rank", "t", (tensor,), len(tensor.axes), 2, NEVER, "t() is for matrices")
        return Tensor(Partial(), tensor.dtype)
    return Tensor(tuple(reversed(tensor.axes)), tensor.dtype)


@op("Tensor.T", "Tensor.H", name="t")
def reversed_axes(kit: Kit, input: Value) -> Value:
    """All axes in reverse. An unknown tensor is taken to be a matrix: torch deprecates the rest."""
    tensor = as_tensor(input)
    matrix = isinstance(tensor.shape, Partial) and tensor.shape.min_rank <= 2
    if matrix and (custom := kit.assume(customs.MATRIX)):
        tensor = kit.rank(tensor, 2, custom)
    if isinstance(tensor.shape, Partial):
        shape = Partial(tuple(reversed(tensor.shape.tail)), tuple(reversed(tensor.shape.head)))
        return Tensor(shape, tensor.dtype)
    return Tensor(tuple(reversed(tensor.shape)), tensor.dtype)


@op("Tensor.mT", "Tensor.mH", "torch.adjoint", "Tensor.adjoint", name="transpose")
def matrix_transpose(kit: Kit, input: Value) -> Value:
    tensor = as_tensor(input)
    if tensor.rank == 1:
        kit.crash("rank", "mT", (tensor,), tensor.rank, 2, NEVER, "mT needs at least two axes")
        return Tensor(Partial(), tensor.dtype)
    if tensor.rank == 0:
        return like(tensor)
    return transposed(kit, "transpose", tensor, -2, -1)


@op("torch.movedim", "torch.moveaxis", "Tensor.movedim", "Tensor.moveaxis")
def movedim(kit: Kit, input: Value, source: Value, destination: Value) -> Value:
    tensor = as_tensor(input)
    sources, goals = integers(kit, source), integers(kit, destination)
    if sources is None or goals is None or tensor.axes is None:
        return Tensor(Partial(), tensor.dtype)
    axes = tensor.axes
    if not axes and {*sources, *goals} <= {0, -1}:
        return like(tensor)
    here, there = [position(axes, s) for s in sources], [position(axes, g) for g in goals]
    if (
        len(here) != len(there)
        or None in here
        or None in there
        or len(set(here)) < len(here)
        or len(set(there)) < len(there)
    ):
        kit.crash("setting", "movedim", (tensor,), len(here), len(there), NEVER, f"rank {len(axes)}")
        return Tensor(Partial(), tensor.dtype)
    result: list[Axis | None] = [None] * len(axes)
    for s, g in zip(here, there):
        assert s is not None
        assert g is not None
        result[g] = axes[s]
    rest = iter(a for i, a in enumerate(axes) if i not in here)
    return Tensor(tuple(a if a is not None else next(rest) for a in result), tensor.dtype)


@op("torch.flip", "Tensor.flip")
def flip(kit: Kit, input: Value, *dims: Value, **more: Any) -> Value:
    tensor = as_tensor(input)
    order = integers(kit, more["dims"] if "dims" in more else dims[0] if len(dims) == 1 else dims)
    found = reach(kit, "flip", tensor, *order) if order else tensor
    return like(found or tensor)


@op("torch.fliplr", "torch.flipud", "Tensor.fliplr", "Tensor.flipud")
def fliplr(kit: Kit, input: Value) -> Value:
    return like(as_tensor(input))


@op("torch.roll", "Tensor.roll")
def roll(kit: Kit, input: Value, shifts: Value, dims: Any = None) -> Value:
    tensor = as_tensor(input)
    order = None if is_none(dims) else integers(kit, dims)
    found = reach(kit, "roll", tensor, *order) if order else tensor
    return like(found or tensor)


@op("torch.rot90", "Tensor.rot90")
def rot90(kit: Kit, input: Value, k: Any = 1, dims: Any = (0, 1)) -> Value:
    tensor, turns, plane = as_tensor(input), kit.integer(k), integers(kit, dims)
    if turns is None or plane is None or len(plane) != 2 or tensor.axes is None:
        return Tensor(Partial(), tensor.dtype)
    return transposed(kit, "rot90", tensor, *plane) if turns % 2 else like(tensor)
