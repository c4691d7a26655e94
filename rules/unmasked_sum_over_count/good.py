"""Sums in which the mask is, and those of which it is not known."""

import torch
import torch.nn.functional as F


def masked(found, wanted, mask):
    error = F.mse_loss(found, wanted, reduction="none")
    return (error * mask).sum() / mask.sum()


def filled(found, wanted, mask):
    error = F.mse_loss(found, wanted, reduction="none").masked_fill(~mask, 0.0)
    return error.sum() / mask.sum()


def picked(found, wanted, mask):
    return F.mse_loss(found[mask], wanted[mask], reduction="none").sum() / mask.sum()


def ignored(logits, labels, mask):
    """The loss leaves out what it is told to."""
    loss = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-100, reduction="none")
    return loss.sum() / mask.sum()


def as_it_came(losses, mask):
    return losses.sum() / mask.sum()


def accuracy(found, labels):
    mask = labels != -100
    return (found == labels).sum() / mask.sum()


def pooled(model, ids, attention_mask):
    weights = attention_mask.unsqueeze(-1).float()
    return (model(ids) * weights).sum(1) / weights.sum(1)


def rows_by_rows(x, mask):
    """x, mask [B, S]"""
    each = (x * mask).sum(1) / mask.sum(1)
    return each.mean()


def weighted(losses, weights):
    return (losses * weights).sum() / weights.sum()


def share(mask, other_mask):
    return mask.sum() / other_mask.sum()
