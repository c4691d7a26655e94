"""Wrong losses in the idioms of other libraries and papers, written without a look at the judge."""

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


@says("no stride")
class ContrastiveWithHardNegatives:
    def __init__(self, n_hard_negatives: int = 1, temperature: float = 0.05):
        self.target_per_qry = n_hard_negatives + 1
        self.temperature = temperature

    def __call__(self, x: Tensor, y: Tensor, reduction: str = "mean") -> Tensor:
        logits = torch.matmul(x, y.transpose(0, 1)) / self.temperature
        target = torch.arange(x.size(0), device=x.device)
        assert y.size(0) % x.size(0) == 0
        return F.cross_entropy(logits, target, reduction=reduction)


@says("softmax over the queries")
class NllLoss:
    def calc(self, q_vectors, ctx_vectors, positive_idx_per_question, loss_scale=None):
        scores = torch.matmul(q_vectors, torch.transpose(ctx_vectors, 0, 1))
        softmax_scores = F.log_softmax(scores, dim=0)
        target = torch.as_tensor(positive_idx_per_question, dtype=torch.long, device=scores.device)
        loss = F.nll_loss(softmax_scores, target, reduction="mean")
        return loss, (softmax_scores.argmax(1) == target).sum()

    __call__ = calc


@says("SC301")
class QueueLoss(nn.Module):
    def __init__(self, dim: int = 32, size: int = 128, temperature: float = 0.07):
        super().__init__()
        self.temperature = temperature
        self.register_buffer(
            "queue", F.normalize(torch.randn(dim, size, generator=torch.Generator().manual_seed(1)), dim=0)
        )

    def forward(self, q, k):
        q, k = F.normalize(q, dim=1), F.normalize(k, dim=1)
        l_pos = q @ k.T
        l_neg = q @ self.queue
        logits = torch.cat([l_pos, l_neg], dim=1) / self.temperature
        return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


@says("twice")
class ScaledTwice(nn.Module):
    def __init__(self, init_logit_scale: float = math.log(1 / 0.07)):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.tensor(init_logit_scale))

    def forward(self, image_embeds, text_embeds):
        scale = self.logit_scale.exp()
        image_embeds = scale * F.normalize(image_embeds, dim=-1)
        text_embeds = F.normalize(text_embeds, dim=-1)
        logits = scale * image_embeds @ text_embeds.t()
        target = torch.arange(logits.size(0), device=logits.device)
        return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target))


@says("self")
class SupervisedNCE(nn.Module):
    """A sample is its own candidate and its own positive."""

    def __init__(self, temperature: float = 0.1):
        super().__init__()
        self.temperature = temperature

    def forward(self, features, labels):
        features = F.normalize(features, dim=1)
        sim = features @ features.T / self.temperature
        positives = labels.view(-1, 1).eq(labels.view(1, -1)).float()
        log_prob = sim - sim.logsumexp(1, keepdim=True)
        return -((positives * log_prob).sum(1) / positives.sum(1)).mean()


@says("normalised over the batch")
class ReweightedAcrossRows(nn.Module):
    """The weights of the negatives are made relative to those of other rows."""

    def __init__(self, beta: float = 1.0, temperature: float = 0.5):
        super().__init__()
        self.beta, self.temperature = beta, temperature

    def forward(self, out_1, out_2):
        out_1, out_2 = F.normalize(out_1, dim=1), F.normalize(out_2, dim=1)
        n = out_1.shape[0]
        sim = out_1 @ out_2.T / self.temperature
        own = torch.eye(n, dtype=torch.bool, device=sim.device)
        neg = sim.exp().masked_fill(own, 0.0)
        imp = (self.beta * sim).exp().masked_fill(own, 0.0)
        weights = imp / imp.sum(dim=0, keepdim=True).clamp(min=1e-9)
        reweighted = (n - 1) * (weights * neg).sum(dim=1)
        pos = sim.diagonal().exp()
        return -(pos / (pos + reweighted)).log().mean()


@says("column against row")
def triplet(anchor, positive, negative, margin=0.5):
    d_pos = (anchor - positive).pow(2).sum(dim=1)
    d_neg = (anchor - negative).pow(2).sum(dim=1, keepdim=True)
    return F.relu(d_pos - d_neg + margin).mean()


@says("column against row")
class MarginDistillation(nn.Module):
    def forward(self, query_vecs, pos_vecs, neg_vecs, gold_margin):
        pos = torch.sum(query_vecs * pos_vecs, dim=-1)
        neg = torch.sum(query_vecs * neg_vecs, dim=-1)
        return ((pos - neg).unsqueeze(-1) - gold_margin).square().mean()


@says("log was left out")
class ListwiseDistillation(nn.Module):
    """`kl_div` wants log-probabilities and gets probabilities."""

    def forward(self, query_emb: Tensor, doc_emb: Tensor, teacher_logits: Tensor) -> Tensor:
        batch, n_docs = teacher_logits.shape
        student = torch.einsum("bd,bnd->bn", query_emb, doc_emb.view(batch, n_docs, -1))
        return F.kl_div(student.softmax(-1), teacher_logits.softmax(-1), reduction="batchmean")


