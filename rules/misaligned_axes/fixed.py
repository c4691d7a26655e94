"""The same with every axis at its own place."""

import torch
import torch.nn.functional as F


def unreduced(a, b):
    n, d = a.shape
    b = b.view(n, d)
    both = torch.cat([a, b], dim=0)
    alike = torch.exp(both @ both.t())
    keep = ~torch.eye(n, dtype=torch.bool).repeat(2, 2)
    negatives = alike.masked_select(keep).view(2 * n, -1)
    positive = torch.exp((a * b).sum(dim=-1))
    positive = torch.cat([positive, positive], dim=0)
    return positive / (positive + negatives.sum(dim=-1))


def weighted(scores, weights):
    n, _k = scores.shape
    weights = weights[:n].view(n)
    return scores * weights.unsqueeze(1)


def biased(hidden, lengths):
    b, _s, _d = hidden.shape
    return hidden - lengths.reshape(b, 1, 1)


def margins(scores, margin):
    n, _classes = scores.shape
    margin = margin.reshape(n)
    return F.relu(torch.sub(scores, other=margin[:, None])).mean()


def against_the_best(scores, best):
    n, _m = scores.shape
    best = torch.stack([best, best]).mean(dim=0).view(n, 1)
    return torch.where(scores > best, scores, best)


def of_a_group(scores, kept):
    b, _g, _s = scores.shape
    return (scores / kept.view(b, 1, 1)).sum(-1)


def optional(net, left, right, reduce: bool):
    a, b = net(left), net(right)
    n = a.size(0)
    both = torch.cat([a, b], dim=0)
    alike = torch.exp(torch.mm(both, both.t()))
    negatives = alike.masked_select(~torch.eye(n, dtype=torch.bool).repeat(2, 2)).view(2 * n, -1)
    positive = torch.exp(torch.sum(a * b, dim=-1))
    positive = torch.cat([positive, positive], dim=0)
    rest = negatives.sum(dim=-1) if reduce else negatives.mean(dim=-1)
    return -torch.log(positive / (positive + rest)).mean()
