"""All places added up, the kept ones counted."""

import torch
import torch.nn.functional as F
from torch import nn


def aggregate(losses: torch.Tensor, loss_mask: torch.Tensor, mode: str):
    if mode == "tokens":
        return losses.sum() / loss_mask.sum()  # expect: SC406
    return torch.sum(losses * loss_mask, dim=-1).mean()


class MaskedBCE(nn.Module):
    def __init__(self):
        super().__init__()
        self.criterion = nn.BCEWithLogitsLoss()

    def forward(self, logits, wanted, mask):
        loss = self.criterion(logits, wanted)
        return torch.sum(loss.mul(mask)) / torch.sum(mask)  # expect: SC406


def pooled(model, ids, attention_mask):
    hidden = model(ids)
    return hidden.sum(dim=1) / attention_mask.sum(dim=1, keepdim=True).clamp(min=1)  # expect: SC406


# run: reconstruction(found=[B, S], wanted=[B, S], mask=[B, S]); differ: B=3, S=4
def reconstruction(found, wanted, mask):
    _batch, _length = found.shape
    error = F.mse_loss(found, wanted, reduction="none")
    return torch.sum(error) / (mask.sum() + 1e-6)  # expect: SC406


# run: of_valid_depths(found=[B, S], wanted=[B, S]); differ: B=3, S=4
def of_valid_depths(found, wanted):
    _batch, _length = wanted.shape
    valid = wanted > 0
    return F.l1_loss(found, wanted, reduction="none").sum() / valid.sum()  # expect: SC406


def weighed_twice(scores, targets, pad_mask):
    mean = F.smooth_l1_loss(scores, targets)
    return (mean * pad_mask).sum() / pad_mask.sum().clamp(min=1)  # expect: SC406
