"""Views after a product that keep each row's own scores together."""

import torch


def flat_product(q, p):
    batch, dim = q.shape
    return (q @ p.view(-1, dim).T).view(batch, -1)


def rows_first(q, p, group):
    batch, dim = q.shape
    scores = q @ p.view(-1, group, dim).mT
    return scores.transpose(0, 1).reshape(batch, -1)


def groups_first(q, p, group):
    _batch, dim = q.shape
    p = p.view(-1, group, dim)
    scores = torch.matmul(q, p.transpose(1, 2))
    return scores.view(p.size(0), -1)


def tokens(q, p):
    """Every query token against every document's tokens, then the best of each."""
    _documents, _length, dim = p.shape
    _queries, _ = q.shape
    scores = q @ p.view(p.size(0), -1, dim).mT
    return scores.max(-1).values.sum(-1)


def projected(hidden, weight):
    batch, length, dim = hidden.shape
    width, _ = weight.shape
    return (hidden @ weight.view(width, dim).T).view(batch, -1), (hidden @ weight.view(width, dim).T).mean()
