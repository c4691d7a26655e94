"""Labels that name another row, or columns that are no copies of the rows."""

import torch
import torch.nn.functional as F


def one_against_other(z1, z2):
    return F.cross_entropy(z1 @ z2.T, torch.arange(len(z1)))


def other_view(z1, z2):
    n = z1.shape[0]
    z = torch.cat([z1, z2], dim=0)
    scores = (z @ z.T).fill_diagonal_(float("-inf"))
    return F.cross_entropy(scores, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def positives_first(q, p, n):
    columns = torch.cat([p, n])
    return F.cross_entropy(q @ columns.T, torch.arange(len(q)))


def without_diagonal(z1, z2):
    n = z1.shape[0]
    z = torch.cat([z1, z2], dim=0)
    sim = z @ z.T
    keep = ~torch.eye(2 * n, dtype=torch.bool)
    return sim[keep].view(2 * n, -1).logsumexp(dim=1).mean()


def two_encodings(first, second, a, b):
    """Two networks see the same joined views."""
    both = torch.cat([a, b])
    return F.cross_entropy(first(both) @ second(both).T, torch.arange(both.size(0)))
