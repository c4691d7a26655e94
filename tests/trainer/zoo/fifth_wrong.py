"""Wrong losses written before the laws of single scores were: most of them passed then."""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

EXPECTED = {}


def says(*words):
    def mark(loss):
        EXPECTED[loss.__name__] = words
        return loss

    return mark


@says("wrong sign")
class CosFaceInBatchPlus(nn.Module):
    def __init__(self, s=20.0, m=0.3):
        super().__init__()
        self.s, self.m = s, m

    def forward(self, queries, documents):
        cos = F.normalize(queries) @ F.normalize(documents).T
        g = documents.shape[0] // queries.shape[0]
        target = torch.arange(len(queries), device=cos.device) * g
        onehot = F.one_hot(target, documents.shape[0]).to(cos.dtype)
        return F.cross_entropy(self.s * (cos + self.m * onehot), target)


@says("teacher")
def teacher_softmax_over_batch(student_scores, teacher_scores):
    """Both [B, G]."""
    teacher = torch.softmax(teacher_scores, dim=0)
    return -(teacher * F.log_softmax(student_scores, dim=-1)).sum(-1).mean()


@says("features")
class MatryoshkaLastOnly(nn.Module):
    def __init__(self, fractions=(1.0, 0.5, 0.25), temperature=0.05):
        super().__init__()
        self.fractions, self.temperature = fractions, temperature

    def forward(self, query, passages):
        D = query.shape[-1]
        labels = torch.arange(len(query), device=query.device) * (len(passages) // len(query))
        for f in self.fractions:
            d = max(1, int(D * f))
            q = F.normalize(query[:, :d], dim=-1)
            p = F.normalize(passages[:, :d], dim=-1)
            loss = F.cross_entropy(q @ p.T / self.temperature, labels)
        return loss


@says("wrong sign")
class ArcFaceMinus(nn.Module):
    def __init__(self, s=16.0, m=0.3):
        super().__init__()
        self.s, self.m = s, m

    def forward(self, query, passages):
        cos = (F.normalize(query) @ F.normalize(passages).T).clamp(-1 + 1e-6, 1 - 1e-6)
        B, N = cos.shape
        label = torch.arange(B, device=cos.device) * (N // B)
        sin = (1 - cos**2).sqrt()
        phi = cos * math.cos(self.m) + sin * math.sin(self.m)
        one = F.one_hot(label, N).bool()
        return F.cross_entropy(self.s * torch.where(one, phi, cos), label)


@says("neither mean nor sum")
def siglip_zero_labels(image_features, text_features, logit_scale=10.0, logit_bias=-10.0):
    z = F.normalize(image_features) @ F.normalize(text_features).T * logit_scale + logit_bias
    y = torch.eye(len(z), device=z.device)
    return -F.logsigmoid(y * z).sum() / len(z)


@says("weight")
def weights_times_scores(query, passages, sample_weights, temperature=0.05):
    """sample_weights [B]: how much each query counts."""
    s = query @ passages.T / temperature
    labels = torch.arange(len(query), device=s.device) * (len(passages) // len(query))
    return F.cross_entropy(s * sample_weights[:, None], labels)


@says("exchanged")
class BatchHardSwapped(nn.Module):
    def __init__(self, margin=0.3):
        super().__init__()
        self.margin = margin

    def forward(self, embeddings, labels):
        d = torch.cdist(embeddings, embeddings)
        same = labels[:, None] == labels[None, :]
        eye = torch.eye(len(labels), dtype=torch.bool, device=d.device)
        hardest_pos = d.masked_fill(~same | eye, float("inf")).min(1).values
        hardest_neg = d.masked_fill(same, -1.0).max(1).values
        ok = (same & ~eye).any(1) & (~same).any(1)
        return F.relu(hardest_pos - hardest_neg + self.margin)[ok].mean()


@says("scores 0")
def online_lse_from_zero(query, passages, block=32, temperature=0.05):
    labels = torch.arange(len(query), device=query.device) * (len(passages) // len(query))
    running = query.new_zeros(len(query))
    for p in passages.split(block):
        running = torch.logaddexp(running, torch.logsumexp(query @ p.T / temperature, dim=1))
    pos = (query * passages[labels]).sum(-1) / temperature
    return (running - pos).mean()


@says("detached")
def positive_passage_detached(query, passages, temperature=0.05):
    B, G = len(query), len(passages) // len(query)
    s = query @ passages.T / temperature
    pos = (query * passages[::G].detach()).sum(-1) / temperature
    own = torch.zeros_like(s, dtype=torch.bool)
    own[torch.arange(B), torch.arange(B) * G] = True
    neg = s.masked_fill(own, float("-inf"))
    return (torch.logsumexp(torch.cat([pos[:, None], neg], 1), 1) - pos).mean()


@says("wrong sign")
def triplet_margin_sign(anchor, positive, negative, margin=0.5):
    dp = (anchor - positive).pow(2).sum(-1)
    dn = (anchor - negative).pow(2).sum(-1)
    return F.relu(dp - dn - margin).mean()


@says("easy negatives")
def easy_negatives_weighted(query, passages, temperature=0.5, beta=2.0):
    q, p = F.normalize(query, dim=-1), F.normalize(passages, dim=-1)
    B, N = q.shape[0], p.shape[0]
    s = q @ p.T / temperature
    is_pos = torch.zeros(B, N, dtype=torch.bool, device=s.device)
    is_pos[torch.arange(B), torch.arange(B) * (N // B)] = True
    pos = s[is_pos].exp()
    neg = s.exp().masked_fill(is_pos, 0)
    w = (-beta * s).exp().masked_fill(is_pos, 0)
    w = w * (N - 1) / w.sum(1, keepdim=True)
    return -(pos / (pos + (w.detach() * neg).sum(-1))).log().mean()


@says("memory")
class QueueReadAsRows(nn.Module):
    def __init__(self, K=128, T=0.1):
        super().__init__()
        self.K, self.T = K, T
        self.queue = None

    def forward(self, q, k):
        q, k = F.normalize(q, dim=1), F.normalize(k, dim=1)
        D = k.shape[1]
        if self.queue is None:
            g = torch.Generator().manual_seed(1)
            self.queue = F.normalize(torch.randn(D, self.K, generator=g).to(k), dim=0)
        l_pos = (q * k).sum(-1, keepdim=True)
        l_neg = q @ self.queue.reshape(self.K, D).T
        logits = torch.cat([l_pos, l_neg], dim=1) / self.T
        loss = F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long, device=q.device))
        self.queue = torch.cat([k.detach().T, self.queue], dim=1)[:, : self.K]
        return loss


@says("one id")
def half_of_the_duplicates(query, passages, passage_ids, temperature=0.05):
    s = F.normalize(query, dim=-1) @ F.normalize(passages, dim=-1).T / temperature
    B, N = s.shape
    labels = torch.arange(B, device=s.device) * (N // B)
    same = (passage_ids[:, None] == passage_ids[None, :]).tril(-1)[labels]
    return F.cross_entropy(s.masked_fill(same, float("-inf")), labels)


@says("partner")
def nt_xent_masks_the_partner(z1, z2, temperature=0.5):
    z = F.normalize(torch.cat([z1, z2]), dim=-1)
    n = len(z1)
    s = z @ z.T / temperature
    eye = torch.eye(2 * n, dtype=torch.bool, device=z.device)
    partner = eye.roll(n, 0)
    pos = s[partner]
    return (torch.logsumexp(s.masked_fill(partner, float("-inf")), 1) - pos).mean()


@says("in jumps")
def hinge_sum_includes_positive_twice(query, passages, margin=0.2):
    """VSE: hinge over all passages, positives picked from the transposed diagonal of the groups."""
    s = F.normalize(query, dim=-1) @ F.normalize(passages, dim=-1).T
    B, N = s.shape
    pos = s[:, :: N // B].diagonal()
    return F.relu(margin + s - pos.mean()).sum(1).mean()


@says("in jumps")
def threshold_of_the_column(query, passages, temperature=0.05):
    q, p = F.normalize(query, dim=-1), F.normalize(passages, dim=-1)
    s = q @ p.T
    B, N = s.shape
    G = N // B
    labels = torch.arange(B, device=s.device) * G
    pos = s.gather(1, labels[:, None]).squeeze(1).detach()
    limit = pos.repeat_interleave(G)[None, :]
    mask = s > limit
    mask.scatter_(1, labels[:, None], False)
    return F.cross_entropy((s / temperature).masked_fill(mask, -1e4), labels)


@says("own negatives")
def margin_off_the_whole_group(query, passages, margin=0.2, scale=20.0):
    s = F.normalize(query, dim=-1) @ F.normalize(passages, dim=-1).T
    B, N = s.shape
    G = N // B
    own = torch.arange(N, device=s.device)[None, :] // G == torch.arange(B, device=s.device)[:, None]
    return F.cross_entropy(scale * (s - margin * own), torch.arange(B, device=s.device) * G)


ALL = list(EXPECTED)