@says("chunk")
class ChunkedContrastive(nn.Module):
    """Labels begin anew in every chunk."""

    def __init__(self, temperature: float = 0.05, chunk_size: int = 8):
        super().__init__()
        self.temperature, self.chunk_size = temperature, chunk_size

    def forward(self, a, b):
        a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
        losses = []
        for rows in a.split(self.chunk_size):
            sim = rows @ b.T / self.temperature
            labels = torch.arange(len(rows), device=a.device)
            losses.append(F.cross_entropy(sim, labels, reduction="none"))
        return torch.cat(losses).mean()


@says("self")
def unmasked_own_side(query: Tensor, document: Tensor, temperature: float = 0.1) -> Tensor:
    """Queries are contrasted with queries, themselves included."""
    query, document = F.normalize(query, dim=1), F.normalize(document, dim=1)
    logits = torch.cat([query @ document.T, query @ query.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.arange(query.size(0), device=query.device))


@says("neighbour")
class TwoViewContrast(nn.Module):
    """Views are stacked side by side, ids as though they lay one block after the other."""

    def __init__(self, temperature: float = 0.5):
        super().__init__()
        self.temperature = temperature

    def forward(self, z1, z2):
        n = z1.size(0)
        z = F.normalize(torch.cat([z1, z2], dim=0), dim=1)
        ids = torch.arange(n, device=z.device).repeat_interleave(2)
        own = torch.eye(2 * n, dtype=torch.bool, device=z.device)
        positives = (ids[:, None] == ids[None, :]) & ~own
        sim = (z @ z.T / self.temperature).masked_fill(own, float("-inf"))
        return -sim.log_softmax(dim=1)[positives].mean()


@says("over the batch")
class ProxyLoss(nn.Module):
    """`F.normalize` over the batch axis."""

    def __init__(self, n_classes: int = 16, dim: int = 32, scale: float = 16.0):
        super().__init__()
        self.proxies = nn.Parameter(torch.randn(n_classes, dim, generator=torch.Generator().manual_seed(2)))
        self.scale = scale

    def forward(self, x, y):
        x = F.normalize(x, dim=0)
        return F.cross_entropy(self.scale * x @ F.normalize(self.proxies, dim=-1).T, y)


@says("normalised over the batch")
def siamese_regression(p1, p2, z1, z2):
    """The cosine is taken down the columns."""
    z1, z2 = z1.detach(), z2.detach()
    return -(F.cosine_similarity(p1, z2, dim=0).mean() + F.cosine_similarity(p2, z1, dim=0).mean()) / 2


@says("reverse")
def ranked_pairs(emb_a, emb_b, labels, scale: float = 20.0):
    """The less alike a pair is marked, the closer it is drawn."""
    cosine = F.cosine_similarity(emb_a, emb_b) * scale
    difference = cosine[None, :] - cosine[:, None]
    wanted = labels[:, None] < labels[None, :]
    difference = difference[wanted]
    return torch.logsumexp(torch.cat((difference.new_zeros(1), difference)), dim=0)


@says("up to B=8")
def nested_dimensions_loss(anchor, positive, dims=(8, 16, 32), scale=20.0):
    """The first rows are taken for the first numbers."""
    total = anchor.new_zeros(())
    for d in dims:
        a, p = F.normalize(anchor[:d], dim=-1), F.normalize(positive[:d], dim=-1)
        total = total + F.cross_entropy(a @ p.T * scale, torch.arange(len(a), device=a.device))
    return total / len(dims)


@says("group-major")
def listwise(query, passages, group_size: int = 8, temperature: float = 0.02):
    n = query.size(0)
    group = passages.view(passages.size(0) // n, n, -1).transpose(0, 1)
    scores = (query.unsqueeze(1) * group).sum(-1) / temperature
    return F.cross_entropy(scores, scores.new_zeros(n, dtype=torch.long))


@says("negatives")
def bidirectional(queries, passages, tau: float = 0.05):
    """On the way back every hard negative must find its query too."""
    group = passages.size(0) // queries.size(0)
    scores = queries @ passages.T / tau
    rows = torch.arange(queries.size(0), device=queries.device)
    there = F.cross_entropy(scores, rows * group)
    back = F.cross_entropy(scores.T, rows.repeat_interleave(group))
    return (there + back) / 2


@says("SC101")
class CrossedDistillation(nn.Module):
    """The teacher's scores of a group against the student's of another query's."""

    def forward(self, q, p, teacher_scores):
        n, g = teacher_scores.shape
        student = torch.matmul(q, p.view(n, g, -1).transpose(1, 2)).view(n, -1)[:, :g]
        return F.kl_div(student.log_softmax(-1), teacher_scores.softmax(-1), reduction="batchmean")


ALL = list(EXPECTED)
