"""All pairs where row by row is meant, and the reverse."""

import torch
import torch.nn.functional as F
from sentence_transformers import util
from torch import nn


# run: cosine_scores(query=[N, D], contexts=[N, D]); differ: N=3, D=5
def cosine_scores(query, contexts):
    # query: n1 x D, contexts: n2 x D, result n1 x n2
    return F.cosine_similarity(query, contexts, dim=1)  # expect: SC104


class PairRegression(nn.Module):
    """The default similarity compares every text with every other."""

    def __init__(self, model, similarity=util.cos_sim):
        super().__init__()
        self.model = model
        self.similarity = similarity
        self.loss = nn.MSELoss()

    def forward(self, features, labels):
        left, right = [self.model(f)["sentence_embedding"] for f in features]
        scores = self.similarity(left, right)  # expect: SC104
        return self.loss(scores, labels.float().view(-1))


def in_batch(q, p):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    scores = F.cosine_similarity(q, p) / 0.05  # expect: SC104
    return F.cross_entropy(scores, torch.arange(batch))


def gold_similarity(left, right):
    """The similarity of each pair.

    Args:
        left: (batch, dim)
        right: (batch, dim)

    Returns:
        (batch,)
    """
    return util.dot_score(left, right)  # expect: SC104


# run: distilled(left=[B, D], right=[B, D], gold=[B]); differ: B=3, D=5; equal: B=1, D=5
def distilled(left, right, gold):
    """
    Args:
        left: (batch, dim)
        right: (batch, dim)
        gold: (batch,)
    """
    return F.mse_loss(left @ right.T, gold)  # expect: SC104


# run: pair_matrix(a=[B, D], b=[B, D]); differ: B=3, D=5
def pair_matrix(a, b):
    batch, dim = a.shape
    assert b.shape == (batch, dim)
    distances = F.pairwise_distance(a, b)  # [B, B] # expect: SC104
    return distances


# run: smooth(left=[B, D], right=[B, D], gold=[B]); differ: B=3, D=5; equal: B=1, D=5
def smooth(left, right, gold):
    """
    Args:
        left: (batch, dim)
        right: (batch, dim)
        gold: (batch,)
    """
    scores = torch.mm(left, right.t()) / 2  # expect: SC104
    return F.smooth_l1_loss(scores, gold)


class MarginTaught(nn.Module):
    def __init__(self, encoder, score=util.dot_score):
        super().__init__()
        self.encoder = encoder
        self.score = score
        self.loss = nn.MSELoss()

    def forward(self, texts, labels):
        first, second, third = (self.encoder(t)["sentence_embedding"] for t in texts)
        close = self.score(first, second)  # expect: SC104
        far = self.score(first, third)
        return self.loss(close - far, labels)


# run: hinge(a=[B, D], p=[B, D], n=[B, D]); differ: B=3, D=5; equal: B=1, D=5
def hinge(a, p, n):
    far = a @ n.T  # expect: SC104
    close = a @ p.T
    assert close.ndim == far.ndim == 2
    return F.relu(far - close + 0.2).mean()


# run: ordered(one=[B, D], other=[B, D], grades=[B]); differ: B=3, D=5; equal: B=1, D=5
def ordered(one, other, grades):
    scores = util.cos_sim(one, other) * 20  # expect: SC104
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
    def __init__(self, encoder, score=util.cos_sim):  # expect: SC104
        super().__init__(encoder, score=score)
