"""One direction, added twice."""

import torch
import torch.nn.functional as F
from torch import nn


def clip(image, text, scale):
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    per_image = scale * image @ text.t()
    per_text = scale * image @ text.t()
    labels = torch.arange(per_image.shape[0])
    return (F.cross_entropy(per_image, labels) + F.cross_entropy(per_text, labels)) / 2  # expect: SC308


class Symmetric(nn.Module):
    def __init__(self):
        super().__init__()
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, queries, passages):
        forth = torch.matmul(queries, passages.transpose(0, 1)) / 0.05
        back = torch.matmul(passages, queries.transpose(0, 1)) / 0.05
        labels = torch.arange(forth.size(0), device=forth.device)
        return self.criterion(forth, labels) + self.criterion(back.t(), labels)  # expect: SC308


def with_itself(z, labels):
    alike = z @ z.t()
    return 0.5 * F.cross_entropy(alike, labels) + 0.5 * F.cross_entropy(alike.t(), labels)  # expect: SC308


def in_letters(a, b, labels):
    one = F.cross_entropy(torch.einsum("nd,md->nm", a, b), labels)
    other = F.cross_entropy(torch.einsum("nd,md->mn", b, a), labels)  # expect: SC308
    return torch.add(one, other)


def by_layer(a, b, labels):
    forth = F.linear(a, b).div(0.1)
    back = F.linear(a, b).div(0.1)
    return F.cross_entropy(forth, labels) + F.cross_entropy(back, labels)  # expect: SC308


def turned_twice(a, b, labels):
    alike = torch.mm(a, b.t())
    back = alike.t().T
    first, second = F.cross_entropy(alike, labels), F.cross_entropy(back, labels)  # expect: SC308
    return (first + second).mul(0.5)
