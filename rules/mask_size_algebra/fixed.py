"""bad.py with masks of the matrix's own size."""

import torch
from torch import nn


def pair_mask(batch: int, world: int):
    total = 2 * batch * world
    mask = torch.ones(total, total, dtype=torch.bool)
    for i in range(batch * world):
        mask[i, batch * world + i] = False
        mask[batch * world + i, i] = False
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
            keep[row, row + half] = 0
            keep[row + half, row] = 0
        return keep


def positives(n: int, gpus: int):
    target = torch.zeros(2 * n * gpus, 2 * n * gpus)
    for k in range(n * gpus):
        target[k, k + n * gpus] = 1.0
    return target


def same_class(similarity, labels):
    same = labels.view(-1, 1) == labels.view(1, -1)
    return similarity.masked_fill(~same, 0.0)


def other_class(distance, classes):
    differs = classes.unsqueeze(0).ne(classes.unsqueeze(1))
    return distance.masked_fill(~differs, float("inf")).min(dim=1).values


class Mining(nn.Module):
    def forward(self, dist, targets):
        rows = dist.size(0)
        tags = targets.expand(rows, rows)
        is_positive = tags.eq(tags.t())
        hardest, _ = dist.masked_fill(~is_positive, float("-inf")).max(1)
        easiest, _ = dist.masked_fill(is_positive, float("inf")).min(1)
        return hardest - easiest
