"""SC401: dims left to torch, or written for another rank."""

import torch
import torch.nn.functional as F
from torch import nn


class Pooling(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Linear(width, 1)
        self.softmax = nn.Softmax()

    def forward(self, tokens):
        weight = self.softmax(self.score(tokens))  # expect: SC401
        return torch.sum(tokens * weight, dim=-2)


# run: attend(scores=[B, N, S]); differ: B=3, N=2, S=4
def attend(scores):
    batch, heads, length = scores.shape
    return F.softmax(scores)  # expect: SC401


# run: Reduce(D, 4)([B, S, D]); differ: B=2, S=3, D=5
# run: Reduce(D, 4)([B, D]); equal: B=2, D=5
class Reduce(nn.Module):
    def __init__(self, width: int, out: int):
        super().__init__()
        self.fc = nn.Linear(width, out)

    def forward(self, x):
        x = self.fc(x)
        return F.normalize(x)  # expect: SC401


# run: Tokens(D)([B, S, D]); differ: B=2, S=3, D=5
class Tokens(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.dense = nn.Linear(width, 128)

    def forward(self, hidden):
        batch, length, width = hidden.shape
        return nn.functional.normalize(self.dense(hidden), p=2)  # expect: SC401


# run: pairwise(a=[B, S, D], b=[B, S, D]); differ: B=2, S=3, D=5; differ: B=1, S=3, D=5
def pairwise(a, b):
    batch, length, width = a.shape
    rows, count, dim = b.shape
    return F.cosine_similarity(a[:, :1, :], b)  # expect: SC401


# run: hits(logits=[B, C], labels=ints(C, B)); differ: B=64, C=3; equal: B=1, C=3
def hits(logits, labels):
    batch, classes = logits.shape
    count = (logits.argmax() == labels.view(batch)).float().mean()  # expect: SC401
    return count


def confidence(model, images):
    logits = model(images)
    _, label = torch.max(logits, dim=1)
    weight = torch.max(F.softmax(logits, dim=-1))  # expect: SC401
    return label.view(-1), weight


class Gate(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.gate = nn.Linear(width, 1)

    def forward(self, fields):
        alpha = torch.softmax(self.gate(fields), dim=-1)  # expect: SC401
        return (alpha * fields).sum(1)


def tokens(hidden):
    """hidden: [batch, seq, dim]"""
    hidden = F.normalize(hidden)  # expect: SC401
    return hidden @ hidden.transpose(1, 2)


def alike(a, b):
    """a, b (B, S, D)"""
    return F.cosine_similarity(a, b).mean()  # expect: SC401


class MeanOfTokens(nn.Module):
    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask):
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).float()
        return (hidden * mask).sum(dim=1) / mask.sum()  # expect: SC401


def mean_of_words(vectors, known):
    """vectors: [B, S, D]; known: [B, S]"""
    total = (vectors * known.unsqueeze(-1)).sum(1)
    return total / known.sum().clamp(min=1)  # expect: SC401


class SequentialScores(nn.Module):
    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))

    def forward(self, words):
        batch, steps, width = words.shape
        weights = torch.softmax(self.score(words), dim=2)  # expect: SC401
        return (weights * words).sum(dim=1)


class FlatWords(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.share = nn.Softmax(dim=1)

    def forward(self, words):
        batch, steps, width = words.shape
        weights = self.share(self.score(words.view(-1, width)))  # expect: SC401
        return (weights * words.view(-1, width)).view(batch, steps, width).sum(1)


class Pointer(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Parameter(torch.randn(width, 1))

    def forward(self, x, mask):
        scores = (x @ self.score).masked_fill(mask, -1e9)
        return torch.sum(scores.softmax(-1) * x, dim=1)  # expect: SC401


class OneLogit(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.head = nn.Linear(width, 1)
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, x, labels):
        rows, width = x.shape
        logits = self.head(torch.relu(x))
        right = logits.argmax(dim=1) == labels  # expect: SC401
        return self.criterion(logits, labels.view(rows)), right  # expect: SC401


# run: own_pairs(a=[B, D], b=[B, D]); differ: B=3, D=4
def own_pairs(a, b):
    _batch, width = a.shape
    b = b.view(-1, width)
    alike = (a * b).sum(dim=-1, keepdim=True)
    return -F.log_softmax(alike / 0.1, dim=1).mean()  # expect: SC401
