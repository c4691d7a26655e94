"""The in-batch loss without its `[R, N]` matrix: rows go a chunk at a time, gradients are made in the forward pass.

Two ways to the same number: `torch.nn.functional.linear_cross_entropy` with chunking options (torch 2.13), and our own
autograd function, which also knows how to leave duplicates of the positive out.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from .modes import duplicates_of_positive, in_batch_scores, info_nce
from .shapes import shaped


class Fused(str, Enum):
    """How the in-batch cross entropy is computed."""

    OFF = "off"
    AUTO = "auto"
    TORCH = "torch"
    CHUNKED = "chunked"


HAS_LINEAR_CROSS_ENTROPY = hasattr(F, "linear_cross_entropy") and hasattr(torch.nn, "LinearCrossEntropyOptions")

# Elements of the one score chunk that lives at a time: 32 MB of float32 on a CPU, 1 GB on an accelerator.
CHUNK_ELEMENTS = {"cpu": 1 << 23, "cuda": 1 << 28}


@shaped
def contrast(
    rows: Float[Tensor, "R D"],
    columns: Float[Tensor, "N D"],
    target: Int[Tensor, "R"],
    column_ids: Int[Tensor, "N"] | None = None,
    fused: Fused = Fused.OFF,
) -> Float[Tensor, ""]:
    """Cross entropy of `rows @ columns.T` against target; rows are already divided by the temperature.

    column_ids, when given, names the text of each column: other copies of a row's positive are left out of its softmax.
    """
    masked = column_ids is not None
    if fused is Fused.AUTO:
        fused = Fused.TORCH if HAS_LINEAR_CROSS_ENTROPY and not masked else Fused.CHUNKED
    if fused is Fused.TORCH:
        if masked:
            raise ValueError("torch's linear_cross_entropy can't leave duplicates out; use fused 'chunked' or 'auto'")
        options = torch.nn.LinearCrossEntropyOptions()
        loss: Tensor = F.linear_cross_entropy(rows, columns, target, options=options)
        return loss.float()
    if fused is Fused.CHUNKED:
        limit = CHUNK_ELEMENTS.get(rows.device.type, CHUNK_ELEMENTS["cpu"])
        chunk = max(1, limit // max(1, columns.shape[0]))
        chunked: Tensor = _Chunked.apply(rows, columns, target, column_ids, chunk)  # type: ignore[no-untyped-call]
        return chunked
    excluded = None if column_ids is None else duplicates_of_positive(column_ids, target)  # R N
    return info_nce(in_batch_scores(rows, columns), target, excluded)


class _Chunked(torch.autograd.Function):
    """Cross entropy by row chunks; one chunk of probabilities is overwritten in place from score to gradient."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, columns: Tensor, target: Tensor, column_ids: Tensor | None, chunk: int
    ) -> Tensor:
        count = rows.shape[0]
        wants_grad = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        total = torch.zeros(
            (), dtype=torch.float32 if rows.dtype != torch.float64 else torch.float64, device=rows.device
        )
        row_grad = torch.empty_like(rows) if wants_grad else None  # R D
        column_grad = torch.zeros_like(columns, dtype=total.dtype) if wants_grad else None  # N D
        for start in range(0, count, chunk):
            part = rows[start : start + chunk]  # C D
            at = target[start : start + chunk].unsqueeze(1)  # C 1
            work = (part @ columns.T).to(total.dtype)  # C N
            if column_ids is not None:
                work.masked_fill_(duplicates_of_positive(column_ids, at.squeeze(1)), float("-inf"))
            positive = work.gather(1, at)  # C 1
            top = work.amax(dim=1, keepdim=True)  # C 1
            mass = work.sub_(top).exp_().sum(dim=1, keepdim=True)  # C 1
            total += (mass.log() + top - positive).sum()
            if row_grad is None or column_grad is None:
                continue
            work.div_(mass).scatter_add_(1, at, torch.full_like(positive, -1.0)).div_(count)  # C N
            slope = work.to(rows.dtype)  # C N
            row_grad[start : start + chunk] = slope @ columns
            if columns.dtype == column_grad.dtype:
                column_grad.addmm_(slope.T, part)
            else:
                column_grad += slope.T @ part
        if row_grad is not None and column_grad is not None:
            ctx.save_for_backward(row_grad, column_grad.to(columns.dtype))
        return total / count

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        row_grad, column_grad = ctx.saved_tensors
        return row_grad * upstream, column_grad * upstream, None, None, None
