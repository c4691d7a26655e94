"""Masks, indices and counts that fit, or of which nobody can say that they don't."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def rows(hidden: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"]) -> Tensor:
    return hidden[mask]  # [N, D]: a mask may cover the first axes only


def cleared(scores: Float[Tensor, "B N"], same: Bool[Tensor, "B N"], kept: Float[Tensor, "B N"]) -> Tensor:
    scores = scores.clone()
    scores[same] = -1e9
    scores[~same] = kept[~same]
    scores[0] = kept[1:2]  # a leading axis of size 1 is taken off
    scores[:, 0] = 1.0
    return scores


def hardest(scores: Float[Tensor, "B N"], k: int) -> Tensor:
    return scores.topk(k, dim=1).values


def pieces(x: Float[Tensor, "B 10"], width: int) -> Tensor:
    one, two = x.split([width, 10 - width], dim=1)
    three = x.split(3, dim=1)[-1]
    return one.sum(1) + two.sum(1) + three.sum(1)


def window(x: Float[Tensor, "B 10"]) -> Tensor:
    return x.narrow(1, -4, 4) + x.narrow(1, 6, 4)


def few(scores: Float[Tensor, "B N"], index: Int[Tensor, "B K"]) -> Tensor:
    return scores.gather(1, index)  # fewer or more columns than N: places, not sizes


def first_rows() -> Tensor:
    index = torch.zeros(2, 6, dtype=torch.long)
    return torch.zeros(3, 7).scatter(1, index, torch.ones(4, 9))


def summed(x: Float[Tensor, "N D"], rows: Int[Tensor, "N"], total: Float[Tensor, "B D"]) -> Tensor:
    return total.index_add(0, rows, x)


def copies(q: Float[Tensor, "B D"], counts: Int[Tensor, "B"]) -> Tensor:
    return q.repeat_interleave(counts, dim=0) + q.repeat_interleave(torch.tensor([2]), dim=0).sum()
