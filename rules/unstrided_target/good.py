"""`arange` labels that are right: one column a row, or positives first, or a stride."""

import torch
import torch.nn.functional as F


def one_passage_each(q, p):
    b, d = q.shape
    scores = q @ p.view(b, d).T
    return F.cross_entropy(scores, torch.arange(b))


def positives_first(q, pos, neg):
    b, d = q.shape
    scores = q @ torch.cat([pos.view(b, d), neg]).T
    return F.cross_entropy(scores, torch.arange(b))


def positives_block_first(q, pos, hard):
    b, d = q.shape
    columns = torch.cat([pos.view(b, d), hard.view(b, d)], dim=0)
    return F.cross_entropy(q @ columns.T, torch.arange(b))


def stacked_blocks(q, passages):
    b, g, d = passages.shape
    by_kind = passages.transpose(0, 1).reshape(g * b, d)
    return F.cross_entropy(q.view(b, d) @ by_kind.T, torch.arange(b))


def strided(q_reps, p_reps):
    scores = torch.matmul(q_reps, p_reps.transpose(0, 1))
    target = torch.arange(scores.size(0)) * (p_reps.size(0) // q_reps.size(0))
    return F.cross_entropy(scores, target)


def counted_by_group(q, p):
    b, g, d = p.shape
    scores = q.view(b, d) @ p.reshape(b * g, d).T
    return F.cross_entropy(scores, torch.arange(0, b * g, g))


def list_of_columns(embeddings: list[torch.Tensor]):
    anchors = embeddings[0]
    candidates = torch.cat(embeddings[1:])
    scores = anchors @ candidates.T
    return F.cross_entropy(scores, torch.arange(anchors.size(0)))


def counted_and_strided(q, p):
    group = p.size(0) // q.size(0)
    scores = torch.mm(q, p.t())
    return F.cross_entropy(scores, torch.arange(scores.size(0)) * group)


def counted_of_blocks(q, positives, negatives):
    p = torch.cat([positives, negatives])
    group = p.size(0) // q.size(0)
    scores = torch.mm(q, p.t())
    return F.cross_entropy(scores, torch.arange(scores.size(0))), group
