"""SC502: masks that fit another matrix."""

import torch
from torch import nn


# run: pair_mask(batch=N, world=W); differ: N=2, W=2; equal: N=2, W=1
def pair_mask(batch: int, world: int):
    total = 2 * batch * world
    mask = torch.ones(total, total, dtype=torch.bool)
    for i in range(batch * world):
        mask[i, batch + i] = False  # expect: SC502
        mask[batch + i, i] = False
    return mask


class Contrast(nn.Module):
    def __init__(self, size: int, replicas: int):
        super().__init__()
        self.size, self.replicas = size, replicas
        self.negatives = self.build()

    def build(self):
        half = self.size * self.replicas
        keep = torch.ones((2 * half, 2 * half))
        keep.fill_diagonal_(0)
        for row in range(half):
            keep[row, row + self.size] = 0  # expect: SC502
            keep[row + self.size, row] = 0
        return keep


# run: positives(n=N, gpus=W); differ: N=3, W=2; equal: N=3, W=1
def positives(n: int, gpus: int):
    target = torch.zeros(2 * n * gpus, 2 * n * gpus)
    for k in range(n * gpus):
        target[k, k + n] = 1.0  # expect: SC502
    return target


def same_class(similarity, labels):
    count = labels.size(0)
    same = labels.view(-1, 1) == labels.view(1, -1)
    return similarity[same].view(count, -1)  # expect: SC502


def other_class(distance, classes):
    n = distance.size(0)
    differs = classes.unsqueeze(0).ne(classes.unsqueeze(1))
    return torch.masked_select(distance, differs).reshape(n, -1).min(dim=1).values  # expect: SC502


class Mining(nn.Module):
    def forward(self, dist, targets):
        rows = dist.size(0)
        tags = targets.expand(rows, rows)
        is_positive = tags.eq(tags.t())
        hardest, _ = dist[is_positive].contiguous().view(rows, -1).max(1)  # expect: SC502
        easiest, _ = dist[~is_positive].contiguous().view(rows, -1).min(1)  # expect: SC502
        return hardest - easiest
