"""Right losses in other styles, written together with the wrong ones of the fifth set."""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


def hard_negative_reweighted(query, passages, temperature=0.5, beta=1.0):
    q, p = F.normalize(query, dim=-1), F.normalize(passages, dim=-1)
    B, N = q.shape[0], p.shape[0]
    s = q @ p.T / temperature
    is_pos = torch.zeros(B, N, dtype=torch.bool, device=s.device)
    is_pos[torch.arange(B), torch.arange(B) * (N // B)] = True
    pos = s[is_pos].exp()
    neg = s.exp().masked_fill(is_pos, 0)
    imp = neg.pow(beta)
    reweighted = (imp * neg).sum(-1) / (imp.sum(-1) / (N - 1)).clamp_min(1e-12)
    return -(pos / (pos + reweighted)).log().mean()


def debiased(query, passages, temperature=0.5, tau=0.1):
    q, p = F.normalize(query, dim=-1), F.normalize(passages, dim=-1)
    B, N = q.size(0), p.size(0)
    e = torch.exp(q @ p.t() / temperature)
    pos = e[torch.arange(B), torch.arange(0, N, N // B)]
    neg = e.sum(1) - pos
    M = N - 1
    Ng = torch.clamp((neg - M * tau * pos) / (1 - tau), min=M * math.exp(-1 / temperature))
    return (-torch.log(pos / (pos + Ng))).mean()


class ArcFaceInBatch(nn.Module):
    def __init__(self, s=16.0, m=0.2):
        super().__init__()
        self.s, self.m = s, m

    def forward(self, query: Tensor, passages: Tensor) -> Tensor:
        cos = (F.normalize(query) @ F.normalize(passages).T).clamp(-1 + 1e-6, 1 - 1e-6)
        B, N = cos.shape
        label = torch.arange(B, device=cos.device) * (N // B)
        theta = torch.acos(cos)
        one = F.one_hot(label, N).bool()
        return F.cross_entropy(self.s * torch.where(one, torch.cos(theta + self.m), cos), label)


def false_negatives_masked(q, p, temperature=0.05, slack=0.1):
    q, p = F.normalize(q, dim=-1), F.normalize(p, dim=-1)
    s = q @ p.T
    labels = torch.arange(s.size(0), device=s.device) * (s.size(1) // s.size(0))
    pos = s.gather(1, labels[:, None]).detach()
    mask = s > pos + slack
    return F.cross_entropy(s.masked_fill(mask, float("-inf")) / temperature, labels)


def duplicates_masked(query, passage, passage_ids, temperature=0.05):
    s = F.normalize(query, dim=-1) @ F.normalize(passage, dim=-1).T / temperature
    labels = torch.arange(s.size(0), device=s.device) * (s.size(1) // s.size(0))
    same = passage_ids[labels][:, None] == passage_ids[None, :]
    same.scatter_(1, labels[:, None], False)
    return F.cross_entropy(s.masked_fill(same, float("-inf")), labels)


class MoCoQueue(nn.Module):
    def __init__(self, K=256, T=0.07):
        super().__init__()
        self.K, self.T = K, T
        self.queue = None

    def forward(self, q, k):
        q, k = F.normalize(q, dim=1), F.normalize(k, dim=1)
        if self.queue is None:
            g = torch.Generator().manual_seed(1)
            self.queue = F.normalize(torch.randn(self.K, k.shape[1], generator=g).to(k), dim=1)
        l_pos = (q * k).sum(-1, keepdim=True)
        l_neg = q @ self.queue.T
        logits = torch.cat([l_pos, l_neg], dim=1) / self.T
        loss = F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long, device=q.device))
        self.queue = torch.cat([k.detach(), self.queue])[: self.K]
        return loss


class DistilAndContrast(nn.Module):
    def __init__(self, temperature=0.05, alpha=0.5):
        super().__init__()
        self.temperature, self.alpha = temperature, alpha

    def forward(self, query, passages, teacher_scores):
        B, G = teacher_scores.shape
        q, p = F.normalize(query, dim=-1), F.normalize(passages.reshape(B * G, -1), dim=-1)
        s = q @ p.T / self.temperature
        ce = F.cross_entropy(s, torch.arange(B, device=s.device) * G)
        own = s.view(B, B, G)[torch.arange(B), torch.arange(B)]
        kd = F.kl_div(own.log_softmax(-1), teacher_scores.softmax(-1), reduction="batchmean")
        return self.alpha * ce + (1 - self.alpha) * kd


class Matryoshka(nn.Module):
    def __init__(self, fractions=(1.0, 0.5, 0.25), temperature=0.05):
        super().__init__()
        self.fractions, self.temperature = fractions, temperature

    def forward(self, query, passages):
        D = query.shape[-1]
        labels = torch.arange(len(query), device=query.device) * (len(passages) // len(query))
        loss = 0.0
        for f in self.fractions:
            d = max(1, int(D * f))
            q = F.normalize(query[:, :d], dim=-1)
            p = F.normalize(passages[:, :d], dim=-1)
            loss = loss + F.cross_entropy(q @ p.T / self.temperature, labels)
        return loss / len(self.fractions)


class BatchHardSoftMargin(nn.Module):
    def forward(self, embeddings, labels):
        d = torch.cdist(embeddings, embeddings)
        same = labels[:, None] == labels[None, :]
        eye = torch.eye(len(labels), dtype=torch.bool, device=d.device)
        hardest_pos = d.masked_fill(~same | eye, float("-inf")).max(1).values
        hardest_neg = d.masked_fill(same, float("inf")).min(1).values
        ok = (same & ~eye).any(1) & (~same).any(1)
        return F.softplus(hardest_pos - hardest_neg)[ok].mean()


def hardest_k(query, passages, k=5, temperature=0.05):
    s = F.normalize(query, dim=-1) @ F.normalize(passages, dim=-1).T / temperature
    B, N = s.shape
    labels = torch.arange(B, device=s.device) * (N // B)
    pos = s.gather(1, labels[:, None])
    rest = s.scatter(1, labels[:, None], float("-inf"))
    hard = rest.topk(min(k, N - 1), dim=1).values
    return F.cross_entropy(torch.cat([pos, hard], 1), torch.zeros_like(labels))


def align_and_uniform(x, y, t=2.0, weight=1.0):
    x, y = F.normalize(x, dim=-1), F.normalize(y, dim=-1)
    align = (x - y).pow(2).sum(1).mean()
    uniform = (torch.pdist(x).pow(2).mul(-t).exp().mean().log() + torch.pdist(y).pow(2).mul(-t).exp().mean().log()) / 2
    return align + weight * uniform


def pairwise_logistic(student_scores, teacher_scores):
    """RankNet over [B, G]: pairs in the teacher's order."""
    ds = student_scores[:, :, None] - student_scores[:, None, :]
    dt = teacher_scores[:, :, None] - teacher_scores[:, None, :]
    keep = dt > 0
    return F.softplus(-ds)[keep].sum() / keep.sum().clamp_min(1)


def shared_bank(query, positive, negatives, temperature=0.07):
    q, p, n = (F.normalize(x, dim=-1) for x in (query, positive, negatives))
    logits = torch.cat([(q * p).sum(-1, keepdim=True), q @ n.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long, device=q.device))


def any_of_the_positives(embeddings, labels, temperature=0.2):
    z = F.normalize(embeddings, dim=-1)
    eye = torch.eye(len(z), dtype=torch.bool, device=z.device)
    s = (z @ z.T / temperature).masked_fill(eye, float("-inf"))
    pos = (labels[:, None] == labels[None, :]) & ~eye
    has = pos.any(1)
    good = torch.logsumexp(s.masked_fill(~pos, float("-inf"))[has], 1)
    return (torch.logsumexp(s[has], 1) - good).mean()


def hinge_over_all_negatives(query, passages, margin=0.2):
    s = F.normalize(query, dim=-1) @ F.normalize(passages, dim=-1).T
    B, N = s.shape
    G = N // B
    label = torch.arange(B, device=s.device) * G
    pos = s.gather(1, label[:, None])
    keep = torch.ones_like(s).scatter_(1, label[:, None], 0.0)
    return (F.relu(margin + s - pos) * keep).sum(1).mean()


ALL = [
    "hard_negative_reweighted",
    "debiased",
    "ArcFaceInBatch",
    "false_negatives_masked",
    "duplicates_masked",
    "MoCoQueue",
    "DistilAndContrast",
    "Matryoshka",
    "BatchHardSoftMargin",
    "hardest_k",
    "align_and_uniform",
    "pairwise_logistic",
    "shared_bank",
    "any_of_the_positives",
    "hinge_over_all_negatives",
]
