"""The process rank in the labels, where the columns are not gathered; and the other way round."""

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as collective
import torch.nn.functional as F
from torch import nn


def gather_rows(x):
    return torch.cat(collective.all_gather(x), dim=0)


def offset_on_every_path(z1, z2, gather_across=False):
    n, d = z1.shape
    others = z2.view(n, d)
    if gather_across:
        others = gather_rows(others)
    logits = z1 @ others.T
    labels = torch.arange(n) + dist.get_rank() * n  # expect: SC303
    return F.cross_entropy(logits, labels)


def offset_without_any_gather(q, k):
    b, d = q.shape
    sim = torch.einsum("bd,nd->bn", q, k.view(b, d))
    rank = dist.get_rank()
    target = torch.arange(b * rank, b * (rank + 1))  # expect: SC303
    return F.cross_entropy(sim / 0.1, target)


def gather_without_offset(q, k):
    b, d = q.shape
    keys = gather_rows(k.view(b, d))
    scores = torch.matmul(q, keys.transpose(0, 1))
    return F.cross_entropy(scores, torch.arange(b))  # expect: SC303


class Contrast(nn.Module):
    def __init__(self, temperature):
        super().__init__()
        self.temperature = temperature
        self.loss = nn.CrossEntropyLoss()

    def everywhere(self, x):
        return torch.cat(torch.distributed.nn.all_gather(x), dim=0)

    def forward(self, anchors, positives):
        n, d = anchors.shape
        columns = self.everywhere(positives.view(n, d))
        logits = anchors @ columns.t() / self.temperature
        labels = torch.arange(n, device=anchors.device)
        return self.loss(logits, labels)  # expect: SC303


def labels_left_behind(q, p, labels):
    b, d = q.shape
    rows, columns = gather_rows(q), gather_rows(p.view(b, d))
    scores = rows @ columns.T
    return F.cross_entropy(scores, labels.view(b))  # expect: SC303


def wrong_step(q, p):
    b, g, d = p.shape
    columns = gather_rows(p.reshape(b * g, d))
    scores = q.view(b, d) @ columns.T
    starts = torch.arange(b) * g + dist.get_rank() * b  # expect: SC303
    return F.cross_entropy(scores, starts)


class TwoViews(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.one = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 64))
        self.other = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 64))

    def forward(self, left, right):
        q, k = F.normalize(self.one(left), dim=1), F.normalize(self.other(right), dim=1)
        logits = torch.einsum("nc,mc->nm", [q, k]) / 0.1
        labels = torch.arange(logits.shape[0]) + logits.shape[0] * dist.get_rank()  # expect: SC303
        return F.cross_entropy(logits, labels)
