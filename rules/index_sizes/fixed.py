"""Masks, indices and counts that fit."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def negatives(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> Tensor:
    scores = q @ p.t()
    hard = scores > scores.mean()
    return scores.t()[hard.t()]


def picked() -> Tensor:
    return torch.ones(4, 3)[torch.ones(4, 3) > 0]


def cleared(scores: Float[Tensor, "B N"], same: Bool[Tensor, "N B"]) -> Tensor:
    scores = scores.clone()
    scores[same.t()] = -1e9
    return scores


def written(scores: Float[Tensor, "B N"], bias: Float[Tensor, "B"]) -> Tensor:
    scores = scores.clone()
    scores[:, :] = bias[:, None]
    return scores


def hardest() -> Tensor:
    scores = torch.randn(8, 5)
    return scores.topk(5, dim=1).values


def halves(x: Float[Tensor, "B 10"]) -> Tensor:
    one, two = x.split([5, 5], dim=1)
    return one


def window(x: Float[Tensor, "B 10"]) -> Tensor:
    return x.narrow(1, 6, 4)


def copies(q: Float[Tensor, "B D"], counts: Int[Tensor, "D"]) -> Tensor:
    return q.repeat_interleave(counts, dim=1)


def summed(x: Float[Tensor, "B D"], rows: Int[Tensor, "N"], total: Float[Tensor, "3 D"]) -> Tensor:
    return total.index_add(0, rows[: x.size(0)], x)


def last(x: Float[Tensor, "B 4"]) -> Tensor:
    return x.select(1, 3)


def spread() -> Tensor:
    index = torch.zeros(3, 6, dtype=torch.long)
    return torch.zeros(3, 7).scatter(1, index, torch.ones(3, 6))
