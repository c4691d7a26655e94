"""Diagonals that are self pairs."""

import torch
import torch.distributed as dist


def square(z):
    sim = z @ z.t()
    sim.fill_diagonal_(float("-inf"))
    return sim


def own_block(z):
    n, dim = z.shape
    blocks = [torch.zeros_like(z) for _ in range(dist.get_world_size())]
    dist.all_gather(blocks, z)
    sim = z @ torch.cat(blocks).t()
    start = dist.get_rank() * n
    sim[:, start : start + n].fill_diagonal_(-1e4)
    return sim


def queue_behind_the_batch(z, queue):
    n, dim = z.shape
    sim = z @ torch.cat([z, queue]).t()
    sim.fill_diagonal_(-1e4)
    return sim


def views(z):
    n, v, dim = z.shape
    flat = torch.cat(torch.unbind(z, dim=1), dim=0)
    sim = flat @ flat.T
    keep = torch.scatter(torch.ones_like(sim), 1, torch.arange(n * v).view(-1, 1), 0)
    return sim * keep


def in_pairs(first, second):
    """Two batches of rows that belong together: how many each has is the caller's to know."""
    return (first @ second.t()).diagonal()


def off_diagonal(z, n):
    sim = torch.cat([z, z]) @ torch.cat([z, z]).t()
    return torch.diag(sim, n)


def views_one_after_the_other(features):
    """Anchors are the first view, and the first block of columns is that same view."""
    n, views, d = features.shape
    columns = torch.cat(torch.unbind(features, dim=1), dim=0)
    anchors = features[:, 0]
    mask = torch.eye(n).repeat(1, views)
    keep = torch.ones_like(mask).scatter_(1, torch.arange(n).view(-1, 1), 0)
    return (anchors @ columns.T) * keep


def positives_first(anchors, positives, negatives):
    n, dim = anchors.shape
    m, dim = negatives.shape
    sim = anchors @ torch.cat([positives.view(n, dim), negatives]).T
    own = torch.eye(*sim.shape, dtype=torch.bool)
    return sim.masked_fill(~own & (sim > 0.9), -torch.inf)


def neighbours(bank, loader, labels, k: int):
    """bank: [width, examples]"""
    votes = []
    for _images, index in loader:
        alike = torch.mm(bank.t()[index], bank)
        alike[torch.arange(alike.size(0)), index] = -1
        votes.append(labels[alike.topk(k, dim=1)[1]])
    return votes


def among_the_picked(rows, index):
    own = rows[index]
    scores = own @ own.t()
    scores.fill_diagonal_(-1e9)
    return scores


def the_first(rows, count: int):
    scores = rows[torch.arange(count)] @ rows.t()
    scores.fill_diagonal_(-1e9)
    return scores


def in_front(own, queue):
    """own [B, D]; queue [K, D]"""
    scores = own @ torch.cat([own, queue]).t()
    scores.fill_diagonal_(float("-inf"))
    return scores


def another_bank(keys, bank, index):
    """keys, bank [N, D]: the pairs are those of two banks"""
    return torch.diagonal(keys[index] @ bank[index].t())
