# ruff: noqa: E501 - one scorer a line
"""Scorers whose rows leak into each other, and scorers whose rows do not, as training code writes them.

Every scorer takes some of: q `[B, D]`, p `[B, G, D]`, flat `[B*group, D]` (batch-major) with group, mask `[B, G]` (bool), ids `[B, S]`
(integers below 50), tokens `[B, S, D]`, lengths `[B]`, labels `[B]`. Its parameters say which; its result has rows `B`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

AXES = {
    "q": "B D",
    "p": "B G D",
    "flat": "B*{group} D",
    "mask": "B G",
    "ids": "B S",
    "tokens": "B S D",
    "lengths": "B",
    "labels": "B",
    "return": "B ...",
}
Scorer = Callable[..., torch.Tensor]


def inputs(b: int, g: int, d: int, s: int = 5, seed: int = 0) -> dict[str, torch.Tensor | int]:
    """One of each, for `b` rows."""
    r = torch.Generator().manual_seed(seed)
    p = torch.randn(b, g, d, generator=r)
    mask = torch.rand(b, g, generator=r) < 0.7
    mask[:, 0] = True
    return {
        "q": torch.randn(b, d, generator=r),
        "p": p,
        "flat": p.flatten(0, 1).clone(),
        "group": g,
        "mask": mask,
        "ids": torch.randint(50, (b, s), generator=r),
        "tokens": torch.randn(b, s, d, generator=r),
        "lengths": torch.randint(1, s + 1, (b,), generator=r),
        "labels": torch.randint(3, (b,), generator=r),
    }


def wanted(scorer: Scorer) -> list[str]:
    return list(inspect.signature(scorer).parameters)


def dots(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    return torch.einsum("bd,bgd->bg", q, p)


def own(scores: torch.Tensor, b: int) -> torch.Tensor:
    """Each row's own group out of all pairs `[B, B*G]`."""
    return scores.view(b, b, -1)[torch.arange(b), torch.arange(b)]


def layers(d: int) -> dict[str, nn.Module]:
    """Modules shared by the scorers, made once for a width."""
    torch.manual_seed(1)
    return {
        "head": nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 1)),
        "batchnorm": nn.BatchNorm1d(d),
        "attention": nn.MultiheadAttention(d, 1, batch_first=True),
        "attention_over_rows": nn.MultiheadAttention(d, 1),
        "lstm": nn.LSTM(d, d, batch_first=True),
        "lstm_over_rows": nn.LSTM(d, d),
        "embedding": nn.Embedding(50, d),
        "bag": nn.EmbeddingBag(50, d, mode="mean"),
        "conv": nn.Conv1d(d, d, 3, padding=1),
        "groupnorm": nn.GroupNorm(1, d),
        "encoder": nn.TransformerEncoderLayer(d, 1, 2 * d, batch_first=True),
        "dropout": nn.Dropout(0.3),
    }


