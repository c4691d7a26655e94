"""Shared statistics that are meant, and blocks that are not correlated along the rows."""

import torch
import torch.nn.functional as F
from torch import nn


def similarities(x, y):
    """x, y [batch, width]: rows against rows"""
    z = F.batch_norm(torch.cat((x, y)), None, None, training=True)
    return z[: x.size(0)] @ z[x.size(0) :].t()


class Joint(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x, y):
        a, b = self.net(torch.cat([x, y])).chunk(2)
        return F.cosine_similarity(a, b, dim=-1)


def whole(x, y):
    """x, y [batch, width]: the covariance of all rows"""
    z = torch.cat((x, y))
    z = z - z.mean(0)
    return z.t() @ z / (z.size(0) - 1)


def of_one_block(x, y):
    """x, y [batch, width]"""
    z = F.batch_norm(torch.cat((x, y)), None, None, training=True)
    a = z[: x.size(0)]
    return a.t() @ a


def each_view(x, y):
    n, width = x.shape
    pair = torch.stack((x, y))
    pair = (pair - pair.mean(dim=1, keepdim=True)) / pair.std(dim=1, keepdim=True)
    return pair[0].t() @ pair[1]
