"""Wrong losses, written to see whether what was mended for the third set holds for others."""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

EXPECTED = {}


def says(*words):
    def mark(loss):
        EXPECTED[loss.__name__] = words
        return loss

    return mark


@says("itself")
class SupConManyViews(nn.Module):
    """The mask of self is made, and left out of the denominator."""

    def __init__(self, temperature=0.07):
        super().__init__()
        self.temperature = temperature

    def forward(self, features, labels=None):
        features = F.normalize(features, dim=-1)
        bsz, n_views = features.shape[:2]
        mask = torch.eye(bsz) if labels is None else labels.view(-1, 1).eq(labels.view(1, -1)).float()
        contrast = torch.cat(torch.unbind(features, dim=1), dim=0)
        logits = contrast @ contrast.T / self.temperature
        mask = mask.repeat(n_views, n_views).to(logits.dtype)
        logits_mask = 1 - torch.eye(bsz * n_views, dtype=logits.dtype)
        mask = mask * logits_mask
        log_prob = logits - torch.log(torch.exp(logits).sum(1, keepdim=True))
        return -((mask * log_prob).sum(1) / mask.sum(1)).mean()


@says("positive")
class SigmoidPairs(nn.Module):
    """Labels are 0 and -1 instead of 1 and -1."""

    def __init__(self):
        super().__init__()
        self.t_prime = nn.Parameter(torch.tensor(math.log(10.0)))
        self.b = nn.Parameter(torch.tensor(-10.0))

    def forward(self, img_emb, txt_emb):
        zimg, ztxt = F.normalize(img_emb, dim=-1), F.normalize(txt_emb, dim=-1)
        logits = zimg @ ztxt.T * self.t_prime.exp() + self.b
        labels = torch.eye(len(zimg), dtype=logits.dtype) - torch.ones(len(zimg), len(zimg), dtype=logits.dtype)
        return -F.logsigmoid(labels * logits).sum() / len(zimg)


@says("turned")
def ranknet_from_teacher(query: Tensor, docs: Tensor, teacher_scores: Tensor) -> Tensor:
    scores = torch.einsum("bd,bnd->bn", query, docs)
    student = scores.unsqueeze(1) - scores.unsqueeze(2)
    preferred = (teacher_scores.unsqueeze(2) - teacher_scores.unsqueeze(1)) > 0
    return F.softplus(-student)[preferred].mean()


@says("drawn")
def simsiam(p1, p2, z1, z2):
    """The minus was lost."""
    return (F.cosine_similarity(p1, z2.detach(), dim=-1) + F.cosine_similarity(p2, z1.detach(), dim=-1)).mean() / 2


@says("negative")
def nce_with_queue(q: Tensor, k: Tensor, queue: Tensor, t: float = 0.07) -> Tensor:
    """The queue stands before the positive, the target is still 0."""
    q, k, queue = F.normalize(q, dim=1), F.normalize(k, dim=1), F.normalize(queue, dim=1)
    logits = torch.cat([q @ queue.T, (q * k).sum(1, keepdim=True)], 1) / t
    return F.cross_entropy(logits, torch.zeros(q.size(0), dtype=torch.long, device=q.device))


@says("label")
class PairsOfLabels(nn.Module):
    """The mask of negatives is that of positives."""

    def __init__(self, margin=0.5):
        super().__init__()
        self.margin = margin

    def forward(self, feats, labels):
        feats = F.normalize(feats)
        distance = (2 - 2 * feats @ feats.t()).clamp(min=1e-9).sqrt()
        same = labels[:, None] == labels[None, :]
        own = torch.eye(len(feats), dtype=torch.bool)
        pos = distance[same & ~own].pow(2).mean()
        neg = F.relu(self.margin + 1 - distance[same & ~own]).pow(2).mean()
        return pos + neg


@says("short")
def mean_of_chunks(queries: Tensor, documents: Tensor, mini_batch_size: int = 8, scale: float = 20.0) -> Tensor:
    queries, documents = F.normalize(queries, dim=-1), F.normalize(documents, dim=-1)
    per_query = len(documents) // len(queries)
    target = torch.arange(len(queries), device=queries.device) * per_query
    parts = [
        F.cross_entropy(q @ documents.T * scale, t)
        for q, t in zip(queries.split(mini_batch_size), target.split(mini_batch_size), strict=True)
    ]
    return torch.stack(parts).mean()


@says("tiled")
class SeveralPositives(nn.Module):
    """Columns lie item after item, the mask place after place."""

    def __init__(self, tau: float = 0.1):
        super().__init__()
        self.tau = tau

    def forward(self, anchor, positives):
        b, p, _ = positives.shape
        a, pos = F.normalize(anchor, dim=-1), F.normalize(positives, dim=-1)
        sim = torch.einsum("bd,cpd->bcp", a, pos).reshape(b, b * p) / self.tau
        mine = torch.eye(b, dtype=torch.bool).repeat(1, p)
        return -(sim.log_softmax(dim=1) * mine).sum(1).div(p).mean()


@says("gradient")
class FrozenScale(nn.Module):
    """The scale is a parameter and is read as a number."""

    def __init__(self):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.tensor(2.6592))

    def forward(self, image_embeds, text_embeds):
        image_embeds, text_embeds = F.normalize(image_embeds, dim=-1), F.normalize(text_embeds, dim=-1)
        logits = image_embeds @ text_embeds.t() * math.exp(self.logit_scale.item())
        target = torch.arange(len(logits))
        return {"loss": (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2}


@says("batch")
def relations(q: Tensor, p: Tensor, teacher_scores: Tensor) -> Tensor:
    """The student's softmax runs over the passages, the teacher's over the queries."""
    student = torch.einsum("bd,bgd->bg", q, p.view(len(q), -1, q.size(-1)))
    return F.kl_div(F.log_softmax(student, dim=1), F.softmax(teacher_scores, dim=0), reduction="batchmean")


ALL = list(EXPECTED)
