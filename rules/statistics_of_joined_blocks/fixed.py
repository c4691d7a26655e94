"""Each view by itself."""

import torch
import torch.nn.functional as F
from torch import nn


def correlation_loss(one, two):
    """one, two: [batch, width]"""
    a, b = standardised(one, two)
    return (a.t() @ b / one.size(0) - torch.eye(one.size(1))).pow(2).sum()


def standardised(one, two):
    a = F.batch_norm(one, None, None, training=True)
    b = F.batch_norm(two, None, None, training=True)
    return a, b


def by_hand(x, y):
    n, width = x.shape
    a, b = torch.cat([x, y], dim=0).chunk(2)
    a = (a - a.mean(0)) / a.std(0)
    b = (b - b.mean(0)) / b.std(0)
    return a.T @ b / n


def of_a_stack(x, y):
    n, width = x.shape
    pair = torch.stack((x, y.view(n, width)))
    pair = (pair - pair.mean(dim=1, keepdim=True)) / pair.std(dim=1, keepdim=True)
    return pair[0].t() @ pair[1]


class Twins(nn.Module):
    def __init__(self, net, width: int):
        super().__init__()
        self.net = net
        self.norm = nn.BatchNorm1d(width, affine=False)

    def forward(self, x, y):
        z = self.net(torch.cat((x, y)))
        n = x.size(0)
        return torch.mm(self.norm(z[:n]).t(), self.norm(z[n:])) / n


class InLetters(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False)

    def forward(self, x, y):
        return torch.einsum("bi,bj->ij", self.norm(x), self.norm(y))


def only_centred(image, text):
    """image, text: [batch, width]"""
    a, b = image - image.mean(dim=0, keepdim=True), text - text.mean(dim=0, keepdim=True)
    return torch.matmul(a.transpose(0, 1), b)


def one_mean(x, y):
    n, width = x.shape
    y = y.view(n, width)
    a, b = (x - x.mean(dim=0)) / x.std(dim=0), (y - y.mean(dim=0)) / y.std(dim=0)
    return a.t() @ b / n
