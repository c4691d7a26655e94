"""Right losses, each in a style of its own. Those of libraries stand in the test, as they are."""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F
from einops import rearrange, repeat

T = 0.05


def in_batch(q, p):
    g = p.size(0) // q.size(0)
    return F.cross_entropy(q @ p.T / T, torch.arange(q.size(0)) * g)


def in_batch_normalised(query_embeddings, passage_embeddings):
    q = query_embeddings / query_embeddings.norm(dim=-1, keepdim=True)
    p = passage_embeddings / passage_embeddings.norm(dim=-1, keepdim=True)
    stride = p.shape[0] // q.shape[0]
    logits = torch.einsum("id,jd->ij", q, p).div(0.02)
    return nn.CrossEntropyLoss()(logits, torch.arange(0, p.shape[0], stride))


def preset(q, p):
    scores = torch.einsum("bd,bgd->bg", q, p) / T
    return F.cross_entropy(scores, torch.zeros(len(q), dtype=torch.long))


def preset_from_flat(q, p):
    own = rearrange(p, "(b g) d -> b g d", b=len(q))
    scores = (q[:, None] * own).sum(-1)
    return -(scores / T).log_softmax(-1)[:, 0].mean()


def preset_by_gathering(q, p):
    b, g = q.size(0), p.size(0) // q.size(0)
    full = q @ p.T
    index = torch.arange(b)[:, None] * g + torch.arange(g)
    return F.cross_entropy(full.gather(1, index) / T, full.new_zeros(b, dtype=torch.long))


def preset_repeated(q, p):
    g = p.size(0) // q.size(0)
    scores = (repeat(q, "b d -> (b g) d", g=g) * p).sum(-1).view(-1, g)
    return scores / T, torch.zeros(len(q), dtype=torch.long)


def preset_masked(q, p):
    b, g = q.size(0), p.size(0) // q.size(0)
    owner = torch.arange(b).repeat_interleave(g)
    scores = (q @ p.T / T).masked_fill(owner != torch.arange(b)[:, None], float("-inf"))
    return F.cross_entropy(scores, torch.arange(b) * g)


def scores_only(q, p):
    return torch.bmm(p, q.unsqueeze(-1)).squeeze(-1) / T


def per_query(q, p):
    return F.cross_entropy(
        F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T / 0.1, torch.arange(len(q)), reduction="none"
    )


def summed(q, p):
    return F.cross_entropy(
        F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T / 0.1, torch.arange(len(q)), reduction="sum"
    )


def loop(q, p):
    total = 0
    for i in range(len(q)):
        scores = torch.stack([torch.dot(q[i], p[j]) for j in range(len(p))]) / 0.3
        total = total - scores[i] + torch.logsumexp(scores, 0)
    return total / len(q)


def by_hand(anchor, positive, negatives):
    up = torch.exp((anchor * positive).sum(-1) / 0.5)
    down = up + torch.exp(torch.einsum("bd,bnd->bn", anchor, negatives) / 0.5).sum(-1)
    return -torch.log(up / down).mean()


def joined_positives_first(q, pos, neg):
    docs = torch.cat([pos, neg])
    return F.cross_entropy(F.normalize(q, dim=1) @ F.normalize(docs, dim=1).T * 20.0, torch.arange(len(q)))


def own_negatives_beside_batch(query, positive, negatives):
    batch = query @ positive.T
    own = torch.einsum("bd,bnd->bn", query, negatives)
    return F.cross_entropy(torch.cat([batch, own], 1) / 0.1, torch.arange(len(query)))


def columns(*embeddings):
    q, docs = embeddings[0], torch.cat(embeddings[1:])
    return F.cross_entropy(F.cosine_similarity(q.unsqueeze(1), docs.unsqueeze(0), dim=-1) / T, torch.arange(len(q)))


def clip(image_features, text_features, logit_scale):
    logits = logit_scale * image_features @ text_features.t()
    labels = torch.arange(len(logits))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2


def clip_summed_directions(a, b):
    s = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T / 0.07
    t = torch.arange(len(s))
    return F.cross_entropy(s, t) + F.cross_entropy(s.mT, t)


class ClipWithScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, image, text):
        s = self.logit_scale.exp().clamp(max=100) * F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T
        t = torch.arange(s.shape[0], device=s.device)
        return {"contrastive_loss": 0.5 * (F.cross_entropy(s, t) + F.cross_entropy(s.T, t))}


