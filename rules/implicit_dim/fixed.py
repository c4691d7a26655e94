"""bad.py with every dim said."""

import torch
import torch.nn.functional as F
from torch import nn


class Pooling(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Linear(width, 1)
        self.softmax = nn.Softmax(dim=-2)

    def forward(self, tokens):
        weight = self.softmax(self.score(tokens))
        return torch.sum(tokens * weight, dim=-2)


def attend(scores):
    batch, heads, length = scores.shape
    return F.softmax(scores, dim=-1)


class Reduce(nn.Module):
    def __init__(self, width: int, out: int):
        super().__init__()
        self.fc = nn.Linear(width, out)

    def forward(self, x):
        x = self.fc(x)
        return F.normalize(x, dim=-1)


class Tokens(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.dense = nn.Linear(width, 128)

    def forward(self, hidden):
        batch, length, width = hidden.shape
        return nn.functional.normalize(self.dense(hidden), p=2, dim=-1)


def pairwise(a, b):
    batch, length, width = a.shape
    rows, count, dim = b.shape
    return F.cosine_similarity(a[:, :1, :], b, dim=-1)


def hits(logits, labels):
    batch, classes = logits.shape
    count = (logits.argmax(dim=-1) == labels.view(batch)).float().mean()
    return count


def confidence(model, images):
    logits = model(images)
    _, label = torch.max(logits, dim=1)
    weight = torch.max(F.softmax(logits, dim=1))
    return label.view(-1), weight


class Gate(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.gate = nn.Linear(width, 1)

    def forward(self, fields):
        alpha = torch.softmax(self.gate(fields), dim=1)
        return (alpha * fields).sum(1)


def tokens(hidden):
    """hidden: [batch, seq, dim]"""
    hidden = F.normalize(hidden, dim=-1)
    return hidden @ hidden.transpose(1, 2)


def alike(a, b):
    """a, b (B, S, D)"""
    return F.cosine_similarity(a, b, dim=-1).mean()


class MeanOfTokens(nn.Module):
    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask):
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).float()
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def mean_of_words(vectors, known):
    """vectors: [B, S, D]; known: [B, S]"""
    total = (vectors * known.unsqueeze(-1)).sum(1)
    return total / known.sum(1, keepdim=True).clamp(min=1)


class SequentialScores(nn.Module):
    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))

    def forward(self, words):
        batch, steps, width = words.shape
        weights = torch.softmax(self.score(words), dim=1)
        return (weights * words).sum(dim=1)


class FlatWords(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.share = nn.Softmax(dim=1)

    def forward(self, words):
        batch, steps, width = words.shape
        weights = self.share(self.score(words.view(-1, width)).view(batch, steps))
        return (weights.unsqueeze(-1) * words).sum(1)


class Pointer(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Parameter(torch.randn(width, 1))

    def forward(self, x, mask):
        scores = (x @ self.score).masked_fill(mask, -1e9)
        return torch.sum(scores.softmax(-2) * x, dim=1)


class OneLogit(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.head = nn.Linear(width, 2)
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, x, labels):
        rows, width = x.shape
        logits = self.head(torch.relu(x))
        right = logits.argmax(dim=1) == labels
        return self.criterion(logits, labels.view(rows)), right


def own_pairs(a, b):
    _batch, width = a.shape
    b = b.view(-1, width)
    alike = a @ b.t()
    return -F.log_softmax(alike / 0.1, dim=1).diagonal().mean()
