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
