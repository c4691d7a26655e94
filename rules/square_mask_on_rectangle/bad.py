"""SC501: self pairs (i, i) in a matrix whose columns are not its rows."""

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
    columns = gathered_rows(embeddings)
    ids = ids.view(-1, 1)
    same = ids == gathered_rows(ids).t()
    positives = same.fill_diagonal_(False)  # expect: SC501
    return (embeddings @ columns.t())[positives].mean()


def without_self(embeddings, temperature=0.1):
    sim = embeddings @ gathered_rows(embeddings).t() / temperature
    n = embeddings.size(0)
    keep = torch.ones_like(sim)
    keep = keep.scatter(1, torch.arange(n).view(-1, 1), 0)  # expect: SC501
    return (sim.exp() * keep).sum(1)


def aligned(first, second):
    rows, dim = first.shape
    sim = first @ gathered_rows(second).t()
    return sim.diagonal()  # expect: SC501


class Memory(nn.Module):
    def __init__(self, dim: int, slots: int):
        super().__init__()
        self.slots, self.dim = slots, dim
        self.register_buffer("bank", torch.zeros(slots, dim))

    def forward(self, queries):
        batch, dim = queries.shape
        sim = torch.einsum("bd,kd->bk", queries, F.normalize(self.bank, dim=1))
        sim.fill_diagonal_(-1e4)  # expect: SC501
        return sim.logsumexp(1)


# run: tiled(z=[N, D], count=V); differ: N=2, D=3, V=2; equal: N=2, D=3, V=1
def tiled(z, count):
    n, dim = z.shape
    columns = z.repeat(count, 1)
    sim = z @ columns.T
    sim.fill_diagonal_(-9.0)  # expect: SC501
    return sim


# run: spread(q=[N, D], group=G); differ: N=3, D=4, G=2; equal: N=3, D=4, G=1
def spread(q, group):
    n, dim = q.shape
    passages = q.repeat_interleave(group, dim=0)
    return torch.diag(q @ passages.t())  # expect: SC501


def positives_kept(anchors, passages):
    n, dim = anchors.shape
    sim = anchors @ gathered_rows(passages).T
    own = torch.eye(*sim.shape, dtype=torch.bool)  # expect: SC501
    return sim.masked_fill(~own & (sim > 0.9), -torch.inf)


def self_in_memory(anchors, memory):
    rows, views, dim = anchors.shape
    classes, kept, dim = memory.shape
    sim = anchors.reshape(-1, dim) @ memory.reshape(classes * kept, dim).t()
    mask = torch.ones_like(sim).scatter_(1, torch.arange(rows * views).view(-1, 1), 0)  # expect: SC501
    return (sim.exp() * mask).sum(1)


def neighbours(bank, loader, labels, k: int):
    """bank: [width, examples]"""
    votes = []
    for _images, index in loader:
        alike = torch.mm(bank.t()[index], bank)
        alike[torch.arange(alike.size(0)), torch.arange(alike.size(0))] = -1  # expect: SC501
        votes.append(labels[alike.topk(k, dim=1)[1]])
    return votes


class Bank(torch.nn.Module):
    def __init__(self, count: int, width: int):
        super().__init__()
        self.register_buffer("rows", torch.zeros(count, width))

    def forward(self, index, heat):
        own = torch.nn.functional.normalize(self.rows[index], dim=1)
        scores = own @ torch.nn.functional.normalize(self.rows, dim=1).t() / heat
        scores.fill_diagonal_(-1e9)  # expect: SC501
        return scores.softmax(dim=1)

    def positives(self, index):
        chosen = torch.index_select(self.rows, 0, index)
        return torch.diagonal(torch.einsum("bd,nd->bn", chosen, self.rows))  # expect: SC501


class Table(torch.nn.Module):
    def __init__(self, count: int, width: int):
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(count, width))

    def forward(self, ids):
        """ids: [B]"""
        far = torch.cdist(F.embedding(ids, self.table), self.table)
        own = torch.eye(far.size(0), far.size(1), dtype=torch.bool)  # expect: SC501
        return far.masked_fill(own, float("inf")).min(dim=1)


def behind(own, queue):
    """own [B, D]; queue [K, D]"""
    scores = own @ torch.cat([queue, own]).t()
    scores.fill_diagonal_(float("-inf"))  # expect: SC501
    return scores
