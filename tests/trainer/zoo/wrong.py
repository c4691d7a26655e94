"""Wrong losses. Beneath each stands what the diagnosis must say: a rule's code, or words of the verdict."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

T = 0.05
EXPECTED = {}


def says(*words):
    def mark(loss):
        EXPECTED[loss.__name__] = words
        return loss

    return mark


@says("SC101")
def crossed_grouped(q_reps, p_reps):
    scores = torch.matmul(q_reps, p_reps.transpose(-2, -1)) / T
    scores = scores.view(q_reps.size(0), -1)
    return F.cross_entropy(scores, torch.zeros(scores.size(0), dtype=torch.long))


@says("SC101")
class CrossedModule(nn.Module):
    def __init__(self, temperature=0.02):
        super().__init__()
        self.temperature = temperature
        self.cross_entropy = nn.CrossEntropyLoss()

    def compute_similarity(self, a, b):
        return a @ b.transpose(-2, -1)

    def forward(self, query, passage):
        group_size = passage.size(0) // query.size(0)
        scores = self.compute_similarity(query, passage.view(query.size(0), group_size, -1)) / self.temperature
        target = torch.zeros(scores.size(0), dtype=torch.long, device=scores.device)
        return {"loss": self.cross_entropy(scores.view(query.size(0), -1), target), "scores": scores}


@says("SC101")
def crossed_flattened_rows(query, docs):
    n = docs.shape[0] // query.shape[0]
    grouped = F.normalize(docs, dim=-1).reshape(query.shape[0], n, -1)
    sims = F.normalize(query, dim=-1) @ grouped.mT
    logits = sims.reshape(-1, n) / 0.1
    return F.cross_entropy(logits, logits.new_zeros(logits.shape[0], dtype=torch.long))


@says("SC301")
def zero_target(query, passages):
    logits = F.normalize(query, dim=-1) @ F.normalize(passages, dim=-1).t() / T
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))


@says("SC302")
def unstrided(q, p, group_size=None):
    scores = q @ p.T / T
    return F.cross_entropy(scores, torch.arange(q.size(0)))


@says("SC302")
class UnstridedWithGroups(nn.Module):
    def __init__(self, train_group_size=4):
        super().__init__()
        self.train_group_size = train_group_size

    def forward(self, q, p):
        scores = torch.einsum("id,jd->ij", F.normalize(q, dim=1), F.normalize(p, dim=1)) * 20
        labels = torch.arange(scores.shape[0], device=scores.device)
        return F.cross_entropy(scores, labels), scores


@says("SC302")
def stride_of_negatives(q, p):
    per = p.shape[0] // q.shape[0]
    target = torch.arange(q.shape[0]) * max(per - 1, 1)
    return F.cross_entropy(q @ p.T / 0.1, target)


@says("SC302")
def grouped_flattened_unstrided(q, p):
    flat = p.reshape(-1, p.shape[-1])
    return F.cross_entropy(torch.mm(q, flat.t()) / 0.07, torch.arange(q.shape[0]))


@says("SC402")
def softmax_over_batch(q, p):
    scores = torch.einsum("bd,bgd->bg", q, p) / T
    return -scores.log_softmax(dim=0)[:, 0].mean()


@says("SC402")
def softmax_dim_zero_pairs(a, b):
    sim = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / 0.1
    return -torch.log(sim.softmax(dim=0).diagonal()).mean()


@says("SC402", "SC401")
def normalised_over_batch(q, p):
    q, p = F.normalize(q, dim=0), F.normalize(p, dim=0)
    return F.cross_entropy(q @ p.T / T, torch.arange(len(q)))


@says("SC401")
def default_dim_of_grouped(query, passages):
    query, passages = F.normalize(query), F.normalize(passages)
    scores = (query.unsqueeze(1) * passages).sum(-1) / T
    return F.cross_entropy(scores, torch.zeros(query.shape[0], dtype=torch.long))


@says("SC202")
def group_major(q, p):
    b = q.size(0)
    g = p.size(0) // b
    own = p.view(g, b, -1).transpose(0, 1)
    scores = (q.unsqueeze(1) * own).sum(-1) / T
    return F.cross_entropy(scores, torch.zeros(b, dtype=torch.long))


@says("SC202")
def tiled(q, p):
    g = p.size(0) // q.size(0)
    scores = (q.repeat(g, 1) * p).sum(-1).view(-1, g) / T
    return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long))


@says("SC201")
def axes_viewed_away(q, p):
    b, g, d = p.shape
    scores = torch.bmm(q.unsqueeze(1), p.reshape(b, d, g)).squeeze(1) / T
    return F.cross_entropy(scores, torch.zeros(b, dtype=torch.long))


@says("temperature", "twice")
class TwiceDivided(nn.Module):
    def __init__(self, temperature=0.1):
        super().__init__()
        self.temperature = temperature

    def forward(self, q, p):
        q, p = F.normalize(q, dim=-1) / self.temperature, F.normalize(p, dim=-1)
        return F.cross_entropy(q @ p.T / self.temperature, torch.arange(len(q)))


@says("temperature", "left out")
class ForgottenTemperature(nn.Module):
    def __init__(self, tau=0.05):
        super().__init__()
        self.tau = tau

    def forward(self, q, p):
        return F.cross_entropy(F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T, torch.arange(len(q)))


@says("temperature", "multiplied")
def temperature_multiplied(q, p, temperature=0.05):
    sim = F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T
    return F.cross_entropy(sim * temperature, torch.arange(len(q)))


@says("temperature", "positive")
def positive_not_scaled(q, pos, neg):
    pos_score = (q * pos).sum(-1, keepdim=True)
    neg_score = torch.einsum("bd,bnd->bn", q, neg) / 0.2
    logits = torch.cat([pos_score, neg_score], 1)
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


@says("cells")
def mean_over_cells(q, p):
    logs = (torch.einsum("bd,bgd->bg", q, p) / T).log_softmax(-1)
    onehot = torch.zeros_like(logs)
    onehot[:, 0] = 1
    return -(onehot * logs).mean()


@says("cells")
def mean_over_all_pairs(q, p):
    logs = (F.normalize(q, dim=1) @ F.normalize(p, dim=1).T / 0.1).log_softmax(1)
    return -(torch.eye(len(q)) * logs).mean()


@says("twice")
def divided_again(q, p):
    return F.cross_entropy(q @ p.T / 0.2, torch.arange(len(q))) / len(q)


@says("SC603", "detached")
def detached_passages(q, p):
    with torch.no_grad():
        keys = F.normalize(p, dim=-1)
    return F.cross_entropy(F.normalize(q, dim=-1) @ keys.T / T, torch.arange(len(q)))


@says("SC603", "detached")
def detached_queries(query, passages):
    g = passages.shape[0] // query.shape[0]
    scores = query.detach() @ passages.T / T
    return F.cross_entropy(scores, torch.arange(len(query)) * g)


@says("first chunk")
def chunks_of_first_passages(q, p):
    g = p.shape[0] // q.shape[0]
    total = 0.0
    for start in range(0, q.shape[0], 4):
        rows = q[start : start + 4]
        scores = rows @ p[: 4 * g].T / T
        total = total + F.cross_entropy(scores, torch.arange(rows.shape[0]) * g, reduction="sum")
    return total / q.shape[0]


@says("target")
def chunks_with_unmoved_target(q, p):
    losses = []
    for rows in q.split(8):
        losses.append(F.cross_entropy(rows @ p.T / 0.1, torch.arange(rows.shape[0]), reduction="none"))
    return torch.cat(losses).mean()


@says("short")
def mean_of_chunk_means(q, p):
    g = p.size(0) // q.size(0)
    target = torch.arange(q.size(0)) * g
    parts = [F.cross_entropy(a @ p.T / T, t) for a, t in zip(q.split(4), target.split(4))]
    return torch.stack(parts).mean()


@says("short", "dropped")
def drops_the_last_chunk(q, p):
    size = 8 if q.size(0) >= 8 else q.size(0)
    g = p.size(0) // q.size(0)
    target = torch.arange(q.size(0)) * g
    whole = q.size(0) // size * size
    return F.cross_entropy(q[:whole] @ p.T / T, target[:whole])


@says("B=")
def wrong_beyond_eight(q, p):
    scores = q @ p.T / 0.1
    target = torch.arange(len(q)).clamp(max=8)
    return F.cross_entropy(scores, target)


@says("logit_scale")
class DeadScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.ones([]) * 2.659)

    def forward(self, image_features, text_features):
        scale = self.logit_scale.exp().detach()
        logits = scale * F.normalize(image_features, dim=-1) @ F.normalize(text_features, dim=-1).t()
        labels = torch.arange(logits.shape[0])
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2


@says("positive", "counted twice", "among its negatives")
def positive_is_also_a_negative(q, pos, neg):
    own = (q * pos).sum(-1, keepdim=True)
    others = torch.cat([pos.unsqueeze(1), neg], dim=1)
    negs = torch.einsum("bd,bnd->bn", q, others)
    logits = torch.cat([own, negs], dim=1) / T
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


@says("SC503", "multiplied by 0")
def masked_by_multiplying(q, p):
    b = q.size(0)
    g = p.size(0) // b
    mask = torch.block_diag(*[torch.ones(1, g)] * b)
    scores = q @ p.T / T * mask
    return F.cross_entropy(scores, torch.arange(b) * g)


@says("softmax is taken twice")
def probabilities_to_cross_entropy(q, p):
    probs = F.softmax(F.normalize(q, dim=1) @ F.normalize(p, dim=1).T / T, dim=1)
    return F.cross_entropy(probs, torch.arange(len(q)))


@says("log was left out")
def probability_itself(q, p):
    probs = F.softmax(F.normalize(q, dim=1) @ F.normalize(p, dim=1).T / T, dim=1)
    return F.nll_loss(probs, torch.arange(len(q)))


@says("SC306", "itself")
def ntxent_own_row(z_i, z_j):
    z = F.normalize(torch.cat([z_i, z_j]), dim=1)
    return F.cross_entropy(z @ z.T / 0.5, torch.arange(z.shape[0]))


@says("SC501", "itself")
def ntxent_without_mask(z_i, z_j):
    n = z_i.shape[0]
    z = F.normalize(torch.cat([z_i, z_j]), dim=1)
    target = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(z @ z.T / 0.5, target)


@says("SC503")
def ntxent_zeroed_diagonal(z1, z2):
    n = z1.shape[0]
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    sim = z @ z.T / 0.5
    sim = sim * (1 - torch.eye(2 * n))
    return F.cross_entropy(sim, torch.arange(2 * n).roll(n))


@says("SC202", "neighbour")
def ntxent_neighbours(z1, z2):
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    sim = z @ z.T / 0.5
    sim.fill_diagonal_(float("-inf"))
    return F.cross_entropy(sim, torch.arange(z.shape[0]) ^ 1)


@says("SC102", "only the row itself")
class SupConRowwise(nn.Module):
    def forward(self, features, labels):
        z = F.normalize(features, dim=1)
        mask = torch.diag((labels == labels).float())
        logs = (z @ z.T / 0.1).log_softmax(1)
        return -((mask * logs).sum(1) / mask.sum(1)).mean()


@says("SC306", "its own positive")
def supcon_with_self(features, labels):
    z = F.normalize(features, dim=1)
    mask = (labels[:, None] == labels[None]).float()
    logs = (z @ z.T / 0.1).log_softmax(1)
    return -((mask * logs).sum(1) / mask.sum(1)).mean()


@says("SC102")
def similarity_regression(a, b, labels):
    predicted = F.cosine_similarity(a, b)
    return ((predicted - labels.view(-1, 1)) ** 2).mean()


@says("SC102")
def margin_regression(q, pos, neg, teacher_scores):
    student = (q * pos).sum(-1) - (q * neg).sum(-1)
    wanted = teacher_scores[:, :1] - teacher_scores[:, 1:]
    return F.mse_loss(student, wanted)


@says("SC402", "over the batch")
def distilled_over_batch(q, p, teacher_scores):
    g = p.size(0) // q.size(0)
    student = torch.einsum("bd,bgd->bg", q, p.view(len(q), g, -1)) / 0.5
    return F.kl_div(student.log_softmax(-1), teacher_scores.softmax(0), reduction="batchmean")


@says("exchanged")
def triplet_turned(anchor, positive, negative):
    near = (anchor - positive).pow(2).sum(1)
    far = (anchor - negative).pow(2).sum(1)
    return F.relu(far - near + 1.0).mean()


@says("sign")
def distances_as_scores(q, p):
    scores = torch.cdist(q, p) / 0.5
    return F.cross_entropy(scores, torch.arange(len(q)))


@says("one side", "normalised")
def queries_normalised_only(q, p):
    return F.cross_entropy(F.normalize(q, dim=-1) @ p.T / 0.1, torch.arange(len(q)))


@says("SC301", "second direction")
def backward_zeros(q, p):
    s = F.normalize(q, dim=-1) @ F.normalize(p, dim=-1).T / 0.1
    forward = F.cross_entropy(s, torch.arange(len(s)))
    return (forward + F.cross_entropy(s.T, torch.zeros(len(s), dtype=torch.long))) / 2


@says("dropped", "first")
def only_the_first_negative(q, p):
    scores = torch.einsum("bd,bgd->bg", q, p)[:, :2] / T
    return F.cross_entropy(scores, torch.zeros(len(q), dtype=torch.long))


@dataclass
class Out:
    loss: torch.Tensor
    scores: torch.Tensor


@says("SC302", "next query")
def rolled_target(q, p):
    s = q @ p.T / 0.1
    return Out(F.cross_entropy(s, torch.arange(len(q)).roll(-1)), s)


@says("B=1", "squeeze")
def bare_squeeze(q, p):
    scores = torch.bmm(q.unsqueeze(1), p.transpose(1, 2)).squeeze() / T
    return -scores.log_softmax(-1)[:, 0].mean()
