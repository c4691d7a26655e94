"""Each example meets itself: both operands have one shape."""

import torch
import torch.nn.functional as F
from torch import nn


class Regressor(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.head = nn.Linear(dim, 1)
        self.loss = nn.MSELoss()

    def forward(self, hidden, labels):
        """
        Args:
            hidden: (batch, seq, dim)
            labels: (batch,)
        """
        predicted = self.head(hidden.mean(dim=1))
        return self.loss(predicted.squeeze(1), labels)


def margin(q, p, n):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    assert n.shape == (batch, dim)
    positive = (q * p).sum(-1, keepdim=True)
    negative = (q * n).sum(-1)
    return F.relu(negative - positive.squeeze(1) + 0.1).mean()


def squared_surprise(logits, labels):
    batch, _ = logits.shape
    picked = logits.gather(1, labels.view(batch, 1))
    return F.softplus(torch.logsumexp(logits, dim=1) - picked.squeeze(1)).mean()


def squared_error(predicted, target):
    """
    Args:
        predicted: [B]
        target: [B]
    """
    return F.mse_loss(predicted, target)


def accuracy(logits, labels):
    batch, _ = logits.shape
    hits = logits.argmax(dim=1) == labels.view(batch)
    return hits.float().mean()


def pairwise_hinge(positive, negative):
    """
    Args:
        positive: (batch_size, 1)
        negative: (batch_size, num_negatives)
    """
    return F.relu(1.0 + negative - positive).mean()


def first_feature(hidden):
    _batch, _seq, _dim = hidden.shape
    weight = hidden[:, 0, :1]
    return (weight.squeeze(1) * hidden.mean(dim=(1, 2))).sum()


def attack_margin(logits, label):
    _batch, _classes = logits.shape
    best = logits.argsort(dim=1, descending=True)
    second = (best[:, 0] == label).long()
    rival = best.gather(1, second.view(-1, 1))
    return F.softplus(logits[:, label] - logits.gather(1, rival).squeeze(1)).mean()


class Grader(nn.Module):
    """One number for each text, held against the grades that came with it."""

    def __init__(self, encoder, width: int):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.criterion = nn.MSELoss()

    def forward(self, texts, grades):
        """grades: (batch,)"""
        first = self.encoder(**texts).last_hidden_state[:, 0]
        return self.criterion(self.head(first).squeeze(-1), grades)


class Critic(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Linear(width, width)
        self.value = nn.Linear(width, 1)

    def forward(self, state, action):
        return self.value(F.relu(self.body(torch.cat([state, action], dim=1))))


def entropy_regularised(policy, state, width):
    critics = Critic(width), Critic(width)
    mean, spread = policy(state)
    choice = torch.distributions.Normal(mean, spread.exp())
    action = choice.rsample()
    likelihood = choice.log_prob(action).sum(1, keepdim=True)
    lowest = torch.min(critics[0](state, action), critics[1](state, action))
    return (0.2 * likelihood - lowest).mean()


def surprise(returns, values, chosen):
    gain = (returns - values.squeeze(-1)).detach()
    return F.mse_loss(values.squeeze(-1), returns) - (chosen * gain).mean()


def regret(critic, batch, chosen):
    value = critic(batch.state)
    reached = batch.reached.float()
    return F.smooth_l1_loss(value, reached[:, None]), chosen * (reached - value.detach().squeeze(-1))
