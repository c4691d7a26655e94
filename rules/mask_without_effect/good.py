"""Masks that the softmax heeds."""

import torch
import torch.nn.functional as F


def keys(q, k, v, mask):
    """q, k, v [B, S, D]; mask [B, S]"""
    scores = q @ k.transpose(1, 2)
    scores = scores.masked_fill(mask[:, None, :] == 0, -1e9)
    return scores.softmax(-1) @ v


def both(q, mask):
    """q [B, S, D]; mask [B, S]"""
    scores = q @ q.transpose(1, 2)
    pairs = mask.unsqueeze(1) * mask.unsqueeze(2)
    return scores.masked_fill(pairs == 0, -1e9).softmax(-1)


def one_after_the_other(q, mask):
    """q [B, S, D]; mask [B, S]"""
    scores = q @ q.transpose(1, 2)
    scores = scores.masked_fill(mask[:, None, :] == 0, -1e9)
    scores = scores.masked_fill(mask[:, :, None] == 0, -1e9)
    return scores.softmax(-1)


def bias_hides_keys(q, bias, mask):
    """q [B, S, D]; bias [B, 1, S]; mask [B, S]"""
    scores = q @ q.transpose(1, 2) + bias
    return scores.masked_fill(mask[:, :, None] == 0, -1e9).softmax(-1)


def causal(q):
    """q [B, S, D]"""
    s = q.size(1)
    scores = q @ q.transpose(1, 2)
    return scores.masked_fill(torch.ones(s, s).triu(1).bool(), float("-inf")).softmax(-1)


def stable(scores):
    """scores [B, C]"""
    return torch.log_softmax(scores - scores.max(dim=1, keepdim=True).values, dim=1)


def pooled(scores, mask, hidden):
    """scores (B, S, 1), mask (B, S), hidden (B, S, D): the softmax runs over S"""
    weights = F.softmax(scores.masked_fill(mask.unsqueeze(-1) == 0, -1e9), dim=1)
    return (weights * hidden).sum(dim=1)


def examples_left_out(scores, valid, labels):
    """scores (B, G), valid (B,), labels (B,)"""
    scores = scores.masked_fill(~valid.bool().unsqueeze(1), 0.0)
    return (F.cross_entropy(scores, labels, reduction="none") * valid).sum() - torch.log_softmax(scores, dim=1).mean()
