"""Equations that fit."""

import torch
from jaxtyping import Float
from torch import Tensor


def own(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Tensor:
    return torch.einsum("bd,bgd->bg", q, p)


def pairs(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> Tensor:
    return torch.einsum("bd,nd", q, p)


def any_axes(x: Float[Tensor, "*B D"], w: Float[Tensor, "E D"]) -> Tensor:
    return torch.einsum("...d,ed->...e", x, w)


def stretched(weights: Float[Tensor, "B 1"], hidden: Float[Tensor, "B S D"]) -> Tensor:
    return torch.einsum("bs,bsd->bd", weights, hidden)


def configured(x: Tensor, w: Tensor, inner: int, outer: int) -> Tensor:
    return torch.einsum("nk,km->nm", x.view(-1, inner), w.view(outer, -1))


def trace(x: Float[Tensor, "N N"]) -> Tensor:
    return torch.einsum("ii->", x)


def of_the_step_before(encoder, keys: list[str], queries: list[str], batch: int, history: int) -> Tensor:
    remembered = encoder.encode(keys).unflatten(0, (batch, history))  # B * N, D
    asked = encoder.encode(queries)  # B, D
    return torch.einsum("bnd,bd->bn", remembered, asked)
