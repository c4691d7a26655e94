"""Equations that fit."""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor


# run: own(q=[B, D], p=[B, G, D]); raises: B=3, G=4, D=5
def own(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Tensor:
    return torch.einsum("bd,bgd->bg", q, p)


# run: pairs(q=[B, D], p=[N, D]); raises: B=3, N=4, D=5
def pairs(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> Tensor:
    return torch.einsum("bd,nd->bn", q, p)


# run: groups(q=[B, D], p=[B, G, D]); raises: B=3, G=4, D=5
def groups(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Tensor:
    return torch.einsum("bd,bgd->bg", [q, p])


# run: late(q=[B, S, D], p=[B, T, D]); raises: B=2, S=3, T=4, D=5
def late(q: Float[Tensor, "B S D"], p: Float[Tensor, "B T D"]) -> Tensor:
    equation = "bsd,btd->bst"
    return torch.einsum(equation, q, p)


# run: attended(weights=[B, S], hidden=[B, S, D]); raises: B=2, S=3, D=4
def attended(weights: Float[Tensor, "B S"], hidden: Float[Tensor, "B S D"]) -> Tensor:
    return contract(weights, hidden)


def contract(w: Tensor, h: Tensor) -> Tensor:
    return torch.einsum("bs,bsd->bd", w, h)


# run: named(q=[B, D], p=[N, D]); raises: B=3, N=4, D=5
def named(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> Tensor:
    return einsum(q, p, "batch dim, n dim -> batch n")
