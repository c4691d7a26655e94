"""Two views share mean and deviation."""

import torch
import torch.nn.functional as F
from torch import nn


def correlation_loss(one, two):
    """one, two: [batch, width]"""
    a, b = standardised(one, two)
    return (a.t() @ b / one.size(0) - torch.eye(one.size(1))).pow(2).sum()


def standardised(one, two):
    pair = torch.stack([one, two])
    flat = F.batch_norm(pair.flatten(0, 1), None, None, training=True)  # expect: SC405
    both = flat.view_as(pair)
    return both[0], both[1]


# run: by_hand(x=[N, D], y=[N, D]); differ: N=5, D=3
def by_hand(x, y):
    n, width = x.shape
    rows = torch.cat([x, y], dim=0)
    rows = (rows - rows.mean(0)) / rows.std(0)  # expect: SC405
    a, b = rows.chunk(2)
    return a.T @ b / n


# run: of_a_stack(x=[N, D], y=[N, D]); differ: N=5, D=3
def of_a_stack(x, y):
    n, width = x.shape
    pair = torch.stack((x, y.view(n, width)))
    pair = (pair - pair.mean(dim=(0, 1), keepdim=True)) / pair.std(dim=(0, 1), keepdim=True)  # expect: SC405
    return pair[0].t() @ pair[1]


class Twins(nn.Module):
    def __init__(self, net, width: int):
        super().__init__()
        self.net = net
        self.norm = nn.BatchNorm1d(width, affine=False)

    def forward(self, x, y):
        z = self.norm(self.net(torch.cat((x, y))))  # expect: SC405
        n = x.size(0)
        return torch.mm(z[:n].t(), z[n:]) / n


class InLetters(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False)

    def forward(self, x, y):
        z = self.norm(torch.cat((x, y)))  # expect: SC405
        return torch.einsum("bi,bj->ij", z[: x.size(0)], z[x.size(0) :])


def only_centred(image, text):
    """image, text: [batch, width]"""
    rows = torch.vstack((image, text))
    rows = rows - rows.mean(dim=0, keepdim=True)  # expect: SC405
    a, b = rows.split(image.size(0))
    return torch.matmul(a.transpose(0, 1), b)


# run: one_mean(x=[N, D], y=[N, D]); differ: N=5, D=3
def one_mean(x, y):
    n, width = x.shape
    rows = torch.cat([x, y.view(n, width)])
    middle, spread = rows.mean(dim=0), rows.std(dim=0)  # expect: SC405
    a, b = (x - middle) / spread, (y - middle) / spread
    return a.t() @ b / n
