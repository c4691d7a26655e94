"""Views that take the rows of one operand for those of the other."""

import torch
import torch.nn.functional as F


# run: free_groups(q=[B, D], p=[N*G, D], group=G); differ: B=2, N=4, G=3, D=5; equal: B=1, N=2, G=3, D=5
def free_groups(q, p, group):
    batch, dim = q.shape
    scores = q @ p.view(-1, group, dim).mT
    return scores.view(batch, -1)  # expect: SC105


# run: three_axes(queries=[B, D], documents=[N, G, D]); differ: B=2, N=4, G=3, D=5; equal: B=1, N=4, G=3, D=5
def three_axes(queries, documents):
    _, dim = queries.shape
    _, _, width = documents.shape
    assert dim == width
    scores = torch.matmul(queries, documents.permute(0, 2, 1)) / 0.02
    return scores.reshape(queries.size(0), -1)  # expect: SC105


def as_logits(q, p, group):
    batch, dim = q.shape
    p = p.reshape(-1, group, dim)
    logits = torch.inner(p, q).view(batch, -1)  # expect: SC105
    return F.cross_entropy(logits, torch.zeros(batch, dtype=torch.long))


# run: scaled(q=[B, D], p=[N, G, D], temperature=0.5); differ: B=2, N=4, G=3, D=5; equal: B=1, N=4, G=3, D=5
def scaled(q, p, temperature: float):
    batch, dim = q.shape
    _docs, group, _ = p.shape
    p = F.normalize(p.view(-1, group, dim), dim=-1)
    scores = q.matmul(p.transpose(1, 2)) / temperature
    scores = scores.view(batch, -1)  # expect: SC105
    return scores


def distances(q, p, group):
    batch, dim = q.shape
    far = torch.cdist(q, p.view(-1, group, dim))
    return -far.reshape(batch, -1)  # expect: SC105


def similarity(a, b):
    return a @ b.transpose(-2, -1)


# run: by_helper(q=[B, D], p=[N*G, D], group=G); differ: B=2, N=4, G=3, D=5; equal: B=1, N=2, G=3, D=5
def by_helper(q, p, group):
    batch, dim = q.shape
    grouped = p.view(-1, group, dim)
    return similarity(q, grouped).view(batch, -1)  # expect: SC105
