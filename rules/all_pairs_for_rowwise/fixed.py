"""Each similarity gives the shape that is meant."""

import torch
import torch.nn.functional as F
from sentence_transformers import util
from torch import nn


def cosine_scores(query, contexts):
    # query: n1 x D, contexts: n2 x D, result n1 x n2
    return F.cosine_similarity(query.unsqueeze(1), contexts, dim=-1)


class PairRegression(nn.Module):
    """The default similarity compares each text with its partner."""

    def __init__(self, model, similarity=util.pairwise_cos_sim):
        super().__init__()
        self.model = model
        self.similarity = similarity
        self.loss = nn.MSELoss()

    def forward(self, features, labels):
        left, right = [self.model(f)["sentence_embedding"] for f in features]
        scores = self.similarity(left, right)
        return self.loss(scores, labels.float().view(-1))


def in_batch(q, p):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    scores = F.cosine_similarity(q.unsqueeze(1), p, dim=-1) / 0.05
    return F.cross_entropy(scores, torch.arange(batch))


def gold_similarity(left, right):
    """The similarity of each pair.

    Args:
        left: (batch, dim)
        right: (batch, dim)

    Returns:
        (batch,)
    """
    return util.pairwise_dot_score(left, right)


def distilled(left, right, gold):
    """
    Args:
        left: (batch, dim)
        right: (batch, dim)
        gold: (batch,)
    """
    return F.mse_loss((left * right).sum(-1), gold)


def pair_matrix(a, b):
    batch, dim = a.shape
    assert b.shape == (batch, dim)
    distances = torch.cdist(a, b)  # [B, B]
    return distances


def smooth(left, right, gold):
    """
    Args:
        left: (batch, dim)
        right: (batch, dim)
        gold: (batch,)
    """
    scores = (left * right).sum(dim=1) / 2
    return F.smooth_l1_loss(scores, gold)


class MarginTaught(nn.Module):
    def __init__(self, encoder, score=util.pairwise_dot_score):
        super().__init__()
        self.encoder = encoder
        self.score = score
        self.loss = nn.MSELoss()

    def forward(self, texts, labels):
        first, second, third = (self.encoder(t)["sentence_embedding"] for t in texts)
        close = self.score(first, second)
        far = self.score(first, third)
        return self.loss(close - far, labels)


def hinge(a, p, n):
    far = (a * n).sum(-1)
    close = (a * p).sum(-1)
    assert close.ndim == far.ndim == 1
    return F.relu(far - close + 0.2).mean()


def ordered(one, other, grades):
    scores = util.pairwise_cos_sim(one, other) * 20
    apart = scores[:, None] - scores[None, :]
    return (apart * (grades[:, None] < grades[None, :])).exp().sum()


class RowwiseLoss(nn.Module):
    def __init__(self, encoder, score=util.pairwise_cos_sim):
        super().__init__()
        self.encoder = encoder
        self.score = score

    def forward(self, texts, grades):
        one, other = (self.encoder(t)["sentence_embedding"] for t in texts)
        return F.mse_loss(self.score(one, other), grades)


class SparseLoss(RowwiseLoss):
    def __init__(self, encoder, score=util.pairwise_dot_score):
        super().__init__(encoder, score=score)
