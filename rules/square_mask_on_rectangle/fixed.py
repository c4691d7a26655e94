"""bad.py with each row's own column."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn


def gathered_rows(x):
    blocks = [torch.zeros_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(blocks, x)
    return torch.cat(blocks)


def supervised(embeddings, ids):
    n, dim = embeddings.shape
    start = dist.get_rank() * n
    columns = gathered_rows(embeddings)
    ids = ids.view(-1, 1)
    positives = ids == gathered_rows(ids).t()
    positives[:, start : start + n].fill_diagonal_(False)
    return (embeddings @ columns.t())[positives].mean()


def without_self(embeddings, temperature=0.1):
    sim = embeddings @ gathered_rows(embeddings).t() / temperature
    n = embeddings.size(0)
    own = dist.get_rank() * n + torch.arange(n)
    keep = torch.ones_like(sim)
    keep = keep.scatter(1, own.view(-1, 1), 0)
    return (sim.exp() * keep).sum(1)


def aligned(first, second):
    rows, dim = first.shape
    return (first * second).sum(1)


class Memory(nn.Module):
    def __init__(self, dim: int, slots: int):
        super().__init__()
        self.slots, self.dim = slots, dim
        self.register_buffer("bank", torch.zeros(slots, dim))

    def forward(self, queries):
        batch, dim = queries.shape
        sim = torch.einsum("bd,kd->bk", queries, F.normalize(self.bank, dim=1))
        return sim.logsumexp(1)


def tiled(z, count):
    n, dim = z.shape
    sim = z @ z.T
    sim.fill_diagonal_(-9.0)
    return sim.repeat(1, count)


def spread(q, group):
    n, dim = q.shape
    passages = q.repeat_interleave(group, dim=0)
    return (q @ passages.t())[torch.arange(n), torch.arange(n) * group]


def positives_kept(anchors, passages):
    n, dim = anchors.shape
    sim = anchors @ gathered_rows(passages).T
    own = torch.zeros_like(sim, dtype=torch.bool)
    rows = torch.arange(n)
    own[rows, dist.get_rank() * n + rows] = True
    return sim.masked_fill(~own & (sim > 0.9), -torch.inf)


def self_in_memory(anchors, memory):
    rows, views, dim = anchors.shape
    classes, kept, dim = memory.shape
    sim = anchors.reshape(-1, dim) @ memory.reshape(classes * kept, dim).t()
    return sim.exp().sum(1)
