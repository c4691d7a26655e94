"""Products that look like it and are meant."""

import torch
import torch.nn.functional as F
from torch import nn


class Cosine(nn.Module):
    """Columns of the weight are the classes: its norm runs along the axis that is summed."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, classes))

    def forward(self, x):
        return F.normalize(x, dim=1) @ F.normalize(self.weight, dim=0)


class Queue(nn.Module):
    def __init__(self, encoder, width: int, size: int):
        super().__init__()
        self.encoder = encoder
        self.register_buffer("queue", F.normalize(torch.randn(width, size), dim=0))

    def forward(self, x):
        q = F.normalize(self.encoder(x), dim=1)
        return torch.einsum("nc,ck->nk", [q, self.queue.clone().detach()])


def retrieved(q, memory):
    """Shares of the memory weigh its rows, which are of length 1."""
    q, memory = F.normalize(q, dim=-1), F.normalize(memory, dim=-1)
    share = (q @ memory.T).softmax(dim=-1)
    return share @ memory


def of_columns(a, b):
    """How the features go together: both are turned, neither norm runs along the sum."""
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    return a.T @ b


def expected(scores, embeddings):
    return scores.softmax(dim=-1) @ embeddings


def propagated(adjacency, features):
    return torch.matmul(adjacency, features)


def attended(q, k, v):
    """Rows of one head each: q, k, v are [B, H, N, D]."""
    return torch.matmul(torch.matmul(q, k.transpose(-2, -1)).softmax(dim=-1), v)


def turned(rotation, vectors):
    B, N, _ = vectors.shape
    return vectors @ rotation + vectors.new_zeros(B, N, 3)


def chained(first, second):
    """Two square maps of one width."""
    together = first + second
    return first @ second, together


def by_power(x, w):
    """Of a layer that keeps its width."""
    for _ in range(3):
        x = x + x @ w
    return x


def smoothed(x, proxies):
    """A matrix of all pairs is square."""
    both = torch.cat([x, proxies])
    near = torch.cdist(both, both).exp()
    degree = near.sum(dim=1).pow(-0.5).diag()
    return degree.mm(near).mm(degree)


def attended(weights, values, batch, heads):
    """What -1 leaves may well be the number of keys."""
    n, keys, width = values.shape
    return torch.bmm(weights.reshape(n, keys, -1), values)
