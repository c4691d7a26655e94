"""What an argument may be given: roles, and the value of each for a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .case import Case
from .stand_in import Tokens, tokens

TEMPERATURE = 0.05
LOG_SCALE = 3.0  # as a scale it is 3, as the logarithm of one it is 20


def _columns(case: Case) -> list[Tensor]:
    return [case.queries, *(case.passages[:, k] for k in range(case.group))]


def _token_columns(case: Case) -> list[Tensor]:
    b, g = case.batch, case.group
    places = b + torch.arange(b)[:, None] * g + torch.arange(g)
    return [torch.arange(b), *(places[:, k] for k in range(g))]


ROLES: dict[str, Callable[[Case], Any]] = {
    "queries": lambda c: c.queries,
    "passages": lambda c: c.rows[c.batch :],
    "passages [B, G, D]": lambda c: c.passages,
    "positives": lambda c: c.passages[:, 0],
    "positives [B, 1, D]": lambda c: c.passages[:, :1],
    "queries [B, 1, D]": lambda c: c.queries.unsqueeze(1),
    "negative": lambda c: c.passages[:, 1],
    "negatives [B, G-1, D]": lambda c: c.passages[:, 1:],
    "negatives": lambda c: c.passages[:, 1:].flatten(0, 1),
    "columns": _columns,
    "stacked": lambda c: torch.cat([c.queries, c.passages[:, 0]]),
    "interleaved": lambda c: torch.stack([c.queries, c.passages[:, 0]], 1).flatten(0, 1),
    "two views": lambda c: torch.stack([c.queries, c.passages[:, 0]], 1),
    "list of two": lambda c: [c.queries, c.passages[:, 0]],
    "views": lambda c: c.views,
    "views [N, D]": lambda c: c.rows,
    "labels of views": lambda c: c.labels.repeat_interleave(c.group),
    "rows": lambda c: c.rows,
    "labels": lambda c: c.labels,
    "labels of stacked": lambda c: c.labels.repeat(2),
    "target": lambda c: torch.arange(c.batch) * c.group,
    "zeros": lambda c: torch.zeros(c.batch, dtype=torch.long),
    "grades": lambda c: c.grades.to(c.rows.dtype),
    "signs": lambda c: (c.grades * 2 - 1).to(c.rows.dtype),
    "binary labels": lambda c: c.grades.long(),
    "teacher": lambda c: c.teacher.to(c.rows.dtype),
    "teacher embeddings": lambda c: c.passages[:, 0].detach(),
    "teacher [B*G]": lambda c: c.teacher.flatten().to(c.rows.dtype),
    "teacher positive": lambda c: c.teacher[:, 0].to(c.rows.dtype),
    "teacher negative": lambda c: c.teacher[:, 1].to(c.rows.dtype),
    "teacher margin": lambda c: (c.teacher[:, 0] - c.teacher[:, 1]).to(c.rows.dtype),
    "own scores": lambda c: torch.einsum("bd,bgd->bg", c.queries, c.passages),
    "all scores": lambda c: c.queries @ c.rows[c.batch :].T,
    "query tokens": lambda c: Tokens(tokens(torch.arange(c.batch))),
    "passage tokens": lambda c: Tokens(tokens(c.batch + torch.arange(c.batch * c.group))),
    "positive tokens": lambda c: Tokens(tokens(_token_columns(c)[1])),
    "negative tokens": lambda c: Tokens(tokens(_token_columns(c)[2])),
    "negatives tokens": lambda c: Tokens(tokens(torch.stack(_token_columns(c)[2:], 1).flatten())),
    "query ids": lambda c: tokens(torch.arange(c.batch))["input_ids"],
    "passage ids": lambda c: tokens(c.batch + torch.arange(c.batch * c.group))["input_ids"],
    "query mask": lambda c: tokens(torch.arange(c.batch))["attention_mask"],
    "passage mask": lambda c: tokens(c.batch + torch.arange(c.batch * c.group))["attention_mask"],
    "features": lambda c: [tokens(place) for place in _token_columns(c)],
    "features of rows": lambda c: [tokens(torch.arange(len(c.rows)))],
    "token batch": lambda c: Tokens(
        query=Tokens(tokens(torch.arange(c.batch))), passage=Tokens(tokens(c.batch + torch.arange(c.batch * c.group)))
    ),
    "none": lambda c: None,
    "mask of positives": lambda c: torch.arange(c.batch * c.group) == torch.arange(c.batch)[:, None] * c.group,
    "grades row by row": lambda c: c.grades.to(c.rows.dtype).repeat_interleave(2),
    "list of queries": lambda c: [c.queries],
    "features of queries": lambda c: [tokens(torch.arange(c.batch))],
    "other views": lambda c: c.views[:, 1:],
    "group": lambda c: c.group,
    "negatives count": lambda c: c.group - 1,
    "batch": lambda c: c.batch,
    "temperature": lambda c: TEMPERATURE,
    "scale": lambda c: 1 / TEMPERATURE,
    "log scale": lambda c: torch.tensor(LOG_SCALE, dtype=c.rows.dtype),
    "bias": lambda c: torch.tensor(-2.0, dtype=c.rows.dtype),
    "margin": lambda c: 0.5,
    "ids of passages": lambda c: torch.arange(c.batch * c.group),
    "ids, two alike": lambda c: torch.arange(c.batch * c.group).masked_fill_(
        torch.arange(c.batch * c.group) == c.group, 0
    ),
    "weights": lambda c: torch.ones(c.batch, dtype=c.rows.dtype),
    "unequal weights": lambda c: (0.5 + c.grades).to(c.rows.dtype),
    "one": lambda c: 1,
    "nought": lambda c: 0,
}


def make(role: str, case: Case) -> Any:
    """The value of a role for a batch. KeyError for an unknown role."""
    if role.startswith("column "):
        return _columns(case)[int(role.removeprefix("column "))]
    if role.startswith("view "):
        return case.views[:, int(role.removeprefix("view "))]
    if role.startswith("weight of "):
        return (torch.arange(case.batch) == int(role.split()[2])).to(case.rows.dtype)
    if role == "columns of passages":
        return _columns(case)[1:]
    return ROLES[role](case)
