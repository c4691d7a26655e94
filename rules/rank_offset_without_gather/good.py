"""Offsets that go with their gather."""

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as collective
import torch.nn.functional as F


def gather_rows(x):
    return torch.cat(collective.all_gather(x), dim=0)


def both_under_one_condition(z1, z2, gather_across=False):
    n, d = z1.shape
    others = z2.view(n, d)
    labels = torch.arange(n)
    if gather_across:
        others = gather_rows(others)
        labels = labels + dist.get_rank() * n
    return F.cross_entropy(z1 @ others.T, labels)


def shared_part_of_a_condition(z1, z2, gather_across, world_size):
    n, d = z1.shape
    others = z2.view(n, d)
    if gather_across and world_size > 1:
        others = gather_rows(others)
    logits = z1 @ others.T
    labels = torch.arange(n)
    if gather_across:
        labels = labels + dist.get_rank() * n
    return F.cross_entropy(logits, labels)


def both_sides_gathered(q, k):
    b, d = q.shape
    rows, columns = gather_rows(q), gather_rows(k.view(b, d))
    return F.cross_entropy(rows @ columns.T, torch.arange(rows.size(0)))


def rank_or_zero(q, k):
    n, d = q.shape
    rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
    logits = q @ gather_rows(k.view(n, d)).T
    return F.cross_entropy(logits, torch.arange(n) + n * rank)


def stride_and_offset(q, p):
    b, g, d = p.shape
    columns = gather_rows(p.reshape(b * g, d))
    scores = q.view(b, d) @ columns.T
    return F.cross_entropy(scores, torch.arange(b) * g + dist.get_rank() * b * g)


def own_rows_of_gathered_labels(q, k):
    b, d = q.shape
    rank = dist.get_rank()
    columns = gather_rows(k.view(b, d))
    every = torch.arange(columns.size(0))
    return F.cross_entropy(q @ columns.T, every[b * rank : b * (rank + 1)])


def process_rank():
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


class Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        if dist.is_available() and dist.is_initialized():
            parts = [torch.zeros_like(x) for _ in range(dist.get_world_size())]
            dist.all_gather(parts, x)
        else:
            parts = [x]
        return tuple(parts)


def of_the_helper_that_knows(q, k):
    n, d = q.shape
    columns = torch.cat(Gather.apply(k.view(n, d)))
    start = n * process_rank()
    return F.cross_entropy(q @ columns.T, torch.arange(start, start + n))


def twice_the_same_question(q, k, gather_across, every_rank):
    n, d = q.shape
    columns = k.view(n, d)
    if gather_across and every_rank:
        columns = gather_rows(columns)
    labels = torch.arange(n)
    if gather_across and every_rank:
        labels = labels + dist.get_rank() * n
    return F.cross_entropy(q @ columns.T, labels)


def with_more_than_one(q, k):
    n, d = q.shape
    columns = k.view(n, d)
    if dist.get_world_size() > 1:
        columns = gather_rows(columns)
    return F.cross_entropy(q @ columns.T, torch.arange(n) + n * dist.get_rank())


def own_rows_first(images, texts, with_grad, scale):
    rank, world = dist.get_rank(), dist.get_world_size()
    if with_grad:
        every_image = torch.cat(dist.nn.all_gather(images), dim=0)
        every_text = torch.cat(dist.nn.all_gather(texts), dim=0)
    else:
        image_parts = [torch.zeros_like(images) for _ in range(world)]
        text_parts = [torch.zeros_like(texts) for _ in range(world)]
        dist.all_gather(image_parts, images)
        dist.all_gather(text_parts, texts)
        every_image = torch.cat([images] + image_parts[:rank] + image_parts[rank + 1 :])
        every_text = torch.cat([texts] + text_parts[:rank] + text_parts[rank + 1 :])
    logits = scale * every_image @ every_text.t()
    return F.cross_entropy(logits, torch.arange(len(logits)))


def given_by_a_caller(q, k):
    logits = F.normalize(q, dim=1) @ F.normalize(k, dim=1).T
    return F.cross_entropy(logits, torch.arange(logits.shape[0]) + logits.shape[0] * dist.get_rank())


def layers_then_a_helper(q, k, everywhere):
    head = torch.nn.Linear(8, 8)
    logits = head(q) @ everywhere(head(k)).T
    return F.cross_entropy(logits, torch.arange(logits.shape[0]) + logits.shape[0] * dist.get_rank())


def offset_where_gathered(anchors, candidates, gather_across):
    n, d = anchors.shape
    offset = 0
    if gather_across:
        candidates = [torch.cat(Gather.apply(c.view(n, d))) for c in candidates]
        if dist.is_initialized():
            offset = dist.get_rank() * n
    labels = torch.arange(offset, offset + n)
    return F.cross_entropy(anchors @ torch.cat(candidates).T, labels)


class Ensemble(torch.nn.Module):
    def __init__(self, across):
        super().__init__()
        self.across = across

    def forward(self, q, k, labels):
        n, d = q.shape
        rows, columns = q, k.view(n, d)
        if self.across:
            rows, columns = gather_rows(rows), gather_rows(columns)
        scores = rows @ columns.T
        if self.across:
            scores = scores[n * dist.get_rank() : n * (dist.get_rank() + 1)]
        return F.cross_entropy(scores, labels.view(n))
