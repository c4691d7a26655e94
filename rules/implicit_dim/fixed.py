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
