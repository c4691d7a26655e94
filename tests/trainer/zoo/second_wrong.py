"""More wrong losses, written when the judge was done: the measure of what it has not seen."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

EXPECTED = {}


def says(*words):
    def mark(loss):
        EXPECTED[loss.__name__] = words
        return loss

    return mark


@says("SC101")
class BiEncoderLoss(nn.Module):
    def __init__(self, normalize: bool = True, tau: float = 0.1):
        super().__init__()
        self.normalize, self.tau = normalize, tau

    def forward(self, queries: torch.Tensor, passages: torch.Tensor) -> torch.Tensor:
        """queries [B, D], passages [B, G, D]"""
        if self.normalize:
            queries, passages = F.normalize(queries, p=2, dim=-1), F.normalize(passages, p=2, dim=-1)
        sims = torch.matmul(queries, passages.permute(0, 2, 1))
        sims = sims.reshape(queries.shape[0], -1) / self.tau
        return -torch.log_softmax(sims, dim=-1)[:, 0].mean()


@says("SC101")
def einsum_with_two_batches(q, p):
    s = torch.einsum("ad,bgd->bag", q, p) / 0.05
    return F.cross_entropy(s.flatten(1), q.new_zeros(q.shape[0], dtype=torch.long))


@says("SC301")
def dpr_zero_labels(q_vectors, ctx_vectors):
    scores = torch.matmul(q_vectors, torch.transpose(ctx_vectors, 0, 1))
    log_probs = F.log_softmax(scores, dim=1)
    return F.nll_loss(log_probs, torch.tensor([0] * q_vectors.shape[0]))


@says("SC302")
def hard_negatives_without_stride(query, docs):
    hard_negatives = docs.shape[0] // query.shape[0] - 1
    assert hard_negatives >= 0
    logits = 10 * torch.cosine_similarity(query[:, None], docs[None], dim=-1)
    return F.cross_entropy(logits, torch.arange(logits.shape[0]))


@says("SC302")
def stride_plus_one(q, p):
    g = p.shape[0] // q.shape[0]
    target = (torch.arange(q.shape[0]) * (g + 1)).clamp(max=p.shape[0] - 1)
    return F.cross_entropy(q @ p.T * 5, target)


@says("SC302", "first negative")
def off_by_one_positive(q, p):
    per_query = p.shape[1]
    scores = q @ p.flatten(0, 1).T / 0.1
    return F.cross_entropy(scores, torch.arange(len(q)) * per_query + (1 if per_query > 1 else 0))


@says("SC306", "last negative")
def positive_comes_last_they_thought(q, p):
    scores = torch.einsum("qd,qnd->qn", q, p) / 0.1
    return F.cross_entropy(scores, torch.full((len(q),), p.shape[1] - 1))


@says("SC402")
def batch_softmax_of_positives(user, item):
    logits = (user * item).sum(-1)
    return -torch.log(torch.softmax(logits / 0.2, 0)).mean()


@says("SC402")
def in_batch_softmax_over_queries(q, p):
    scores = q @ p.T / 0.1
    return -(scores.softmax(0).diagonal() + 1e-20).log().mean()


@says("SC402")
def both_normalised_over_dim_zero(z1, z2):
    z = F.normalize(torch.cat([z1, z2]), dim=0)
    sim = torch.mm(z, z.t()) / 0.5
    sim.masked_fill_(torch.eye(len(z), dtype=torch.bool), -1e30)
    return F.cross_entropy(sim, torch.arange(len(z)).roll(len(z1)))


@says("SC202")
def reshaped_the_other_way(q, p):
    n = len(p) // len(q)
    own = p.reshape(n, len(q), p.shape[1]).permute(1, 0, 2)
    logits = torch.bmm(own, q[:, :, None])[..., 0] / 0.1
    return F.cross_entropy(logits, torch.zeros(len(q)).long())


@says("SC202")
def queries_expanded_wrong(q, p):
    n = len(p) // len(q)
    big = q.unsqueeze(0).expand(n, -1, -1).reshape(-1, q.shape[1])
    return F.cross_entropy(F.cosine_similarity(big, p).reshape(len(q), n) * 20, torch.zeros(len(q), dtype=torch.long))


@says("twice")
class ScaledTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = 10.0

    def sim(self, a, b):
        return self.scale * F.normalize(a, dim=1) @ F.normalize(b, dim=1).T

    def forward(self, anchors, positives):
        logits = self.sim(anchors, positives) * self.scale
        return F.cross_entropy(logits, torch.arange(len(logits)))


@says("left out")
def unused_temperature(z_a, z_b, temperature: float = 0.07):
    a, b = F.normalize(z_a, dim=-1), F.normalize(z_b, dim=-1)
    logits = a @ b.T
    t = torch.arange(len(a))
    return 0.5 * F.cross_entropy(logits, t) + 0.5 * F.cross_entropy(logits.T, t)


@says("multiplied")
class Multiplies(nn.Module):
    def __init__(self, temp=0.05):
        super().__init__()
        self.temp = temp

    def forward(self, query, key):
        return F.cross_entropy(
            F.normalize(query, dim=1) @ F.normalize(key, dim=1).T * self.temp, torch.arange(len(query))
        )


@says("temperature", "negatives")
def negatives_without_temperature(q, pos, neg):
    up = torch.exp((q * pos).sum(1) / 0.2)
    down = up + torch.exp(torch.einsum("bd,bkd->bk", q, neg)).sum(1)
    return -(up / down).log().mean()


@says("cells")
def kl_to_one_hot(q, p):
    logs = (q @ p.T / 0.1).log_softmax(1)
    return F.kl_div(logs, torch.eye(len(q), dtype=logs.dtype), reduction="mean")


@says("SC603", "detached")
def momentum_side_cut(q, p):
    g = len(p) // len(q)
    return F.cross_entropy(q @ p.data.T / 0.1, torch.arange(len(q)) * g)


@says("SC603", "negatives", "detached")
def negatives_detached(q, pos, neg):
    logits = torch.cat([(q * pos).sum(-1, keepdim=True), torch.einsum("bd,bnd->bn", q, neg.detach())], 1)
    return F.cross_entropy(logits / 0.1, torch.zeros(len(q), dtype=torch.long))


@says("chunk")
def rows_of_sixteen(q, p):
    g = len(p) // len(q)
    parts = []
    for i in range(0, len(q), 16):
        mine = q[i : i + 16]
        block = p[: len(mine) * g]
        parts.append(F.cross_entropy(mine @ block.T / 0.1, torch.arange(len(mine)) * g, reduction="none"))
    return torch.cat(parts).mean()


@says("chunk")
def own_chunk_only(q, p):
    g = len(p) // len(q)
    total = 0
    for i in range(0, len(q), 8):
        a, b = q[i : i + 8], p[i * g : (i + 8) * g]
        total = total + F.cross_entropy(a @ b.T / 0.1, torch.arange(len(a)) * g, reduction="sum")
    return total / len(q)


@says("chunk")
def keeps_the_last_chunk(q, p):
    g = len(p) // len(q)
    for a, t in zip(q.split(4), (torch.arange(len(q)) * g).split(4)):
        loss = F.cross_entropy(a @ p.T / 0.1, t)
    return loss


@says("B=", "chunk")
def large_batches_differ(q, p):
    s = q @ p.T / 0.1
    if len(q) > 32:
        s = s / 0.1
    return F.cross_entropy(s, torch.arange(len(q)))


@says("bfloat16", "float16")
def target_in_the_inputs_dtype(q, p):
    g = len(p) // len(q)
    target = (torch.arange(len(q), dtype=q.dtype) * g).long()
    return F.cross_entropy(q.float() @ p.float().T / 0.3, target)


@says("temperature", "log_t")
class FrozenLearned(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_t = nn.Parameter(torch.zeros(()))

    def forward(self, q, p):
        t = float(self.log_t.exp()) * 0.1
        return F.cross_entropy(q @ p.T / t, torch.arange(len(q)))


@says("among its negatives", "counted twice")
def positive_stays_in_the_negatives(q, p):
    pos = (q[:, None] * p[:, :1]).sum(-1)
    everything = (q[:, None] * p).sum(-1)
    return F.cross_entropy(torch.cat([pos, everything], 1) / 0.1, torch.zeros(len(q), dtype=torch.long))


@says("SC503")
def zero_instead_of_minus_infinity(q, p):
    g = len(p) // len(q)
    s = q @ p.T / 0.1
    own = torch.arange(len(p)) // g == torch.arange(len(q))[:, None]
    return F.cross_entropy(s.masked_fill(~own, 0.0), torch.arange(len(q)) * g)


@says("softmax is taken twice")
class SoftmaxBefore(nn.Module):
    def __init__(self):
        super().__init__()
        self.act, self.ce = nn.Softmax(dim=-1), nn.CrossEntropyLoss()

    def forward(self, q, p):
        return self.ce(self.act(torch.einsum("bd,bgd->bg", q, p) / 0.1), torch.zeros(len(q), dtype=torch.long))


@says("itself")
def simclr_labels_of_self(views):
    z = F.normalize(views.flatten(0, 1), dim=-1)
    return F.cross_entropy(z @ z.T * 5, torch.arange(len(z)))


@says("itself")
def simclr_self_in_denominator(h1, h2):
    z = F.normalize(torch.cat([h1, h2], 0), dim=-1)
    e = torch.exp(z @ z.T / 0.5)
    n = len(h1)
    pos = torch.exp((F.normalize(h1, dim=-1) * F.normalize(h2, dim=-1)).sum(-1) / 0.5).repeat(2)
    assert len(pos) == 2 * n
    return -(pos / e.sum(1)).log().mean()


@says("SC202", "SC306")
def simclr_shifted_partner(x1, x2):
    z = F.normalize(torch.cat([x1, x2]), dim=1)
    n = len(x1)
    s = (z @ z.T / 0.5).fill_diagonal_(float("-inf"))
    return F.cross_entropy(s, (torch.arange(2 * n) + n + 1) % (2 * n))


@says("its own positive", "itself")
def supcon_mask_with_diagonal(emb, labels):
    emb = F.normalize(emb, dim=-1)
    same = labels.unsqueeze(0).eq(labels.unsqueeze(1)).double()
    logits = emb @ emb.T / 0.2
    others = 1 - torch.eye(len(emb), dtype=logits.dtype)
    logp = logits - (logits.exp() * others).sum(1, keepdim=True).log()
    return -((same * logp).sum(1) / same.sum(1)).mean()


@says("itself")
def supcon_denominator_with_self(emb, labels):
    emb = F.normalize(emb, dim=-1)
    eye = torch.eye(len(emb), dtype=torch.bool)
    same = (labels[None] == labels[:, None]) & ~eye
    logp = (emb @ emb.T / 0.2).log_softmax(1)
    return -((same * logp).sum(1) / same.sum(1).clamp(min=1))[same.any(1)].mean()


@says("whatever its label")
def supcon_everyone(emb, labels):
    emb = F.normalize(emb, dim=-1)
    eye = torch.eye(len(emb), dtype=torch.bool)
    same = (labels.view(-1, 1) == labels.view(-1, 1)).expand(len(emb), len(emb)) & ~eye
    logp = (emb @ emb.T / 0.2).masked_fill(eye, float("-inf")).log_softmax(1)
    return -(torch.where(same, logp, 0.0).sum(1) / same.sum(1)).mean()


@says("SC102")
def regression_with_column(u, v, score):
    cos = F.cosine_similarity(u, v)
    return F.mse_loss(cos, score[:, None].expand(-1, 1))


@says("SC402", "over the batch")
def student_over_batch(q, p, teacher_scores):
    student = torch.einsum("bd,bgd->bg", q, p)
    return F.kl_div(F.log_softmax(student, 0), F.softmax(teacher_scores, 1), reduction="batchmean")


@says("exchanged")
def kl_arguments_swapped(q, p, teacher_logits):
    student = torch.einsum("bd,bgd->bg", q, p)
    return F.kl_div(F.log_softmax(teacher_logits, 1), F.softmax(student, 1), reduction="batchmean")


@says("exchanged", "sign", "turned")
def triplet_of_similarities_turned(a, p, n):
    return F.relu(0.2 + F.cosine_similarity(a, p) - F.cosine_similarity(a, n)).mean()


@says("sign", "turned")
def euclidean_as_similarity(q, p):
    d = (q[:, None] - p).norm(dim=-1)
    return F.cross_entropy(d / 0.5, torch.zeros(len(q), dtype=torch.long))


@says("passages are normalised", "only the passages")
def passages_normalised_only(q, p):
    return F.cross_entropy(q @ F.normalize(p, dim=-1).T / 0.1, torch.arange(len(q)) * (len(p) // len(q)))


@says("second direction", "SC301")
def clip_text_side_zero(image_features, text_features, logit_scale):
    s = logit_scale * image_features @ text_features.T
    t = torch.arange(len(s))
    return (F.cross_entropy(s, t) + F.cross_entropy(s.T, torch.zeros_like(t))) / 2


@says("no hard negative", "negatives")
def hard_negatives_never_used(query, positive, negatives):
    assert negatives is not None
    return F.cross_entropy(query @ positive.T / 0.1, torch.arange(len(query)))


@says("next query")
def neighbours_negatives(q, p):
    neg = p[:, 1:].roll(-1, 0)
    s = torch.einsum("bd,bgd->bg", q, torch.cat([p[:, :1], neg], 1)) / 0.1
    return F.cross_entropy(s, torch.zeros(len(q), dtype=torch.long))


@says("first query", "SC104")
def first_query_for_all(q, p):
    s = torch.einsum("d,bgd->bg", q[0], p) / 0.1
    return F.cross_entropy(s, torch.zeros(len(p), dtype=torch.long))
