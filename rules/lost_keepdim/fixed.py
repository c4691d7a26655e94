"""Reductions that keep the axis which the next operation needs."""

import torch


def unit_rows(x):
    _batch, _dim = x.shape
    return x / x.norm(dim=1, keepdim=True)


def shifted(logits):
    _batch, _classes = logits.shape
    return logits - logits.max(dim=1, keepdim=True)[0]


def softmax_by_hand(q, p):
    batch, dim = q.shape
    weights = (q @ p.view(batch, dim).T).exp()
    return weights / weights.sum(dim=1, keepdim=True)


def standardised(x):
    _batch, _dim = x.shape
    mean = x.mean(-1)
    return x - mean.unsqueeze(-1)


def masked_mean(hidden, mask):
    batch, seq, _dim = hidden.shape
    mask = mask.view(batch, seq)
    total = (hidden * mask.unsqueeze(-1)).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1e-9)


def over_the_sequence(attention):
    _batch, _seq, _dim = attention.shape
    weights = attention.exp()
    return weights / torch.sum(weights, dim=1, keepdim=True)


def log_probabilities(scores):
    """
    Args:
        scores: (batch, group)
    """
    normaliser = torch.logsumexp(scores, dim=-1)
    return scores - normaliser.unsqueeze(-1)


def of_any_rank(x):
    turned = x.transpose(-2, -1)
    return turned / turned.norm(dim=-1, keepdim=True)


def of_any_matrix(x):
    rows = x.transpose(1, 2)
    return rows - rows.mean(dim=-1, keepdim=True)


def at_another_place(h):
    _bins, _channels, _batch = h.shape
    h = h.permute(1, 2, 0)
    total = h.sum(dim=-1, keepdim=True) + 1e-9
    return h / total
