"""Totals of the batch among numbers of one row each."""

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
        return first + 0.5 * torch.sum(squared - squares)  # expect: SC403


# run: energy(x=[N, D], bias=[N]); differ: N=3, D=4; equal: N=1, D=4
def energy(x, bias):
    n, _width = x.shape
    return bias.view(n) + (x * x).sum()  # expect: SC403


# run: relative(scores=[B, G], own=[B]); differ: B=3, G=4; equal: B=1, G=4
def relative(scores, own):
    b, _group = scores.shape
    own = own.view(b)
    return torch.sigmoid(own - scores.exp().sum())  # expect: SC403


# run: with_parts(q=[B, D], p=[B, D]); differ: B=3, D=4; equal: B=1, D=4
def with_parts(q, p):
    b, d = q.shape
    p = p.view(b, d)
    alike = F.cosine_similarity(q, p)
    return torch.add(alike, torch.sum(torch.abs(q - p)))  # expect: SC403


# run: as_a_method(x=[N, D], y=[N]); differ: N=3, D=4; equal: N=1, D=4
def as_a_method(x, y):
    n, _d = x.shape
    logit = y.view(n).sub(x.pow(2).sum() / 2)  # expect: SC403
    return torch.stack([logit, -logit], dim=1)


# run: in_a_column(x=[N, D], weight=[D]); differ: N=3, D=4; equal: N=1, D=4
def in_a_column(x, weight):
    _n, d = x.shape
    linear = x @ weight.view(d, 1)
    return linear + x.sum()  # expect: SC403
