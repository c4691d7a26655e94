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
