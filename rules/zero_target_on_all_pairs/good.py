"""Zeros that are right: the positive stands in column 0."""

import torch
import torch.nn.functional as F


def positive_first(q, k, negatives):
    b, d = q.shape
    pos = (q * k.view(b, d)).sum(dim=1, keepdim=True)
    neg = q @ negatives.T
    logits = torch.cat([pos, neg], dim=1)
    return F.cross_entropy(logits / 0.07, torch.zeros(b, dtype=torch.long))


def positive_before_the_batch(q, p):
    b, d = q.shape
    own = (q * p.view(b, d)).sum(-1).unsqueeze(1)
    scores = torch.cat([own, q @ p.T], dim=1)
    return F.cross_entropy(scores, torch.zeros(b, dtype=torch.long))


def own_group(queries, passages):
    b, g, d = passages.shape
    scores = torch.einsum("bd,bgd->bg", queries, passages)
    return F.cross_entropy(scores, torch.zeros(b, dtype=torch.long))


def queue_with_positive(q, k, queue):
    pos = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)
    neg = torch.einsum("nc,ck->nk", q, queue)
    logits = torch.cat([pos, neg], dim=1)
    labels = torch.zeros(logits.shape[0], dtype=torch.long)
    return F.cross_entropy(logits, labels)


def candidates_of_unknown_order(query, documents):
    scores = query @ documents.T
    return F.cross_entropy(scores, torch.zeros(scores.size(0), dtype=torch.long))


def picked_then_zeros(q, p):
    b, g, d = p.shape
    every = q.view(b, d) @ p.reshape(b * g, d).T
    own = every.view(b, b, g)[torch.arange(b), torch.arange(b)]
    return F.cross_entropy(own, torch.zeros(b, dtype=torch.long))


def both_views_with_their_positives(a, b):
    n, _ = a.shape
    own = ~torch.eye(n, dtype=torch.bool)
    positive = (a * b).sum(dim=1, keepdim=True)
    aa = torch.einsum("nc,mc->nm", a, a)[own].view(n, -1)
    bb = torch.einsum("nc,mc->nm", b, b)[own].view(n, -1)
    scores = torch.cat([torch.cat([positive, aa], dim=1), torch.cat([positive, bb], dim=1)], dim=0)
    return F.cross_entropy(scores, torch.zeros(n, dtype=torch.long).repeat(2))


def of_one_domain(features, heads, domain: int):
    """All rows are of one class, which a number names."""
    labels = torch.full((features.size(0),), domain)
    return F.cross_entropy(heads(features), labels)
