"""SC603: collectives whose result is thrown away."""

import torch
import torch.distributed.nn
import torch.distributed.nn.functional as collective
from torch.distributed.nn.functional import all_gather, all_reduce


def mean_of(loss, count):
    all_reduce(loss)  # expect: SC603
    return loss / count


def shared_columns(z):
    gathered = [z]
    all_gather(z)  # expect: SC603
    return z @ torch.cat(gathered).t()


def correlation(a, b):
    n, width = a.shape
    c = a.T @ b / n
    torch.distributed.nn.functional.all_reduce(c)  # expect: SC603
    return c


class Statistics(torch.nn.Module):
    def forward(self, x):
        batch, width = x.shape
        total = x.sum(dim=0)
        collective.all_reduce(total)  # expect: SC603
        return total / batch


def in_a_branch(features, distributed: bool):
    if distributed:
        torch.distributed.nn.all_gather(features)  # expect: SC603
    return features @ features.t()


def in_a_loop(losses):
    for name in losses:
        value = losses[name].mean()
        collective.all_reduce(value)  # expect: SC603
        losses[name] = value
    return losses


def every_process(x):
    blocks = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(blocks, x)  # expect: SC603
    return torch.cat(blocks, dim=0)


def without_gradient(queries, passages):
    queries, passages = every_process(queries), every_process(passages)
    scores = queries @ passages.t() / 0.05
    return torch.nn.functional.cross_entropy(scores, torch.arange(len(queries)))


def hardest(x, y, margin=0.3):
    blocks = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(blocks, x)  # expect: SC603
    everyone = torch.cat(blocks)
    apart = torch.cdist(everyone, everyone)
    return torch.nn.functional.margin_ranking_loss(apart.amin(dim=1), apart.amax(dim=1), y, margin=margin)
