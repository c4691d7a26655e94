"""All pairs, with the rows moved to the front before the view."""

import torch
import torch.nn.functional as F


def free_groups(q, p, group):
    batch, dim = q.shape
    scores = q @ p.view(-1, group, dim).mT
    return scores.transpose(0, 1).reshape(batch, -1)


def three_axes(queries, documents):
    _, dim = queries.shape
    _, _, width = documents.shape
    assert dim == width
    scores = torch.matmul(queries, documents.permute(0, 2, 1)) / 0.02
    return scores.transpose(0, 1).reshape(queries.size(0), -1)


def as_logits(q, p, group):
    batch, dim = q.shape
    p = p.reshape(-1, group, dim)
    logits = torch.inner(q, p).view(batch, -1)
    return F.cross_entropy(logits, torch.zeros(batch, dtype=torch.long))


def scaled(q, p, temperature: float):
    batch, dim = q.shape
    _docs, group, _ = p.shape
    p = F.normalize(p.view(-1, group, dim), dim=-1)
    scores = q.matmul(p.transpose(1, 2)) / temperature
    scores = scores.transpose(0, 1).reshape(batch, -1)
    return scores


def distances(q, p, group):
    batch, dim = q.shape
    far = torch.cdist(q, p.view(-1, group, dim))
    return -far.transpose(0, 1).reshape(batch, -1)


def similarity(a, b):
    return a @ b.transpose(-2, -1)


def by_helper(q, p, group):
    batch, dim = q.shape
    grouped = p.view(-1, group, dim)
    return similarity(q, grouped).transpose(0, 1).reshape(batch, -1)
