"""One batch of embeddings that a loss is asked about, as rows with a meaning.

All rows are one matrix `[N, D]`. Of groups: B queries, then B*G passages, group after group, the positive first. Of
classes: N rows, each with a label. Of views: V views of each of B items, item after item.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import torch
from torch import Tensor

WIDTH = 24  # where the loss holds no weights of another


class Kind(str, Enum):
    """What the rows of a batch are to each other."""

    GROUPS = "groups"
    CLASSES = "classes"
    VIEWS = "views"
    GRADED = "graded pairs"


@dataclass(frozen=True)
class Case:
    """B, G (V for views), the rows, and whatever is known of them: labels [N], grades [B], teacher [B, G]."""

    kind: Kind
    batch: int
    group: int
    rows: Tensor
    labels: Tensor
    grades: Tensor
    teacher: Tensor

    @property
    def queries(self) -> Tensor:
        return self.rows[: self.batch]

    @property
    def passages(self) -> Tensor:
        return self.rows[self.batch :].view(self.batch, self.group, -1)

    @property
    def views(self) -> Tensor:
        return self.rows.view(self.batch, self.group, -1)

    def with_rows(self, rows: Tensor) -> Case:
        return replace(self, rows=rows)


def count_rows(kind: Kind, batch: int, group: int) -> int:
    return batch if kind is Kind.CLASSES else batch * group if kind is Kind.VIEWS else batch * (group + 1)


def _divisor(count: int) -> int:
    """Of how many labels all may have equally many rows."""
    return next((k for k in (3, 2, 5) if count % k == 0 and count > k), 1)


def draw(
    kind: Kind,
    batch: int,
    group: int,
    seed: int = 0,
    spread: float = 1.0,
    positive: float = 0.5,
    width: int = WIDTH,
    balanced: bool = False,
) -> Case:
    """Rows around a common centre, unequal in length; each positive leans towards its query by `positive`."""
    generator = torch.Generator().manual_seed(seed * 1009 + batch * 31 + group)
    count = count_rows(kind, batch, group)
    noise = torch.randn(count, width, dtype=torch.float64, generator=generator)
    centre = torch.randn(width, dtype=torch.float64, generator=generator)
    labels = torch.arange(batch)
    if kind is Kind.CLASSES:
        labels = torch.arange(batch) % max(1, min(3, batch // 2))
        labels = labels[torch.randperm(batch, generator=generator)]
        labels = torch.arange(batch) // (batch // _divisor(batch)) if balanced else labels
        own = torch.randn(int(labels.max()) + 1, width, dtype=torch.float64, generator=generator)
        noise = noise + positive * own[labels]
    elif kind is Kind.VIEWS:
        own = torch.randn(batch, width, dtype=torch.float64, generator=generator)
        noise = noise + positive * own.repeat_interleave(group, 0)
    elif kind is Kind.GRADED:  # near and far pairs, whatever their label: every branch of a margin is met
        lean = 4 * torch.rand(batch, 1, dtype=torch.float64, generator=generator) - 1
        noise[batch::group] += lean * noise[:batch]
    else:
        noise[batch::group] += positive * noise[:batch]
    rows = torch.nn.functional.normalize(centre + spread * noise, dim=1)
    lengths = 0.8 + 0.4 * torch.rand(count, 1, dtype=torch.float64, generator=generator)
    grades = torch.rand(batch, dtype=torch.float64, generator=generator)
    grades = (torch.arange(batch) % 2).double() if positive < 0 else grades
    teacher = torch.randn(batch, group, dtype=torch.float64, generator=generator)
    return Case(kind, batch, group, rows * lengths, labels, grades, teacher)


def reorder(case: Case, items: Tensor, within: Tensor) -> Case:
    """The same batch with its items in the order `items`, and passages or views of each in the order `within`."""
    if case.kind is Kind.CLASSES:
        return replace(case, rows=case.rows[items], labels=case.labels[items])
    at = places(case, items, within)
    labels, grades, teacher = case.labels[items], case.grades[items], case.teacher[items][:, within]
    return replace(case, rows=case.rows[at], labels=labels, grades=grades, teacher=teacher)


def places(case: Case, items: Tensor, within: Tensor) -> Tensor:
    """Which row of the old batch stands at each place of the reordered one."""
    if case.kind is Kind.CLASSES:
        return items
    inner = (items.unsqueeze(1) * case.group + within).flatten()
    return inner if case.kind is Kind.VIEWS else torch.cat([items, case.batch + inner])
