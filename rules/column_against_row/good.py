"""Columns that are wanted, and columns against matrices."""

import torch
import torch.nn.functional as F


def same_label(labels):
    (_batch,) = labels.shape
    return labels.unsqueeze(1) == labels, labels.view(-1, 1) == labels, labels[:, None] != labels[None, :]


def against_own_positive(scores):
    batch, _ = scores.shape
    positive = scores.gather(1, torch.zeros(batch, 1, dtype=torch.long))
    return F.relu(0.2 + scores - positive).mean()


def diagonal_margin(q, p):
    _batch, _dim = q.shape
    scores = q @ p.view_as(q).T
    return scores - scores.diagonal().unsqueeze(1), scores.diag().unsqueeze(1) - scores


def squared_distances(x, y):
    n, d = x.shape
    assert y.shape == (n, d)
    norms = (x**2).sum(1, keepdim=True)
    return norms + (y**2).sum(1) - 2 * x @ y.T


def all_differences(x):
    _n, _d = x.shape
    spread = x.mean(dim=1)
    return spread.unsqueeze(0) - spread.unsqueeze(1), x.unsqueeze(1) - x


def rows_and_rows(q, p, n):
    batch, dim = q.shape
    assert p.shape == (batch, dim)
    assert n.shape == (batch, dim)
    return F.relu((q * n).sum(-1) - (q * p).sum(-1) + 0.1).mean()


def scalar_beside_row(losses):
    (_batch,) = losses.shape
    return losses - losses.mean(), losses * torch.ones(1), losses.mean(dim=0, keepdim=True) - losses


def column_and_column(predicted, target):
    """
    Args:
        predicted: (batch, 1)
        target: (batch,)
    """
    return F.mse_loss(predicted, target.unsqueeze(1)), F.mse_loss(predicted.squeeze(-1), target)


def chosen_columns(logits, wanted):
    batch, _ = logits.shape
    positive = logits.gather(1, torch.zeros(batch, 1, dtype=torch.long))
    return (logits[:, wanted] - positive).clamp(min=0).mean()


def both_flat(critic, state, likelihood):
    value = critic(state).unsqueeze(1)
    return likelihood.sum(1, keepdim=True).view(-1) - value.view(-1), likelihood.sum(1, keepdim=True) - value


def one_tensor_with_itself(x):
    column = x.sum(1, keepdim=True)
    return column - column.view(-1)


def reshaped_in_both(values, returns):
    flat = values.squeeze(-1)
    return F.mse_loss(values.squeeze(-1), returns), returns - flat, returns - values.squeeze(-1).detach()


def on_either_way(values, returns, columns: bool):
    if columns:
        return F.mse_loss(values.squeeze(-1), returns)
    return (returns - values).abs().mean()
