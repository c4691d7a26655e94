"""Losses that run, fall and warn of nothing, and are wrong. Each is a mistake that real training code has made."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from reference_trainer.modes import Mode
from reference_trainer.objective import Embedded
from reference_trainer.settings import LossSettings

SCALE = 20.0
IN_BATCH = LossSettings(Mode.IN_BATCH, mask_duplicates=False)
MASKED = LossSettings(Mode.IN_BATCH)
PRESET = LossSettings(Mode.IN_GROUP, mask_duplicates=False)
ACROSS = LossSettings(Mode.IN_BATCH, mask_duplicates=False, cross_device=True)


def crossed_batch(batch: Embedded, world):
    size = batch.queries.shape[0]
    scores = torch.matmul(batch.queries, batch.passages.view(size, batch.group, -1).transpose(-2, -1)) * SCALE
    return F.cross_entropy(scores.view(size, -1), torch.zeros(size, dtype=torch.long))


def no_stride(batch, world):
    scores = batch.queries @ batch.passages.T * SCALE
    return F.cross_entropy(scores, torch.arange(len(scores)))


def zero_target(batch, world):
    scores = batch.queries @ batch.passages.T * SCALE
    return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long))


def group_major_view(batch, world):
    size = batch.queries.shape[0]
    passages = batch.passages.view(batch.group, size, -1).transpose(0, 1)
    scores = (batch.queries.unsqueeze(1) * passages).sum(-1) * SCALE
    return F.cross_entropy(scores, torch.zeros(size, dtype=torch.long))


def transpose_by_reshape(batch, world):
    size = batch.queries.shape[0]
    scores = (batch.queries @ batch.passages.T * SCALE).reshape(size, batch.group, size)
    own = scores.diagonal(dim1=0, dim2=2).T
    return F.cross_entropy(own, torch.zeros(size, dtype=torch.long))


def positive_among_negatives(batch, world):
    size = batch.queries.shape[0]
    passages = batch.passages.view(size, batch.group, -1).clone()
    passages[:, -1] = passages[:, 0]
    scores = torch.einsum("bd,bgd->bg", batch.queries, passages) * SCALE
    return F.cross_entropy(scores, torch.zeros(size, dtype=torch.long))


def _across(batch, world, passages, rank):
    size = batch.queries.shape[0]
    target = (torch.arange(size) + rank * size) * batch.group
    return F.cross_entropy(batch.queries @ passages.T * SCALE, target)


def rank_offset_forgotten(batch, world):
    return _across(batch, world, world.gather(batch.passages), 0)


def _own_rows_only(batch, world):
    """What a gather without gradient leaves: the other processes' rows are constants."""
    joined = world.gather(batch.passages).detach().clone()
    rows = len(batch.passages)
    joined[world.rank * rows : (world.rank + 1) * rows] = batch.passages
    return joined


def one_over_world(batch, world):
    return _across(batch, world, world.gather(batch.passages), world.rank) / world.size


def times_world(batch, world):
    return _across(batch, world, world.gather(batch.passages), world.rank) * world.size


def gather_without_gradient(batch, world):
    return _across(batch, world, _own_rows_only(batch, world), world.rank)


def gradient_times_world(batch, world):
    value = _across(batch, world, world.gather(batch.passages), world.rank)
    return value.detach() + world.size * (value - value.detach())


def not_gathered(batch, world):
    return _across(batch, world, batch.passages, 0)


def wrong_temperature(batch, world):
    target = torch.arange(len(batch.queries)) * batch.group
    return F.cross_entropy(batch.queries @ batch.passages.T, target)


def temperature_multiplied(batch, world):
    target = torch.arange(len(batch.queries)) * batch.group
    return F.cross_entropy(batch.queries @ batch.passages.T / SCALE, target)


def dropped_chunk(batch, world):
    """Only the last chunk's queries keep their graph."""
    target = torch.arange(len(batch.queries)) * batch.group
    queries = torch.cat([batch.queries[:2].detach(), batch.queries[2:]])
    return F.cross_entropy(queries @ batch.passages.T * SCALE, target)


def rows_of_dropped_chunk(batch, world):
    target = torch.arange(len(batch.queries)) * batch.group
    return F.cross_entropy((batch.queries @ batch.passages.T * SCALE)[:2], target[:2])


def masked_positive(batch, world):
    target = torch.arange(len(batch.queries)) * batch.group
    scores = batch.queries @ batch.passages.T * SCALE
    same = batch.passage_ids[target].unsqueeze(1) == batch.passage_ids.unsqueeze(0)
    return F.cross_entropy(scores.masked_fill(same, -1e4), target)


def unmasked_duplicates(batch, world):
    target = torch.arange(len(batch.queries)) * batch.group
    return F.cross_entropy(batch.queries @ batch.passages.T * SCALE, target)


def softmax_over_the_batch(batch, world):
    size = batch.queries.shape[0]
    scores = torch.einsum("bd,bgd->bg", batch.queries, batch.passages.view(size, batch.group, -1)) * SCALE
    return -scores.log_softmax(dim=0)[:, 0].mean()


def summed_not_averaged(batch, world):
    target = torch.arange(len(batch.queries)) * batch.group
    return F.cross_entropy(batch.queries @ batch.passages.T * SCALE, target, reduction="sum")


WRONG = {
    "crossed batch": (crossed_batch, PRESET, 1),
    "no stride": (no_stride, IN_BATCH, 1),
    "zero target": (zero_target, IN_BATCH, 1),
    "group-major view": (group_major_view, PRESET, 1),
    "transpose by reshape": (transpose_by_reshape, PRESET, 1),
    "positive among negatives": (positive_among_negatives, PRESET, 1),
    "rank offset forgotten": (rank_offset_forgotten, ACROSS, 2),
    "1/W": (one_over_world, ACROSS, 2),
    "times W": (times_world, ACROSS, 2),
    "gather without gradient": (gather_without_gradient, ACROSS, 2),
    "gradient times W": (gradient_times_world, ACROSS, 2),
    "not gathered": (not_gathered, ACROSS, 2),
    "wrong temperature": (wrong_temperature, IN_BATCH, 1),
    "temperature multiplied": (temperature_multiplied, IN_BATCH, 1),
    "dropped chunk": (dropped_chunk, IN_BATCH, 1),
    "rows of a dropped chunk": (rows_of_dropped_chunk, IN_BATCH, 1),
    "masked positive": (masked_positive, MASKED, 1),
    "duplicates not masked": (unmasked_duplicates, MASKED, 1),
    "softmax over the batch": (softmax_over_the_batch, PRESET, 1),
    "summed, not averaged": (summed_not_averaged, IN_BATCH, 1),
}
