"""Masks that fit."""

import torch


def halves(n: int):
    mask = torch.ones(2 * n, 2 * n, dtype=torch.bool)
    for i in range(n):
        mask[i, n + i] = 0
        mask[n + i, i] = 0
    return mask


def neighbours(n: int):
    band = torch.zeros(n, n)
    for i in range(n - 1):
        band[i, i + 1] = 1
    return band


def off_diagonal(sim):
    n = sim.size(0)
    mask = torch.eye(n, dtype=torch.bool)
    return sim[~mask].view(n, -1)


def numbered(sim, n: int, views: int):
    """Every number occurs once in each view: all rows keep as many."""
    ids = torch.cat([torch.arange(n) for _ in range(views)])
    same = ids.unsqueeze(0) == ids.unsqueeze(1)
    return sim[same].view(n * views, -1)


def flattened(sim, labels):
    same = labels.view(-1, 1) == labels.view(1, -1)
    return sim[same].mean()