class SimCLR(nn.Module):
    def __init__(self, batch_size, temperature=0.5):
        super().__init__()
        self.batch_size, self.temperature = batch_size, temperature
        n = 2 * batch_size
        mask = torch.ones(n, n, dtype=torch.bool)
        mask.fill_diagonal_(False)
        for i in range(batch_size):
            mask[i, batch_size + i] = mask[batch_size + i, i] = False
        self.mask = mask

    def forward(self, z_i, z_j):
        n = 2 * self.batch_size
        z = torch.cat((z_i, z_j), dim=0)
        sim = F.cosine_similarity(z.unsqueeze(1), z.unsqueeze(0), dim=2) / self.temperature
        positive = torch.cat((torch.diag(sim, self.batch_size), torch.diag(sim, -self.batch_size))).reshape(n, 1)
        logits = torch.cat((positive, sim[self.mask].reshape(n, -1)), dim=1)
        return nn.CrossEntropyLoss(reduction="sum")(logits, torch.zeros(n, dtype=torch.long)) / n


def ntxent_stacked(z):
    n = z.shape[0] // 2
    z = F.normalize(z, dim=-1)
    sim = (z @ z.T / 0.2).fill_diagonal_(-1e9)
    return F.cross_entropy(sim, torch.arange(2 * n).roll(n))


def ntxent_views(views):
    z = F.normalize(torch.cat(torch.unbind(views, 1)), dim=-1)
    n = len(views)
    sim = (z @ z.T / 0.2).masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
    return F.cross_entropy(sim, torch.cat([torch.arange(n) + n, torch.arange(n)]))


class SupCon(nn.Module):
    def __init__(self, temperature=0.07):
        super().__init__()
        self.temperature = temperature

    def forward(self, features, labels=None):
        b, v = features.shape[:2]
        labels = torch.arange(b) if labels is None else labels
        z = F.normalize(torch.cat(torch.unbind(features, dim=1)), dim=-1)
        same = (labels[:, None] == labels[None]).float().repeat(v, v)
        others = 1 - torch.eye(b * v, device=z.device)
        logits = z @ z.T / self.temperature
        logits = logits - logits.max(1, keepdim=True).values.detach()
        log_prob = logits - torch.log((torch.exp(logits) * others).sum(1, keepdim=True))
        positive = same * others
        return -((positive * log_prob).sum(1) / positive.sum(1)).mean()


def supcon_rows(embeddings, labels):
    z = F.normalize(embeddings, dim=-1)
    sim = (z @ z.T / 0.1).masked_fill(torch.eye(len(z), dtype=torch.bool), float("-inf"))
    logs = sim - sim.logsumexp(1, keepdim=True)
    positive = (labels[:, None] == labels) & ~torch.eye(len(z), dtype=torch.bool)
    kept = positive.any(1)
    return -(torch.where(positive, logs, 0.0).sum(1)[kept] / positive.sum(1)[kept]).mean()


def chunked(q, p):
    g = p.size(0) // q.size(0)
    target = torch.arange(q.size(0)) * g
    total = sum(F.cross_entropy(a @ p.T / T, t, reduction="sum") for a, t in zip(q.split(8), target.split(8)))
    return total / q.size(0)


def sigmoid_pairs(a, b):
    logits = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T * 10 - 10
    signs = 2 * torch.eye(len(a)) - 1
    return -F.logsigmoid(signs * logits).sum(-1).mean()


def bpr(user, pos_item, neg_item):
    return F.softplus((user * neg_item).sum(-1) - (user * pos_item).sum(-1)).mean()


def triplet(anchor, positive, negative):
    return F.relu((anchor - positive).norm(dim=1) - (anchor - negative).norm(dim=1) + 0.5).mean()


def triplet_cosine(a, p, n, margin=0.3):
    return torch.clamp(margin - F.cosine_similarity(a, p) + F.cosine_similarity(a, n), min=0).mean()


def hardest_in_batch(q, p):
    s = F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T
    own = s.diagonal().unsqueeze(1)
    eye = torch.eye(len(s), dtype=torch.bool)
    return (0.2 + s.masked_fill(eye, -10) - own).clamp(min=0).max(1).values.mean()


def additive_margin(q, p):
    s = F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T
    return F.cross_entropy((s - 0.3 * torch.eye(len(s))) * 20, torch.arange(len(s)))


def smoothed(q, p):
    return F.cross_entropy(q @ p.T / 0.3, torch.arange(len(q)), label_smoothing=0.1)


def decoupled(q, p):
    s = F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T / 0.1
    return (s.masked_fill(torch.eye(len(s), dtype=torch.bool), float("-inf")).logsumexp(1) - s.diagonal()).mean()


