"""Who else is training: this process's rank, how many there are, and how to see the others' embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor


class World(Protocol):
    """What the loss needs to know of the other processes."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def gather(self, local: Tensor) -> Tensor:
        """Concatenate every process's tensor along axis 0, in rank order; gradients flow back to their owner."""
        ...


@dataclass(frozen=True)
class Alone:
    """One process."""

    rank: int = 0
    size: int = 1

    def gather(self, local: Tensor) -> Tensor:
        return local


@dataclass(frozen=True)
class Ranks:
    """The processes of torch.distributed's default group."""

    rank: int
    size: int

    def gather(self, local: Tensor) -> Tensor:
        gathered: Tensor = _Gather.apply(local, self.rank, self.size)  # type: ignore[no-untyped-call]
        return gathered


class _Gather(torch.autograd.Function):
    """All-gather whose backward sums what every process's loss says about this process's rows.

    Each process takes the mean loss of its own rows, and gradients of the weights are averaged over processes: with
    the sum here, that is the exact gradient of the joined batch's mean loss. No factor of W is missing or left over.
    """

    @staticmethod
    def forward(ctx: Any, local: Tensor, rank: int, size: int) -> Tensor:
        ctx.rank, ctx.size, ctx.rows = rank, size, local.shape[0]
        joined = local.new_empty((size * local.shape[0], *local.shape[1:]))  # W*N ...
        dist.all_gather_into_tensor(joined, local.contiguous())
        return joined

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        upstream = upstream.contiguous()
        if dist.get_backend() == "nccl":
            own = upstream.new_empty((ctx.rows, *upstream.shape[1:]))  # N ...
            dist.reduce_scatter_tensor(own, upstream)
            return own, None, None
        dist.all_reduce(upstream)
        return upstream[ctx.rank * ctx.rows : (ctx.rank + 1) * ctx.rows], None, None
