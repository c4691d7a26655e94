"""Indices on the axis that they were made for, and on others that are not the whole of a part."""

import torch


def shuffled(x, labels):
    """x [N, D], labels [N]"""
    order = torch.randperm(x.size(0))
    return x[order], labels[order]


def hardest(x, losses, k: int):
    """x [N, D], losses [N]"""
    return x[losses.topk(k).indices]


def nearest(query, bank, labels):
    """query [Q, D], bank [N, D], labels [N]"""
    best = (query @ bank.t()).argmax(dim=1)
    return labels[best]


def rows_of_batch(bank, index, labels):
    """bank [N, D], index [B], labels [N]: both the batch's own places and its rows"""
    rows = bank[index]
    order = torch.randperm(rows.size(0))
    return rows[order], labels[index[order]], index[order]


def known_ones(x, mask):
    """x [N, D], mask [N]"""
    at = mask.nonzero().squeeze(1)
    return x[at], x[mask.bool()][torch.arange(at.size(0))]


def per_class(x, labels, count: int):
    """x [N, D], labels [N]"""
    out = []
    for c in torch.unique(labels):
        at = torch.where(labels == c)[0]
        out.append(x[at[torch.randperm(len(at))[:count]]])
    return torch.cat(out)


def replaced(queue, keys):
    """queue [K, D], keys [B, D]: any places of the queue"""
    queue[torch.randperm(queue.size(0))[: keys.size(0)]] = keys
    return queue


def own_rows(gathered, rank: int, alone: bool):
    """gathered [W * B, D]"""
    count = gathered.size(0) // 2
    rows = torch.arange(count) if alone else torch.arange(rank * count, (rank + 1) * count)
    return gathered[rows] @ gathered.t()


def compact(x, mask):
    """x [N, D], mask [N]: the rows that are kept go to the front"""
    kept = x[mask.bool()]
    out = torch.zeros_like(x)
    out[: kept.size(0)] = kept
    return out
