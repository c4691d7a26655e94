"""Two matrices of pairs meet, one of them transposed."""

import torch
import torch.nn.functional as F


# run: nearby_matches(feat_one=[N, D], feat_two=[N, D], pos_one=[N], pos_two=[N]); differ: N=4, D=3; equal: N=1, D=3
def nearby_matches(feat_one, feat_two, pos_one, pos_two):
    n, d = feat_one.shape
    feats_one, feats_two = feat_one.view(n, d), feat_two.view(n, d)
    xs_one, xs_two = pos_one.view(n), pos_two.view(n)
    sim = feats_one @ feats_two.T  # expect: SC203
    near = (xs_two[:, None] - xs_one[None, :]).abs()
    return sim * near


def masked_pairs(q, k, q_ids, k_ids):
    n, d = q.shape
    q_rows, k_rows = F.normalize(q, dim=1), F.normalize(k.view(n, d), dim=1)
    q_names, k_names = q_ids.view(n), k_ids.view(n)
    scores = torch.matmul(q_rows, k_rows.transpose(0, 1))  # expect: SC203
    same = k_names.unsqueeze(1) == q_names.unsqueeze(0)
    return scores.masked_fill(~same, 0.0)


def flat_pairs(a_points, b_points, a_feats, b_feats):
    n, d = a_feats.shape
    a_xy, b_xy = a_points.view(n, 2), b_points.view(n, 2)
    a_flat = a_xy[None, :].expand(n, n, -1).reshape(n * n, 2)
    b_flat = b_xy[:, None].expand(n, n, -1).reshape(n * n, 2)
    far = F.pairwise_distance(a_flat, b_flat).reshape(n, n)  # expect: SC203
    a_unit, b_unit = F.normalize(a_feats, dim=-1), F.normalize(b_feats.view(n, d), dim=-1)
    sims = F.cosine_similarity(a_unit[:, None, :], b_unit[None, :, :], dim=-1)
    return sims * far


def weighted(img, txt, img_time, txt_time):
    n, d = img.shape
    img_vec, txt_vec = img.view(n, d), txt.view(n, d)
    img_at, txt_at = img_time.view(n), txt_time.view(n)
    logits = img_vec @ txt_vec.t()  # expect: SC203
    gap = txt_at.unsqueeze(1) - img_at.unsqueeze(0)
    weight = torch.exp(-gap.abs())
    return logits * weight


def turned(z1, z2, y1, y2):
    n, d = z1.shape
    h1, h2 = z1.view(n, d), z2.view(n, d)
    c1, c2 = y1.view(n), y2.view(n)
    sim = (h1 @ h2.T).T  # expect: SC203
    agree = (c1[:, None] == c2[None, :]).float()
    return sim * agree


def selected(src, dst, src_id, dst_id):
    n, d = src.shape
    src_emb, dst_emb = src.view(n, d), dst.view(n, d)
    src_key, dst_key = src_id.view(n), dst_id.view(n)
    sim = src_emb @ dst_emb.T  # expect: SC203
    match = torch.eq(dst_key.unsqueeze(1), src_key.unsqueeze(0))
    return sim.masked_select(match)


def attended(q, k, v):
    b, h, n, d = q.shape
    weights = torch.einsum("bhnd,bhmd->bhmn", q, k).softmax(dim=-1)
    return torch.einsum("bhnm,bhmd->bhnd", weights, v)  # expect: SC203


def heads_named_rows(q, k):
    b, n, h, d = q.shape
    return torch.einsum("bhnd,bhmd->bhnm", q, k)  # expect: SC203


class Metric(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.form = torch.nn.Parameter(torch.eye(width))

    def forward(self, gaps):
        return torch.einsum("dd,bnd->bnd", self.form, gaps)  # expect: SC203


def both_ways(text, image, text_more, image_more, more):
    to_image = torch.einsum("td,id->ti", text, image)
    to_text = to_image.t()
    if more:
        to_text = torch.einsum("td,id->ti", text_more, image_more)  # expect: SC203
    return F.log_softmax(to_image, dim=-1), F.log_softmax(to_text, dim=-1)


# run: apart(x=[N, D]); differ: N=3, D=4; equal: N=1, D=4
def apart(x):
    n, d = x.shape
    left = x.unsqueeze(1).expand(n, n, d)
    right = x.unsqueeze(1).expand(n, n, d)
    return (left - right).norm(dim=-1)  # expect: SC203


def squared(x, y):
    """x: [N, D]; y: [M, D]"""
    lengths = (x**2).sum(1).unsqueeze(0) + (y**2).sum(1).unsqueeze(1)
    return lengths - 2 * (x @ y.t())  # expect: SC203


def cosine(x, y):
    alike = x @ y.t()
    return alike / (x.norm(dim=1).unsqueeze(0) * y.norm(dim=1).unsqueeze(1))  # expect: SC203


class Proxies(torch.nn.Module):
    def __init__(self, classes: int, width: int):
        super().__init__()
        self.proxies = torch.nn.Parameter(torch.randn(classes, width))

    def forward(self, embeddings):
        alike = torch.nn.functional.linear(embeddings, self.proxies)
        lengths = torch.sum(embeddings**2, dim=1, keepdim=True).sqrt().clamp(min=1e-8)
        return alike / lengths.t()  # expect: SC203


def in_letters(q, k):
    scores = torch.einsum("nd,md->nm", q, k)
    return scores / torch.linalg.norm(k, dim=1, keepdim=True)  # expect: SC203


def distances(x, c):
    products = torch.mm(x, c.transpose(0, 1))
    return c.pow(2).sum(dim=1).view(-1, 1) - 2 * products  # expect: SC203
