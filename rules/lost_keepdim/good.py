"""Reductions whose result lines up with what it meets."""

import torch


def kept(x):
    _batch, _dim = x.shape
    return x / x.norm(dim=1, keepdim=True), x - x.mean(1).unsqueeze(1), x / x.sum(-1)[:, None]


def over_the_batch(z):
    _batch, _dim = z.shape
    return (z - z.mean(dim=0)) / z.std(dim=0)


def numpy_names(attention, mask):
    _batch, _seq, _dim = attention.shape
    return attention / attention.sum(axis=1, keepdims=True), attention * mask.unsqueeze(-1)


def to_a_number(x):
    _batch, _dim = x.shape
    return x / x.sum(), x - x.max()


def over_the_heads(scores):
    _batch, _heads, _length, _keys = scores.shape
    return scores / scores.sum(dim=(1, 2, 3), keepdim=True)


def row_with_row(q, p):
    batch, dim = q.shape
    p = p.view(batch, dim)
    return (q * p).sum(1) / (q.norm(dim=1) * p.norm(dim=1))


def columns_of_pairs(q, p):
    batch, dim = q.shape
    scores = (q @ p.view(batch, dim).T).exp()
    return scores / scores.sum(dim=0), scores / torch.sum(scores, dim=1, keepdim=True)


def put_back(x):
    _batch, _seq, _dim = x.shape
    return x / x.sum(dim=1).unsqueeze(1), x / x.sum(-1).unsqueeze(-1), x - x.mean(dim=-1)[..., None]


def perhaps_a_vector(x, y):
    return x / x.norm(dim=-1), (x * y).sum(-1) / x.norm(dim=-1)
