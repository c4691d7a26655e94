"""Indices that were made for all columns, used where there is only the own group."""

import torch
import torch.nn.functional as F
from torch import nn


# run: own_group_loss(queries=[B, D], passages=[B, G, D]); equal: B=1, G=3, D=4
def own_group_loss(queries, passages):
    rows, group, dim = passages.shape
    scores = torch.einsum("bd,bgd->bg", queries, passages)
    labels = torch.arange(rows) * group
    return F.cross_entropy(scores, labels)  # expect: SC305


def local_scores_loss(q, p, temperature=0.05):
    b, d = q.shape
    g = p.shape[1]
    logits = torch.bmm(p.view(b, g, d), q.unsqueeze(-1)).squeeze(-1) / temperature
    target = torch.arange(0, b * g, g, device=q.device)
    return F.cross_entropy(logits, target)  # expect: SC305


class GroupLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.loss = nn.CrossEntropyLoss()

    def forward(self, anchors, candidates):
        n, k, dim = candidates.shape
        anchors = anchors.view(n, dim)
        own = (anchors.unsqueeze(1) * candidates).sum(dim=-1)
        starts = torch.arange(n, dtype=torch.long) * k
        return self.loss(own, starts)  # expect: SC305


def picked_positive(scores):
    batch, group = scores.shape
    index = torch.arange(batch) * group
    return scores.gather(1, index.unsqueeze(1))  # expect: SC305


def fancy_positive(scores):
    batch, group = scores.shape
    index = torch.arange(batch) * group
    return scores[torch.arange(batch), index]  # expect: SC305


def selected_rows(passages):
    batch, group, dim = passages.shape
    first = torch.arange(0, batch * group, group)
    return torch.index_select(passages, 0, first)  # expect: SC305
