"""The same, with the memory moved."""

import torch
from torch import nn


def channels_first(x):
    b, t, c = x.shape
    return x.transpose(1, 2)


def time_first(batch):
    size, steps, dim = batch.size()
    return batch.transpose(0, 1)


def split_heads(x, heads=2):
    b, s, d = x.shape
    return x.view(b, s, heads, d // heads).transpose(1, 2)


def pixels_last(images):
    b, c, h, w = images.shape
    return images.flatten(2).transpose(1, 2)


def stacked_views(a, b):
    n, t, c = a.shape
    both = torch.cat([a, b], dim=0)
    return both.transpose(1, 2)


class Encoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel_size=3, padding=1)

    def forward(self, series):
        if series.ndim == 2:
            series = series.unsqueeze(-1)
        return self.conv(series.transpose(1, 2))


def merged_states(h):
    layers, batch, dim = h.shape
    return torch.reshape(h.transpose(0, 1), (batch, layers * dim))


# run: two_views(z1=[B, D], z2=[B, D]); differ: B=3, D=2; equal: B=1, D=2
def two_views(z1, z2):
    """z1, z2 [B, D]"""
    b, d = z1.shape
    z = torch.cat([z1, z2])
    return z.view(2, b, d).transpose(0, 1)


# run: own_documents(q=[B, D], docs=[B*G, D]); differ: B=3, G=2, D=2; equal: B=1, G=2, D=2
def own_documents(q, docs):
    b, d = q.shape
    n, d = docs.shape
    g = n // b
    q = q.repeat_interleave(g, dim=0)
    own = (q * docs).sum(-1)
    return own.view(b, g)


# run: expanded(q=[B, D], docs=[B*G, D]); differ: B=3, G=2, D=2; equal: B=1, G=2, D=2
def expanded(q, docs):
    """q [B, D]; docs [B*G, D]"""
    b = q.size(0)
    g = docs.size(0) // b
    q = q.unsqueeze(1).expand(-1, g, -1).reshape(b * g, -1)
    own = (q * docs).sum(-1)
    return own.reshape(b, g)


def positions_last(x):
    return x.flatten(2).transpose(1, 2)


def planes_first(p):
    return p.flatten(2).transpose(1, 2)


def two_stacked(a, b):
    return torch.stack([a, b]).transpose(0, 1)


class HeadsAtOnce(nn.Module):
    def __init__(self, width, heads, dim):
        super().__init__()
        self.heads, self.dim = heads, dim
        self.query = nn.Linear(width, heads * dim)

    def forward(self, hidden):
        query = self.query(hidden)
        rows = query.size(0)
        query = query.view(rows, -1, self.heads, self.dim).transpose(1, 2).flatten(0, 1)
        return torch.bmm(query, query.transpose(1, 2))


class LastState(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.rnn = nn.GRU(width, hidden, batch_first=True, bidirectional=True)

    def forward(self, tokens):
        _, state = self.rnn(tokens)
        return state.transpose(0, 1).reshape(tokens.size(0), -1)


def pictures_first(frames, encode):
    clips, length, c, h, w = frames.shape
    features = encode(frames.view(clips * length, c, h, w))
    return features.view(clips, length, -1).mean(dim=1)


class Pixels(nn.Module):
    def __init__(self, trunk, width):
        super().__init__()
        self.trunk = trunk
        self.project = nn.Linear(2048, width)

    def forward(self, images):
        maps = self.trunk(images)  # (batch_size, 2048, 7, 7)
        return self.project(maps.flatten(2).transpose(1, 2))


class FieldHeads(nn.Module):
    """The width of a head may be left out."""

    def __init__(self, width, part=None, heads=2):
        super().__init__()
        if part is None:
            part = width // heads
        self.part, self.heads, self.out = part, heads, heads * part
        self.query = nn.Linear(width, self.out, bias=False)

    def forward(self, x):
        """x: (batch, fields, width)"""
        n, fields, _ = x.shape
        return self.query(x).view(n, fields, self.heads, self.part).transpose(1, 2)


class HeadsOfTokens(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.part = heads, width // heads
        self.key = nn.Linear(width, width)

    def forward(self, tokens):
        batch, length, _ = tokens.shape
        return self.key(tokens).view(batch, -1, self.heads, self.part).transpose(1, 2)


class HeadsInFront(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.part = heads, width // heads
        self.value = nn.Linear(width, width)

    def split(self, x):
        batch = x.size(0)
        x = self.value(x).view(batch, -1, self.heads, self.part)
        return x.permute(0, 2, 1, 3).reshape(batch * self.heads, -1, self.part)

    def forward(self, x):
        batch, length, _ = x.shape
        flat = self.split(x)
        return flat.view(batch, self.heads, -1, self.part)
