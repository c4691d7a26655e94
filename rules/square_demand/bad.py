"""Products of a tensor with itself that lack their transposition."""

import torch
import torch.nn.functional as F
from torch import nn


# run: covariance(emb=[N, D]); raises: N=4, D=3; differ: N=3, D=3
def covariance(emb):
    rows, _width = emb.shape
    emb = emb - emb.mean(dim=0)
    return emb @ emb / (rows - 1)  # expect: SC107


# run: nearest(x=[N, D]); raises: N=4, D=3; differ: N=3, D=3
def nearest(x):
    x = F.normalize(x, p=2, dim=-1)
    return torch.mm(x, x).fill_diagonal_(-2).max(dim=1).values  # expect: SC107


# run: as_letters(out=[N, D]); raises: N=4, D=3; differ: N=3, D=3
def as_letters(out):
    out = F.normalize(out, dim=1)
    return torch.einsum("nc,cm->nm", out, out.detach())  # expect: SC107


# run: views(z0=[N, D], z1=[N, D]); raises: N=4, D=3; differ: N=4, D=8
def views(z0, z1):
    z = F.normalize(torch.cat([z0, z1], dim=0), dim=1)
    return torch.matmul(z, z) / 0.1  # expect: SC107


class Positions(nn.Module):
    def forward(self, features):
        features = features.flatten(2).softmax(-1)
        return torch.bmm(features, features)  # expect: SC107


# run: scaled(tokens=[N, S, D]); raises: N=2, S=4, D=3; differ: N=2, S=3, D=3
def scaled(tokens):
    _n, _s, width = tokens.shape
    return (tokens / width**0.5) @ tokens  # expect: SC107


# run: both_turned(x=[N, D]); raises: N=4, D=3; differ: N=3, D=3
def both_turned(x):
    _n, _d = x.shape
    return x.t() @ x.t()  # expect: SC107


# run: two_ways(text=[N, D], image=[M, D]); raises: N=4, D=3, M=5
def two_ways(text, image):
    per_text = torch.mm(text, image.t())
    per_image = torch.mm(image, text)  # expect: SC107
    return F.cross_entropy(per_text, torch.arange(text.size(0))) + per_image.mean()


# run: attended(q=[N, D], k=[M, D], v=[M, D]); raises: N=4, D=3, M=5
def attended(q, k, v):
    weights = torch.mm(q, k.t()).softmax(dim=-1)
    mixed = torch.mm(weights, v)
    return torch.mm(mixed, k)  # expect: SC107
