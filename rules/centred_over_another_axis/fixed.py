"""The mean of the axis that is summed."""

import torch
from torch import nn


def spread(x):
    middle = torch.mean(x, 0, keepdim=True) - x
    return torch.matmul(torch.transpose(middle, 0, 1), middle)


class Aligned(nn.Module):
    def __init__(self, width: int, classes: int):
        super().__init__()
        self.head = nn.Linear(width, classes)

    def forward(self, source, target):
        gap = spread(self.head(source)) - spread(self.head(target))
        return gap.pow(2).mean()


class Decorrelated(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        z = self.net(images)
        z = z - z.mean(dim=0, keepdim=True)
        return ((z.T @ z) / (z.shape[0] - 1)).pow(2).sum()


def in_letters(z):
    n, width = z.shape
    middle = z - z.mean(dim=0)
    return torch.einsum("ni,nj->ij", middle, middle) / (n - 1)


def correlation(z):
    rows, width = z.shape
    unit = z.sub(z.mean(0, keepdim=True)).div(z.std(0, keepdim=True))
    return unit.t().mm(unit).div(rows)


def of_torch(encoder, images):
    features = encoder(images)
    features = features - features.mean(0)
    return torch.cov(features.T)


def uneven(z):
    return (z - z.mean(dim=0)) / (z.std(dim=0, keepdim=True) + 1e-6)
