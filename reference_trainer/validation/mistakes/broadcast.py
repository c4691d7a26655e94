"""A column `[B, 1]` that met a row `[B]`: values of every item beside those of every other."""

from __future__ import annotations

import torch

from ..case import Case
from ..cells import Table, table
from ..structures import passage, positives, queries
from .entry import bug, negatives

_SHAPE = "give both sides one shape, `[B]`: `.squeeze(-1)` the column, or `keepdim=True` on both"


def every_negative(case: Case) -> Table:
    """Row r: its own positive's similarity, against the similarity of every item with its own negatives."""
    b, g = case.batch, case.group
    cells = torch.arange(b * (g - 1))
    owner, place = cells // (g - 1), cells % (g - 1) + 1
    rows = queries(case)[:, None]
    left = torch.cat([rows, owner.expand(b, -1)], 1)
    right = torch.cat([positives(case)[:, None], passage(case, owner, place).expand(b, -1)], 1)
    return table(left, right, torch.arange(1 + len(cells)) == 0)


BROADCAST = (
    bug(
        "column against row",
        "one side has shape [B], the other [B, 1]: each item's positive is compared with every item's negatives",
        every_negative,
        "SC102",
        _SHAPE,
        only=negatives,
        wide=True,
    ),
)
