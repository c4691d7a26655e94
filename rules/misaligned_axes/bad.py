"""Axes that meet another one than their own."""

import torch
import torch.nn.functional as F


# run: unreduced(a=[N, D], b=[N, D]); raises: N=4, D=3
def unreduced(a, b):
    n, d = a.shape
    b = b.view(n, d)
    both = torch.cat([a, b], dim=0)
    alike = torch.exp(both @ both.t())
    keep = ~torch.eye(n, dtype=torch.bool).repeat(2, 2)
    negatives = alike.masked_select(keep).view(2 * n, -1)
    positive = torch.exp((a * b).sum(dim=-1))
    positive = torch.cat([positive, positive], dim=0)
    return positive / (positive + negatives)  # expect: SC106


# run: weighted(scores=[N, K], weights=[N]); raises: N=4, K=3; differ: N=3, K=3
def weighted(scores, weights):
    n, _k = scores.shape
    weights = weights[:n].view(n)
    return scores * weights  # expect: SC106


# run: biased(hidden=[B, S, D], lengths=[B]); raises: B=2, S=4, D=3; differ: B=3, S=4, D=3
def biased(hidden, lengths):
    b, _s, _d = hidden.shape
    return hidden - lengths.reshape(b)  # expect: SC106


# run: margins(scores=[N, C], margin=[N]); raises: N=4, C=3; differ: N=3, C=3
def margins(scores, margin):
    n, _classes = scores.shape
    margin = margin.reshape(n)
    return F.relu(torch.sub(scores, other=margin)).mean()  # expect: SC106


# run: against_the_best(scores=[N, M], best=[N]); raises: N=4, M=3; differ: N=3, M=3
def against_the_best(scores, best):
    n, _m = scores.shape
    best = torch.stack([best, best]).mean(dim=0).view(n)
    return torch.where(scores > best, scores, best)  # expect: SC106


# run: of_a_group(scores=[B, G, S], kept=[B]); raises: B=2, G=4, S=3; differ: B=3, G=4, S=3
def of_a_group(scores, kept):
    b, _g, _s = scores.shape
    return (scores / kept.view(b)).sum(-1)  # expect: SC106


def optional(net, left, right, reduce: bool):
    a, b = net(left), net(right)
    n = a.size(0)
    both = torch.cat([a, b], dim=0)
    alike = torch.exp(torch.mm(both, both.t()))
    negatives = alike.masked_select(~torch.eye(n, dtype=torch.bool).repeat(2, 2)).view(2 * n, -1)
    positive = torch.exp(torch.sum(a * b, dim=-1))
    positive = torch.cat([positive, positive], dim=0)
    rest = negatives.sum(dim=-1) if reduce else negatives
    return -torch.log(positive / (positive + rest)).mean()  # expect: SC106
