"""SC602: rows taken to be the configured batch size."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn


class Trainer:
    def __init__(self, model, args):
        self.model, self.args = model, args
        self.criterion = nn.CrossEntropyLoss()

    def loss(self, features):
        labels = torch.cat([torch.arange(self.args.batch_size) for _ in range(2)])  # expect: SC602
        same = labels.unsqueeze(0) == labels.unsqueeze(1)
        features = F.normalize(features, dim=1)
        sim = features @ features.T
        positives = sim[same]
        return -positives.mean()


class Matcher(nn.Module):
    def __init__(self, batch_size: int, width: int):
        super().__init__()
        self.batch_size = batch_size
        self.project = nn.Linear(width, 64)

    def forward(self, pairs):
        total, length, width = pairs.shape
        left = self.project(pairs).view(self.batch_size, -1)  # expect: SC602
        return left.norm(dim=1)

    def regroup(self, tokens):
        rows, width = tokens.shape
        return tokens.reshape(self.batch_size, -1, width).mean(1)  # expect: SC602

    def weighted(self, scores, hidden):
        batch, width = hidden.shape
        targets = torch.zeros(self.batch_size, dtype=torch.long)  # expect: SC602
        return F.cross_entropy(torch.mm(scores, hidden), targets)


# run: Ranker(SimpleNamespace(batch_size=4)).loss(queries=[B, D], passages=[B, D]); raises: B=3, D=5; equal: B=4, D=5
class Ranker:
    def __init__(self, args: SimpleNamespace):
        self.args = args
        self.criterion = nn.CrossEntropyLoss()

    def loss(self, queries, passages):
        scores = torch.mm(queries, passages.t())
        target = torch.arange(self.args.batch_size)  # expect: SC602
        return self.criterion(scores, target)


# run: Spread(SimpleNamespace(batch_size=4)).loss(z=[B, D]); raises: B=3, D=5; equal: B=4, D=5
class Spread:
    def __init__(self, args: SimpleNamespace):
        self.args = args

    def loss(self, z):
        sim = torch.mm(z, z.t())
        keep = ~torch.eye(self.args.batch_size, dtype=torch.bool)  # expect: SC602
        return sim[keep].mean()
