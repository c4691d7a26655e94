"""Indices that were to count the rows."""

import torch
from torch import nn


# run: last_tokens(x=[B, L, D], lengths=[B]); differ: B=3, L=4, D=5
def last_tokens(x, lengths):
    first = torch.zeros(x.shape[0], dtype=torch.long)
    return x[first, lengths.long().clamp(0, 1)]  # expect: SC309


# run: others(scores=[N, M]); differ: N=4, M=4
def others(scores):
    rows = torch.zeros(scores.size(0), dtype=torch.long, device=scores.device)
    mask = torch.ones_like(scores).scatter(1, rows.view(-1, 1), 0)  # expect: SC309
    return scores * mask


class Pairs(nn.Module):
    def __init__(self, batch: int, views: int):
        super().__init__()
        self.batch, self.views = batch, views

    def forward(self, features):
        labels = torch.cat([torch.zeros(self.batch, dtype=torch.long) for _ in range(self.views)], dim=0)
        same = (labels.unsqueeze(0) == labels.unsqueeze(1)).float()  # expect: SC309
        return features @ features.T * same


def causal(hidden):
    batch, length, _ = hidden.shape
    places = torch.zeros(length, dtype=torch.long)
    seen = places[None, None, :].repeat(batch, length, 1) <= places[None, :, None]  # expect: SC309
    return seen


# run: self_masked(logits=[N, M]); differ: N=4, M=4
def self_masked(logits):
    own = torch.zeros(logits.size(0), dtype=torch.long)[:, None]
    return logits.scatter(1, own, float("-inf")).logsumexp(dim=1)  # expect: SC309


def positives(features):
    count, width = features.shape
    labels = torch.zeros(count, dtype=torch.long)
    wanted = labels.view(-1, 1).eq(labels.view(1, -1))  # expect: SC309
    return features.view(count, width), wanted