def leaky(d: int) -> dict[str, Scorer]:
    """Each lets at least one row of the result depend on another row of an input."""
    m = layers(d)
    return {
        "view then similarity": lambda q, p: torch.matmul(q, p.transpose(-2, -1)).view(len(q), -1)[:, : p.size(1)],
        "crossed, then mean": lambda q, p: torch.matmul(q, p.transpose(-2, -1)).mean(0),
        "crossed, then max": lambda q, p: torch.matmul(q, p.transpose(-2, -1)).amax(1),
        "softmax over rows": lambda q, p: dots(q, p).softmax(0),
        "log_softmax over rows": lambda q, p: dots(q, p).log_softmax(0),
        "normalize over rows": lambda q, p: dots(F.normalize(q, dim=0), p),
        "cosine over rows": lambda q, p: q * F.cosine_similarity(q, p[:, 0], dim=0),
        "standardised by batch": lambda q: (q - q.mean(0)) / q.std(0, unbiased=False).clamp(min=1e-3),
        "batchnorm in training": lambda q: m["batchnorm"](q),
        "minus the batch maximum": lambda q, p: dots(q, p) - dots(q, p).max(),
        "minus the batch mean": lambda q, p: dots(q, p) - dots(q, p).mean(),
        "over the batch norm": lambda q, p: dots(q, p) / dots(q, p).norm(),
        "group-major view": lambda q, flat, group: dots(q, flat.view(-1, len(q), q.size(1)).transpose(0, 1)),
        "repeat for repeat_interleave": lambda q, flat, group: (q.repeat(len(flat) // len(q), 1) * flat).sum(-1).view(len(q), -1),
        "neighbour as negative": lambda q, p: dots(q, p) - dots(q, p.roll(1, 0)),
        "everyone reads the first": lambda q, p: q @ p[0].T,
        "detached batch mean": lambda q, p: dots(q, p) - dots(q, p).detach().mean(),
        "hardest negative of the batch": lambda q, p: (q @ p[:, 0].T).fill_diagonal_(-1e4).amax(1),
        "cumulative over rows": lambda q, p: dots(q, p).cumsum(0),
        "sorted over rows": lambda q, p: dots(q, p).sort(0).values,
        "gathered by a batch order": lambda q, p: dots(q, p).gather(0, dots(q, p).argsort(0)),
        "threshold of the batch's best": lambda q, p: F.relu(dots(q, p) - 0.5 * dots(q, p).topk(1, 0).values),
        "reversed rows": lambda q, p: dots(q.flip(0), p),
        "mean distance to all": lambda q, p: torch.cdist(q, p[:, 0]).mean(1),
        "nearest of all": lambda q, p: torch.cdist(q, p[:, 0]).amin(1),
        "attention over rows": lambda tokens: m["attention_over_rows"](tokens, tokens, tokens)[0],
        "lstm over rows": lambda tokens: m["lstm_over_rows"](tokens)[0],
        "column against row": lambda q, p: ((q * p[:, 0]).sum(1) - (q * p[:, 0]).sum(1, keepdim=True)).mean(1),
        "row times column": lambda q, p: ((q * q).sum(1, keepdim=True) * (p * p).sum((1, 2))).sum(1),
        "smoothed by the batch": lambda q, p: 0.9 * dots(q, p) + 0.1 * dots(q, p).mean(0, keepdim=True),
        "batch centroid": lambda q, p: dots(q, p - p.mean((0, 1))),
        "batch median": lambda q, p: dots(q, p) - dots(q, p).median(),
        "batch quantile": lambda q, p: (dots(q, p) > dots(q, p).quantile(0.5)).float() * dots(q, p),
        "mask of the neighbour": lambda q, p, mask: dots(q, p).masked_fill(~mask.roll(1, 0), 0),
        "mask of anyone": lambda q, p, mask: dots(q, p).masked_fill(~mask.all(0), 0),
        "positions by the batch maximum": lambda tokens, lengths: tokens.mean(1) * (lengths / lengths.max())[:, None],
        "class means": lambda q, labels: q @ torch.zeros(3, q.size(1)).index_add(0, labels, q).T,
        "equal labels counted": lambda q, labels: q / (labels[:, None] == labels[None]).sum(1, keepdim=True),
        "einsum with a foreign letter": lambda q, p: torch.einsum("bd,cgd->bg", q, p),
        "layernorm over everything": lambda q: F.layer_norm(q, q.shape),
        "quantised per tensor": lambda q: (q / q.abs().max() * 7).round() * q.abs().max(),
        "chunked the wrong way": lambda q, p: dots(q, torch.stack(p.flatten(0, 1).chunk(p.size(1)), 1)),
        "whitened": lambda q: q @ (q.T @ q + torch.eye(q.size(1))),
        "temperature from the batch": lambda q, p: dots(q, p) / dots(q, p).std(),
        "supervised contrast": lambda q, labels: ((q @ q.T).softmax(1) * (labels[:, None] == labels[None])).sum(1),
        "pooled by a flat index": lambda tokens, lengths: tokens.flatten(0, 1)[(lengths - 1).cumsum(0) % tokens[:, :, 0].numel()],
        "renormalised embeddings": lambda ids: m["embedding"](ids).mean(1) / m["embedding"](ids).norm(),
        "groups mixed by reshape": lambda p: p.transpose(0, 1).reshape(p.shape).sum(-1),
        "tokens mixed by view": lambda tokens: tokens.permute(1, 0, 2).reshape(len(tokens), -1),
        "sinkhorn": lambda q, p: _sinkhorn(q @ p[:, 0].T),
        "rank within the batch": lambda q, p: dots(q, p).argsort(0).argsort(0).float() * dots(q, p),
        "clipped by the batch norm": lambda q: q * (1.0 / q.norm().clamp(min=1.0)),
    }  # fmt: skip


def _sinkhorn(scores: torch.Tensor) -> torch.Tensor:
    for _ in range(3):
        scores = scores.log_softmax(1).log_softmax(0)
    return scores.diagonal()


def correct(d: int) -> dict[str, Scorer]:
    """No row of the result depends on another row of an input."""
    m = layers(d)
    still = nn.BatchNorm1d(d).eval()

    def in_place(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        q.mul_(2)
        return dots(q, p)

    def row_by_row(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return torch.stack([rows @ query for query, rows in zip(q, p)])

    def in_chunks(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return torch.cat([dots(a, b) for a, b in zip(q.split(3), p.split(3))])

    def late_interaction(tokens: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bsd,bgd->bsg", tokens, p).amax(1)

    def last_token(tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return tokens.gather(1, (lengths - 1)[:, None, None].expand(-1, 1, tokens.size(2))).squeeze(1)

    def mean_pooled(tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        mask = (torch.arange(tokens.size(1))[None] < lengths[:, None]).unsqueeze(-1)
        return (tokens * mask).sum(1) / mask.sum(1)

    def rope(tokens: torch.Tensor) -> torch.Tensor:
        angle = torch.arange(tokens.size(1))[:, None] / 10.0
        return tokens * angle.cos() + tokens.roll(1, -1) * angle.sin()

    return {
        "einsum": dots,
        "bmm": lambda q, p: torch.bmm(p, q.unsqueeze(2)).squeeze(2),
        "matmul with unsqueeze": lambda q, p: torch.matmul(q.unsqueeze(1), p.transpose(1, 2)).squeeze(1),
        "broadcast product": lambda q, p: (q[:, None] * p).sum(-1),
        "repeat_interleave": lambda q, flat, group: (q.repeat_interleave(len(flat) // len(q), 0) * flat).sum(-1).view(len(q), -1),
        "batch-major view": lambda q, flat, group: dots(q, flat.view(len(q), -1, q.size(1))),
        "own block of all pairs": lambda q, flat, group: own(q @ flat.T, len(q)),
        "all pairs times the own mask": lambda q, p: ((q @ p.flatten(0, 1).T).view(len(q), len(q), -1) * torch.eye(len(q))[:, :, None]).sum(1),
        "diagonal of all pairs": lambda q, p: (q @ p[:, 0].T).diagonal(),
        "all pairs filled, then summed": lambda q, p: (q @ p[:, 0].T).masked_fill(~torch.eye(len(q), dtype=torch.bool), 0).sum(1),
        "cosine": lambda q, p: F.cosine_similarity(q[:, None], p, dim=-1),
        "normalised dot": lambda q, p: dots(F.normalize(q, dim=-1), F.normalize(p, dim=-1)),
        "softmax over the group": lambda q, p: dots(q, p).softmax(-1),
        "log_softmax over the group": lambda q, p: dots(q, p).log_softmax(-1),
        "minus the row maximum": lambda q, p: dots(q, p) - dots(q, p).amax(1, keepdim=True),
        "standardised within the row": lambda q: (q - q.mean(1, keepdim=True)) / q.std(1, keepdim=True),
        "layernorm": lambda q: F.layer_norm(q, q.shape[1:]),
        "rmsnorm": lambda q: q * torch.rsqrt(q.pow(2).mean(1, keepdim=True) + 1e-6),
        "groupnorm": lambda q: m["groupnorm"](q),
        "batchnorm in evaluation": lambda q: still(q),
        "dropout": lambda q, p: dots(m["dropout"](q), p),
        "head": lambda p: m["head"](p).squeeze(-1),
        "attention": lambda tokens: m["attention"](tokens, tokens, tokens)[0],
        "transformer layer": lambda tokens: m["encoder"](tokens)[:, 0],
        "lstm": lambda tokens: m["lstm"](tokens)[0],
        "convolution along tokens": lambda tokens: m["conv"](tokens.transpose(1, 2)).amax(2),
        "embedding": lambda ids: m["embedding"](ids).mean(1),
        "embedding bag": lambda ids: m["bag"](ids),
        "mean pooling": mean_pooled,
        "last token": last_token,
        "first token": lambda tokens: tokens[:, 0],
        "late interaction": late_interaction,
        "distance to the own group": lambda q, p: torch.cdist(q[:, None], p).squeeze(1),
        "masked softmax": lambda q, p, mask: dots(q, p).masked_fill(~mask, float("-inf")).softmax(-1),
        "masked mean": lambda q, p, mask: (dots(q, p) * mask).sum(1) / mask.sum(1),
        "sorted within the row": lambda q, p: dots(q, p).sort(1).values,
        "best of the row": lambda q, p: dots(q, p).topk(1, 1).values,
        "cumulative within the row": lambda q, p: dots(q, p).cumsum(1),
        "logsumexp": lambda q, p: dots(q, p).logsumexp(1),
        "margin": lambda q, p: F.relu(0.3 - dots(q, p)[:, :1] + dots(q, p)[:, 1:]),
        "cross entropy per row": lambda q, p: F.cross_entropy(dots(q, p), torch.zeros(len(q), dtype=torch.long), reduction="none"),
        "triplet per row": lambda q, p: F.triplet_margin_loss(q, p[:, 0], p[:, -1], reduction="none"),
        "classes": lambda q, labels: q.gather(1, labels[:, None]),
        "bfloat16": lambda q, p: dots(q.bfloat16(), p.bfloat16()),
        "double": lambda q, p: dots(q.double(), p.double()),
        "in place": in_place,
        "row by row": row_by_row,
        "in chunks": in_chunks,
        "vmapped": lambda q, p: torch.vmap(lambda a, b: b @ a)(q, p),
        "best index": lambda q, p: dots(q, p).argmax(1),
        "rotary": rope,
        "quantised per row": lambda q: (q / q.abs().amax(1, keepdim=True) * 7).round(),
        "nan_to_num": lambda q, p: dots(q, p).nan_to_num(),
        "residual": lambda q: q + m["head"](q),
    }  # fmt: skip
