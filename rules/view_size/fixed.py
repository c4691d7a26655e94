"""Views of as many elements as there are."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor


# run: groups(p=[B, G, D]); raises: B=3, G=4, D=5
def groups(p: Float[Tensor, "B G D"]) -> Tensor:
    B, G, D = p.shape
    pooled = p.mean(dim=1)
    return pooled.view(B, 1, D)


# run: both_views(z=[B, D]); raises: B=3, D=5
def both_views(z: Float[Tensor, "B D"]) -> Tensor:
    features = torch.cat([z, z], dim=0)
    return features.reshape(2, z.size(0), z.size(1))


# run: heads(hidden=[B, S, 96]); raises: B=2, S=3
def heads(hidden: Float[Tensor, "B S 96"]) -> Tensor:
    B, S, _ = hidden.shape
    return split(hidden, B, S)


def split(x: Tensor, B: int, S: int) -> Tensor:
    return x.view(B, S, 12, 8)


# run: flat_scores(scores=[B, G]); raises: B=3, G=4
def flat_scores(scores: Float[Tensor, "B G"]) -> Tensor:
    negatives = scores[:, 1:]
    return torch.reshape(negatives, (scores.size(0), -1))


# run: own_negatives(q=[B, D], p=[B, G, D]); raises: B=3, G=4, D=5
def own_negatives(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Tensor:
    return q[:, None].expand(p.shape[0], p.shape[1], p.shape[2]) * p


# run: halves(x=[B, 15]); raises: B=2
def halves(x: Float[Tensor, "B 15"]) -> Tensor:
    return rearrange(x, "b (two d) -> two b d", two=3)


# run: doubled(x=[B, D]); raises: B=2, D=3
def doubled(x: Float[Tensor, "B D"]) -> Tensor:
    return x.unflatten(0, (x.shape[0], 1))
