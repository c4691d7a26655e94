"""Rows that meet in one order."""

import torch
import torch.distributed as dist
import torch.nn.functional as F


def everywhere(x):
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x)
    return torch.cat(parts, dim=0)


def interleaved(feats, weights):
    b, v = feats.shape
    return feats.reshape(b * v) * weights.view(b).repeat_interleave(v)


def views_outermost(x, labels):
    b, v, d = x.shape
    rows = torch.cat(torch.unbind(x, dim=1), dim=0)
    same = (labels.view(b, 1) == labels.view(1, b)).float()
    return (rows @ rows.T) * same.repeat(v, v)


def two_views(z1, z2, weight):
    b, d = z1.shape
    z = torch.cat([z1, z2.view(b, d)], dim=0)
    return z * weight.view(b).repeat(2).unsqueeze(1)


def all_pairs(a, b):
    n, d = a.shape
    m, _ = b.shape
    left = a.repeat_interleave(m, dim=0)
    right = b.view(m, d).repeat(n, 1)
    return (left - right).pow(2).sum(dim=1).view(n, m)


def square_pairs(x, y):
    b, h, w = x.shape
    n = h * w
    left = x.reshape(b, n)[:, None, :].expand(b, n, n).reshape(b, n * n)
    right = y.view(b, n)[:, :, None].expand(b, n, n).reshape(b, n * n)
    return left - right


def gather_then_cat(q, pos, neg):
    b, d = q.shape
    columns = torch.cat([everywhere(pos.view(b, d)), everywhere(neg.view(b, d))])
    labels = torch.arange(b) + dist.get_rank() * b
    return F.cross_entropy(q @ columns.T, labels)


def turned_back(x, scale):
    b, v, d = x.shape
    rows = x.transpose(0, 1).reshape(v * b, d)
    return rows * scale.view(b, v).t().reshape(v * b, 1)


class Block(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attend = torch.nn.MultiheadAttention(width, heads)
        self.heads = heads

    def forward(self, x, hidden, causal):
        """causal: [1, length, length]"""
        mask = hidden.repeat_interleave(self.heads, dim=0)
        out = self.attend(x, x, x, attn_mask=mask, need_weights=False)[0]
        return self.attend(out, out, out, attn_mask=causal.repeat(self.heads, 1, 1), need_weights=False)[0]
