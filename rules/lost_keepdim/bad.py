"""Reductions that drop an axis which the next operation needs."""

import torch


# run: unit_rows(x=[B, D]); raises: B=3, D=5; differ: B=4, D=4; equal: B=1, D=5
def unit_rows(x):
    _batch, _dim = x.shape
    return x / x.norm(dim=1)  # expect: SC103


# run: shifted(logits=[B, C]); raises: B=3, C=5; differ: B=4, C=4; equal: B=1, C=5
def shifted(logits):
    _batch, _classes = logits.shape
    return logits - logits.max(dim=1)[0]  # expect: SC103


# run: softmax_by_hand(q=[B, D], p=[B, D]); differ: B=3, D=5; equal: B=1, D=5
def softmax_by_hand(q, p):
    batch, dim = q.shape
    weights = (q @ p.view(batch, dim).T).exp()
    return weights / weights.sum(dim=1)  # expect: SC103


# run: standardised(x=[B, D]); raises: B=3, D=5; differ: B=4, D=4; equal: B=1, D=5
def standardised(x):
    _batch, _dim = x.shape
    mean = x.mean(-1)
    return x - mean  # expect: SC103


# run: masked_mean(hidden=[B, S, D], mask=[B, S]); raises: B=3, S=4, D=5; differ: B=4, S=5, D=4; equal: B=1, S=4, D=5
def masked_mean(hidden, mask):
    batch, seq, _dim = hidden.shape
    mask = mask.view(batch, seq)
    total = (hidden * mask.unsqueeze(-1)).sum(dim=1)
    return total / mask.sum(dim=1).clamp(min=1e-9)  # expect: SC103


# run: over_the_sequence(attention=[B, S, D]); raises: B=3, S=4, D=5; differ: B=4, S=4, D=5; equal: B=1, S=4, D=5
def over_the_sequence(attention):
    _batch, _seq, _dim = attention.shape
    weights = attention.exp()
    return weights / torch.sum(weights, dim=1)  # expect: SC103


# run: log_probabilities(scores=[B, G]); raises: B=3, G=5; differ: B=4, G=4; equal: B=1, G=5
def log_probabilities(scores):
    """
    Args:
        scores: (batch, group)
    """
    normaliser = torch.logsumexp(scores, dim=-1)
    return scores - normaliser  # expect: SC103


def of_any_rank(x):
    turned = x.transpose(-2, -1)
    return turned / turned.norm(dim=-1)  # expect: SC103


def of_any_matrix(x):
    rows = x.transpose(1, 2)
    return rows - rows.mean(dim=-1)  # expect: SC103


# run: at_another_place(h=[B, C, K]); raises: B=3, C=4, K=5; differ: B=4, C=4, K=4; equal: B=1, C=1, K=1
def at_another_place(h):
    _bins, _channels, _batch = h.shape
    h = h.permute(1, 2, 0)
    total = h.sum(dim=-1).unsqueeze(0) + 1e-9
    return h / total  # expect: SC103
