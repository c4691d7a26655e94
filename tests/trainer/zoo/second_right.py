"""More right losses, written when the judge was done: the measure of what it has not seen."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor, nn


class InfoNCE(nn.Module):
    """Queries, positive keys and negative keys, paired."""

    def __init__(self, temperature=0.1, reduction="mean"):
        super().__init__()
        self.temperature, self.reduction = temperature, reduction

    def forward(self, query, positive_key, negative_keys):
        query, positive_key, negative_keys = (F.normalize(x, dim=-1) for x in (query, positive_key, negative_keys))
        positive_logit = torch.sum(query * positive_key, dim=1, keepdim=True)
        negative_logits = (query.unsqueeze(1) @ negative_keys.transpose(-2, -1)).squeeze(1)
        logits = torch.cat([positive_logit, negative_logits], dim=1)
        labels = torch.zeros(len(logits), dtype=torch.long, device=query.device)
        return F.cross_entropy(logits / self.temperature, labels, reduction=self.reduction)


class DprLoss:
    def calc(self, q_vectors: Tensor, ctx_vectors: Tensor, positive_idx_per_question: Tensor):
        scores = q_vectors @ ctx_vectors.T
        log_probs = F.log_softmax(scores, dim=1)
        loss = F.nll_loss(log_probs, positive_idx_per_question, reduction="mean")
        _, best = torch.max(log_probs, 1)
        return loss, (best == positive_idx_per_question).sum()


def dpr(q_vectors, ctx_vectors, positive_idx_per_question):
    return DprLoss().calc(q_vectors, ctx_vectors, positive_idx_per_question)


class ColumnLoss(nn.Module):
    def forward(self, reps: list[Tensor]):
        anchors, *others = reps
        docs = torch.cat(others)
        scores = F.normalize(anchors, p=2, dim=1) @ F.normalize(docs, p=2, dim=1).T * 20
        return F.cross_entropy(scores, torch.tensor(range(len(scores)), dtype=torch.long))


class Tevatron(nn.Module):
    def compute_similarity(self, q, p):
        return torch.matmul(q, p.transpose(0, 1))

    def forward(self, q_reps: Tensor, p_reps: Tensor):
        scores = self.compute_similarity(q_reps, p_reps).view(q_reps.size(0), -1)
        target = torch.arange(scores.size(0), device=scores.device, dtype=torch.long)
        target = target * (p_reps.size(0) // q_reps.size(0))
        return nn.CrossEntropyLoss(reduction="mean")(scores, target)


def einops_preset(q, p):
    s = einsum(q, rearrange(p, "(b g) d -> b g d", b=q.shape[0]), "b d, b g d -> b g") / math.sqrt(q.shape[-1])
    return -s.log_softmax(-1)[..., 0].mean()


def matmul_preset(query, passages):
    return F.cross_entropy(
        (passages @ query[..., None])[..., 0] * 8.0, torch.zeros(query.shape[0], dtype=torch.int64, device=query.device)
    )


def one_hot_targets(q, p):
    scores = (q @ p.mT) / 0.15
    goal = F.one_hot(torch.arange(len(q)), len(p)).to(scores.dtype)
    return -(goal * F.log_softmax(scores, -1)).sum(-1).mean()


def logsumexp_difference(u, v):
    s = F.normalize(u, dim=-1) @ F.normalize(v, dim=-1).T / 0.07
    return (torch.logsumexp(s, 1) - torch.diagonal(s)).mean() + (torch.logsumexp(s, 0) - torch.diagonal(s)).mean()


def masked_select(z1, z2):
    n = z1.shape[0]
    z = F.normalize(torch.cat([z1, z2], 0), dim=1)
    e = torch.exp(torch.mm(z, z.t().contiguous()) / 0.5)
    mask = (torch.ones_like(e) - torch.eye(2 * n)).bool()
    e = e.masked_select(mask).view(2 * n, -1)
    pos = torch.exp(torch.sum(F.normalize(z1, dim=1) * F.normalize(z2, dim=1), dim=-1) / 0.5)
    pos = torch.cat([pos, pos], dim=0)
    return (-torch.log(pos / e.sum(dim=-1))).mean()


def tuned_views(feats):
    """[B, 2, D]"""
    a, b = F.normalize(feats[:, 0], dim=-1), F.normalize(feats[:, 1], dim=-1)
    s = a @ b.T / 0.2
    y = torch.arange(len(s))
    return (F.cross_entropy(s, y) + F.cross_entropy(s.T, y)) / 2


class LearnedTemperature(nn.Module):
    def __init__(self, init_temperature=0.07, max_scale=100.0):
        super().__init__()
        self.log_inv_t = nn.Parameter(torch.tensor(np.log(1 / init_temperature), dtype=torch.float32))
        self.max_scale = max_scale

    def forward(self, text_emb, image_emb):
        scale = self.log_inv_t.exp().clamp(max=self.max_scale)
        s = scale * F.normalize(text_emb, dim=-1) @ F.normalize(image_emb, dim=-1).T
        y = torch.arange(s.size(0))
        return (F.cross_entropy(s, y) + F.cross_entropy(s.t(), y)) * 0.5


class Scores(NamedTuple):
    logits: Tensor
    loss: Tensor


def with_logits(query, document):
    logits = query @ document.T / 0.4
    return Scores(logits, F.cross_entropy(logits, torch.arange(len(query))))


class SiglipStyle(nn.Module):
    def __init__(self):
        super().__init__()
        self.t = nn.Parameter(torch.tensor(math.log(10.0)))
        self.b = nn.Parameter(torch.tensor(-10.0))

    def forward(self, x, y):
        logits = F.normalize(x, dim=-1) @ F.normalize(y, dim=-1).T * self.t.exp() + self.b
        labels = 2 * torch.eye(len(x)) - 1
        return -F.logsigmoid(labels * logits).sum() / len(x)


def hinge_over_batch(img, cap):
    s = F.normalize(img, dim=1) @ F.normalize(cap, dim=1).T
    d = s.diag().view(-1, 1)
    cost = (0.2 + s - d).clamp(min=0)
    return cost.masked_fill(torch.eye(len(s)) > 0.5, 0).sum() / (len(s) * max(len(s) - 1, 1))


def soft_triplet(anchor, positive, negative):
    dp, dn = (anchor - positive).pow(2).sum(-1), (anchor - negative).pow(2).sum(-1)
    return F.softplus(dp - dn).mean()


def pairwise_triplet(a, p, n):
    return F.triplet_margin_loss(a, p, n, margin=0.7)


def cosine_targets(u, v, score):
    return (F.cosine_similarity(u, v, dim=-1) - score).square().mean()


def teacher_cross_entropy(q, p, teacher_scores):
    student = torch.einsum("bd,bgd->bg", q, p) / 0.3
    return -(teacher_scores.softmax(-1) * student.log_softmax(-1)).sum(-1).mean()


def teacher_kl(q, p, teacher_scores):
    s = (q.unsqueeze(1) * p).sum(-1)
    return F.kl_div(s.log_softmax(1), teacher_scores.log_softmax(1), reduction="batchmean", log_target=True)


def supervised(features, labels):
    """[B, V, D] and [B]"""
    b, v, d = features.shape
    z = F.normalize(features, dim=-1).reshape(b * v, d)
    y = labels.repeat_interleave(v)
    eye = torch.eye(b * v, dtype=torch.bool)
    s = (z @ z.T / 0.3).masked_fill(eye, float("-inf"))
    pos = (y[:, None] == y) & ~eye
    return -(s.log_softmax(1).masked_fill(~pos, 0).sum(1) / pos.sum(1)).mean()


def soft_nearest_neighbours(x, y):
    eye = torch.eye(len(x), dtype=torch.bool)
    d = (-(x[:, None] - x).pow(2).sum(-1)).masked_fill(eye, float("-inf"))
    same = (y[:, None] == y) & ~eye
    keep = same.any(1)
    return (d.logsumexp(1) - d.masked_fill(~same, float("-inf")).logsumexp(1))[keep].mean()


def streamed(q, p):
    """Candidates come in blocks; a running logsumexp."""
    g = p.size(0) // q.size(0)
    total = torch.full((q.size(0),), float("-inf"), dtype=q.dtype)
    for block in p.split(5):
        total = torch.logaddexp(total, (q @ block.T / 0.2).logsumexp(1))
    own = (q * p[::g]).sum(-1) / 0.2
    return (total - own).mean()


class Checkpointed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, p):
        g = p.shape[0] // q.shape[0]
        s = q @ p.T * 4
        ctx.save_for_backward(q, p, s)
        ctx.g = g
        return F.cross_entropy(s, torch.arange(len(q)) * g)

    @staticmethod
    def backward(ctx, up):
        q, p, s = ctx.saved_tensors
        d = s.softmax(1)
        d[torch.arange(len(q)), torch.arange(len(q)) * ctx.g] -= 1
        d = d * (4 * up / len(q))
        return d @ p, d.T @ q


def own_backward(q, p):
    return Checkpointed.apply(q, p)


class Dual(nn.Module):
    """Two encoders and their loss, called with token inputs."""

    def __init__(self, dim=16, normalize=False):
        super().__init__()
        self.query_encoder = nn.Sequential(nn.Embedding(50, dim))
        self.doc_encoder = nn.Sequential(nn.Embedding(50, dim))
        self.normalize = normalize

    def _embed(self, encoder, tokens):
        states = encoder(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])[0]
        return states[:, 0]

    def forward(self, query, passages):
        q, p = self._embed(self.query_encoder, query), self._embed(self.doc_encoder, passages)
        scores = torch.einsum("bd,bgd->bg", q, p.view(q.size(0), -1, q.size(1)))
        return {"loss": F.cross_entropy(scores, torch.zeros(len(q), dtype=torch.long)), "logits": scores}


def build(scale: float = 16.0):
    class Inner(nn.Module):
        def forward(self, a, b):
            return F.cross_entropy(F.normalize(a, dim=1) @ F.normalize(b, dim=1).T * scale, torch.arange(len(a)))

    return Inner()


def label_free_views(views):
    """V views of B items, [B, V, D]: the other views of an item are its positives."""
    b, v, d = views.shape
    z = F.normalize(views.transpose(0, 1).reshape(v * b, d), dim=1)
    item = torch.arange(b).repeat(v)
    eye = torch.eye(v * b, dtype=torch.bool)
    s = (z @ z.T / 0.5).masked_fill(eye, -1e9)
    pos = (item[:, None] == item) & ~eye
    return -(torch.where(pos, s.log_softmax(1), 0).sum(1) / (v - 1)).mean()


def decorrelation(z_a, z_b):
    n = len(z_a)
    a = (z_a - z_a.mean(0)) / (z_a.std(0) + 1e-6) if n > 1 else z_a - z_a.mean(0)
    b = (z_b - z_b.mean(0)) / (z_b.std(0) + 1e-6) if n > 1 else z_b - z_b.mean(0)
    c = a.T @ b / n
    on = (c.diagonal() - 1).pow(2).sum()
    off = c.pow(2).sum() - c.diagonal().pow(2).sum()
    return on + 0.005 * off


def alignment_and_uniformity(x, y):
    x, y = F.normalize(x, dim=-1), F.normalize(y, dim=-1)
    align = (x - y).pow(2).sum(1).mean()
    uniform = sum(torch.pdist(z).pow(2).mul(-2).exp().mean().log() for z in (x, y)) / 2 if len(x) > 1 else 0
    return align + uniform


def hardness_weighted(q, p):
    s = F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T / 0.1
    eye = torch.eye(len(s), dtype=torch.bool)
    weight = (s.detach() * 0.1).exp().masked_fill(eye, 1.0)
    return (torch.logsumexp(s + weight.log(), 1) - s.diagonal()).mean()


def focal(q, p):
    s = F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T / 0.1
    log_p = s.log_softmax(1).diagonal()
    return (-((1 - log_p.exp()) ** 2) * log_p).mean()


ALL = (
    "InfoNCE", "dpr", "ColumnLoss", "Tevatron", "einops_preset", "matmul_preset", "one_hot_targets", "logsumexp_difference",
    "masked_select", "tuned_views", "LearnedTemperature", "with_logits", "SiglipStyle", "hinge_over_batch", "soft_triplet",
    "pairwise_triplet", "cosine_targets", "teacher_cross_entropy", "teacher_kl", "supervised", "soft_nearest_neighbours",
    "streamed", "own_backward", "Dual", "build", "label_free_views", "decorrelation", "alignment_and_uniformity",
    "hardness_weighted", "focal",
)  # fmt: skip
