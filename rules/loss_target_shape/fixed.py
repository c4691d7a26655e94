"""Targets that fit."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


# run: gathered(q=[B, D], p=[B, D]); raises: B=3, D=5
def gathered(q: Float[Tensor, "B D"], p: Float[Tensor, "B D"]) -> Tensor:
    queries = torch.cat([q, q])
    logits = queries @ p.T
    return F.cross_entropy(logits, torch.arange(q.size(0)).repeat(2))


# run: grouped(scores=[B, G]); raises: B=3, G=4
def grouped(scores: Float[Tensor, "B G"]) -> Tensor:
    target = torch.zeros(scores.size(0), dtype=torch.long)
    return F.cross_entropy(input=scores, target=target)


# run: tokens(logits=[B, S, V], labels=ints(V, B, S)); raises: B=2, S=3, V=4
def tokens(logits: Float[Tensor, "B S V"], labels: Int[Tensor, "B S"]) -> Tensor:
    return nn.CrossEntropyLoss()(logits.transpose(1, 2), labels)


# run: columns(scores=[B, N], labels=ints(N, B)); raises: B=3, N=4
def columns(scores: Float[Tensor, "B N"], labels: Int[Tensor, "B"]) -> Tensor:
    return F.nll_loss(F.log_softmax(scores, dim=-1), labels)


# run: Contrast().forward(a=[B, D], b=[B, D]); raises: B=3, D=5
class Contrast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loss = nn.CrossEntropyLoss()

    def forward(self, a: Float[Tensor, "B D"], b: Float[Tensor, "B D"]) -> Tensor:
        scores = a @ b.T
        return self.loss(scores, torch.arange(a.size(0)))


# run: triplet(a=[B, D], p=[B, D], n=[B, N, D]); raises: B=3, N=4, D=5
def triplet(a: Float[Tensor, "B D"], p: Float[Tensor, "B D"], n: Float[Tensor, "B N D"]) -> Tensor:
    return F.triplet_margin_loss(a, p, n[:, 0])


# run: cosine(a=[B, D], b=[B, D]); raises: B=3, D=5
def cosine(a: Float[Tensor, "B D"], b: Float[Tensor, "B D"]) -> Tensor:
    return F.cosine_embedding_loss(a, b, torch.ones(a.size(0)))
