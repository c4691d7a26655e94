"""Targets that fit, or of that nobody knows that they don't."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def in_batch(q: Float[Tensor, "B D"], p: Float[Tensor, "B D"]) -> Tensor:
    return F.cross_entropy(q @ p.T, torch.arange(q.size(0)))


def tokens(logits: Float[Tensor, "B S V"], labels: Int[Tensor, "B S"]) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten()) + F.cross_entropy(logits.mT, labels)


def soft(scores: Float[Tensor, "B N"], teacher: Float[Tensor, "B N"]) -> Tensor:
    return F.cross_entropy(scores, teacher.softmax(dim=-1))


def one_row(scores: Float[Tensor, "N"], label: Int[Tensor, ""]) -> Tensor:
    return F.cross_entropy(scores, label)


def from_batch(model, batch) -> Tensor:
    return nn.CrossEntropyLoss()(model(batch["x"]).logits, batch["labels"])


def triplet(a: Float[Tensor, "B D"], p: Float[Tensor, "B D"], n: Float[Tensor, "B D"]) -> Tensor:
    return F.triplet_margin_loss(a, p, n)


def cut(scores: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(scores, labels[: scores.size(0)])
