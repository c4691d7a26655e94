"""Right losses, written to see whether what was mended for the third set holds for others."""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint


class SupConManyViews(nn.Module):
    """Features [bsz, n_views, dim]; labels or a mask or neither; the loss is scaled by a base temperature."""

    def __init__(self, temperature=0.07, contrast_mode="all", base_temperature=0.07):
        super().__init__()
        self.temperature, self.contrast_mode, self.base_temperature = temperature, contrast_mode, base_temperature

    def forward(self, features, labels=None, mask=None):
        features = F.normalize(features.flatten(2) if features.ndim > 3 else features, dim=-1)
        batch_size, n_views = features.shape[:2]
        if labels is not None:
            labels = labels.contiguous().view(-1, 1)
            mask = torch.eq(labels, labels.T).float()
        elif mask is None:
            mask = torch.eye(batch_size)
        contrast = torch.cat(torch.unbind(features, dim=1), dim=0)
        logits = contrast @ contrast.T / self.temperature
        logits = logits - logits.max(dim=1, keepdim=True).values.detach()
        mask = mask.repeat(n_views, n_views).to(logits.dtype)
        logits_mask = torch.scatter(torch.ones_like(mask), 1, torch.arange(batch_size * n_views).view(-1, 1), 0)
        mask = mask * logits_mask
        exp_logits = torch.exp(logits) * logits_mask
        log_prob = logits - torch.log(exp_logits.sum(1, keepdim=True))
        count = mask.sum(1)
        count = torch.where(count < 1e-6, 1, count)
        mean_log_prob_pos = (mask * log_prob).sum(1) / count
        return (-(self.temperature / self.base_temperature) * mean_log_prob_pos).view(n_views, batch_size).mean()


class SigmoidPairs(nn.Module):
    """Each text against each image, block after block of texts."""

    def __init__(self, block: int = 16):
        super().__init__()
        self.block = block
        self.t_prime = nn.Parameter(torch.tensor(math.log(10.0)))
        self.b = nn.Parameter(torch.tensor(-10.0))

    def forward(self, img_emb, txt_emb):
        zimg, ztxt = F.normalize(img_emb, dim=-1), F.normalize(txt_emb, dim=-1)
        n, total = len(zimg), 0.0
        for k, texts in enumerate(ztxt.split(self.block)):
            logits = zimg @ texts.T * self.t_prime.exp() + self.b
            at = torch.arange(len(texts)) + k * self.block
            labels = 2.0 * (torch.arange(n)[:, None] == at[None, :]) - 1.0
            total = total - F.logsigmoid(labels.to(logits.dtype) * logits).sum()
        return total / n


def ranknet_from_teacher(query: Tensor, docs: Tensor, teacher_scores: Tensor) -> Tensor:
    """Of two documents of a query, the one that the teacher prefers must score higher."""
    scores = torch.einsum("bd,bnd->bn", query, docs)
    student = scores.unsqueeze(2) - scores.unsqueeze(1)
    preferred = (teacher_scores.unsqueeze(2) - teacher_scores.unsqueeze(1)) > 0
    return F.softplus(-student)[preferred].mean()


def simsiam(p1, z2, p2, z1):
    """Predictor of one view, projection of the other."""

    def d(p, z):
        return -F.cosine_similarity(p, z.detach(), dim=-1).mean()

    return d(p1, z2) / 2 + d(p2, z1) / 2


def nce_with_queue(q: Tensor, k: Tensor, queue: Tensor, t: float = 0.07) -> Tensor:
    """The queue [K, D] is handed in."""
    q, k, queue = F.normalize(q, dim=1), F.normalize(k, dim=1), F.normalize(queue, dim=1)
    pos = (q * k).sum(1, keepdim=True)
    neg = q @ queue.T
    logits = torch.cat([pos, neg], 1) / t
    return F.cross_entropy(logits, torch.zeros(q.size(0), dtype=torch.long, device=q.device))


class HardestViolation(nn.Module):
    """The hardest caption of each image, and the hardest image of each caption, in the batch."""

    def __init__(self, margin: float = 0.2, max_violation: bool = True):
        super().__init__()
        self.margin, self.max_violation = margin, max_violation

    def forward(self, im, s):
        scores = F.normalize(im, dim=1) @ F.normalize(s, dim=1).t()
        diagonal = scores.diag().view(im.size(0), 1)
        cost_s = (self.margin + scores - diagonal.expand_as(scores)).clamp(min=0)
        cost_im = (self.margin + scores - diagonal.t().expand_as(scores)).clamp(min=0)
        own = torch.eye(scores.size(0), dtype=torch.bool, device=scores.device)
        cost_s, cost_im = cost_s.masked_fill(own, 0), cost_im.masked_fill(own, 0)
        if self.max_violation:
            cost_s, cost_im = cost_s.max(1)[0], cost_im.max(0)[0]
        return cost_s.sum() + cost_im.sum()


