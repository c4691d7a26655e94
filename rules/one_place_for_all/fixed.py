"""The same indices, which count the rows."""

import torch
from torch import nn



def last_tokens(x, lengths):
    first = torch.arange(x.shape[0])
    return x[first, lengths.long().clamp(0, 1)]



def others(scores):
    rows = torch.arange(scores.size(0), device=scores.device)
    mask = torch.ones_like(scores).scatter(1, rows.view(-1, 1), 0)
    return scores * mask


class Pairs(nn.Module):
    def __init__(self, batch: int, views: int):
        super().__init__()
        self.batch, self.views = batch, views

    def forward(self, features):
        labels = torch.cat([torch.arange(self.batch) for _ in range(self.views)], dim=0)
        same = (labels.unsqueeze(0) == labels.unsqueeze(1)).float()
        return features @ features.T * same


def causal(hidden):
    batch, length, _ = hidden.shape
    places = torch.arange(length)
    seen = places[None, None, :].repeat(batch, length, 1) <= places[None, :, None]
    return seen


def self_masked(logits):
    own = torch.arange(logits.size(0))[:, None]
    return logits.scatter(1, own, float("-inf")).logsumexp(dim=1)


def positives(features):
    count, width = features.shape
    labels = torch.arange(count)
    wanted = labels.view(-1, 1).eq(labels.view(1, -1))
    return features.view(count, width), wanted
