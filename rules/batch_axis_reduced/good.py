"""Norms that run over axis 0 rightly."""

import torch
import torch.nn.functional as F
from torch import nn


class Momentum(nn.Module):
    def __init__(self, width: int, slots: int):
        super().__init__()
        self.register_buffer("queue", F.normalize(torch.randn(width, slots), dim=0))

    def forward(self, q):
        batch, width = q.shape
        bank = F.normalize(self.queue.clone(), dim=0)
        return torch.matmul(F.normalize(q, dim=1), bank)


def cross_correlation(a, b):
    n, width = a.shape
    rows, dim = b.shape
    a, b = F.normalize(a, dim=0), F.normalize(b, dim=0)
    return a.t() @ b


def standardised(z):
    return (z - z.mean(dim=0)) / z.std(dim=0)


def both_directions(image, text):
    sim = image @ text.t()
    return F.log_softmax(sim, dim=0).diagonal().mean() + F.log_softmax(sim, dim=1).diagonal().mean()


def mixed(stack, weights):
    """One weight for each layer, for all examples."""
    layers, batch, width = stack.shape
    (count,) = weights.shape
    share = torch.softmax(weights, dim=0)
    return (share.view(-1, 1, 1) * stack).sum(dim=0)


def likelihood(logits, labels):
    batch, classes = logits.shape
    return F.nll_loss(F.log_softmax(logits, dim=1), labels)


def images(logits, labels):
    batch, classes, height, width = logits.shape
    return F.nll_loss(F.log_softmax(logits, dim=1), labels)
