"""One process or many: what torchrun tells us, the device, and how weights are shared."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from .encoder import Encoder
from .models import blocks_of
from .refusal import Refusal
from .settings import Parallel
from .world import Alone, Ranks, World

# Groups that were left. A wrapped model refers to its group, too; were that reference the last, the group would end
# where the model does, waiting for its threads under Python's lock, which these may need to let go of a tensor.
_left: list[Any] = []


@contextlib.contextmanager
def joined() -> Iterator[tuple[World, torch.device]]:
    """Join the process group if torchrun started several processes; leave it at the end, unless it was there before."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
    if size == 1:
        yield Alone(), device
        return
    if dist.is_initialized():
        yield Ranks(dist.get_rank(), dist.get_world_size()), device
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size()), device
    finally:
        _left.append(dist.group.WORLD)
        dist.destroy_process_group()


def first_alone(world: World, act: Callable[[], Any]) -> Any:
    """The first process acts while the others wait; all get its answer, or its refusal."""
    if world.size == 1:
        return act()
    told: list[Any] = [None, None]
    if world.rank == 0:
        try:
            told[0] = act()
        except Refusal as refusal:
            told[1] = refusal
    dist.broadcast_object_list(told, 0)
    if isinstance(told[1], Refusal):
        told[1].told = world.rank != 0
        raise told[1]
    return told[0]


def share(encoder: Encoder, parallel: Parallel, world: World, device: torch.device) -> nn.Module:
    """Wrap the encoder for several processes; alone, it stays as it is."""
    if world.size == 1:
        return encoder
    if parallel is Parallel.DDP:
        trainable = [p for p in encoder.parameters() if p.requires_grad]
        for parameter in trainable:
            dist.broadcast(parameter.data, 0)
        ids = [device.index] if device.type == "cuda" else None
        return DistributedDataParallel(encoder, device_ids=ids, gradient_as_bucket_view=True)
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh(device.type, (world.size,))
    for parameter in encoder.parameters():
        dist.broadcast(parameter.data, 0)
    for block in blocks_of(encoder.backbone):
        fully_shard(block, mesh=mesh)
    fully_shard(encoder, mesh=mesh)
    return encoder


@contextlib.contextmanager
def no_reduction(model: nn.Module) -> Iterator[None]:
    """Keep gradients to this process for a while: for every chunk but the last of a cached step."""
    if isinstance(model, DistributedDataParallel):
        with model.no_sync():
            yield
    elif isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            model.set_requires_gradient_sync(True)
    else:
        yield


def bare(model: nn.Module) -> Encoder:
    """The encoder inside whatever wraps it."""
    inner: Any = model.module if isinstance(model, DistributedDataParallel) else model
    if not isinstance(inner, Encoder):
        raise TypeError(f"expected an encoder, not {type(inner).__name__}")
    return inner


def mean_over(value: torch.Tensor, world: World) -> torch.Tensor:
    """Average a tensor over processes, in place."""
    if world.size > 1:
        dist.all_reduce(value)
        value /= world.size
    return value
