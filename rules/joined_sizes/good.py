"""Tensors that can be joined."""

import torch
from jaxtyping import Float
from torch import Tensor


def logits(pos: Float[Tensor, "B 1"], neg: Float[Tensor, "B N"]) -> Tensor:
    return torch.cat([pos, neg], dim=1)


def with_queue(own: Float[Tensor, "B B"], others: Float[Tensor, "B K"]) -> Tensor:
    return torch.cat((own, others), dim=-1)


def pairs(u: Float[Tensor, "B D"], v: Float[Tensor, "B D"]) -> Tensor:
    return torch.cat([u, v, (u - v).abs()], dim=-1) + torch.stack([u, v, u]).flatten(1).mean()


def empty_start(chunks: list[Float[Tensor, "B D"]], width: int) -> Tensor:
    return torch.cat([torch.empty(0), torch.cat(chunks)]) if chunks else torch.empty(0, width)


def of_any_width(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([a, b.view(b.size(0), -1)], dim=1)


def rows(a: Float[Tensor, "B D"], b: Float[Tensor, "N D"]) -> Tensor:
    return torch.vstack([a, b])


def too_wide() -> Tensor:
    return torch.cat([torch.zeros(3, 4), torch.zeros(5, 6)], dim=0)


def test_of_the_refusal(case) -> None:
    case.assertRaises(RuntimeError, too_wide)
