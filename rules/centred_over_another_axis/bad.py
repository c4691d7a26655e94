"""The mean of one axis is taken away, the products run over another."""

import torch
from torch import nn


def spread(x):
    middle = torch.mean(x, 1, keepdim=True) - x  # expect: SC404
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
        z = z - z.mean(dim=1, keepdim=True)  # expect: SC404
        return ((z.T @ z) / (z.shape[0] - 1)).pow(2).sum()


# run: in_letters(z=[N, D]); differ: N=5, D=3
def in_letters(z):
    n, width = z.shape
    middle = z - z.mean(dim=-1).unsqueeze(-1)  # expect: SC404
    return torch.einsum("ni,nj->ij", middle, middle) / (n - 1)


# run: correlation(z=[N, D]); differ: N=5, D=3
def correlation(z):
    rows, width = z.shape
    unit = z.sub(z.mean(1, keepdim=True)).div(z.std(1, keepdim=True))  # expect: SC404
    return unit.t().mm(unit).div(rows)


def of_torch(encoder, images):
    features = encoder(images)
    features = features - features.mean(0)
    return torch.cov(features)  # expect: SC404


def uneven(z):
    return (z - z.mean(dim=0)) / (z.std(dim=1, keepdim=True) + 1e-6)  # expect: SC404
