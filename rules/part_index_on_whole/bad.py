"""Places in a part, used on the whole."""

import torch
import torch.nn.functional as F


def enqueue(bank, keys, labels, keep: int):
    (pixels,) = labels.shape
    keys = keys.view(-1, pixels)
    for c in torch.unique(labels):
        at = (labels == c).nonzero().squeeze(1)
        order = torch.randperm(at.shape[0])
        bank[c, :keep] = F.normalize(keys[:, order[:keep]].t(), dim=1)  # expect: SC307
    return bank


# run: hardest(x=[N, D], losses=[N], known=bools(N)); differ: N=7, D=3
def hardest(x, losses, known):
    (n,) = known.shape
    x, losses = x.view(n, -1), losses.view(n)
    _worst, where = losses[known].topk(2)
    return x[where]  # expect: SC307


def nearest_candidate(query, feats, labels, allowed):
    """query [Q, D], feats [N, D], labels [N], allowed [N]"""
    part = feats[allowed.bool()]
    best = (query @ part.t()).argmax(dim=1)
    return labels[best]  # expect: SC307


class Sampler:
    def negatives(self, scores, labels, anchor: int):
        """scores [B, D], labels [B]"""
        others = torch.where(labels != anchor)[0]
        chosen = torch.randperm(others.numel())[:16]
        return torch.index_select(scores, 0, chosen)  # expect: SC307


def weighted(x, weight, valid):
    """x [N, D], weight [N], valid [N]"""
    rows = torch.masked_select(weight, valid > 0)
    drawn = torch.multinomial(rows, 4)
    return x[drawn]  # expect: SC307


def marked(loss, keep):
    """loss [B], keep [B]"""
    mask = torch.zeros_like(loss)
    small = torch.argsort(loss[keep > 0])[:8]
    mask[small] = 1  # expect: SC307
    return mask


def pseudo_labels(net, images, labels, bar: float):
    """images [B, D], labels [B]"""
    at = torch.nonzero(labels < 0, as_tuple=True)[0]
    scores = net(images[at]).view(at.size(0), -1).max(dim=1).values
    sure = (scores > bar).nonzero().flatten()
    return images[sure]  # expect: SC307


def in_step(x, y, keep):
    """x [N, D], y [N]"""
    part = x[keep]
    order = torch.randperm(part.size(0))
    return part[order], y[order]  # expect: SC307
