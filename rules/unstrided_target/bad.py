"""Labels 0, 1, 2, ... over passages that come in groups of G for each query."""

import torch
import torch.nn.functional as F
from torch import nn


# run: flat_groups(q=[B, D], passages=[B, G, D]); differ: B=3, G=2, D=4; equal: B=3, G=1, D=4
def flat_groups(q, passages):
    b, g, d = passages.shape
    q = q.view(b, d)
    scores = q @ passages.view(b * g, d).T
    labels = torch.arange(b)
    return F.cross_entropy(scores, labels)  # expect: SC302


# run: flattened_groups(queries=[N, D], docs=[N, K, D]); differ: N=3, K=2, D=4; equal: N=3, K=1, D=4
def flattened_groups(queries, docs):
    n, k, d = docs.shape
    sim = torch.einsum("nd,md->nm", queries.view(n, d), docs.flatten(0, 1))
    return F.cross_entropy(sim / 0.02, torch.arange(n, device=sim.device))  # expect: SC302


# run: GroupedRetriever().forward(q=[B, D], p=[B, G, D]); differ: B=3, G=2, D=4; equal: B=3, G=1, D=4
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
        return self.loss(scores, target)  # expect: SC302


# run: two_uses(q_reps=[B, D], p_reps=[B*G, D]); differ: B=3, G=2, D=4
def two_uses(q_reps, p_reps):
    (b, d), (n, _) = q_reps.shape, p_reps.shape
    group_size = p_reps.size(0) // q_reps.size(0)
    grouped = p_reps.view(q_reps.size(0), group_size, -1)
    spread = grouped.std(dim=1).mean()
    scores = torch.matmul(q_reps, p_reps.T)
    target = torch.arange(q_reps.size(0))
    return F.cross_entropy(scores, target) + spread  # expect: SC302


# run: keyword_loss(q=[B, D], p=[B, G, D]); differ: B=3, G=2, D=4; equal: B=3, G=1, D=4
def keyword_loss(q, p):
    b, g, d = p.shape
    flat = p.contiguous().view(-1, d)
    logits = torch.mm(q.reshape(b, d), flat.t()) * 20.0
    return F.cross_entropy(target=torch.arange(b).long(), input=logits)  # expect: SC302


# run: log_loss(q=[B, D], p=[B, G, D]); differ: B=3, G=2, D=4; equal: B=3, G=1, D=4
def log_loss(q, p, smoothing=None):
    b, g, d = p.shape
    logits = q.view(b, d) @ p.reshape(b * g, d).transpose(-2, -1)
    if smoothing is None:
        return F.nll_loss(logits.log_softmax(dim=1), torch.arange(0, b))  # expect: SC302
    return logits.sum()


def counted(q, p, temperature):
    group = p.size(0) // q.size(0)
    scores = torch.mm(q, p.t()) / temperature
    labels = torch.arange(scores.size(0))
    return F.cross_entropy(scores, labels), group  # expect: SC302
