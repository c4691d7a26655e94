"""The scores of each query's own group, and no others."""

import torch
from torch import nn


def by_index(q, p):
    batch, dim = q.shape
    group = p.size(0) // batch
    return torch.einsum("bd,bgd->bg", q, p.view(batch, group, dim))


def by_gather(q, p, group: int):
    batch, dim = q.shape
    p = p.view(batch, group, dim)
    return torch.matmul(q.unsqueeze(1), p.transpose(1, 2)).squeeze(1) / 0.02


def diagonal(q, p):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    return (q * p).sum(-1)


def positives(q, p):
    """
    Args:
        q: (batch, dim)
        p: (batch, dim)
    """
    return (q * p).sum(dim=1) * 20


def first_of_group(q, p, group: int):
    batch, dim = q.shape
    p = p.view(batch * group, dim)
    return (q * p[::group]).sum(-1)


class Local(nn.Module):
    """Each query meets its own passages."""

    def similarity(self, q, p):
        return torch.matmul(q, p.transpose(-2, -1))

    def forward(self, query, passage):
        """
        Args:
            query: (batch, dim)
            passage: (batch * group, dim)
        """
        grouped = passage.view(query.size(0), -1, query.size(1))
        return self.similarity(query.unsqueeze(1), grouped).squeeze(1)
