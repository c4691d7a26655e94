"""Retrieval metrics from a ranking, as trec_eval defines them for binary relevance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .shapes import shaped


@shaped
def reciprocal_rank(hits: Bool[Tensor, "Q K"], cut: int = 10) -> Float[Tensor, "Q"]:
    """1/rank of the first relevant passage among the first `cut`, else 0; float64. hits are in ranked order."""
    top = hits[:, :cut]  # Q C
    ranks = torch.arange(1, top.shape[1] + 1, dtype=torch.float64, device=hits.device)  # C
    return (top / ranks).max(dim=1).values


@shaped
def ndcg(hits: Bool[Tensor, "Q K"], relevant: Int[Tensor, "Q"], cut: int = 10) -> Float[Tensor, "Q"]:
    """Discounted gain with log2(rank + 1), over the best that `relevant` passages a query could reach; float64."""
    top = hits[:, :cut].double()  # Q C
    discounts = 1 / torch.arange(2, top.shape[1] + 2, dtype=torch.float64, device=hits.device).log2()  # C
    ideal = torch.tensor([0.0, *(1 / math.log2(k + 1) for k in range(1, cut + 1))], dtype=torch.float64)
    best = ideal.cumsum(0).to(hits.device)[relevant.clamp(max=cut)]  # Q
    return (top * discounts).sum(dim=1) / best


@shaped
def recall(hits: Bool[Tensor, "Q K"], relevant: Int[Tensor, "Q"], cut: int) -> Float[Tensor, "Q"]:
    """Share of the relevant passages that are among the first `cut`; float64."""
    return hits[:, :cut].sum(dim=1).double() / relevant


@shaped
def ranked_hits(order: Int[Tensor, "Q K"], relevant: Sequence[Sequence[int]]) -> Bool[Tensor, "Q K"]:
    """Whether each ranked passage is relevant to its query."""
    rows = [torch.isin(row, torch.tensor(list(wanted), device=order.device)) for row, wanted in zip(order, relevant)]
    return torch.stack(rows)  # Q K
