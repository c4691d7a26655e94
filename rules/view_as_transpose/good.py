"""Views that keep the order of memory, and one that moves it on purpose."""

import torch
import torch.nn.functional as F


def heads(x, n_heads):
    b, s, d = x.shape
    return x.view(b, s, n_heads, d // n_heads).transpose(1, 2)


def joined_heads(x):
    b, h, s, d = x.shape
    return x.transpose(1, 2).contiguous().view(b, s, h * d)


def merged(x):
    b, s, d = x.shape
    return x.view(b * s, d).view(b, s, d)


def groups(p, batch):
    return p.view(batch, -1, p.size(-1))


def moved_first(x):
    b, t, c = x.shape
    return x.permute(0, 2, 1).reshape(b, c, t)


def with_channel(x):
    b, w = x.shape
    return x.view(b, 1, w)


def relative_shift(scores):
    b, h, q, k = scores.shape
    padded = torch.cat([scores.new_zeros(b, h, q, 1), scores], dim=-1)
    return padded.view(b, h, k + 1, q)[:, :, 1:].view(b, h, q, k)


def one_number(n, m):
    return torch.zeros(n, m).view(m, n)


def square(x):
    b, s, _ = x.shape
    return x.view(b, s, s)


def pooled(x):
    b, c, h, w = x.shape
    return F.adaptive_avg_pool2d(x, 1).view(b, c)


def heads_of_a_joint_projection(x, num_heads):
    """The front axes stay where they are; only the last is cut, however its parts divide."""
    b, s, width = x.shape
    return x.view(b, s, 3, num_heads, width // (3 * num_heads))


def windows(x, size):
    b, h, w, c = x.shape
    return x.view(b, h // size, size, w // size, size, c)


def heads_merged(x, dim):
    b, s, heads, depth = x.shape
    return x.reshape(b, s, dim)


def blocks(z1, z2):
    """z1, z2 [B, D]: the blocks stay outermost"""
    b, d = z1.shape
    return torch.cat([z1, z2]).view(2, b, d)


def interleaved(z1, z2):
    """z1, z2 [B, D]"""
    b, d = z1.shape
    return torch.stack([z1, z2], dim=1).view(b * 2, d).view(b, 2, d)


def own_in_order(q, docs):
    """q [B, D]; docs [B*G, D]"""
    b = q.size(0)
    g = docs.size(0) // b
    return (q.repeat_interleave(g, dim=0) * docs).sum(-1).view(b, g)


def copies_first(q, docs):
    """q [B, D]; docs [G*B, D]"""
    b = q.size(0)
    g = docs.size(0) // b
    return (q.repeat(g, 1) * docs).sum(-1).view(g, b).t()
