"""Products of a tensor with itself that are meant."""

import torch
import torch.nn.functional as F


def two_steps(adjacency):
    return torch.mm(adjacency, adjacency)


def powers(x, steps: int):
    _n, _d = x.shape
    walk = F.softmax(x @ x.T, dim=-1)
    for _ in range(steps):
        walk = walk @ walk
    return walk


def squared_length(v):
    return v @ v


def of_one_size(weight):
    n = weight.size(0)
    square = weight.view(n, n)
    return torch.matmul(square, square)


def gram_squared(x):
    _n, _d = x.shape
    gram = x.t() @ x
    return gram @ gram


def rows_and_columns(tokens):
    _n, _s, _d = tokens.shape
    return tokens @ tokens.transpose(1, 2), tokens.mT @ tokens


def batch_of_rotations(R):
    return torch.bmm(R, R)


def elementwise(x):
    _n, _d = x.shape
    return torch.einsum("nd,nd->n", x, x)


def whitened(x, covariance):
    _n, _d = x.shape
    return torch.mm(x, covariance), torch.mm(covariance, x.t())


def two_ways(text, image):
    return torch.mm(text, image.t()), torch.mm(image, text.t())
