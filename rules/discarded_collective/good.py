"""Collectives whose result is used, or that write in place."""

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as collective


def mean_of(loss, count):
    loss = collective.all_reduce(loss)
    return loss / count


def in_place(c):
    dist.all_reduce(c)
    return c / dist.get_world_size()


def into_a_list(x):
    blocks = [torch.zeros_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(blocks, x)
    return torch.cat(blocks)


def returned(x):
    return torch.cat(collective.all_gather(x))


def awaited():
    dist.barrier()


class Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        blocks = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(blocks, x)
        return torch.cat(blocks)

    @staticmethod
    def backward(ctx, gradient):
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


def every_process(x):
    blocks = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(blocks, x)
    return torch.cat(blocks, dim=0)


def with_own_put_back(x):
    blocks = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(blocks, x)
    blocks[dist.get_rank()] = x
    return torch.cat(blocks, dim=0)


def through_a_function(queries, passages):
    queries, passages = Gather.apply(queries), Gather.apply(passages)
    return torch.nn.functional.cross_entropy(queries @ passages.t(), torch.arange(len(queries)))


def own_rows(queries, passages):
    queries, passages = with_own_put_back(queries), with_own_put_back(passages)
    return torch.nn.functional.cross_entropy(queries @ passages.t(), torch.arange(len(queries)))


def frozen_keys(queries, keys):
    keys = every_process(keys)
    first = len(queries) * dist.get_rank()
    return torch.nn.functional.cross_entropy(queries @ keys.t(), torch.arange(len(queries)) + first)


@torch.no_grad()
def judged(queries, passages):
    queries, passages = every_process(queries), every_process(passages)
    return torch.nn.functional.cross_entropy(queries @ passages.t(), torch.arange(len(queries)))


def validation_loss(scores, labels):
    return torch.nn.functional.cross_entropy(every_process(scores), every_process(labels))
