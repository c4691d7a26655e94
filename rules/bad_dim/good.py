"""Dims and indices that are there, or of that nobody knows that they aren't."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def normalised(q: Float[Tensor, "B D"]) -> Tensor:
    return F.normalize(q, dim=-1).transpose(0, 1)


def of_any_rank(x: Tensor) -> Tensor:
    return x.mean(dim=2) if x.dim() == 3 else x


def new_axis(scores: Float[Tensor, "B G"]) -> Tensor:
    return scores.unsqueeze(2)[:, :, 0]


def a_number_or_a_tensor(a, b) -> Tensor:
    return torch.mean((a - b) ** 2, dim=1)


def ranking(scores: Float[Tensor, "B G"]) -> list:
    return [np.argsort(row.numpy())[::-1] for row in scores]


def guarded(x: Float[Tensor, "B D"]) -> Tensor:
    try:
        return x.softmax(dim=2)
    except IndexError:
        return x.softmax(dim=1)


def dots(x: Float[Tensor, "B S D"]) -> Tensor:
    return x[..., 0, :]


class Affinity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, target: Tensor) -> Tensor:
        """Which rows agree.

        Args:
            target: torch.Tensor(N x 1), class labels
        """
        own = target.unsqueeze(1)
        return (own == own.t()).float()


def agreeing() -> Tensor:
    return Affinity.forward(None, torch.arange(180))  # shapecheck: ignore[SC701]