def graded(emb_a, emb_b, labels):
    return F.mse_loss(F.cosine_similarity(emb_a, emb_b), labels)


def pairs_zero_one(x1, x2, label):
    d = 1 - F.cosine_similarity(x1, x2)
    return 0.5 * (label.float() * d.pow(2) + (1 - label.float()) * F.relu(0.5 - d).pow(2)).mean()


def distilled(q, p, teacher_scores):
    g = p.size(0) // q.size(0)
    student = torch.einsum("bd,bgd->bg", q, p.view(len(q), g, -1))
    return F.kl_div((student / 0.5).log_softmax(-1), teacher_scores.softmax(-1), reduction="batchmean")


def margin_mse(q, pos, neg, teacher_scores):
    wanted = teacher_scores[:, 0] - teacher_scores[:, 1]
    return F.mse_loss((q * pos).sum(-1) - (q * neg).sum(-1), wanted)


@dataclass
class Output:
    loss: torch.Tensor | None = None
    scores: torch.Tensor | None = None


class Retriever(nn.Module):
    """A model with an encoder, a pooler and a loss, as retrieval trainers have it."""

    def __init__(self, temperature=0.02, normalize=True):
        super().__init__()
        self.encoder = nn.Sequential(nn.Embedding(100, 16), nn.Linear(16, 16))
        self.temperature, self.normalize = temperature, normalize

    def encode(self, features):
        hidden = self.encoder(**features).last_hidden_state
        mask = features["attention_mask"].unsqueeze(-1)
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        return F.normalize(pooled, dim=-1) if self.normalize else pooled

    def forward(self, query=None, passage=None):
        q, p = self.encode(query), self.encode(passage)
        scores = q @ p.T / self.temperature
        target = torch.arange(q.size(0), device=q.device) * (p.size(0) // q.size(0))
        return Output(loss=F.cross_entropy(scores, target), scores=scores)


def make_loss(temperature=0.1):
    def loss(q, p):
        return F.cross_entropy(F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T / temperature, torch.arange(len(q)))

    return loss


class Callable_:
    def __init__(self, tau):
        self.tau = tau

    def __call__(self, queries, keys):
        return F.cross_entropy(queries @ keys.T / self.tau, torch.arange(len(queries)))


class WithDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.2)

    def forward(self, q, p):
        return F.cross_entropy(self.drop(q) @ self.drop(p).T / 0.2, torch.arange(len(q)))


Pair = namedtuple("Pair", "loss accuracy")


def named(q, p):
    s = q @ p.T / 0.2
    t = torch.arange(len(q))
    return Pair(F.cross_entropy(s, t), (s.argmax(1) == t).float().mean())


def with_queries(q, p):
    n = len(q)
    q, p = F.normalize(q, dim=-1), F.normalize(p, dim=-1)
    own = (q @ q.T).masked_fill(torch.eye(n, dtype=torch.bool), float("-inf"))
    return F.cross_entropy(torch.cat([q @ p.T, own], 1) / 0.1, torch.arange(n))


def attracted(p, z):
    return -F.cosine_similarity(p, z, dim=-1).mean()


def passages_first(docs, query):
    return F.cross_entropy(query @ docs.T / 0.2, torch.arange(len(query)))


instance = Callable_(0.1)
partially = partial(triplet_cosine, margin=0.1)
margin_ranking = nn.TripletMarginWithDistanceLoss(
    distance_function=lambda a, b: 1 - F.cosine_similarity(a, b), margin=0.2
)
torch_triplet = nn.TripletMarginLoss()
torch_cosine = nn.CosineEmbeddingLoss()

ALL = (
    "in_batch", "in_batch_normalised", "preset", "preset_from_flat", "preset_by_gathering", "preset_repeated", "preset_masked",
    "scores_only", "per_query", "summed", "loop", "by_hand", "joined_positives_first", "own_negatives_beside_batch", "columns",
    "clip", "clip_summed_directions", "ClipWithScale", "SimCLR", "ntxent_stacked", "ntxent_views", "SupCon", "supcon_rows",
    "chunked", "sigmoid_pairs", "bpr", "triplet", "triplet_cosine", "hardest_in_batch", "additive_margin", "smoothed",
    "decoupled", "graded", "pairs_zero_one", "distilled", "margin_mse", "Retriever", "make_loss", "WithDropout", "named",
    "with_queries", "attracted", "passages_first", "instance", "partially", "margin_ranking", "torch_triplet", "torch_cosine",
)  # fmt: skip
