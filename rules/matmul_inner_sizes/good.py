"""Products that fit, or that nobody can say of that they don't."""

import pytest
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def all_pairs(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> Tensor:
    return q @ p.t()


def square(features: Float[Tensor, "N N"], weights: Float[Tensor, "N N"]) -> Tensor:
    return features @ weights


def sizes_from_outside(q: Tensor, p: Tensor, group_size: int, hidden: int) -> Tensor:
    rows = q.view(-1, hidden)
    groups = p.view(-1, group_size)
    return rows @ groups.T  # right where hidden is group_size


def either_order(x: Tensor, weight: Tensor, transposed: bool) -> Tensor:
    return x @ (weight if transposed else weight.t())


def a_margin_on_either_side(x, y):
    return torch.logsumexp(x - y, dim=1)


def vector(q: Float[Tensor, "D"], p: Float[Tensor, "N D"]) -> Tensor:
    return p @ q


def batched(q: Float[Tensor, "B D"], groups: Float[Tensor, "B G D"]) -> Tensor:
    return torch.bmm(groups, q.unsqueeze(-1)).squeeze(-1)


def refused_on_purpose(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> None:
    with pytest.raises(RuntimeError):
        torch.bmm(q, p)


def falls_back(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Tensor:
    try:
        return torch.mm(q, p)
    except RuntimeError:
        return torch.einsum("bd,bgd->bg", q, p)


class Projector(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.head = nn.Linear(3 * width, 1)

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        u, v = F.normalize(self.net(u), dim=-1), F.normalize(self.net(v), dim=-1)
        return self.head(torch.cat([u, v, u * v], dim=-1))


class Principal:
    """Of arrays: their `dot` multiplies matrices."""

    def fit(self, rows: np.ndarray) -> "Principal":
        self.axes = np.linalg.eig(np.cov(rows.T))[1]
        return self

    def apply(self, rows: np.ndarray) -> np.ndarray:
        return rows.dot(self.axes)[:, :2]


def test_principal(rows: np.ndarray) -> None:
    fitted = Principal().fit(rows)
    assert fitted.axes.shape == (10, 10)
    assert fitted.apply(rows).shape == (100, 2)


def of_a_sparse_matrix(ratings, start: int, stop: int):
    block = ratings[start:stop, :]
    return ratings[:, 2:5].dot(block.T)


class Fused(nn.Module):
    def __init__(self, factors: bool, layers: bool, width: int, inner: int) -> None:
        super().__init__()
        self.factors, self.layers = factors, layers
        if self.factors and self.layers:
            self.head = nn.Linear(width + inner, 1)
        elif self.factors:
            self.head = nn.Linear(width, 1)
        else:
            self.head = nn.Linear(inner, 1)
        self.left, self.right = nn.Embedding(9, width), nn.Embedding(9, inner)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        if self.factors and self.layers:
            return self.head(torch.cat((self.left(users), self.right(items)), -1))
        if self.factors:
            return self.head(self.left(users))
        return self.head(self.right(items))
