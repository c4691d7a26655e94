"""Dims and indices that are there."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


# run: normalised(q=[B, D]); raises: B=3, D=5
def normalised(q: Float[Tensor, "B D"]) -> Tensor:
    return F.normalize(q, dim=1)


# run: pooled(hidden=[B, S, D]); raises: B=3, S=4, D=5
def pooled(hidden: Float[Tensor, "B S D"]) -> Tensor:
    reps = hidden[:, 0]
    return reps.mean(dim=-2)


# run: pairs(q=[B, D], p=[B, D]); raises: B=3, D=5
def pairs(q: Float[Tensor, "B D"], p: Float[Tensor, "B D"]) -> Tensor:
    scores = (q * p).sum(-1)
    return torch.softmax(scores, dim=0)


# run: swapped(q=[B, D]); raises: B=3, D=5
def swapped(q: Float[Tensor, "B D"]) -> Tensor:
    return q.transpose(0, 1)


# run: first(scores=[B, G]); raises: B=3, G=4
def first(scores: Float[Tensor, "B G"]) -> Tensor:
    return scores[:, 0]


# run: ordered(x=[B, S, D]); raises: B=3, S=4, D=5
def ordered(x: Float[Tensor, "B S D"]) -> Tensor:
    return x.permute(0, 2, 1)


# run: best(scores=[B, G]); raises: B=3, G=4
def best(scores: Float[Tensor, "B G"]) -> Tensor:
    top = scores.max(dim=1).values
    return logged(top)


def logged(x: Tensor) -> Tensor:
    return x.logsumexp(dim=0)
