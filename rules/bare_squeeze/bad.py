"""SC601: squeeze() where a batch of one loses its batch axis."""

import torch
import torch.nn.functional as F
from torch import nn


# run: late_interaction(query=[B, D], tokens=[N, S, D]); differ: B=1, N=3, S=4, D=5; equal: B=2, N=3, S=4, D=5
def late_interaction(query, tokens):
    rows, width = query.shape
    docs, length, width = tokens.shape
    scores = torch.matmul(query[:, None, None, :], tokens.transpose(1, 2)).squeeze()  # expect: SC601
    return scores.max(-1).values


# run: row_scores(left=[B, D], right=[B, D]); differ: B=1, D=4; equal: B=3, D=4
def row_scores(left, right):
    batch, dim = left.shape
    scores = torch.bmm(left.view(batch, 1, dim), right.view(batch, dim, 1))
    return torch.squeeze(scores)  # expect: SC601


# run: pooled(features=[B, C, H, W]); differ: B=1, C=3, H=4, W=4; equal: B=2, C=3, H=4, W=4
def pooled(features):
    b, c, h, w = features.shape
    return F.adaptive_avg_pool2d(features, 1).squeeze()  # expect: SC601


class Reranker(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, pairs: torch.Tensor, clicked: torch.Tensor):
        """
        Args:
            pairs: (batch_size, width)
            clicked: (batch_size,)
        """
        logits = self.score(pairs).squeeze()  # expect: SC601
        return F.binary_cross_entropy_with_logits(logits, clicked)


class Siamese(nn.Module):
    def __init__(self, trunk: nn.Module, width: int):
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(width, 128)

    def forward(self, first, second):
        return self.head(self.trunk(first).squeeze()), self.head(self.trunk(second).squeeze())  # expect: SC601, SC601


class Probe(nn.Module):
    def __init__(self, trunk: nn.Module, classes: int):
        super().__init__()
        self.trunk = trunk
        self.classify = nn.Linear(512, classes)

    def forward(self, image):
        pooled = torch.squeeze(self.trunk(image))  # expect: SC601
        return self.classify(pooled)


class PairLoss:
    def __init__(self):
        self.criterion = nn.BCEWithLogitsLoss()

    def __call__(self, outputs):
        good, poor = outputs["good"], outputs["poor"]
        return self.criterion((good - poor).squeeze(), torch.ones(good.size(0)))  # expect: SC601


def stacked_targets(outputs):
    good = outputs["good"].squeeze()  # expect: SC601
    poor = outputs["poor"].squeeze()  # expect: SC601
    target = torch.cat([torch.ones(good.shape[0]), torch.zeros(poor.shape[0])])
    return F.binary_cross_entropy_with_logits(torch.cat([good, poor]), target)


# run: rank(hidden=[B, 1, C]); differ: B=1, C=4; equal: B=3, C=4
def rank(hidden):
    batch, one, classes = hidden.shape
    logits = hidden.mean(dim=1, keepdim=True).squeeze()  # expect: SC601
    return logits.argmax(-1)


class Gate(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, tokens):
        scores = self.score(tokens).squeeze()  # expect: SC601
        return torch.softmax(scores, dim=-1)


class Blend(nn.Module):
    def __init__(self, deep: nn.Module, wide: nn.Module, width: int):
        super().__init__()
        self.deep, self.wide = deep, wide
        self.out = nn.Linear(width, 1)

    def forward(self, fields):
        score = torch.sigmoid(self.wide(fields) + self.out(self.deep(fields)))
        return score.squeeze()  # expect: SC601


class Drop(nn.Module):
    def forward(self, x):
        return torch.squeeze(x)  # expect: SC601


class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, maps):
        whole = self.pool(maps).squeeze()  # expect: SC601
        return whole[:, :64], whole[:, 64:]


def picked(labels, scores):
    rows = (labels == 1).nonzero().squeeze()  # expect: SC601
    return scores[rows]


class Match(nn.Module):
    def __init__(self, count: int, width: int):
        super().__init__()
        self.embed = nn.Embedding(count, width)

    def forward(self, user, item):
        left, right = self.embed(user).unsqueeze(1), self.embed(item).unsqueeze(2)
        return torch.bmm(left, right).squeeze()  # expect: SC601
