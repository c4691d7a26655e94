"""The loss as configured: a mode, and whatever options ride on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .fused import contrast
from .modes import (
    Mode,
    in_batch_target,
    in_group_scores,
    in_group_target,
    info_nce,
    margin_mse,
    teacher_kl,
)
from .settings import Distill, LossSettings
from .shapes import shaped
from .world import Alone, World


@shaped
@dataclass(frozen=True)
class Embedded:
    """One process's share of a batch after the encoder: N = B*G passages, row `i*G` the positive of query i."""

    queries: Float[Tensor, "B D"]
    passages: Float[Tensor, "N D"]
    passage_ids: Int[Tensor, "N"] | None = None
    teacher: Float[Tensor, "B G"] | None = None

    @property
    def group(self) -> int:
        return self.passages.shape[0] // self.queries.shape[0]


def candidates(loss: LossSettings, batch: int, group: int, world_size: int = 1) -> int:
    """How many passages the declared mode contrasts a query with."""
    if loss.mode is Mode.IN_GROUP:
        return group
    return batch * group * (world_size if loss.cross_device else 1)


def uniform_loss(loss: LossSettings, batch: int, group: int, world_size: int = 1) -> float:
    """What the loss is worth when all embeddings are equal: log C. Who stays above it has learned nothing."""
    level = math.log(candidates(loss, batch, group, world_size))
    if loss.symmetric:
        queries = batch * (world_size if loss.cross_device else 1)
        level = (level + math.log(queries)) / 2
    return level


def contrastive_loss(
    loss: LossSettings, batch: Embedded, scale: Tensor | float, normalize: bool = True, world: World | None = None
) -> Float[Tensor, ""]:
    """The configured loss of this process's queries.

    scale is 1/temperature, a number or a learned scalar. With cross_device, passages of all processes are candidates;
    the mean over processes of the returned values is the loss of the joined batch.
    """
    columns = _columns(loss, batch, world or Alone())
    widths = loss.dims or (batch.queries.shape[1],)
    terms = [_at_width(loss, batch, columns, width, scale, normalize) for width in widths]
    return torch.stack(terms).mean()


@dataclass(frozen=True)
class _Columns:
    """What the local queries are scored against: everything gathered, or just what is here."""

    passages: Float[Tensor, "N D"]
    ids: Int[Tensor, "N"] | None
    queries: Float[Tensor, "M D"]
    rank: int


def _columns(loss: LossSettings, batch: Embedded, world: World) -> _Columns:
    ids = batch.passage_ids if loss.mask_duplicates else None  # N
    if not loss.cross_device:
        return _Columns(batch.passages, ids, batch.queries, 0)
    return _Columns(
        passages=world.gather(batch.passages),
        ids=None if ids is None else world.gather(ids),
        queries=world.gather(batch.queries) if loss.symmetric else batch.queries,
        rank=world.rank,
    )


def _at_width(
    loss: LossSettings, batch: Embedded, columns: _Columns, width: int, scale: Tensor | float, normalize: bool
) -> Float[Tensor, ""]:
    """The loss on the first `width` axes of every embedding (Matryoshka, Kusupati 2022)."""
    size, group = batch.queries.shape[0], batch.group
    queries = _cut(batch.queries, width, normalize)  # B D
    total = queries.new_zeros(())
    if loss.mode is Mode.IN_GROUP or loss.distill is not Distill.NONE:
        own = _cut(batch.passages, width, normalize).view(size, group, -1)  # B G D
        similarity = in_group_scores(queries, own)  # B G
        if loss.mode is Mode.IN_GROUP:
            excluded = None if columns.ids is None else _copies_in_group(columns.ids.view(size, group))  # B G
            total = info_nce(similarity * scale, in_group_target(size, queries.device), excluded)
        if loss.distill is not Distill.NONE:
            total = total + loss.distill_weight * _teacher_loss(loss, similarity, batch.teacher, scale)
    if loss.mode is Mode.IN_BATCH:
        passages = _cut(columns.passages, width, normalize)  # N D
        target = in_batch_target(size, group, columns.rank, queries.device)  # B
        forward = contrast(queries * scale, passages, target, columns.ids, loss.fused)
        if loss.symmetric:
            back_ids = None if columns.ids is None else columns.ids[::group]  # M
            back_target = in_batch_target(size, 1, columns.rank, queries.device)  # B
            positives = passages[target]  # B D
            others = _cut(columns.queries, width, normalize)  # M D
            forward = (forward + contrast(positives * scale, others, back_target, back_ids, loss.fused)) / 2
        total = total + forward
    return total


def _teacher_loss(
    loss: LossSettings, similarity: Float[Tensor, "B G"], teacher: Tensor | None, scale: Tensor | float
) -> Float[Tensor, ""]:
    if teacher is None:
        raise ValueError(f"distill = {loss.distill.value} needs teacher scores (pos_scores, neg_scores) on every row")
    if loss.distill is Distill.KL:
        return teacher_kl(similarity * scale, teacher, loss.teacher_temperature)
    return margin_mse(similarity, teacher)


@shaped
def _copies_in_group(ids: Int[Tensor, "B G"]) -> Bool[Tensor, "B G"]:
    """Passages that repeat the text of their group's positive, the positive itself excepted."""
    same = ids == ids[:, :1]  # B G
    same[:, 0] = False
    return same


@shaped
def _cut(embeddings: Float[Tensor, "N D"], width: int, normalize: bool) -> Float[Tensor, "N W"]:
    if width == embeddings.shape[1]:
        return embeddings
    head = embeddings[:, :width]  # N W
    return F.normalize(head, dim=1) if normalize else head
