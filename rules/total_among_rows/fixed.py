"""The same with each row's own sum."""

import torch
import torch.nn.functional as F
from torch import nn


class Factors(nn.Module):
    def __init__(self, width: int, rank: int = 10):
        super().__init__()
        self.linear = nn.Linear(width, 1)
        self.factors = nn.Parameter(torch.randn(width, rank))

    def forward(self, pairs):
        first = self.linear(pairs)
        squared = torch.mm(pairs, self.factors).pow(2)
        squares = torch.mm(pairs.pow(2), self.factors.pow(2))
        return first + 0.5 * torch.sum(squared - squares, dim=1, keepdim=True)


def energy(x, bias):
    n, _width = x.shape
    return bias.view(n) + (x * x).sum(dim=1)


def relative(scores, own):
    b, _group = scores.shape
    own = own.view(b)
    return torch.sigmoid(own - scores.exp().sum(dim=-1))


def with_parts(q, p):
    b, d = q.shape
    p = p.view(b, d)
    alike = F.cosine_similarity(q, p)
    return torch.add(alike, torch.sum(torch.abs(q - p), dim=1))


def as_a_method(x, y):
    n, _d = x.shape
    logit = y.view(n).sub(x.pow(2).sum(dim=1) / 2)
    return torch.stack([logit, -logit], dim=1)


def in_a_column(x, weight):
    _n, d = x.shape
    linear = x @ weight.view(d, 1)
    return linear + x.sum(dim=1, keepdim=True)
