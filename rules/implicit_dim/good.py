"""Dims that are said, or that torch picks rightly."""

import torch
import torch.nn.functional as F
from torch import nn


def rows_of(x):
    batch, width = x.shape
    return F.normalize(x)


def pairs(a, b):
    n, width = a.shape
    m, width = b.shape
    return F.cosine_similarity(a.unsqueeze(1), b.unsqueeze(0), dim=-1)


class Weights(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, fields):
        batch, count, width = fields.shape
        alpha = torch.softmax(self.score(fields), dim=1)
        return (alpha * fields).sum(dim=1)


class Head(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.fc = nn.Linear(width, 64)

    def forward(self, x):
        z = F.normalize(self.fc(x))
        return z @ z.t()


def channels(maps):
    batch, channel, height, width = maps.shape
    return F.normalize(maps)


def both_ways(image, text):
    sim = image @ text.t()
    return F.softmax(sim, dim=1), sim.argmax(dim=0), F.softmax(sim, dim=0)


def best(scores):
    return scores.flatten().argmax()


def classes(logits, labels):
    batch, count = logits.shape
    return (logits.argmax(dim=1) == labels).float().mean(), F.log_softmax(logits, dim=-1)


def channels(feature_map):
    """feature_map (N, C, H, W): the default axis is that of the channels"""
    return F.normalize(feature_map)


def stacked(a, b):
    """a, b (B, D, S): the features stand second"""
    return F.cosine_similarity(a, b).mean()


def of_the_first_token(encoder, project: nn.Linear, batch) -> Tensor:
    hidden = encoder(**batch).states
    return F.normalize(project(hidden[:, 0, :]))


def mean_of_words(vectors, known):
    """vectors: [B, S, D]; known: [B, S]"""
    return (vectors * known.unsqueeze(-1)).sum(1) / known.sum(1, keepdim=True).clamp(min=1)


def mean_of_all(losses, known):
    """losses, known: [B, S]"""
    return (losses * known).sum() / known.sum(), (losses * known).sum(1).sum() / known.sum()


def weighted_center(vectors, weight):
    """vectors: [N, D]; weight: [N, 1]"""
    return (vectors * weight).sum(0) / weight.sum()


class Bag(nn.Module):
    """The instances of one bag share one weight."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, instances):
        count, width = instances.shape
        share = torch.softmax(self.score(instances).transpose(0, 1), dim=1)
        return share @ instances


def one_key(query, memory):
    """query (B, Q, D), memory (B, D): attention over a single vector is its caller's choice"""
    keys = memory.unsqueeze(1)
    return torch.softmax(query @ keys.transpose(1, 2), dim=-1) @ keys


class AnyCount(nn.Module):
    def __init__(self, width: int, classes: int = 1):
        super().__init__()
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return torch.softmax(self.head(x), dim=-1)


def of_one_and_of_many(x, width: int):
    return AnyCount(width)(x), AnyCount(width, 7)(x)
