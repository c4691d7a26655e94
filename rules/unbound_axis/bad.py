"""Annotations that a runtime checker cannot compute."""

import torch
from beartype import beartype
from jaxtyping import Float, Int, jaxtyped
from torch import Tensor, nn


# run: flat_first(p=[B * G, D], q=[B, D]); raises: B=3, G=4, D=5
@jaxtyped(typechecker=beartype)
def flat_first(p: Float[Tensor, "B*G D"], q: Float[Tensor, "B D"]) -> Tensor:  # expect: SC703
    return q @ p.T


# run: in_batch(q=[B, D], p=[B * G, D]); raises: B=3, G=4, D=5
@jaxtyped(typechecker=beartype)
def in_batch(q: Float[Tensor, "B D"], p: Float[Tensor, "B*G D"]) -> Float[Tensor, "B B*G"]:  # expect: SC703
    return q @ p.T


# run: doubled(x=[B, D]); raises: B=3, D=5
@jaxtyped(typechecker=beartype)
def doubled(x: Float[Tensor, "B D"]) -> Float[Tensor, "2*N D"]:  # expect: SC703
    return torch.cat([x, x])


# run: Pairs().forward(z=[B * 2, D]); raises: B=3, D=5
class Pairs(nn.Module):
    @jaxtyped(typechecker=beartype)
    def forward(self, z: Float[Tensor, "2*B D"]) -> Tensor:  # expect: SC703
        return z @ z.T


# run: picked(index=ints(3, 4), table=[3, D]); raises: D=5
@jaxtyped(typechecker=beartype)
def picked(index: Int[Tensor, "N-1"], table: Float[Tensor, "C D"]) -> Tensor:  # expect: SC703
    return table[index]


# run: offset(x=[T, D], y=[T, D]); raises: T=4, D=5
@jaxtyped(typechecker=beartype)
def offset(x: Float[Tensor, "T+1 D"], *, y: Float[Tensor, "T D"]) -> Tensor:  # expect: SC703
    return x[: len(y)] + y
