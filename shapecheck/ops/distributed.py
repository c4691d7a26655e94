"""Collectives: what one process sees. `W` ranks of `B` rows, joined, are (W, B): the process rank is the outer axis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shapecheck.dims import Size, exact_div, symbol
from shapecheck.engine.values import NONE, UNKNOWN, Axis, Items, Many, Merged, Num, Partial, Tensor, Unknown, Value
from shapecheck.ops import layout
from shapecheck.ops.axes import as_tensor, is_none, like, members, position, put, reach, take
from shapecheck.ops.kit import Kit, op

WORLD = symbol("world_size")
RANK = symbol("rank_plus_1") - 1  # symbols are at least 1, ranks start at 0


@op("torch.distributed.get_world_size", parameters="group=None")
def get_world_size(kit: Kit, group: Value = NONE) -> Value:
    return Num(WORLD) if is_none(group) else Unknown("int")


@op("torch.distributed.get_rank", parameters="group=None")
def get_rank(kit: Kit, group: Value = NONE) -> Value:
    return Num(RANK) if is_none(group) else Unknown("int")


@op("torch.distributed.is_initialized", "torch.distributed.is_available", name="is_initialized")
def is_initialized(kit: Kit) -> Value:
    return Unknown("bool", "torch.distributed.is_initialized()")


def world(kit: Kit, group: Any) -> Size:
    """How many processes take part: all of them, or an unknown number for a group."""
    return WORLD if is_none(group) else kit.fresh("w")


def joined(kit: Kit, tensor: Tensor, dim: int, ranks: Size, why: str) -> Tensor:
    """The tensors of all ranks, one after the other along `dim`."""
    axis = take(tensor.shape, dim)
    if axis is None:
        return Tensor(put(tensor.shape, dim, Axis(kit.fresh("n"))) if tensor.shape else Partial(), tensor.dtype)
    rank = replace(kit.axis(ranks, why), role="rank")
    if axis.size == 1:
        return Tensor(put(tensor.shape, dim, rank), tensor.dtype)
    merged = replace(kit.axis(ranks * axis.size, why), layout=Merged((rank, *layout.factors(axis))))
    return Tensor(put(tensor.shape, dim, merged), tensor.dtype)


# ------------------------------------------------------------------ into a list


@op("torch.distributed.all_gather", parameters="tensor_list, tensor, group=None, async_op=False", inplace=True)
def all_gather(kit: Kit, tensor_list: Value, tensor: Value, group: Value = NONE, async_op: Any = False) -> Value:
    """Fills the list: every rank's tensor, this one's included."""
    given, item = members(tensor_list), like(as_tensor(tensor))
    if given is not None:
        return Items("list", (item,) * len(given))
    length = tensor_list.length if isinstance(tensor_list, Many) else None
    return Many(item, world(kit, group) if length is None else length, "gathered")


@op("torch.distributed.nn.all_gather", "torch.distributed.nn.functional.all_gather", name="all_gather")
def all_gather_with_gradient(kit: Kit, tensor: Value, group: Value = NONE) -> Value:
    """A tuple of one tensor for each rank, which passes gradients on."""
    return Many(like(as_tensor(tensor)), world(kit, group), "gathered")


@op("torch.distributed.all_gather_object", "torch.distributed.gather_object", "torch.distributed.broadcast_object_list",
    parameters="object_list, *rest, **more", inplace=True, name="all_gather_object")  # fmt: skip
def all_gather_object(kit: Kit, object_list: Value, *rest: Any, **more: Any) -> Value:
    return UNKNOWN


# ---------------------------------------------------------------- into a tensor


@op("torch.distributed.all_gather_into_tensor", "torch.distributed._all_gather_base", name="all_gather_into_tensor",
    parameters="output_tensor, input_tensor, group=None, async_op=False", inplace=True)  # fmt: skip
def all_gather_into_tensor(
    kit: Kit, output_tensor: Value, input_tensor: Value, group: Value = NONE, async_op: Any = False
) -> Value:
    """Fills the output, made by the caller as `[W*B, ...]` or `[W, B, ...]`."""
    into, tensor = as_tensor(output_tensor), as_tensor(input_tensor)
    if not into.axes or not tensor.axes:
        return like(into)
    first = into.axes[0]
    if len(into.axes) == len(tensor.axes):
        ranks = exact_div(first.size, tensor.axes[0].size)
        if ranks is not None and first.layout is None:
            merged = Merged((Axis(ranks, origin=first.origin, role="rank"), *layout.factors(tensor.axes[0])))
            first = replace(first, layout=merged)
    elif len(into.axes) == len(tensor.axes) + 1:
        first = replace(first, role="rank")
    return Tensor((first, *into.axes[1:]), into.dtype)


@op("torch.distributed._functional_collectives.all_gather_tensor", parameters="self, gather_dim, group, tag=''",
    name="all_gather_tensor")  # fmt: skip
@op("torch.distributed._functional_collectives.all_gather_tensor_autograd",
    parameters="self, gather_dim, group, tag=''", name="all_gather_tensor")  # fmt: skip
def all_gather_tensor(kit: Kit, self: Value, gather_dim: Value, group: Value, tag: Any = "") -> Value:
    tensor, dim = as_tensor(self), kit.integer(gather_dim)
    found = None if dim is None else reach(kit, "all_gather_tensor", tensor, dim)
    if found is None or dim is None:
        return Tensor(Partial(), tensor.dtype)
    return joined(kit, found, dim, world(kit, group), "all_gather_tensor")


@op("torch.distributed.reduce_scatter_tensor", "torch.distributed._reduce_scatter_base", name="reduce_scatter_tensor",
    parameters="output, input, op=None, group=None, async_op=False", inplace=True)  # fmt: skip
def reduce_scatter_tensor(kit: Kit, output: Value, input: Value, *rest: Any) -> Value:
    return like(as_tensor(output))


@op("torch.distributed._functional_collectives.reduce_scatter_tensor", name="reduce_scatter_tensor",
    parameters="self, reduceOp, scatter_dim, group, tag=''")  # fmt: skip
def reduce_scatter_tensor_functional(
    kit: Kit, self: Value, reduceOp: Value, scatter_dim: Value, group: Value, tag: Any = ""
) -> Value:
    tensor, dim = as_tensor(self), kit.integer(scatter_dim)
    axis = None if dim is None else take(tensor.shape, dim)
    if dim is None or axis is None:
        return Tensor(Partial(), tensor.dtype)
    size = exact_div(axis.size, world(kit, group))
    return Tensor(
        put(tensor.shape, dim, kit.axis(kit.fresh("n") if size is None else size, "reduce_scatter")), tensor.dtype
    )


# -------------------------------------------------------------------- same shape


@op("torch.distributed.all_reduce", "torch.distributed.broadcast", "torch.distributed.reduce", name="all_reduce",
    parameters="tensor, *rest, **more", inplace=True)  # fmt: skip
def all_reduce(kit: Kit, tensor: Value, *rest: Any, **more: Any) -> Value:
    return like(as_tensor(tensor))


@op("torch.distributed.nn.all_reduce", "torch.distributed.nn.functional.all_reduce", "torch.distributed.nn.broadcast",
    "torch.distributed.nn.functional.broadcast", "torch.distributed.nn.functional.reduce",
    "torch.distributed._functional_collectives.all_reduce", "torch.distributed._functional_collectives.wait_tensor",
    name="all_reduce", parameters="tensor, *rest, **more")  # fmt: skip
def all_reduce_with_gradient(kit: Kit, tensor: Value, *rest: Any, **more: Any) -> Value:
    return like(as_tensor(tensor))


@op("torch.distributed.all_to_all_single", parameters="output, input, *rest, **more", inplace=True)
def all_to_all_single(kit: Kit, output: Value, input: Value, *rest: Any, **more: Any) -> Value:
    return like(as_tensor(output))


@op("torch.distributed.barrier", "torch.distributed.init_process_group", "torch.distributed.destroy_process_group",
    "torch.distributed.gather", "torch.distributed.scatter", "torch.distributed.all_gather_coalesced",
    name="collective", parameters="*rest, **more")  # fmt: skip
def collective(kit: Kit, *rest: Any, **more: Any) -> Value:
    return UNKNOWN


# ------------------------------------------------------------- other people's


@op("accelerate.Accelerator.gather", parameters="self, tensor")
def accelerator_gather(kit: Kit, self: Value, tensor: Value) -> Value:
    """Joined along the first axis; a scalar becomes a vector of ranks."""
    given = as_tensor(tensor)
    if given.shape == ():
        return Tensor((replace(kit.axis(WORLD, "gather"), role="rank"),), given.dtype)
    if isinstance(given.shape, Partial) and not given.shape.head:
        return Tensor(Partial(), given.dtype)
    return joined(kit, given, 0, WORLD, "gather")


@op("accelerate.Accelerator.gather_for_metrics", "accelerate.Accelerator.pad_across_processes", name="uneven_gather",
    parameters="self, tensor, *rest, **more")  # fmt: skip
def uneven_gather(kit: Kit, self: Value, tensor: Value, *rest: Any, **more: Any) -> Value:
    """How many rows come back depends on the data."""
    given = as_tensor(tensor)
    if position(given.shape, 0) is None:
        return Tensor(Partial(), given.dtype)
    return Tensor(put(given.shape, 0, kit.axis(kit.fresh("n"), "gather_for_metrics")), given.dtype)


@op("accelerate.Accelerator.reduce", parameters="self, tensor, *rest, **more", name="all_reduce")
def accelerator_reduce(kit: Kit, self: Value, tensor: Value, *rest: Any, **more: Any) -> Value:
    return like(as_tensor(tensor))


@op("lightning.LightningModule.all_gather", "pytorch_lightning.LightningModule.all_gather",
    "lightning.pytorch.LightningModule.all_gather", "lightning.Fabric.all_gather", "lightning.fabric.Fabric.all_gather",
    name="all_gather_module", parameters="self, data, group=None, sync_grads=False")  # fmt: skip
def lightning_all_gather(kit: Kit, self: Value, data: Value, group: Value = NONE, sync_grads: Any = False) -> Value:
    """`[W, B, ...]`, but with one process the tensor itself: the tail is sure, the rank is not."""
    given = as_tensor(data)
    return Tensor(Partial((), given.axes or ()), given.dtype)
