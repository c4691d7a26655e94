"""Operands of fewer axes that stand where they should."""

import torch


def antisymmetric(scores):
    rows = scores.unsqueeze(0).repeat(scores.size(0), 1, 1)
    return rows - rows.permute(0, 2, 1)


def per_column(scores, bias):
    _n, k = scores.shape
    return scores + bias.view(k)


def per_row(scores, bias):
    n, _k = scores.shape
    return scores + bias.view(n, 1)


def distances(x):
    n, _d = x.shape
    squares = (x * x).sum(dim=1)
    return squares.view(n, 1) + squares - 2 * x @ x.t()


def of_one_batch(q, p):
    n, _d = q.shape
    own = (q * p).sum(-1)
    return (q @ q.t()) - own.view(n)


def a_number(scores, weights):
    n, _k = scores.shape
    return scores * weights.view(n).mean()


def heads(scores, mask):
    b, h, s, _t = scores.shape
    return scores + mask.view(b, 1, 1, s)


def both_ways(matrix, steps):
    """What is added to its own transpose is square."""
    for _ in range(steps):
        matrix = matrix + matrix.T
    return matrix * 0.5
