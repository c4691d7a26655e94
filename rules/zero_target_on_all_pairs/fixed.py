"""The same, each row labelled with its own column."""

import torch
import torch.nn.functional as F
from torch import nn


def pairs_loss(q, p):
    batch, dim = q.shape
    p = p.view(batch, dim)
    scores = q @ p.T
    target = torch.arange(batch)
    return F.cross_entropy(scores, target)


def grouped_loss(queries, passages):
    b, g, d = passages.shape
    queries = queries.view(b, d)
    logits = torch.matmul(queries, passages.reshape(b * g, d).transpose(0, 1))
    labels = torch.arange(0, b * g, g, device=logits.device)
    return F.cross_entropy(logits / 0.05, labels)


def einsum_loss(a, c):
    n, k, d = c.shape
    sim = torch.einsum("nd,md->nm", a.view(n, d), c.view(n * k, d))
    return F.cross_entropy(sim, torch.arange(n) * k)


def log_softmax_loss(q, p):
    b, g, d = p.shape
    scores = q.view(b, d).mm(p.flatten(0, 1).t())
    first = torch.arange(b) * g
    return F.nll_loss(F.log_softmax(scores, dim=-1), first)


class Retriever(nn.Module):
    def __init__(self, temperature=0.02):
        super().__init__()
        self.temperature = temperature
        self.criterion = nn.CrossEntropyLoss()

    def similarity(self, q, p):
        return torch.matmul(q, p.transpose(0, 1))

    def forward(self, query, passage):
        rows, group, dim = passage.shape
        scores = self.similarity(query.view(rows, dim), passage.view(-1, dim)) / self.temperature
        target = torch.arange(rows) * group
        return self.criterion(scores, target)


def self_similarity_loss(z, early=False):
    n, d = z.shape
    sim = F.normalize(z, dim=1) @ F.normalize(z, dim=1).T
    if early:
        return sim
    wanted = torch.arange(n)
    return F.cross_entropy(input=sim, target=wanted)


def both_views(a, b):
    n, _ = a.shape
    own = ~torch.eye(n, dtype=torch.bool)
    ab = torch.einsum("nc,mc->nm", a, b)
    aa = torch.einsum("nc,mc->nm", a, a)[own].view(n, -1)
    bb = torch.einsum("nc,mc->nm", b, b)[own].view(n, -1)
    ba = torch.einsum("nc,mc->nm", b, a)
    scores = torch.cat([torch.cat([ab, aa], dim=1), torch.cat([ba, bb], dim=1)], dim=0)
    labels = torch.arange(n).repeat(2)
    return F.cross_entropy(scores, labels)


class Buffered(torch.nn.Module):
    """Labels out of a buffer, moved on to this process's own columns."""

    def __init__(self, most: int = 1024):
        super().__init__()
        self.register_buffer("places", torch.arange(most), persistent=False)

    def forward(self, q, d, offset: int = 0):
        scores = torch.einsum("bd,cd->bc", q, d)
        wanted = self.places[: scores.size(0)] + offset
        return F.cross_entropy(scores / 0.02, wanted)
