"""Labels that name each row itself."""

import torch
import torch.nn.functional as F
from torch import nn


# run: two_views(z1=[B, D], z2=[B, D]); differ: B=3, D=4
def two_views(z1, z2, temperature: float = 0.1):
    n = z1.shape[0]
    z = F.normalize(torch.cat([z1, z2], dim=0), dim=1)
    return F.cross_entropy(z @ z.T / temperature, torch.arange(2 * n))  # expect: SC306


# run: by_rows(a=[B, D], b=[B, D]); differ: B=3, D=4
def by_rows(a, b):
    both = torch.concat((a, b))
    scores = torch.mm(both, both.t())
    labels = torch.arange(scores.size(0), device=scores.device)
    return F.cross_entropy(scores, labels)  # expect: SC306


# run: letters(a=[B, D], b=[B, D]); differ: B=3, D=4
def letters(a, b):
    views = torch.cat([a, b], 0)
    scores = torch.einsum("id,jd->ij", views, views)
    return F.cross_entropy(scores, torch.arange(len(views)))  # expect: SC306


class Contrast(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.project = nn.Linear(width, width)
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, one, two):
        rows, width = one.shape
        other, width = two.shape
        z = self.project(torch.cat([one, two]))
        logits = torch.matmul(z, z.transpose(0, 1))
        labels = torch.arange(logits.shape[0])
        return self.criterion(logits, labels)  # expect: SC306


def similarities(z):
    return z @ z.t()


# run: by_helper(a=[B, D], b=[B, D]); differ: B=3, D=4
def by_helper(a, b):
    z = torch.cat([a, b])
    scores = similarities(z)
    return F.nll_loss(F.log_softmax(scores, dim=-1), torch.arange(z.size(0)))  # expect: SC306


# run: three(a=[B, D], b=[B, D], c=[B, D]); differ: B=3, D=4
def three(a, b, c):
    z = torch.cat([a, b, c])
    scores = z.mm(z.T)
    return F.cross_entropy(input=scores, target=torch.arange(scores.shape[1]))  # expect: SC306
