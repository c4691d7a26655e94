"""Masks that hide rows where places were to be hidden."""

import torch
import torch.nn.functional as F
from torch import nn


# run: attend(q=[B, S, D], k=[B, S, D], v=[B, S, D], mask=ints(2, B, S)); differ: B=2, S=4, D=3
def attend(q, k, v, mask):
    """q, k, v [B, S, D]; mask [B, S]"""
    scores = q @ k.transpose(1, 2)
    scores = scores.masked_fill(mask.unsqueeze(2) == 0, -1e9)  # expect: SC503
    return scores.softmax(-1) @ v


# run: cross(q=[B, Q, D], k=[B, K, D], mask=ints(2, B, Q)); differ: B=2, Q=4, K=5, D=3
def cross(q, k, mask):
    """q (B, Q, D), k (B, K, D), mask (B, Q)"""
    scores = torch.bmm(q, k.transpose(1, 2)) / q.size(-1) ** 0.5
    scores = torch.where(mask[:, :, None].bool(), scores, torch.full_like(scores, -1e9))  # expect: SC503
    return torch.softmax(scores, dim=-1)


class Heads(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.depth = width // heads
        self.query = nn.Linear(width, width)

    def forward(self, hidden, padding):
        """hidden (B, S, D), padding (B, S)"""
        b, s, _ = hidden.shape
        q = self.query(hidden).view(b, s, self.heads, self.depth).transpose(1, 2)
        scores = q @ q.transpose(-1, -2)
        scores = scores.masked_fill(padding[:, None, :, None], float("-inf"))  # expect: SC503
        return F.softmax(scores, dim=-1)


def hide(scores, mask):
    return scores.masked_fill(mask, -1e4)  # expect: SC503


# run: by_helper(q=[B, S, D], mask=ints(2, B, S)); differ: B=2, S=4, D=3
def by_helper(q, mask):
    """q [B, S, D]; mask [B, S]"""
    scores = torch.einsum("bsd,btd->bst", q, q)
    return F.log_softmax(hide(scores, mask.unsqueeze(-1).bool()), dim=2)


# run: late(query=[B, Q, D], tokens=[B, S, D], known=ints(2, B, Q)); differ: B=2, Q=3, S=4, D=3
def late(query, tokens, known):
    """query (B, Q, D), tokens (B, S, D), known (B, Q): which query tokens count"""
    scores = query @ tokens.mT
    scores = scores.masked_fill(mask=known.unsqueeze(-1).eq(0), value=-1e9)  # expect: SC503
    return (scores.softmax(dim=-1) * scores).sum(dim=-1)


# run: over_queries(q=[B, S, D], mask=ints(2, B, S)); differ: B=2, S=4, D=3
def over_queries(q, mask):
    """q [B, S, D]; mask [B, S]"""
    scores = q @ q.mT
    scores = scores.masked_fill(mask[:, None] == 0, -1e9)  # expect: SC503
    return scores.softmax(dim=1)
