"""The same, labels multiplied by the group size."""

import torch
import torch.nn.functional as F
from torch import nn


def flat_groups(q, passages):
    b, g, d = passages.shape
    q = q.view(b, d)
    scores = q @ passages.view(b * g, d).T
    labels = torch.arange(b)
    return F.cross_entropy(scores, labels * (scores.size(1) // scores.size(0)))


def flattened_groups(queries, docs):
    n, k, d = docs.shape
    sim = torch.einsum("nd,md->nm", queries.view(n, d), docs.flatten(0, 1))
    return F.cross_entropy(sim / 0.02, torch.arange(n, device=sim.device) * k)


class GroupedRetriever(nn.Module):
    def __init__(self):
        super().__init__()
        self.loss = nn.CrossEntropyLoss()

    def score(self, q, p):
        return torch.matmul(q, p.transpose(0, 1))

    def forward(self, q, p):
        batch, group, dim = p.shape
        scores = self.score(q.view(batch, dim), p.reshape(-1, dim))
        target = torch.arange(scores.size(0), dtype=torch.long)
        return self.loss(scores, target * (scores.size(1) // scores.size(0)))


def two_uses(q_reps, p_reps):
    (b, d), (n, _) = q_reps.shape, p_reps.shape
    group_size = p_reps.size(0) // q_reps.size(0)
    grouped = p_reps.view(q_reps.size(0), group_size, -1)
    spread = grouped.std(dim=1).mean()
    scores = torch.matmul(q_reps, p_reps.T)
    target = torch.arange(q_reps.size(0))
    return F.cross_entropy(scores, target * (scores.size(1) // scores.size(0))) + spread


def keyword_loss(q, p):
    b, g, d = p.shape
    flat = p.contiguous().view(-1, d)
    logits = torch.mm(q.reshape(b, d), flat.t()) * 20.0
    return F.cross_entropy(target=torch.arange(b).long() * (logits.size(1) // logits.size(0)), input=logits)


def log_loss(q, p, smoothing=None):
    b, g, d = p.shape
    logits = q.view(b, d) @ p.reshape(b * g, d).transpose(-2, -1)
    if smoothing is None:
        return F.nll_loss(logits.log_softmax(dim=1), torch.arange(0, b) * g)
    return logits.sum()
