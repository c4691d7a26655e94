"""Views that keep the order of memory, and one that moves it on purpose."""

import torch
import torch.nn.functional as F
from torch import nn


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


def planes_last(p):
    return p.view(p.size(0), -1, p.size(2) * p.size(3)), p.view(-1, p.size(1), p.size(2))


def rows_cut(p, groups):
    return p.view(groups, p.size(0) // groups, p.size(1), -1)


class Weight(torch.nn.Module):
    def __init__(self, heads, dim):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(dim, heads))
        self.heads, self.dim = heads, dim

    def forward(self, x):
        return x + self.bias.reshape(1, 1, self.heads, self.dim)


class Memory(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.keys = torch.nn.Linear(width, heads * (width // heads))

    def forward(self, queries, memory):
        rows, steps, _ = queries.shape
        _, length, _ = memory.shape
        return self.keys(memory).view(rows, length, self.heads, -1)


class State(torch.nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.rnn = torch.nn.LSTM(width, hidden, batch_first=True)

    def forward(self, tokens):
        _, (state, cell) = self.rnn(tokens)
        return state.view(tokens.size(0), -1)


def clips_first(frames, encode):
    clips, length, c, h, w = frames.shape
    return encode(frames.view(clips * length, c, h, w)).view(clips, length, -1).mean(dim=1)


def views_beside_each_other(images):
    """images: a list of two views"""
    stacked = torch.stack(images, 1)
    return stacked.reshape(stacked.size(0) * 2, stacked.size(2), stacked.size(3), stacked.size(4))


def masks_side_by_side(pairs):
    """pairs: [B, M, N, M]"""
    b, m, n, m = pairs.shape
    return pairs.reshape(b, m, n * m)


def mixed(relations, objects, subjects):
    rows, width = relations.size(0), subjects.size(-1)
    mixing = relations.view(-1, width, width)
    return mixing.bmm(objects.unsqueeze(2)).view(rows, width).mm(subjects.transpose(0, 1))


def places_last(maps):
    """maps: (batch_size, 2048, 7, 7)"""
    rows, channels = maps.shape[0], maps.shape[1]
    return maps.view(rows, channels, maps.shape[2] * maps.shape[3])


class Groups(nn.Module):
    """The rows of a query lie side by side, and the last axis stays whole."""

    def __init__(self, width, group):
        super().__init__()
        self.group = group
        self.encode = nn.Linear(width, width)

    def forward(self, passages):
        queries, count, width = passages.shape
        return self.encode(passages).view(queries * self.group, -1, width)


def channels_of_heads(maps, heads, part):
    """maps: (B, C, P): the channels are cut, not the places"""
    batch, _channels, places = maps.shape
    return maps.view(batch, heads, -1, places), maps.view(batch * heads, -1, places)


class OfTheFirst(nn.Module):
    """Of one position only: between its rows and its heads lies an axis of one place."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.part = heads, width // heads
        self.query = nn.Linear(width, self.part * self.heads)

    def forward(self, x):
        b, n, d = x.shape
        return self.query(x[:, :1, :]).reshape(b, self.heads, 1, self.part)


def grids(offsets, boxes, steps):
    """The sizes behind -1 are of other axes than the first."""
    b, _, h, w = offsets.shape
    left = boxes[:, [0], ...] * torch.linspace(0.0, 1.0, steps).view(1, steps, 1, 1)
    rows = left.unsqueeze(1).repeat(1, steps, 1, 1, 1).view(b, -1, h, w)
    return rows, left.unsqueeze(2).repeat(1, 1, steps, 1, 1).view(b, -1, h, w)


def shifted(x):
    """The relative shift of attention: a column padded on, a view, a row cut off."""
    b, h, rows, places = x.size()
    x = F.pad(x, pad=(1, 0)).view(b, h, -1, rows)
    return x[:, :, 1:].view(b, h, rows, places)


class Masks(nn.Module):
    def __init__(self, model, speakers):
        super().__init__()
        self.model, self.speakers = model, speakers

    def forward(self, mixed):
        """Args:
        mixed: of shape [B, T, N]
        """
        mixed = mixed.permute(0, 2, 1)
        B, T, N = mixed.shape  # the docstring's letters the other way round
        found = self.model(mixed)  # B, T, N
        return found.reshape(B, T, N, self.speakers)


def halves(layer):
    """Of a weight: if it has two axes, the last one stays the last."""
    weight = layer.weight
    return weight.view([2, weight.shape[0] // 2, weight.shape[1]]).unbind(0)


def as_words(rows, width):
    """The bytes read anew."""
    return torch.randint(0, 64, (rows, width * 4), dtype=torch.uint8).view(dtype=torch.int32)[:, 0]


def key_heads(keys, batch, heads):
    """keys: (B, N, D)"""
    _, count, width = keys.shape
    cut = keys.reshape(batch, count, 1, heads, -1).permute(2, 0, 3, 1, 4).squeeze(0)
    return cut, width
