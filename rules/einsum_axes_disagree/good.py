"""Pairs that stand alike, or whose names tell nothing."""

import torch
import torch.nn.functional as F


def in_order(feat_one, feat_two, pos_one, pos_two):
    n, d = feat_one.shape
    feats_one, feats_two = feat_one.view(n, d), feat_two.view(n, d)
    xs_one, xs_two = pos_one.view(n), pos_two.view(n)
    near = (xs_one[:, None] - xs_two[None, :]).abs()
    return (feats_one @ feats_two.T) * near


def turned_to_fit(z1, z2, y1, y2):
    n, d = z1.shape
    h1, h2 = z1.view(n, d), z2.view(n, d)
    c1, c2 = y1.view(n), y2.view(n)
    agree = (c2[:, None] == c1[None, :]).float()
    return (h1 @ h2.T) * agree.T


def one_label_vector(z1, z2, labels):
    n, d = z1.shape
    h1, h2 = z1.view(n, d), z2.view(n, d)
    own = labels.view(n)
    same = own.unsqueeze(0) == own.unsqueeze(1)
    return (h1 @ h2.T) * same


def differences(x):
    n, d = x.shape
    return x.unsqueeze(0) - x.unsqueeze(1)


def flat_in_order(a_points, b_points, a_feats, b_feats):
    n, d = a_feats.shape
    a_xy, b_xy = a_points.view(n, 2), b_points.view(n, 2)
    a_flat = a_xy[:, None].expand(n, n, -1).reshape(n * n, 2)
    b_flat = b_xy[None, :].expand(n, n, -1).reshape(n * n, 2)
    far = F.pairwise_distance(a_flat, b_flat).reshape(n, n)
    a_unit, b_unit = F.normalize(a_feats, dim=-1), F.normalize(b_feats.view(n, d), dim=-1)
    return torch.einsum("nd,md->nm", a_unit, b_unit) * far


def attended(q, k, v):
    b, h, n, d = q.shape
    weights = torch.einsum("bhnd,bhmd->bhnm", q, k).softmax(dim=-1)
    back = torch.einsum("bhmn,bhnd->bhmd", weights.transpose(-1, -2), q)
    return torch.einsum("bhnm,bhmd->bhnd", weights, v), back


def traces(m, scale):
    return torch.einsum("bii->b", m), torch.einsum("bii->bi", m), torch.einsum("bij,bij->b", m, scale)


def both_ways(text, image, text_more, image_more, more):
    to_image = torch.einsum("td,id->ti", text, image)
    to_text = to_image.t()
    if more:
        to_text = torch.einsum("td,id->it", text_more, image_more)
    return to_image, to_text


def apart(x):
    n, d = x.shape
    return (x.unsqueeze(1).expand(n, n, d) - x.unsqueeze(0).expand(n, n, d)).norm(dim=-1)


def weighted_groups(q, w, docs):
    """q, w: [B, D]; docs: [B, G, D]"""
    b, g, d = docs.shape
    return q.unsqueeze(1).expand(b, g, d) * w.unsqueeze(1).expand(b, g, d) * docs


def symmetric(a, b):
    sim = a @ b.t()
    return sim + sim.t()


def squared(x, y):
    """x: [N, D]; y: [M, D]"""
    lengths = (x**2).sum(1).unsqueeze(1) + (y**2).sum(1).unsqueeze(0)
    return lengths - 2 * (x @ y.t())


def inverted(mask, heads, width):
    rows, length = mask.shape
    turned = 1.0 - mask[:, None, None, :].expand(rows, 1, length, length)
    return turned.masked_fill(turned.bool(), -1e9)


def lengths_of_both(x, y):
    alike = x @ y.t()
    return alike / (x.norm(dim=1, keepdim=True) * y.norm(dim=1, keepdim=True).t())


def distances(x, y):
    return x.pow(2).sum(1, keepdim=True) + y.pow(2).sum(1).view(1, -1) - 2 * torch.mm(x, y.t())


def of_itself(x):
    return (x @ x.t()) / x.norm(dim=1)


def of_a_vector(x, y):
    """Of one vector the length is one number."""
    return (x @ y.t()) / x.norm(dim=-1)


def batched(x, y):
    """x [B, N, D], y [B, M, D]"""
    return (x @ y.transpose(1, 2)) / x.norm(dim=-1).unsqueeze(-1)


def there_and_back(x, attend):
    b, c, h, w = x.shape
    x = torch.einsum("bchw->bhwc", x).reshape(b, h * w, c)
    x = attend(x).reshape(b, h, w, c)
    x = torch.einsum("bhwc->bchw", x)
    return x
