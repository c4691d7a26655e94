"""The sampling modes of contrastive training, as pure functions.

A batch is B queries and B groups of G passages. Passages lie flat and batch-major, `[B*G, D]`: row `i*G + g` is
passage g of query i, and g = 0 is the positive.

in-batch   every query is scored against every passage of the batch: scores `[B, N]`, target `i*G`. N is B*G on one
           process, W*B*G when passages are gathered from W; then targets start at this process's first row.
in-group   every query is scored against its own group alone: scores `[B, G]`, target 0. No other query's group is read.
"""

from __future__ import annotations

from enum import Enum

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .shapes import shaped


class Mode(str, Enum):
    """Which passages a query is contrasted with. Always set by the user, never guessed."""

    IN_BATCH = "in-batch"
    IN_GROUP = "in-group"

    @classmethod
    def _missing_(cls, value: object) -> Mode | None:
        return cls.IN_GROUP if value == "preset" else None  # its other name


@shaped
def in_batch_scores(queries: Float[Tensor, "B D"], passages: Float[Tensor, "N D"]) -> Float[Tensor, "B N"]:
    """Every query against every passage."""
    return queries @ passages.T  # B N


def in_batch_target(batch: int, group: int, rank: int = 0, device: torch.device | None = None) -> Int[Tensor, "B"]:
    """Column of each query's positive, `(rank*B + i) * G`: passages lie group after group, process after process."""
    return (torch.arange(batch, device=device) + rank * batch) * group  # B


@shaped
def in_group_scores(queries: Float[Tensor, "B D"], passages: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    """Every query against its own group: B*G dot products, linear in B. On a CPU this is faster than `bmm`."""
    return (queries.unsqueeze(1) * passages).sum(dim=2)  # B G


def in_group_target(batch: int, device: torch.device | None = None) -> Int[Tensor, "B"]:
    """The positive leads its group."""
    return torch.zeros(batch, dtype=torch.long, device=device)  # B


@shaped
def duplicates_of_positive(column_ids: Int[Tensor, "N"], target: Int[Tensor, "R"]) -> Bool[Tensor, "R N"]:
    """Columns that hold the same text as the row's positive without being it: false negatives, to be left out."""
    positive_ids = column_ids[target]  # R
    same = positive_ids.unsqueeze(1) == column_ids.unsqueeze(0)  # R N
    return same.scatter(1, target.unsqueeze(1), False)  # R N


@shaped
def info_nce(
    scores: Float[Tensor, "R N"], target: Int[Tensor, "R"], excluded: Bool[Tensor, "R N"] | None = None
) -> Float[Tensor, ""]:
    """Mean over rows of -log softmax(scores)[target], scores already divided by the temperature (van den Oord 2018)."""
    if excluded is not None:
        scores = scores.masked_fill(excluded, float("-inf"))  # R N
    return F.cross_entropy(scores.float(), target)


@shaped
def teacher_kl(
    scores: Float[Tensor, "B G"], teacher: Float[Tensor, "B G"], teacher_temperature: float
) -> Float[Tensor, ""]:
    """Mean over queries of KL(teacher || student) over the own group; scores are already divided by the temperature."""
    student = scores.float().log_softmax(dim=1)  # B G
    wanted = (teacher.float() / teacher_temperature).log_softmax(dim=1)  # B G
    return F.kl_div(student, wanted, reduction="batchmean", log_target=True)


@shaped
def margin_mse(similarity: Float[Tensor, "B G"], teacher: Float[Tensor, "B G"]) -> Float[Tensor, ""]:
    """Mean squared difference of student and teacher margins, positive minus negative (Hofstätter 2020)."""
    student_margin = similarity[:, :1].float() - similarity[:, 1:].float()  # B G-1
    teacher_margin = teacher[:, :1].float() - teacher[:, 1:].float()  # B G-1
    return F.mse_loss(student_margin, teacher_margin)
