"""Similarities that give what is used."""

import torch
import torch.nn.functional as F
from sentence_transformers import util
from torch import nn


def ranked(q, p):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    scores = util.cos_sim(q, p) * 20
    return F.cross_entropy(scores, torch.arange(batch))


def graded(left, right, labels):
    scores = util.pairwise_cos_sim(left, right)
    return F.mse_loss(scores, labels.float().view(-1))


def matrix_against_matrix(student, teacher):
    batch, dim = student.shape
    assert teacher.shape == (batch, dim)
    return F.mse_loss(student @ student.T, teacher @ teacher.T)


def with_own_axis(q, p):
    batch, dim = q.shape
    # q: n1 x D, p: n2 x D, result n1 x n2
    return F.cosine_similarity(q.unsqueeze(1), p.view(-1, dim).unsqueeze(0), dim=-1)


def positives(q, p):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    positive = F.cosine_similarity(q, p, dim=-1)  # [B]
    logits = torch.cat([positive.unsqueeze(1), q @ p.T], dim=1)
    return F.cross_entropy(logits, torch.zeros(batch, dtype=torch.long))


def matching(q, p, labels):
    """One logit for each pair, and a target of probabilities.

    Args:
        labels: (batch, batch)
    """
    return F.binary_cross_entropy_with_logits(q @ p.T, labels.float())


def reconstruction(hidden, weight, target):
    """
    Args:
        hidden: (batch, dim)
        weight: (out, dim)
        target: (batch, out)
    """
    return F.mse_loss(hidden @ weight.T, target)


def hardest_of_all(a, p, n):
    apart = torch.cdist(a, n).min(dim=1).values - torch.cdist(a, p).max(dim=1).values
    return F.relu(0.2 - apart).mean()


def own_pairs_of_a_matrix(a, p, n):
    margin = a @ n.T - a @ p.T
    return F.relu(margin.diagonal() + 0.2).mean()


def over_columns(query, documents, grades):
    scores = query @ documents.T
    apart = scores[:, :, None] - scores[:, None, :]
    return (apart * (grades[:, :, None] < grades[:, None, :])).exp().sum()


class Ranking(nn.Module):
    def __init__(self, encoder, score=util.cos_sim):
        super().__init__()
        self.encoder = encoder
        self.score = score


class DotRanking(Ranking):
    def __init__(self, encoder, score=util.dot_score):
        super().__init__(encoder, score=score)
