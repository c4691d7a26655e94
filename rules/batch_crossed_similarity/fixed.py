"""Each query scored against its own group of candidates."""

import torch
import torch.nn.functional as F
from torch import nn


def helper(queries, passages):
    return torch.matmul(queries, passages.transpose(-2, -1))


def view_then_helper(q, p):
    batch, dim = q.shape
    group = p.size(0) // q.size(0)
    scores = helper(q.unsqueeze(1), p.view(batch, group, dim)).squeeze(1)  # B G
    return scores.view(batch, -1)


def keyword_arguments(anchors, docs):
    """Scores of each anchor's documents.

    Args:
        anchors: (batch, dim)
        docs: (batch, group, dim)
    """
    return helper(passages=docs, queries=anchors.unsqueeze(1)).squeeze(1)


def operator(q, p):
    b, g, d = p.shape
    assert q.shape == (b, d)
    logits = (q.unsqueeze(1) @ p.mT).squeeze(1) / 0.05
    return logits.reshape(b, -1)[:, :g]


def candidates_first(q, p):
    batch, dim = q.shape
    p = p.reshape(batch, -1, dim)
    return (p @ q.unsqueeze(-1)).squeeze(-1)


def inner(q, p):
    batch, dim = q.shape
    grouped = p.view(-1, dim).unflatten(0, (batch, -1))
    return torch.einsum("bd,bgd->bg", q, grouped)


def with_einsum(q, p):
    batch, dim = q.shape
    p = p.view(batch, -1, dim)
    scores = torch.einsum("id,igd->ig", q, p)  # B G
    return scores


def averaged(q, pos, neg):
    batch, dim = q.shape
    candidates = torch.cat([pos.unsqueeze(1), neg.view(batch, -1, dim)], dim=1)
    return torch.matmul(q.unsqueeze(1), candidates.permute(0, 2, 1)).squeeze(1)


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
        scores = self.similarity(q.unsqueeze(1), p.view(batch, n_neg + 1, dim)).squeeze(1) / self.temperature
        loss = F.cross_entropy(scores.view(batch, -1), torch.zeros(batch, dtype=torch.long))
        return loss, self.similarity(q, p.view(-1, dim))


def of_four(q, p):
    q, p = q.view(4, 16), p.view(4, 8, 16)
    return (q.unsqueeze(1) @ p.transpose(1, 2)).squeeze(1)


def width_unsaid(q, p):
    batch, dim = q.shape
    grouped = p.view(batch, p.size(0) // batch, -1)
    return torch.matmul(q.unsqueeze(1), grouped.transpose(1, 2)).squeeze(1).flatten(1)
