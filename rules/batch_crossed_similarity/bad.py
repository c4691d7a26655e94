"""Groups of candidates scored against all queries at once, where each query's own group is meant."""

import torch
import torch.nn.functional as F
from torch import nn


def helper(queries, passages):
    return torch.matmul(queries, passages.transpose(-2, -1))


# run: view_then_helper(q=[B, D], p=[B*G, D]); differ: B=3, G=4, D=5; equal: B=1, G=4, D=5
def view_then_helper(q, p):
    batch, dim = q.shape
    group = p.size(0) // q.size(0)
    scores = helper(q, p.view(batch, group, dim))  # B G # expect: SC101
    return scores.view(batch, -1)


# run: keyword_arguments(anchors=[B, D], docs=[B, G, D]); differ: B=3, G=4, D=5; equal: B=1, G=4, D=5
def keyword_arguments(anchors, docs):
    """Scores of each anchor's documents.

    Args:
        anchors: (batch, dim)
        docs: (batch, group, dim)
    """
    return helper(passages=docs, queries=anchors).flatten(1)  # expect: SC101


# run: operator(q=[B, D], p=[B, G, D]); differ: B=3, G=4, D=5; equal: B=1, G=4, D=5
def operator(q, p):
    b, g, d = p.shape
    assert q.shape == (b, d)
    logits = q @ p.mT / 0.05  # expect: SC101
    return logits.reshape(b, -1)[:, :g]


# run: candidates_first(q=[B, D], p=[B, G, D]); differ: B=3, G=4, D=5; equal: B=1, G=4, D=5
def candidates_first(q, p):
    batch, dim = q.shape
    p = p.reshape(batch, -1, dim)
    return (p @ q.t()).flatten(1)  # expect: SC101


# run: inner(q=[B, D], p=[B*G, D]); differ: B=3, G=4, D=5; equal: B=1, G=4, D=5
def inner(q, p):
    batch, dim = q.shape
    grouped = p.view(-1, dim).unflatten(0, (batch, -1))
    return torch.inner(q, grouped).flatten(1)  # expect: SC101


# run: with_einsum(q=[B, D], p=[B, G, D]); differ: B=3, G=4, D=5; equal: B=1, G=4, D=5
def with_einsum(q, p):
    batch, dim = q.shape
    p = p.view(batch, -1, dim)
    scores = torch.einsum("id,jgd->ijg", q, p)  # B G # expect: SC101
    return scores.flatten(1)


# run: averaged(q=[B, D], pos=[B, D], neg=[B, N, D]); differ: B=3, N=4, D=5; equal: B=1, N=4, D=5
def averaged(q, pos, neg):
    batch, dim = q.shape
    candidates = torch.cat([pos.unsqueeze(1), neg.view(batch, -1, dim)], dim=1)
    return torch.matmul(q, candidates.permute(0, 2, 1)).flatten(1)  # expect: SC101


class Reranker(nn.Module):
    """One positive before the negatives of each query."""

    temperature = 0.02

    def __init__(self, dim):
        super().__init__()
        self.project = nn.Linear(dim, dim)
        self.score = lambda a, b: a @ b.transpose(1, 2)

    def similarity(self, q, p):
        if p.dim() == 2:
            return q @ p.T
        return self.score(q, p)

    def forward(self, q, p, n_neg):
        q = F.normalize(self.project(q), dim=-1)
        batch, dim = q.shape
        scores = self.similarity(q, p.view(batch, n_neg + 1, dim)) / self.temperature  # expect: SC101
        loss = F.cross_entropy(scores.view(batch, -1), torch.zeros(batch, dtype=torch.long))
        return loss, self.similarity(q, p.view(-1, dim))


# run: of_four(q=[B, D], p=[B, G, D]); differ: B=4, G=8, D=16
def of_four(q, p):
    q, p = q.view(4, 16), p.view(4, 8, 16)
    return q @ p.transpose(1, 2)  # expect: SC101


# run: width_unsaid(q=[B, D], p=[B*G, D]); differ: B=3, G=4, D=5; equal: B=1, G=4, D=5
def width_unsaid(q, p):
    batch, dim = q.shape
    grouped = p.view(batch, p.size(0) // batch, -1)
    return torch.matmul(q, grouped.transpose(1, 2)).flatten(1)  # expect: SC101
