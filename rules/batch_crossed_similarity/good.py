"""Products of different ranks that are right, and all pairs that are wanted."""

import torch
import torch.nn.functional as F


def own_group(q, p):
    batch, dim = q.shape
    grouped = p.view(batch, -1, dim)
    scores = torch.matmul(q.unsqueeze(1), grouped.transpose(1, 2)).squeeze(1)  # B G
    return scores.view(batch, -1)


def own_group_by_bmm(q, p):
    batch, dim = q.shape
    return torch.bmm(p.view(batch, -1, dim), q.unsqueeze(-1)).squeeze(-1)


def own_group_elementwise(q, p):
    batch, dim = q.shape
    p = p.reshape(batch, -1, dim)
    return (q[:, None] * p).sum(-1), F.cosine_similarity(q.unsqueeze(1), p, dim=-1)


def two_dimensional(q, p):
    batch, dim = q.shape
    scores = q @ p.view(-1, dim).T  # B B*G
    return scores.view(batch, -1)


def best_of_each_image(text, image):
    """Every text against every image's tokens: the best token stands for the image."""
    batch, dim = text.shape
    image = image.view(batch, -1, dim)
    similarity = (text @ image.transpose(1, 2)).max(-1).values
    return F.cross_entropy(similarity, torch.arange(batch, device=text.device))


def all_pairs_said_so(q, p):
    batch, dim = q.shape
    p = p.view(batch, -1, dim)
    scores = torch.matmul(q, p.mT)  # [B, B, G]
    return scores.permute(1, 0, 2).reshape(batch, -1)


def diagonal_blocks(q, p):
    batch, dim = q.shape
    scores = torch.matmul(q, p.view(batch, -1, dim).mT)
    return scores.diagonal(dim1=0, dim2=1).T


def letters_say_it(q, p):
    batch, dim = q.shape
    p = p.view(batch, -1, dim)
    return torch.einsum("qd,pgd->qpg", q, p).flatten(1)


def projection(hidden, weight):
    batch, length, dim = hidden.shape
    out, _ = weight.shape
    return F.linear(hidden, weight.view(out, dim)), hidden @ weight.T
