"""The same with one operand transposed."""

import torch
import torch.nn.functional as F
from torch import nn


def covariance(emb):
    rows, _width = emb.shape
    emb = emb - emb.mean(dim=0)
    return emb.T @ emb / (rows - 1)


def nearest(x):
    x = F.normalize(x, p=2, dim=-1)
    return torch.mm(x, x.t()).fill_diagonal_(-2).max(dim=1).values


def as_letters(out):
    out = F.normalize(out, dim=1)
    return torch.einsum("nc,mc->nm", out, out.detach())


def views(z0, z1):
    z = F.normalize(torch.cat([z0, z1], dim=0), dim=1)
    return torch.matmul(z, z.T) / 0.1


class Positions(nn.Module):
    def forward(self, features):
        features = features.flatten(2).softmax(-1)
        return torch.bmm(features, features.transpose(1, 2))


def scaled(tokens):
    _n, _s, width = tokens.shape
    return (tokens / width**0.5) @ tokens.mT


def both_turned(x):
    _n, _d = x.shape
    return x.t() @ x


def two_ways(text, image):
    per_text = torch.mm(text, image.t())
    per_image = torch.mm(image, text.t())
    return F.cross_entropy(per_text, torch.arange(text.size(0))) + per_image.mean()


def attended(q, k, v):
    weights = torch.mm(q, k.t()).softmax(dim=-1)
    mixed = torch.mm(weights, v)
    return torch.mm(mixed, k.t())