class MultiSimilarity(nn.Module):
    def __init__(self, thresh=0.5, margin=0.1, scale_pos=2.0, scale_neg=40.0):
        super().__init__()
        self.thresh, self.margin, self.scale_pos, self.scale_neg = thresh, margin, scale_pos, scale_neg

    def forward(self, feats, labels):
        feats = F.normalize(feats)
        sim_mat = feats @ feats.t()
        losses = []
        for i in range(feats.size(0)):
            same = labels == labels[i]
            pos_ = sim_mat[i][same]
            pos_ = pos_[pos_ < 1 - 1e-5]
            neg_ = sim_mat[i][~same]
            if len(pos_) < 1 or len(neg_) < 1:
                continue
            neg_pair, pos_pair = neg_[neg_ + self.margin > pos_.min()], pos_[pos_ - self.margin < neg_.max()]
            if len(neg_pair) < 1 or len(pos_pair) < 1:
                continue
            pull = torch.log(1 + torch.exp(-self.scale_pos * (pos_pair - self.thresh)).sum()) / self.scale_pos
            push = torch.log(1 + torch.exp(self.scale_neg * (neg_pair - self.thresh)).sum()) / self.scale_neg
            losses.append(pull + push)
        return sum(losses) / feats.size(0) if losses else (feats * 0).sum()


def checkpointed(queries: Tensor, documents: Tensor, mini_batch_size: int = 8, scale: float = 20.0) -> Tensor:
    """Scores of a few queries at a time, made again on the way back."""
    queries, documents = F.normalize(queries, dim=-1), F.normalize(documents, dim=-1)
    per_query = len(documents) // len(queries)

    def part(q, target):
        return F.cross_entropy(q @ documents.T * scale, target, reduction="sum")

    target = torch.arange(len(queries), device=queries.device) * per_query
    parts = [
        checkpoint(part, queries[k : k + mini_batch_size], target[k : k + mini_batch_size], use_reentrant=False)
        for k in range(0, len(queries), mini_batch_size)
    ]
    return torch.stack(parts).sum() / len(queries)


class SeveralPositives(nn.Module):
    """All P positives [B, P, D] of an anchor count, against those of the other anchors."""

    def __init__(self, tau: float = 0.1):
        super().__init__()
        self.tau = tau

    def forward(self, anchor, positives):
        b, p, _ = positives.shape
        a, pos = F.normalize(anchor, dim=-1), F.normalize(positives, dim=-1)
        sim = torch.einsum("bd,cpd->bcp", a, pos).reshape(b, b * p) / self.tau
        mine = torch.eye(b, dtype=torch.bool).repeat_interleave(p, dim=1)
        log_prob = sim.log_softmax(dim=1)
        return -(log_prob * mine).sum(1).div(p).mean()


class ClampedClip(nn.Module):
    """A learned scale that is kept below 100."""

    def __init__(self):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.ones([]) * 2.6592)

    def forward(self, image_embeds, text_embeds, return_dict=True):
        image_embeds = image_embeds / image_embeds.norm(p=2, dim=-1, keepdim=True)
        text_embeds = text_embeds / text_embeds.norm(p=2, dim=-1, keepdim=True)
        scale = self.logit_scale.exp().clamp(max=100.0)
        logits_per_text = torch.matmul(text_embeds, image_embeds.t()) * scale
        caption = F.cross_entropy(logits_per_text, torch.arange(len(logits_per_text)))
        image = F.cross_entropy(logits_per_text.t(), torch.arange(len(logits_per_text)))
        loss = (caption + image) / 2.0
        return {"loss": loss, "logits_per_text": logits_per_text} if return_dict else loss


def weighted_hard_negatives(q: Tensor, p: Tensor, group_size: int, alpha: float = 2.0, tau: float = 0.05) -> Tensor:
    """The own hard negatives weigh `alpha` times as much as the others' passages."""
    scores = q @ p.T / tau
    cols = torch.arange(p.size(0))
    own = cols // group_size == torch.arange(q.size(0))[:, None]
    hard = own & (cols % group_size != 0)
    scores = scores + math.log(alpha) * hard.to(scores.dtype)
    return F.cross_entropy(scores, torch.arange(q.size(0)) * group_size)


ALL = [
    "SupConManyViews",
    "SigmoidPairs",
    "ranknet_from_teacher",
    "simsiam",
    "nce_with_queue",
    "HardestViolation",
    "MultiSimilarity",
    "checkpointed",
    "SeveralPositives",
    "ClampedClip",
    "weighted_hard_negatives",
]
