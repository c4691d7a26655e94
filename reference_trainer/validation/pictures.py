"""How strongly each query's part of a loss pulls or pushes each passage, as a matrix, and that matrix as a heat map."""

from __future__ import annotations

import html
from dataclasses import dataclass

import torch
from torch import Tensor

from .case import Case, Kind
from .engine import Working, spread_of
from .matching import SOFTMAX, Candidate, Fit
from .meeting import coefficients
from .similarity import COSINE, DOT
from .structures import RIGHT as STRUCTURES
from .subject import Subject
from .target import CannotCall

CELL = 22


@dataclass(frozen=True)
class Picture:
    """`[R, C]`: above zero the loss pulls the two together, below it pushes them apart; `left` was not explained so."""

    title: str
    pull: Tensor
    group: int
    left: float = 0.0


def case_for(working: Working) -> Case:
    """Few enough rows that the gradient tells the share of every pair."""
    kind, fixed = working.how.kind, working.how.group
    batch, group = {Kind.CLASSES: (12, 1), Kind.VIEWS: (6, 3), Kind.GRADED: (8, 1), Kind.GROUPS: (5, 3)}[kind]
    return working.how.draw(batch, fixed or group, seed=21, spread=spread_of(working), positive=0.1)


def actual(subject: Subject, working: Working, title: str) -> Picture | None:
    """What the loss does."""
    case = case_for(working)
    try:
        return _picture(case, subject.run(case, working.how, working.dtype).gradient, title)
    except CannotCall:
        return None


def expected(working: Working, fit: Fit | None, title: str = "as it must be") -> Picture | None:
    """What the definition does: that which the loss equals, or the one that a wrong loss comes nearest to."""
    case = case_for(working)
    candidate, parameter = _meant(working, fit)
    if candidate is None or case.kind not in candidate.structure.kinds or not candidate.structure.only(case):
        return None
    return _picture(case, candidate.outcome(case, parameter).gradient, title)


def _meant(working: Working, fit: Fit | None) -> tuple[Candidate | None, float]:
    if fit is None:
        return None, 1.0
    structure = fit.candidate.structure
    if not structure.code and not structure.fix and structure.parts:
        head = SOFTMAX if fit.candidate.head.bug else fit.candidate.head
        wrong = fit.candidate.similarity.bug
        return Candidate(structure, head, COSINE if wrong else fit.candidate.similarity), abs(fit.parameter)
    if not structure.parts:
        return None, 1.0
    name = structure.name
    words = (
        "crossed",
        "own group",
        "in-group",
        "group-major",
        "tiled",
        "softmax over the batch",
        "other groups",
        "groups only",
        "next",
        "first",
        "place",
    )
    wanted = (
        "in-group"
        if working.how.kind is Kind.GROUPS and working.how.group != 1 and any(w in name for w in words)
        else "in-batch"
    )
    if working.how.kind is not Kind.GROUPS:
        wanted = "SupCon"
    elif any(w in structure.says for w in ("view", "partner")) and working.how.group == 1:
        wanted = "NT-Xent"
    found = next(s for s in STRUCTURES if s.name == wanted)
    return Candidate(found, SOFTMAX, COSINE if all(working.free) else DOT), abs(fit.parameter) or 1.0


def _picture(case: Case, gradient: Tensor, title: str) -> Picture:
    solved, left = coefficients(case.rows, gradient)
    if case.kind in (Kind.GROUPS, Kind.GRADED):
        block = solved[: case.batch, case.batch :]
        return Picture(title, -block * case.batch, case.group, left)
    solved = solved - torch.diag(solved.diagonal())
    return Picture(title, -(solved + solved.T) / 2 * len(case.rows), case.group if case.kind is Kind.VIEWS else 1, left)


def heat_map(picture: Picture, most: float) -> str:
    """The matrix as SVG: blue pulls together, red pushes apart, frames are the own groups."""
    rows, columns = picture.pull.shape
    width, height = columns * CELL + 40, rows * CELL + 44
    parts = [f"<text class='t' x='0' y='12'>{html.escape(picture.title)}</text>"]
    for r in range(rows):
        parts.append(f"<text x='16' y='{r * CELL + 39}' text-anchor='end'>{r}</text>")
        for c in range(columns):
            value = float(picture.pull[r, c])
            share = max(-1.0, min(1.0, value / most)) if most else 0.0
            strong = abs(share) ** 0.5
            red, blue = (214, 39, 40), (31, 119, 180)
            shade = blue if share > 0 else red
            colour = ",".join(str(round(255 + (part - 255) * strong)) for part in shade)
            x, y = 22 + c * CELL, 22 + r * CELL
            parts.append(
                f"<rect x='{x}' y='{y}' width='{CELL - 1}' height='{CELL - 1}' fill='rgb({colour})'>"
                f"<title>row {r}, column {c}: {value:+.3g}</title></rect>"
            )
    if picture.group and rows * picture.group == columns:
        for r in range(rows):
            x, y = 22 + r * picture.group * CELL, 22 + r * CELL
            parts.append(
                f"<rect x='{x - 1}' y='{y - 1}' width='{picture.group * CELL}' height='{CELL}' fill='none' "
                "stroke='#222'/>"
            )
    note = (
        "" if picture.left < 1e-3 else f"{100 * picture.left:.0f} % of the gradient does not lie along the embeddings"
    )
    parts.append(f"<text x='22' y='{height - 4}'>{note}</text>")
    return f"<svg viewBox='0 0 {width} {height}' width='{width}' height='{height}'>{''.join(parts)}</svg>"


def strongest(pictures: list[Picture]) -> float:
    return max((float(p.pull.abs().max()) for p in pictures), default=0.0)
