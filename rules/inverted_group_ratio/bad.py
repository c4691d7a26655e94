"""The group size upside down: queries over passages."""

import torch
import torch.nn.functional as F
from torch import nn


# run: strided_labels(q=[B, D], p=[P, D]); differ: B=3, P=6, D=4; equal: B=3, P=3, D=4
def strided_labels(q, p):
    (b, d), (n, _) = q.shape, p.shape
    scores = q @ p.T
    target = torch.arange(scores.size(0))
    target = target * (q.size(0) // p.size(0))  # expect: SC304
    return F.cross_entropy(scores, target)


# run: named_ratio(queries=[B, D], docs=[P, D]); differ: B=3, P=6, D=4; equal: B=3, P=3, D=4
def named_ratio(queries, docs):
    n_queries, dim = queries.shape
    n_docs, dim = docs.shape
    per_query = queries.shape[0] // docs.shape[0]  # expect: SC304
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
        index = index * (rows // columns)  # expect: SC304
        return self.criterion(sim, index)


# run: from_the_scores(q=[B, D], p=[P, D]); differ: B=3, P=6, D=4; equal: B=3, P=3, D=4
def from_the_scores(q, p):
    scores = torch.einsum("bd,pd->bp", q, p)
    rows = torch.arange(scores.size(0))
    return F.cross_entropy(scores, rows * (scores.size(0) // scores.size(1)))  # expect: SC304


def by_length(q_reps, p_reps):
    (b, d), (n, _) = q_reps.shape, p_reps.shape
    ratio = q_reps.shape[0] // p_reps.shape[0]  # expect: SC304
    scores = q_reps @ p_reps.T
    return F.cross_entropy(scores, ratio * torch.arange(scores.shape[0]))


def known_groups(q, p):
    b, g, d = p.shape
    flat = p.reshape(b * g, d)
    q = q.view(b, d)
    group = q.size(0) // flat.size(0)  # expect: SC304
    return flat.view(b, group, d)
