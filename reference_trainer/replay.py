"""Bugs that shipped, kept in working order so that a run can show what they do. Never a loss to train with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .objective import Embedded
from .world import World


def crossed_batch(batch: Embedded, scale: Tensor | float, world: World) -> Float[Tensor, ""]:
    """FlagEmbedding issue 450: meant as `[B, G]` scores of each query's own group, computed as `[B, B, G]`.

    `[B, D] @ [B, D, G]` pairs every query with every group. The view hides the third axis, and target 0 then names
    query 0's score with each group's positive.
    """
    size, group = batch.queries.shape[0], batch.group
    groups = batch.passages.view(size, group, -1)  # B G D
    scores = torch.matmul(batch.queries, groups.transpose(-2, -1)) * scale
    rows = scores.view(size, -1)
    return F.cross_entropy(rows, torch.zeros(size, dtype=torch.long, device=rows.device))
