"""Both directions."""

import torch
import torch.nn.functional as F
from torch import nn


def clip(image, text, scale):
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    per_image = scale * image @ text.t()
    per_text = scale * text @ image.t()
    labels = torch.arange(per_image.shape[0])
    return (F.cross_entropy(per_image, labels) + F.cross_entropy(per_text, labels)) / 2


class Symmetric(nn.Module):
    def __init__(self):
        super().__init__()
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, queries, passages):
        forth = torch.matmul(queries, passages.transpose(0, 1)) / 0.05
        back = torch.matmul(passages, queries.transpose(0, 1)) / 0.05
        labels = torch.arange(forth.size(0), device=forth.device)
        return self.criterion(forth, labels) + self.criterion(back, labels)


def with_itself(z, labels):
    return F.cross_entropy(z @ z.t(), labels)


def in_letters(a, b, labels):
    one = F.cross_entropy(torch.einsum("nd,md->nm", a, b), labels)
    other = F.cross_entropy(torch.einsum("nd,md->nm", b, a), labels)
    return torch.add(one, other)


def by_layer(a, b, labels):
    forth = F.linear(a, b).div(0.1)
    back = F.linear(b, a).div(0.1)
    return F.cross_entropy(forth, labels) + F.cross_entropy(back, labels)


def turned_twice(a, b, labels):
    alike = torch.mm(a, b.t())
    back = alike.t()
    first, second = F.cross_entropy(alike, labels), F.cross_entropy(back, labels)
    return (first + second).mul(0.5)
