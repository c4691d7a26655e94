"""Shapes that broadcast as they are meant to."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


# run: row_scores(q=[B, D], p=[B, G, D]); raises: B=3, G=4, D=5
def row_scores(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Tensor:
    return (q.unsqueeze(1) * p).sum(-1)


# run: cosine(q=[B, D], p=[B, G, D]); raises: B=3, G=4, D=5
def cosine(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Tensor:
    return F.cosine_similarity(q.unsqueeze(1), p, dim=-1)


# run: margin(positive=[B], negative=[B, N]); raises: B=3, N=4
def margin(positive: Float[Tensor, "B"], negative: Float[Tensor, "B N"]) -> Tensor:
    return F.relu(negative - positive[:, None] + 0.2)


# run: without_self(x=[N, D]); raises: N=4, D=5
def without_self(x: Float[Tensor, "N D"]) -> Tensor:
    sims = torch.cat([x, x]) @ torch.cat([x, x]).T
    own = torch.eye(2 * x.size(0), dtype=torch.bool)
    return sims.masked_fill(own, float("-inf"))


# run: pooled(hidden=[B, S, D], mask=bools(B, S)); raises: B=3, S=4, D=5
def pooled(hidden: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"]) -> Tensor:
    return scaled(hidden, mask.float().unsqueeze(-1)).sum(1)


def scaled(values: Tensor, weights: Tensor) -> Tensor:
    return values * weights


# run: distilled(student=[B, G], teacher=[B, G]); raises: B=3, G=4
def distilled(student: Float[Tensor, "B G"], teacher: Float[Tensor, "B G"]) -> Tensor:
    return F.mse_loss(input=student[:, 1:], target=teacher[:, 1:])


# run: chosen(scores=[B, N], labels=ints(N, B)); raises: B=3, N=4
def chosen(scores: Float[Tensor, "B N"], labels: Float[Tensor, "B"]) -> Tensor:
    columns = torch.arange(scores.size(1))
    return torch.where(columns == labels[:, None], scores, 0.0)
