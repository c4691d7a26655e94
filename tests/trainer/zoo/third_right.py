"""Right losses in the idioms of other libraries and papers, written without a look at the judge."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class SimpleContrastiveLoss:
    """Every query against every passage; the first passage of each block is its positive."""

    def __init__(self, n_hard_negatives: int = 0, temperature: float = 0.05):
        self.target_per_qry = n_hard_negatives + 1
        self.temperature = temperature

    def __call__(self, x: Tensor, y: Tensor, target: Tensor | None = None, reduction: str = "mean") -> Tensor:
        if target is None:
            per_query = y.size(0) // x.size(0)
            target = torch.arange(0, x.size(0) * per_query, step=per_query, device=x.device, dtype=torch.long)
        logits = torch.matmul(x, y.transpose(0, 1)) / self.temperature
        return F.cross_entropy(logits, target, reduction=reduction)


class BiEncoderNllLoss:
    """Vectors of questions and contexts; the columns of the positives are passed along."""

    def calc(
        self, q_vectors, ctx_vectors, positive_idx_per_question, hard_negative_idx_per_question=None, loss_scale=None
    ):
        scores = self.get_scores(q_vectors, ctx_vectors)
        if len(q_vectors.size()) > 1:
            scores = scores.view(q_vectors.size(0), -1)
        softmax_scores = F.log_softmax(scores, dim=1)
        target = torch.as_tensor(positive_idx_per_question, dtype=torch.long, device=softmax_scores.device)
        loss = F.nll_loss(softmax_scores, target, reduction="mean")
        _, max_idxs = torch.max(softmax_scores, 1)
        correct = (max_idxs == target).sum()
        if loss_scale:
            loss = loss.mul(loss_scale)
        return loss, correct

    __call__ = calc

    @staticmethod
    def get_scores(q_vector, ctx_vectors):
        return torch.matmul(q_vector, torch.transpose(ctx_vectors, 0, 1))


class MomentumQueueLoss(nn.Module):
    """A queue of earlier keys gives the negatives."""

    def __init__(self, dim: int = 32, size: int = 256, temperature: float = 0.07):
        super().__init__()
        self.temperature = temperature
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("queue", F.normalize(torch.randn(dim, size, generator=generator), dim=0))
        self.register_buffer("pointer", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def enqueue(self, keys):
        at, size = int(self.pointer), self.queue.size(1)
        slots = (torch.arange(keys.size(0), device=keys.device) + at) % size
        self.queue[:, slots] = keys.T
        self.pointer[0] = (at + keys.size(0)) % size

    def forward(self, q, k):
        q = F.normalize(q, dim=1)
        k = F.normalize(k.detach(), dim=1)
        l_pos = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)
        l_neg = torch.einsum("nc,ck->nk", q, self.queue.clone().detach())
        logits = torch.cat([l_pos, l_neg], dim=1) / self.temperature
        labels = torch.zeros(logits.shape[0], dtype=torch.long, device=logits.device)
        self.enqueue(k)
        return F.cross_entropy(logits, labels)


def gather_features(image_features, text_features, local_loss, gather_with_grad, rank, world_size):
    if gather_with_grad:
        all_image = torch.cat(torch.distributed.nn.all_gather(image_features), dim=0)
        all_text = torch.cat(torch.distributed.nn.all_gather(text_features), dim=0)
        return all_image, all_text
    images = [torch.zeros_like(image_features) for _ in range(world_size)]
    texts = [torch.zeros_like(text_features) for _ in range(world_size)]
    dist.all_gather(images, image_features)
    dist.all_gather(texts, text_features)
    if not local_loss:
        images[rank], texts[rank] = image_features, text_features
    return torch.cat(images, dim=0), torch.cat(texts, dim=0)


class LocalClipLoss(nn.Module):
    """Each process scores its own rows against all columns."""

    def __init__(self, local_loss: bool = True, gather_with_grad: bool = True):
        super().__init__()
        self.local_loss, self.gather_with_grad = local_loss, gather_with_grad

    def forward(self, image_features, text_features, logit_scale, output_dict=True):
        world = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        rank = dist.get_rank() if world > 1 else 0
        if world > 1:
            all_image, all_text = gather_features(
                image_features, text_features, self.local_loss, self.gather_with_grad, rank, world
            )
            if self.local_loss:
                per_image = logit_scale * image_features @ all_text.T
                per_text = logit_scale * text_features @ all_image.T
            else:
                per_image = logit_scale * all_image @ all_text.T
                per_text = per_image.T
        else:
            per_image = logit_scale * image_features @ text_features.T
            per_text = per_image.T
        labels = torch.arange(per_image.shape[0], device=image_features.device)
        if world > 1 and self.local_loss:
            labels = labels + rank * per_image.shape[0]
        total = (F.cross_entropy(per_image, labels) + F.cross_entropy(per_text, labels)) / 2
        return {"contrastive_loss": total} if output_dict else total


def multi_positive_nce(anchors: Tensor, candidates: Tensor, positive_mask: Tensor, tau: float = 0.1) -> Tensor:
    """Several positives a row, told by a mask [B, N]; the mean of their log-probabilities."""
    sim = F.normalize(anchors, dim=-1) @ F.normalize(candidates, dim=-1).mT / tau
    log_prob = sim - sim.logsumexp(dim=-1, keepdim=True)
    positive_mask = positive_mask.to(sim.dtype)
    per_row = (log_prob * positive_mask).sum(-1) / positive_mask.sum(-1).clamp(min=1)
    return -per_row.mean()


class HardDebiasedLoss(nn.Module):
    """Negatives are weighted by how close they are; the estimate is corrected for false negatives."""

    def __init__(self, beta: float = 1.0, tau_plus: float = 0.1, temperature: float = 0.5):
        super().__init__()
        self.beta, self.tau_plus, self.temperature = beta, tau_plus, temperature

    def forward(self, out_1, out_2):
        out_1, out_2 = F.normalize(out_1, dim=1), F.normalize(out_2, dim=1)
        batch_size = out_1.shape[0]
        out = torch.cat([out_1, out_2], dim=0)
        neg = torch.exp(torch.mm(out, out.t().contiguous()) / self.temperature)
        keep = ~torch.eye(batch_size, dtype=torch.bool, device=out.device).repeat(2, 2)
        neg = neg.masked_select(keep).view(2 * batch_size, -1)
        pos = torch.exp((out_1 * out_2).sum(dim=-1) / self.temperature)
        pos = torch.cat([pos, pos], dim=0)
        n = batch_size * 2 - 2
        imp = (self.beta * neg.log()).exp()
        reweighted = (imp * neg).sum(dim=-1) / imp.mean(dim=-1)
        ng = (-self.tau_plus * n * pos + reweighted) / (1 - self.tau_plus)
        ng = torch.clamp(ng, min=n * math.e ** (-1 / self.temperature))
        return (-torch.log(pos / (pos + ng))).mean()


def batch_hard_triplet_loss(labels, embeddings, margin=0.3, squared=False):
    """Labels first, as the TensorFlow version has them."""
    square = embeddings.pow(2).sum(dim=1)
    distances = (square.unsqueeze(1) - 2 * embeddings @ embeddings.t() + square.unsqueeze(0)).clamp(min=0)
    if not squared:
        zero = (distances == 0).float()
        distances = (distances + zero * 1e-16).sqrt() * (1 - zero)
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    hardest_positive, _ = (distances * (same & ~own).float()).max(dim=1)
    farthest, _ = distances.max(dim=1, keepdim=True)
    hardest_negative, _ = (distances + farthest * same.float()).min(dim=1)
    return F.relu(hardest_positive - hardest_negative + margin).mean()


class MarginDistillation(nn.Module):
    """Differences of dot products follow those of a cross-encoder."""

    def forward(self, query_vecs, pos_vecs, neg_vecs, gold_margin):
        predicted = (query_vecs * pos_vecs).sum(dim=-1) - (query_vecs * neg_vecs).sum(dim=-1)
        return F.mse_loss(predicted, gold_margin)


class ListwiseDistillation(nn.Module):
    """The distribution over each query's own documents follows the teacher's."""

    def __init__(self, student_temperature=1.0, teacher_temperature=1.0):
        super().__init__()
        self.student_temperature, self.teacher_temperature = student_temperature, teacher_temperature

    def forward(self, query_emb: Tensor, doc_emb: Tensor, teacher_logits: Tensor) -> Tensor:
        batch, n_docs = teacher_logits.shape
        docs = doc_emb.reshape(batch, n_docs, -1)
        student = torch.bmm(docs, query_emb.unsqueeze(-1)).squeeze(-1)
        log_p = F.log_softmax(student / self.student_temperature, dim=-1)
        target = F.softmax(teacher_logits / self.teacher_temperature, dim=-1)
        return F.kl_div(log_p, target, reduction="batchmean") * self.teacher_temperature**2


class ChunkedNTXent(nn.Module):
    """Never holds more than `chunk_size` rows of the [2B, 2B] matrix."""

    def __init__(self, temperature: float = 0.2, chunk_size: int = 8):
        super().__init__()
        self.temperature, self.chunk_size = temperature, chunk_size

    def forward(self, z_i, z_j):
        z = F.normalize(torch.cat((z_i, z_j)), dim=-1)
        n, total = z_i.shape[0], z.new_zeros(())
        partner = torch.arange(2 * n, device=z.device).roll(n)
        for start in range(0, 2 * n, self.chunk_size):
            rows = z[start : start + self.chunk_size]
            sim = rows @ z.t() / self.temperature
            own = torch.arange(start, start + rows.size(0), device=z.device).unsqueeze(1)
            sim = sim.scatter(1, own, float("-inf"))
            total = total + F.cross_entropy(sim, partner[start : start + rows.size(0)], reduction="sum")
        return total / (2 * n)


def improved_contrastive(query: Tensor, document: Tensor, temperature: float = 0.01) -> Tensor:
    """Both directions share one partition: query-document, query-query, document-document."""
    query, document = F.normalize(query, dim=1), F.normalize(document, dim=1)
    n = query.size(0)
    hide = torch.eye(n, dtype=torch.bool, device=query.device)
    qd = query @ document.T / temperature
    qq = (query @ query.T / temperature).masked_fill(hide, float("-inf"))
    dd = (document @ document.T / temperature).masked_fill(hide, float("-inf"))
    everything = torch.cat([qd, qd.T, qq, dd], dim=1)
    return (everything.logsumexp(1) - qd.diagonal()).mean()


class DecoupledContrastive(nn.Module):
    """The positive is no part of the denominator."""

    def __init__(self, temperature=0.1):
        super().__init__()
        self.temperature = temperature

    def forward(self, z1, z2):
        z1, z2 = F.normalize(z1, dim=-1), F.normalize(z2, dim=-1)
        return (self.one_way(z1, z2) + self.one_way(z2, z1)) / 2

    def one_way(self, a, b):
        cross = a @ b.t() / self.temperature
        both = torch.cat((a @ a.t() / self.temperature, cross), dim=1)
        hidden = torch.eye(a.size(0), dtype=both.dtype, device=a.device).repeat(1, 2).bool()
        return (-cross.diag() + both.masked_fill(hidden, float("-inf")).logsumexp(dim=1)).mean()


class CircleLoss(nn.Module):
    def __init__(self, m: float = 0.25, gamma: float = 64.0):
        super().__init__()
        self.m, self.gamma = m, gamma

    def forward(self, feats, targets):
        feats = F.normalize(feats)
        sim = feats @ feats.t()
        same = targets[:, None] == targets[None, :]
        upper = torch.ones_like(same).triu(1)
        sp, sn = sim[same & upper], sim[~same & upper]
        ap = torch.clamp_min(1 + self.m - sp.detach(), 0.0)
        an = torch.clamp_min(sn.detach() + self.m, 0.0)
        logit_p = -ap * (sp - (1 - self.m)) * self.gamma
        logit_n = an * (sn - self.m) * self.gamma
        return F.softplus(torch.logsumexp(logit_n, dim=0) + torch.logsumexp(logit_p, dim=0))


def regression_loss(online_pred_one, online_pred_two, target_proj_one, target_proj_two):
    """The target network gets no gradient, by design."""

    def distance(x, y):
        x, y = F.normalize(x, dim=-1, p=2), F.normalize(y, dim=-1, p=2)
        return 2 - 2 * (x * y).sum(dim=-1)

    return (
        distance(online_pred_one, target_proj_two.detach()) + distance(online_pred_two, target_proj_one.detach())
    ).mean()


def cosent_loss(y_true: Tensor, y_pred: Tensor, tau: float = 20.0) -> Tensor:
    """Rows 2k and 2k+1 of y_pred are a pair, whose similarity y_true[2k] is."""
    y_true = y_true.view(-1)[::2]
    y_pred = F.normalize(y_pred, p=2, dim=1)
    cosine = (y_pred[::2] * y_pred[1::2]).sum(dim=1) * tau
    difference = cosine[:, None] - cosine[None, :]
    ordered = (y_true[:, None] < y_true[None, :]).float()
    difference = (difference - (1 - ordered) * 1e12).view(-1)
    return torch.logsumexp(torch.cat((difference.new_zeros(1), difference)), dim=0)


class FalseNegativeMasked(nn.Module):
    """A negative that scores higher than the positive by a margin is held for a false one, and left out."""

    def __init__(self, temperature: float = 0.05, margin: float = 0.1):
        super().__init__()
        self.temperature, self.margin = temperature, margin

    def forward(self, query_embeds, positive_embeds, negative_embeds):
        q, p, n = (F.normalize(e, dim=-1) for e in (query_embeds, positive_embeds, negative_embeds))
        positive = (q * p).sum(-1, keepdim=True)
        own = torch.einsum("bd,bkd->bk", q, n)
        others = q @ p.T
        eye = torch.eye(q.size(0), dtype=torch.bool, device=q.device)
        limit = positive.detach() + self.margin
        own = own.masked_fill(own > limit, -torch.inf)
        others = others.masked_fill(eye | (others > limit), -torch.inf)
        logits = torch.cat((positive, own, others), dim=1) / self.temperature
        return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def nested_dimensions_loss(anchor, positive, dims=(8, 16, 32), weights=(1.0, 1.0, 1.0), scale=20.0):
    """The first d numbers of every embedding must do on their own."""
    labels = torch.arange(anchor.size(0), device=anchor.device)
    total = anchor.new_zeros(())
    for d, w in zip(dims, weights, strict=True):
        a, p = F.normalize(anchor[:, :d], dim=-1), F.normalize(positive[:, :d], dim=-1)
        total = total + w * F.cross_entropy(a @ p.T * scale, labels)
    return total


class LargeMarginCosine(nn.Module):
    """One learned direction a class."""

    def __init__(self, num_classes: int = 16, embedding_size: int = 32, s: float = 30.0, m: float = 0.2):
        super().__init__()
        self.s, self.m = s, m
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_size))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, embeddings, label):
        cosine = F.linear(F.normalize(embeddings), F.normalize(self.weight))
        one_hot = torch.zeros_like(cosine).scatter_(1, label.view(-1, 1).long(), 1.0)
        return F.cross_entropy(self.s * (cosine - one_hot * self.m), label)


ALL = [
    "SimpleContrastiveLoss",
    "BiEncoderNllLoss",
    "MomentumQueueLoss",
    "LocalClipLoss",
    "multi_positive_nce",
    "HardDebiasedLoss",
    "batch_hard_triplet_loss",
    "MarginDistillation",
    "ListwiseDistillation",
    "ChunkedNTXent",
    "improved_contrastive",
    "DecoupledContrastive",
    "CircleLoss",
    "regression_loss",
    "cosent_loss",
    "FalseNegativeMasked",
    "nested_dimensions_loss",
    "LargeMarginCosine",
]
