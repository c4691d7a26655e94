"""A loss that ranks nothing by itself: it evens out similarities, or only pushes embeddings apart."""

from __future__ import annotations

import torch

from .case import Case, Kind
from .engine import Working
from .meeting import coefficients, pulls
from .subject import Outcome, Subject

EVEN = 0.2  # a net pull below this share of all pulls is none


def says(working: Working) -> str | None:
    """Why it is no matter that embeddings which follow it are not in order; None where it does matter."""
    if working.how.kind is not Kind.CLASSES or working.how.alone:
        return None
    for near in (True, False):
        shares = [_net(case, outcome, near) for case, outcome in zip(working.sample.cases, working.sample.outcomes)]
        if any(share is None for share in shares):
            return None
        if abs(sum(share for share in shares if share is not None)) / len(shares) > EVEN:
            return None
    return (
        "it draws rows of one label together as much as it pushes them apart, and others too: it evens similarities "
        "out, and ranks nothing by itself"
    )


def _net(case: Case, outcome: Outcome, near: bool) -> float | None:
    """Sum of the pulls on pairs of one label (or of two) over the sum of their sizes."""
    solved, left = coefficients(case.rows, outcome.gradient)
    if left > 1e-6:
        return None
    same = case.labels == case.labels[:, None]
    chosen = -solved[(same if near else ~same) & ~torch.eye(len(same), dtype=torch.bool)]
    size = float(chosen.abs().sum())
    return float(chosen.sum()) / size if size > 1e-9 * float(solved.abs().sum()) else 0.0


def evens_out(subject: Subject, working: Working) -> bool:
    """Does it push similarities towards zero, and not down: where they are below zero, does it draw?"""
    case = working.sample.cases[0]
    side = torch.where(torch.arange(len(case.rows)) < case.batch, -1.0, 1.0)[:, None]
    turned = case.with_rows(case.rows * side.to(case.rows.dtype))
    before, after = (pulls(c, subject.run(c, working.how, working.dtype)) for c in (case, turned))
    return before is not None and after is not None and float(before.sum()) * float(after.sum()) < 0


def only_pushes(working: Working) -> bool:
    """Of groups: is no query drawn to its own positive, in any batch?"""
    if working.how.kind is not Kind.GROUPS:
        return False
    for case, outcome in zip(working.sample.cases, working.sample.outcomes):
        seen = pulls(case, outcome)
        if seen is None:
            return False
        own = seen[torch.arange(case.batch), torch.arange(case.batch) * case.group]
        if float(own.abs().max()) > 1e-6 * float(seen.abs().max()):
            return False
    return True
