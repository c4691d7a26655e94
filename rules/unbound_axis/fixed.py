"""Annotations that a runtime checker can compute."""

import torch
from beartype import beartype
from jaxtyping import Float, Int, jaxtyped
from torch import Tensor, nn


# run: flat_first(p=[B * G, D], q=[B, D]); raises: B=3, G=4, D=5
@jaxtyped(typechecker=beartype)
def flat_first(p: Float[Tensor, "N D"], q: Float[Tensor, "B D"]) -> Tensor:
    return q @ p.T


# run: in_batch(q=[B, D], p=[B * G, D]); raises: B=3, G=4, D=5
@jaxtyped(typechecker=beartype)
def in_batch(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> Float[Tensor, "B N"]:
    return q @ p.T


# run: doubled(x=[B, D]); raises: B=3, D=5
@jaxtyped(typechecker=beartype)
def doubled(x: Float[Tensor, "B D"]) -> Float[Tensor, "2*B D"]:
    return torch.cat([x, x])


# run: Pairs().forward(z=[B * 2, D]); raises: B=3, D=5
class Pairs(nn.Module):
    @jaxtyped(typechecker=beartype)
    def forward(self, z: Float[Tensor, "N D"]) -> Tensor:
        return z @ z.T


# run: picked(index=ints(3, 4), table=[3, D]); raises: D=5
@jaxtyped(typechecker=beartype)
def picked(index: Int[Tensor, "N"], table: Float[Tensor, "C D"]) -> Tensor:
    return table[index]


# run: offset(x=[T, D], y=[T, D]); raises: T=4, D=5
@jaxtyped(typechecker=beartype)
def offset(x: Float[Tensor, "S D"], *, y: Float[Tensor, "T D"]) -> Tensor:
    return x[: len(y)] + y
