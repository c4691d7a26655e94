"""The group size: passages over queries."""

import torch
import torch.nn.functional as F
from torch import nn


def strided_labels(q, p):
    (b, d), (n, _) = q.shape, p.shape
    scores = q @ p.T
    target = torch.arange(scores.size(0))
    target = target * (p.size(0) // q.size(0))
    return F.cross_entropy(scores, target)


def named_ratio(queries, docs):
    n_queries, dim = queries.shape
    n_docs, dim = docs.shape
    per_query = docs.shape[0] // queries.shape[0]
    logits = torch.matmul(queries, docs.transpose(0, 1)) / 0.05
    labels = torch.arange(queries.shape[0]) * per_query
    return F.cross_entropy(logits, labels)


class Trainer(nn.Module):
    def __init__(self):
        super().__init__()
        self.criterion = nn.CrossEntropyLoss()

    def similarity(self, left, right):
        return torch.mm(left, right.t())

    def forward(self, anchors, candidates):
        assert anchors.ndim == 2 and candidates.ndim == 2
        rows, columns = anchors.size(0), candidates.size(0)
        sim = self.similarity(anchors, candidates)
        index = torch.arange(sim.size(0), dtype=torch.long, device=sim.device)
        index = index * (columns // rows)
        return self.criterion(sim, index)


def from_the_scores(q, p):
    scores = torch.einsum("bd,pd->bp", q, p)
    rows = torch.arange(scores.size(0))
    return F.cross_entropy(scores, rows * (scores.size(1) // scores.size(0)))


def by_length(q_reps, p_reps):
    (b, d), (n, _) = q_reps.shape, p_reps.shape
    ratio = p_reps.shape[0] // q_reps.shape[0]
    scores = q_reps @ p_reps.T
    return F.cross_entropy(scores, ratio * torch.arange(scores.shape[0]))


def known_groups(q, p):
    b, g, d = p.shape
    flat = p.reshape(b * g, d)
    q = q.view(b, d)
    group = flat.size(0) // q.size(0)
    return flat.view(b, group, d)
