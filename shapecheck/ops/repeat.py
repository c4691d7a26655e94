"""Ops that give more of the same numbers: expand, repeat, tile, repeat_interleave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shapecheck.dims import NEVER, Size
from shapecheck.engine.values import NONE, Axis, Merged, Num, Partial, Tensor, Value
from shapecheck.ops import layout
from shapecheck.ops.axes import as_tensor, is_none, put, reach, require, take, wrong_dim
from shapecheck.ops.kit import Kit, op
from shapecheck.ops.reshape import flattened


@op("Tensor.expand", "torch.broadcast_to", "Tensor.broadcast_to", name="expand")
def expand(kit: Kit, input: Value, *sizes: Value, **more: Any) -> Value:
    tensor = as_tensor(input)
    if not sizes:
        sizes = tuple(v for k, v in more.items() if k in ("size", "sizes"))
    wanted = kit.sizes(sizes)
    if wanted is None:
        return Tensor(Partial(), tensor.dtype)
    return expanded(kit, tensor, wanted)


@op("Tensor.expand_as", name="expand")
def expand_as(kit: Kit, input: Value, other: Value) -> Value:
    tensor, model = as_tensor(input), as_tensor(other)
    if model.sizes is None:
        return Tensor(model.shape, tensor.dtype)
    return expanded(kit, tensor, model.sizes)


def expanded(kit: Kit, tensor: Tensor, wanted: Sequence[Size | None]) -> Tensor:
    if tensor.axes is None:
        return Tensor(
            tuple(kit.axis(kit.fresh("n") if s is None or s == -1 else s, "expand") for s in wanted), tensor.dtype
        )
    new = len(wanted) - len(tensor.axes)
    if new < 0:
        kit.crash("stretch", "expand", (tensor,), len(wanted), len(tensor.axes), NEVER, "fewer sizes than axes")
        return Tensor(Partial(), tensor.dtype)
    axes: list[Axis] = []
    for index, size in enumerate(wanted):
        own = tensor.axes[index - new] if index >= new else None
        if own is None:
            if size == -1:
                kit.crash("stretch", "expand", (tensor,), -1, None, NEVER, "-1 for an axis that is new")
            axes.append(_copy(kit, kit.fresh("n") if size is None or size == -1 else size))
        elif size == -1 or (size is None and own.size != 1 and not kit.is_free(own.size)):
            axes.append(own)
        elif size is None:
            axes.append(kit.axis(kit.fresh("n"), "expand"))
        elif layout.equal(kit, own.size, size):
            axes.append(own)
        elif own.size == 1:
            axes.append(_copy(kit, size))
        elif kit.is_free(own.size):
            axes.append(kit.axis(size, "expand"))
        else:
            if not require(kit, "stretch", "expand", (tensor,), own.size, size):
                axes.append(kit.axis(kit.fresh("n"), "expand"))  # one complaint is enough
                continue
            axes.append(own if kit.is_free(size) else kit.axis(size, "expand"))
    return Tensor(tuple(axes), tensor.dtype)


def _copy(kit: Kit, size: Size) -> Axis:
    """An axis along which every element is the same."""
    return replace(kit.axis(size, "expand"), role="copy")


@op("Tensor.repeat")
def repeat(kit: Kit, input: Value, *repeats: Value, **more: Any) -> Value:
    """Whole copies, one after the other: an axis of `k` copies of B is (k, B), row-major."""
    tensor = as_tensor(input)
    if not repeats:
        repeats = tuple(v for k, v in more.items() if k in ("repeats", "dims"))
    counts = kit.sizes(repeats)
    if counts is not None and len(counts) == 1 and isinstance(tensor.shape, Partial) and tensor.shape.min_rank < 2:
        tensor = kit.rank(tensor, 1)  # there can be no fewer counts than axes
    if counts is None or tensor.axes is None:
        return Tensor(Partial() if counts is None else tuple(Axis(kit.fresh("n")) for _ in counts), tensor.dtype)
    axes = tensor.axes
    if len(counts) < len(axes):
        kit.crash("stretch", "repeat", (tensor,), len(counts), len(axes), NEVER, "fewer counts than axes")
        return Tensor(Partial(), tensor.dtype)
    axes = (Axis(1),) * (len(counts) - len(axes)) + axes
    return Tensor(tuple(_copies(kit, c, a, outer=True) for c, a in zip(counts, axes)), tensor.dtype)


@op("torch.tile", "Tensor.tile", name="repeat")
def tile(kit: Kit, input: Value, *dims: Value, **more: Any) -> Value:
    """Like repeat, but missing leading counts are 1."""
    tensor = as_tensor(input)
    if not dims:
        dims = tuple(v for k, v in more.items() if k in ("dims", "repeats"))
    counts = kit.sizes(dims)
    if counts is not None and tensor.axes is not None and len(counts) < len(tensor.axes):
        missing = len(tensor.axes) - len(counts)
        counts = (1,) * missing + counts
    if counts is None or tensor.axes is None:
        return Tensor(Partial(), tensor.dtype)
    known: tuple[Any, ...] = tuple(Num(kit.fresh("k")) if c is None else Num(c) for c in counts)
    return repeat(kit, tensor, *known)


def _copies(kit: Kit, count: Size | None, axis: Axis, outer: bool) -> Axis:
    """`count` copies of an axis: whole ones (`repeat`, outer) or of each element (`repeat_interleave`)."""
    why = "repeat" if outer else "repeat_interleave"
    if count is None:
        return kit.axis(kit.fresh("n"), why)
    if count == 1:
        return axis
    made = kit.axis(count * axis.size, why)
    if axis.size == 1:
        return made
    copies = replace(kit.axis(count, why), role="copy")
    inside = layout.factors(axis)
    return replace(made, layout=Merged((copies, *inside) if outer else (*inside, copies)))


@op("torch.repeat_interleave", "Tensor.repeat_interleave")
def repeat_interleave(
    kit: Kit, input: Value, repeats: Value = NONE, dim: Any = None, *, output_size: Any = None
) -> Value:
    """Each element `k` times in place: an axis of B becomes (B, k), row-major. Without `dim` all axes are one."""
    tensor = as_tensor(input)
    at = None if is_none(dim) else kit.integer(dim)
    if not is_none(dim) and at is None:
        return Tensor(Partial(), tensor.dtype)
    if is_none(repeats):  # repeat_interleave(counts): the indices
        return Tensor((kit.axis(kit.fresh("n"), "repeat_interleave"),), "int")
    if at is None:
        tensor, at = flattened(kit, tensor, 0, -1), 0
    found = reach(kit, "repeat_interleave", tensor, at)
    axis = None if found is None else take(found.shape, at)
    if tensor.rank == 0:
        wrong_dim(kit, "repeat_interleave", tensor, at)
    if found is None or axis is None:
        return Tensor(Partial(), tensor.dtype)
    count = kit.size(repeats)
    if isinstance(repeats, Tensor) and (repeats.rank or 0) > 1:
        text_ = "the counts are a number or a vector"
        kit.crash("rank", "repeat_interleave", (tensor, repeats), repeats.rank, 1, NEVER, text_)
    if isinstance(repeats, Tensor) and repeats.sizes is not None and len(repeats.sizes) == 1 and repeats.sizes != (1,):
        require(kit, "count", "repeat_interleave", (tensor, repeats), repeats.sizes[0], axis.size, "counts", "repeats")
    made = _copies(kit, count, axis, outer=False)
    total = kit.size(output_size)
    if count is None and total is not None:
        made = kit.axis(total, "output_size")
    return Tensor(put(found.shape, at, made), tensor.dtype)
