"""Views that ask for the same axes in another order."""

import torch
from torch import nn


# run: channels_first(x=[B, T, C]); differ: B=2, T=3, C=4; equal: B=2, T=1, C=4
def channels_first(x):
    b, t, c = x.shape
    return x.view(b, c, t)  # expect: SC201


# run: time_first(batch=[B, T, D]); differ: B=2, T=3, D=4; equal: B=1, T=3, D=4
def time_first(batch):
    size, steps, dim = batch.size()
    return batch.reshape(steps, size, dim)  # expect: SC201


# run: split_heads(x=[B, S, D]); differ: B=2, S=3, D=4; equal: B=2, S=1, D=4
def split_heads(x, heads=2):
    b, s, d = x.shape
    return x.view(b, heads, s, d // heads)  # expect: SC201


# run: pixels_last(images=[B, C, H, W]); differ: B=2, C=3, H=2, W=5; equal: B=2, C=1, H=2, W=5
def pixels_last(images):
    b, c, h, w = images.shape
    return images.reshape(b, h * w, c)  # expect: SC201


# run: stacked_views(a=[B, T, C], b=[B, T, C]); differ: B=2, T=3, C=4; equal: B=2, T=1, C=4
def stacked_views(a, b):
    n, t, c = a.shape
    both = torch.cat([a, b], dim=0)
    return both.view(n * 2, c, t)  # expect: SC201


class Encoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel_size=3, padding=1)

    def forward(self, series):
        if series.ndim == 3:
            n, window, features = series.shape
        else:
            n, window = series.shape
            features = 1
        return self.conv(series.reshape(n, features, window))  # expect: SC201


# run: merged_states(h=[L, B, D]); differ: L=2, B=3, D=4; equal: L=1, B=3, D=4
def merged_states(h):
    layers, batch, dim = h.shape
    return torch.reshape(h, (batch, layers * dim))  # expect: SC201


# run: two_views(z1=[B, D], z2=[B, D]); differ: B=3, D=2; equal: B=1, D=2
def two_views(z1, z2):
    """z1, z2 [B, D]"""
    b, d = z1.shape
    z = torch.cat([z1, z2])
    return z.view(b, 2, d)  # expect: SC201


# run: own_documents(q=[B, D], docs=[B*G, D]); differ: B=3, G=2, D=2; equal: B=1, G=2, D=2
def own_documents(q, docs):
    b, d = q.shape
    n, d = docs.shape
    g = n // b
    q = q.repeat(g, 1)
    own = (q * docs).sum(-1)
    return own.view(b, g)  # expect: SC201


# run: expanded(q=[B, D], docs=[B*G, D]); differ: B=3, G=2, D=2; equal: B=1, G=2, D=2
def expanded(q, docs):
    """q [B, D]; docs [B*G, D]"""
    b = q.size(0)
    g = docs.size(0) // b
    q = q.unsqueeze(0).expand(g, -1, -1).reshape(b * g, -1)
    own = (q * docs).sum(-1)
    return own.reshape(b, g)  # expect: SC201


# run: positions_last(x=[B, C, P]); differ: B=2, C=3, P=4; equal: B=2, C=1, P=4
def positions_last(x):
    return x.view(x.size(0), -1, x.size(1))  # expect: SC201


# run: planes_first(p=[B, C, H, W]); differ: B=2, C=3, H=2, W=5; equal: B=2, C=1, H=2, W=5
def planes_first(p):
    return p.reshape(p.size(0), p.size(2) * p.size(3), -1)  # expect: SC201


# run: two_stacked(a=[N, D], b=[N, D]); differ: N=3, D=4; equal: N=1, D=4
def two_stacked(a, b):
    n = a.size(0)
    return torch.stack([a, b]).view(n, 2, -1)  # expect: SC201


class HeadsAtOnce(nn.Module):
    def __init__(self, width, heads, dim):
        super().__init__()
        self.heads, self.dim = heads, dim
        self.query = nn.Linear(width, heads * dim)

    def forward(self, hidden):
        query = self.query(hidden)
        rows = query.size(0)
        query = query.view(rows * self.heads, -1, self.dim)  # expect: SC201
        return torch.bmm(query, query.transpose(1, 2))


class LastState(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.rnn = nn.GRU(width, hidden, batch_first=True, bidirectional=True)

    def forward(self, tokens):
        _, state = self.rnn(tokens)
        return state.view(tokens.size(0), -1)  # expect: SC201


def pictures_first(frames, encode):
    clips, length, c, h, w = frames.shape
    features = encode(frames.view(clips * length, c, h, w))
    return features.view(length, clips, -1).mean(dim=0)  # expect: SC201


class Pixels(nn.Module):
    def __init__(self, trunk, width):
        super().__init__()
        self.trunk = trunk
        self.project = nn.Linear(2048, width)

    def forward(self, images):
        maps = self.trunk(images)  # (batch_size, 2048, 7, 7)
        batch_size, channels = maps.shape[0], maps.shape[1]
        places = maps.shape[2] * maps.shape[3]
        return self.project(maps.view(batch_size, places, channels))  # expect: SC201


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
        return self.query(x).view(n * self.heads, -1, self.part)  # expect: SC201


class HeadsOfTokens(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.part = heads, width // heads
        self.key = nn.Linear(width, width)

    def forward(self, tokens):
        batch, length, _ = tokens.shape
        return self.key(tokens).view(batch, self.heads, -1, self.part)  # expect: SC201


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
        return flat.view(self.heads, batch, -1, self.part)  # expect: SC201
