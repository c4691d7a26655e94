"""Terms that read other scores, other labels, or the same in another way."""

import torch
import torch.nn.functional as F


def two_labels(a, b, labels, others):
    alike = a @ b.t()
    return F.cross_entropy(alike, labels) + F.cross_entropy(alike, others)


def two_temperatures(a, b, labels):
    alike = a @ b.t()
    return F.cross_entropy(alike / 0.1, labels) + F.cross_entropy(alike / 0.5, labels)


def two_layers(a, b, c, labels):
    return F.cross_entropy(a @ b.t(), labels) + F.cross_entropy(a @ c.t(), labels)


def masked(a, b, labels, mask):
    alike = a @ b.t()
    return F.cross_entropy(alike, labels) + F.cross_entropy(alike.masked_fill(mask, -1e9), labels)


def both_ways(a, b):
    alike = a @ b.t()
    labels = torch.arange(alike.size(0))
    return (F.cross_entropy(alike, labels) + F.cross_entropy(alike.t(), labels)) / 2


def both_as_lists(q, k, temperature):
    """The operands of an einsum may stand in a list."""
    logits = torch.einsum("nc,mc->nm", [q, k]) / temperature
    turned = torch.einsum("nc,mc->nm", [k, q]) / temperature
    labels = torch.arange(logits.shape[0])
    return F.cross_entropy(logits, labels) + F.cross_entropy(turned, labels)
