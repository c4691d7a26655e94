"""The part itself is indexed, or the way back to the whole is taken."""

import torch
import torch.nn.functional as F


def enqueue(bank, keys, labels, keep: int):
    (pixels,) = labels.shape
    keys = keys.view(-1, pixels)
    for c in torch.unique(labels):
        at = (labels == c).nonzero().squeeze(1)
        order = torch.randperm(at.shape[0])
        bank[c, :keep] = F.normalize(keys[:, at[order[:keep]]].t(), dim=1)
    return bank


def hardest(x, losses, known):
    (n,) = known.shape
    x, losses = x.view(n, -1), losses.view(n)
    _worst, where = losses[known].topk(2)
    return x[known][where]


def nearest_candidate(query, feats, labels, allowed):
    """query [Q, D], feats [N, D], labels [N], allowed [N]"""
    part = feats[allowed.bool()]
    best = (query @ part.t()).argmax(dim=1)
    return labels[allowed.bool()][best]


class Sampler:
    def negatives(self, scores, labels, anchor: int):
        """scores [B, D], labels [B]"""
        others = torch.where(labels != anchor)[0]
        chosen = torch.randperm(others.numel())[:16]
        return torch.index_select(scores, 0, others[chosen])


def weighted(x, weight, valid):
    """x [N, D], weight [N], valid [N]"""
    rows = torch.masked_select(weight, valid > 0)
    drawn = torch.multinomial(rows, 4)
    return x[valid > 0][drawn]


def marked(loss, keep):
    """loss [B], keep [B]"""
    mask = torch.zeros_like(loss)
    at = (keep > 0).nonzero()[:, 0]
    small = torch.argsort(loss[at])[:8]
    mask[at[small]] = 1
    return mask


def pseudo_labels(net, images, labels, bar: float):
    """images [B, D], labels [B]"""
    at = torch.nonzero(labels < 0, as_tuple=True)[0]
    scores = net(images[at]).view(at.size(0), -1).max(dim=1).values
    sure = (scores > bar).nonzero().flatten()
    return images[at[sure]]


def in_step(x, y, keep):
    """x [N, D], y [N]"""
    part, own = x[keep], y[keep]
    order = torch.randperm(part.size(0))
    return part[order], own[order]
