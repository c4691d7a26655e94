"""Masks, indices and counts that do not fit what they pick from."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


# run: negatives(q=[B, D], p=[N, D]); raises: B=3, N=4, D=5
def negatives(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> Tensor:
    scores = q @ p.t()
    hard = scores > scores.mean()
    return scores.t()[hard]  # expect: SC908


# run: picked(); raises: B=1
def picked() -> Tensor:
    return torch.ones(4, 3)[torch.ones(3, 4) > 0]  # expect: SC908


# run: cleared(scores=[B, N], same=bools(N, B)); raises: B=3, N=4
def cleared(scores: Float[Tensor, "B N"], same: Bool[Tensor, "N B"]) -> Tensor:
    scores = scores.clone()
    scores[same] = -1e9  # expect: SC908
    return scores


# run: written(scores=[B, N], bias=[B]); raises: B=3, N=4
def written(scores: Float[Tensor, "B N"], bias: Float[Tensor, "B"]) -> Tensor:
    scores = scores.clone()
    scores[:, :] = bias  # expect: SC908
    return scores


# run: hardest(); raises: B=1
def hardest() -> Tensor:
    scores = torch.randn(8, 5)
    return scores.topk(6, dim=1).values  # expect: SC908


# run: halves(x=[B, 10]); raises: B=3
def halves(x: Float[Tensor, "B 10"]) -> Tensor:
    one, two = x.split([4, 5], dim=1)  # expect: SC908
    return one


# run: window(x=[B, 10]); raises: B=3
def window(x: Float[Tensor, "B 10"]) -> Tensor:
    return x.narrow(1, 6, 5)  # expect: SC908


# run: copies(q=[B, D], counts=ints(3, D)); raises: B=3, D=5
def copies(q: Float[Tensor, "B D"], counts: Int[Tensor, "D"]) -> Tensor:
    return q.repeat_interleave(counts, dim=0)  # expect: SC908


# run: summed(x=[B, D], rows=ints(3, N), total=[3, D]); raises: B=3, N=4, D=5
def summed(x: Float[Tensor, "B D"], rows: Int[Tensor, "N"], total: Float[Tensor, "3 D"]) -> Tensor:
    return total.index_add(0, rows, x)  # expect: SC908


# run: last(x=[B, 4]); raises: B=3
def last(x: Float[Tensor, "B 4"]) -> Tensor:
    return x.select(1, 4)  # expect: SC908


# run: spread(); raises: B=1
def spread() -> Tensor:
    index = torch.zeros(4, 6, dtype=torch.long)
    return torch.zeros(3, 7).scatter(1, index, torch.ones(4, 6))  # expect: SC908
