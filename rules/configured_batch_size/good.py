"""Batch sizes that hold."""

import torch
import torch.nn.functional as F
from torch import nn


class Trainer:
    def __init__(self, args):
        self.args = args
        self.steps = torch.zeros(args.batch_size)

    def loader(self, data):
        return torch.utils.data.DataLoader(data, batch_size=self.args.batch_size, drop_last=True)

    def loss(self, queries, passages):
        batch_size = queries.size(0)
        target = torch.arange(batch_size)
        return F.cross_entropy(torch.mm(queries, passages.t()), target)

    def checked(self, queries, passages):
        assert queries.size(0) == self.args.batch_size
        target = torch.arange(self.args.batch_size)
        return F.cross_entropy(torch.mm(queries, passages.t()), target)


def grouped(scores, batch_size: int):
    """The caller says how many rows there are."""
    return scores.view(batch_size, -1)


class Queue(nn.Module):
    def __init__(self, batch_size: int, width: int):
        super().__init__()
        self.batch_size = batch_size
        self.state = nn.Linear(width, width)

    def start(self):
        return torch.zeros(self.batch_size, self.state.out_features)


def benchmark(model, config):
    batch_size = config.batch_size
    batch = torch.zeros(size=(batch_size, 3, 224, 224))
    targets = torch.tensor([0] * batch_size)
    return F.cross_entropy(model(batch)[0], targets)


class Neighbours(nn.Module):
    def forward(self, items):
        self.batch_size = items.shape[0]
        return self.regrouped(items.unsqueeze(1).repeat(1, 4, 1))

    def regrouped(self, entities):
        return entities.reshape(self.batch_size, -1)


def of_the_batch(batch, users, embed):
    """The batch itself says how many rows it has."""
    found = embed[batch["user_id"]].sum(dim=-1)
    return found.view(batch["batch_size"], -1)


def of_the_graph(data):
    nodes = data.x
    return nodes.view(data.batch_size, -1, nodes.size(-1))
