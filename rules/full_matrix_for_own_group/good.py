"""Matrices of scores of which more is used than each row's own."""

import torch
import torch.nn.functional as F


def in_batch(q, p, group: int):
    batch, dim = q.shape
    p = p.view(batch * group, dim)
    scores = q @ p.T
    target = torch.arange(batch) * group
    return F.cross_entropy(scores, target), scores[torch.arange(batch), target]


def positives_and_rest(q, p):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    scores = q @ p.T
    return scores.diagonal() - scores.logsumexp(dim=1)


def handed_out(q, p):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    scores = q @ p.T
    return scores.diag().mean(), scores


def kept(q, p, record):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    scores = q @ p.T
    record["scores"] = scores
    return scores.diagonal().mean()


def chosen_by_data(q, p, labels):
    batch, dim = q.shape
    scores = q @ p.view(-1, dim).T
    return scores.gather(1, labels.view(batch, 1)), (q @ p.view(-1, dim).T)[torch.arange(batch), labels]


def own_group(q, p):
    batch, dim = q.shape
    return torch.einsum("bd,bgd->bg", q, p.view(batch, -1, dim))


def squared_distances(x):
    _batch, _dim = x.shape
    products = x @ x.T
    norms = products.diag()
    return norms.unsqueeze(0) - 2.0 * products + norms.unsqueeze(1)
