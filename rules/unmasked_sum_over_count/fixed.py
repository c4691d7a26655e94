"""What is kept, added up and counted."""

import torch
import torch.nn.functional as F
from torch import nn


def aggregate(losses: torch.Tensor, loss_mask: torch.Tensor, mode: str):
    if mode == "tokens":
        return (losses * loss_mask).sum() / loss_mask.sum()
    return torch.sum(losses * loss_mask, dim=-1).mean()


class MaskedBCE(nn.Module):
    def __init__(self):
        super().__init__()
        self.criterion = nn.BCEWithLogitsLoss(reduction="none")

    def forward(self, logits, wanted, mask):
        loss = self.criterion(logits, wanted)
        return torch.sum(loss.mul(mask)) / torch.sum(mask)


def pooled(model, ids, attention_mask):
    hidden = model(ids) * attention_mask.unsqueeze(-1)
    return hidden.sum(dim=1) / attention_mask.sum(dim=1, keepdim=True).clamp(min=1)


def reconstruction(found, wanted, mask):
    _batch, _length = found.shape
    error = F.mse_loss(found, wanted, reduction="none") * mask
    return torch.sum(error) / (mask.sum() + 1e-6)


def of_valid_depths(found, wanted):
    _batch, _length = wanted.shape
    valid = wanted > 0
    return (F.l1_loss(found, wanted, reduction="none") * valid).sum() / valid.sum()


def weighed_twice(scores, targets, pad_mask):
    each = F.smooth_l1_loss(scores, targets, reduction="none")
    return (each * pad_mask).sum() / pad_mask.sum().clamp(min=1)
