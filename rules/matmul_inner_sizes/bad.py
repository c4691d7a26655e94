"""Products and layers whose operands do not fit."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


# run: scores(q=[B, D], p=[N, D]); raises: B=3, N=4, D=5
def scores(q: Float[Tensor, "B D"], p: Float[Tensor, "N D"]) -> Tensor:
    return q @ p  # expect: SC901


# run: grouped(q=[B, D], p=[B * G, D], group_size=G); raises: B=3, G=4, D=5
def grouped(q: Tensor, p: Tensor, group_size: int) -> Tensor:
    batch, dim = q.shape
    docs = p.view(batch, group_size, dim)
    return torch.bmm(q.unsqueeze(1), docs).squeeze(1) if group_size == dim else own_scores(q, docs)  # expect: SC901


def own_scores(q: Tensor, docs: Tensor) -> Tensor:
    return torch.bmm(q, docs.transpose(1, 2))


# run: gram(anchors=[B, D], views=[B, V, D]); raises: B=3, V=2, D=5
def gram(anchors: Float[Tensor, "B D"], views: Float[Tensor, "B V D"]) -> Tensor:
    return torch.mm(anchors, views.mT)  # expect: SC901


# run: logits(x=[B, 64]); raises: B=3
def logits(x: Float[Tensor, "B 64"]) -> Tensor:
    prototypes = torch.ones(10, 64)
    return F.linear(x, prototypes.t())  # expect: SC901


# run: weighted(attention=[B, S], hidden=[B, S, D]); raises: B=3, S=4, D=5
def weighted(attention: Float[Tensor, "B S"], hidden: Float[Tensor, "B S D"]) -> Tensor:
    rows = attention[:, None]
    return torch.matmul(input=rows, other=hidden.transpose(1, 2))  # expect: SC901


# run: PairClassifier(6).forward(u=[B, 6], v=[B, 6]); raises: B=3
class PairClassifier(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.head = nn.Linear(2 * dim, 2)

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        u, v = self.left(u), self.right(v)
        features = torch.cat([u, v, (u - v).abs()], dim=-1)
        return self.head(features)  # expect: SC901


# run: Projector().forward(x=[B, 32]); raises: B=3
class Projector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # expect: SC901
