"""Rows in one memory order meet rows in another."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn


def everywhere(x):
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x)
    return torch.cat(parts, dim=0)


# run: repeat_for_interleave(feats=[B, V], weights=[B]); differ: B=2, V=3; equal: B=1, V=3
def repeat_for_interleave(feats, weights):
    b, v = feats.shape
    flat = feats.reshape(b * v)
    return flat * weights.view(b).repeat(v)  # expect: SC202


# run: views_against_samples(x=[B, V, D], scale=[B, V]); differ: B=2, V=3, D=4; equal: B=1, V=3, D=4
def views_against_samples(x, scale):
    b, v, d = x.shape
    rows = torch.cat(torch.unbind(x, dim=1), dim=0)  # expect: SC202
    per_row = scale.view(b, v).reshape(b * v, 1)
    return rows * per_row


# run: stacked_views(z1=[B, D], z2=[B, D], weight=[B]); differ: B=3, D=4; equal: B=1, D=4
def stacked_views(z1, z2, weight):
    b, d = z1.shape
    z = torch.cat([z1, z2.view(b, d)], dim=0)  # expect: SC202
    w = weight.view(b).repeat_interleave(2)
    return z * w.unsqueeze(1)


class PixelLoss(nn.Module):
    def forward(self, features, classes):
        b, p, d = features.shape
        rows = torch.cat(features.unbind(1))  # expect: SC202
        labels = classes.view(b, p).flatten().unsqueeze(1)
        same = (labels == labels.T).float()
        logits = rows @ rows.T
        return (logits * same).sum()


def cat_then_gather(q, pos, neg):
    b, d = q.shape
    columns = torch.cat([pos.view(b, d), neg.view(b, d)])
    columns = everywhere(columns)  # expect: SC202
    labels = torch.arange(b) + dist.get_rank() * b
    return F.cross_entropy(q @ columns.T, labels)


def list_then_gather(embeddings: list[torch.Tensor]):
    anchors = embeddings[0]
    b, d = anchors.shape
    columns = everywhere(torch.cat(embeddings[1:]))  # expect: SC202
    start = dist.get_rank() * b
    scores = torch.mm(anchors, columns.t())
    return F.cross_entropy(scores, torch.arange(start, start + b))


# run: tiled_labels(feats=[B, V], labels=[B]); differ: B=2, V=3; equal: B=1, V=3
def tiled_labels(feats, labels):
    b, v = feats.shape
    wanted = labels.view(b).tile(v)  # expect: SC202
    got = feats.flatten()
    return (got - wanted).pow(2)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attend = nn.MultiheadAttention(width, heads)
        self.heads = heads

    def forward(self, x, hidden):
        mask = hidden.repeat(self.heads, 1, 1)  # expect: SC202
        return self.attend(x, x, x, attn_mask=mask, need_weights=False)[0]
