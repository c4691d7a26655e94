"""The same question at many sizes, B=1, G=1, B=G and odd ones among them; and how the value is averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from .binding import Binding
from .case import Case, Kind
from .finding import Check, Grade
from .matching import Fit
from .subject import Outcome, Subject
from .target import CannotCall

_GROUPS = (
    (1, 1),
    (1, 4),
    (2, 2),
    (3, 1),
    (4, 4),
    (3, 5),
    (6, 2),
    (7, 3),
    (8, 2),
    (9, 2),
    (13, 3),
    (16, 4),
    (17, 2),
    (31, 1),
    (33, 3),
    (63, 2),
    (64, 8),
)
_ITEMS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 16, 17, 31, 33, 63, 64)
_ROWS = (2, 4, 6, 7, 8, 10, 16, 17, 33, 64)
_VIEWS = ((1, 2), (2, 2), (3, 3), (5, 2), (8, 2), (9, 3), (16, 2), (33, 2), (64, 2))

Pattern = Callable[[Case], float]


def rows_of(case: Case) -> int:
    return len(case.rows)


# How a mean over queries may be scaled: by words, and whether it is a known mistake.
REDUCTIONS: tuple[tuple[str, Pattern, str], ...] = (
    ("mean", lambda c: 1.0, ""),
    ("sum over the batch", lambda c: float(c.batch), ""),
    ("sum over all rows", lambda c: float(rows_of(c)), ""),
    ("sum over negatives", lambda c: float(c.group - 1), ""),
    ("sum over queries and negatives", lambda c: float(c.batch * (c.group - 1)), ""),
    ("sum over candidates", lambda c: float(c.batch * c.group - 1), ""),
    ("sum over queries and candidates", lambda c: float(c.batch * (c.batch * c.group - 1)), ""),
    (
        "divided by B twice",
        lambda c: 1.0 / c.batch,
        "the mean over queries is divided by B twice, or taken over all cells of [B, B]: it is B times too small",
    ),
    (
        "mean over all cells [B, G]",
        lambda c: 1.0 / c.group,
        "the loss is a mean over all cells of [B, G], not over queries: it is G times too small",
    ),
    (
        "mean over all cells [B, B*G]",
        lambda c: 1.0 / (c.batch * c.group),
        "the loss is a mean over all cells of [B, B*G], not over queries: it is B*G times too small",
    ),
    (
        "mean over all cells [N, N]",
        lambda c: 1.0 / rows_of(c),
        "the loss is a mean over all cells of [N, N], not over rows: it is N times too small",
    ),
    ("mean over negatives and batch", lambda c: c.batch * c.group / max(c.batch * c.group - 1, 1), ""),
)


@dataclass(frozen=True)
class Reduction:
    """By which pattern the values of all sizes are a mean's multiple, and the constant that is left."""

    name: str
    pattern: Pattern
    constant: float
    mistake: str = ""

    @property
    def sentence(self) -> str:
        return self.name if abs(self.constant - 1) < 1e-4 else f"{self.name}, times {self.constant:.6g}"


@dataclass(frozen=True)
class Asked:
    """One size: the batch, what the loss gave or why it gave nothing, and the definition's answer."""

    case: Case
    seen: Outcome | None
    wanted: Outcome
    error: str = ""

    @property
    def name(self) -> str:
        return size_name(self.case)


def size_name(case: Case) -> str:
    if case.kind is Kind.CLASSES:
        return f"N={case.batch}"
    return f"B={case.batch} {'V' if case.kind is Kind.VIEWS else 'G'}={case.group}"


def sizes_of(how: Binding) -> list[tuple[int, int]]:
    if how.kind is Kind.CLASSES:
        return [(n, 1) for n in _ROWS if not how.balanced or n % 2 == 0]
    if how.kind is Kind.VIEWS:
        return [pair for pair in _VIEWS if how.group in (None, 3) or pair[1] == how.group]
    if how.group is not None:
        return [(b, how.group) for b in _ITEMS]
    return list(_GROUPS)


def ask_all(subject: Subject, how: Binding, fit: Fit, dtype: torch.dtype, spread: float) -> list[Asked]:
    """The loss and its definition at every size."""
    found = []
    for batch, group in sizes_of(how):
        case = how.draw(batch, group, seed=7, spread=spread)
        try:
            wanted = fit.candidate.outcome(case, fit.parameter)
        except (RuntimeError, ValueError, IndexError):
            continue
        try:
            found.append(Asked(case, subject.run(case, how, dtype), wanted))
        except CannotCall as error:
            found.append(Asked(case, None, wanted, str(error)))
    return found


def reduction_of(asked: list[Asked], fit: Fit, base: Case) -> Reduction:
    """The pattern that makes most sizes agree; the mean if none does."""
    best: tuple[int, int, Reduction] | None = None
    points = [
        (a.case, a.seen.value / a.wanted.value) for a in asked if a.seen is not None and abs(a.wanted.value) > 1e-6
    ]
    points.append((base, fit.factor))
    for order, (name, pattern, mistake) in enumerate(REDUCTIONS):
        usable = [(case, ratio / pattern(case)) for case, ratio in points if abs(pattern(case)) > 0]
        constant = fit.factor / pattern(base) if pattern(base) else 0.0
        if not constant:
            continue
        agree = sum(abs(ratio / constant - 1) < 1e-3 for _, ratio in usable)
        if best is None or (agree, -order) > best[:2]:
            best = (agree, -order, Reduction(name, pattern, constant, mistake))
    assert best is not None
    return best[2]


def compare(
    asked: list[Asked], reduction: Reduction, dtype: torch.dtype, lenient: bool, distance: bool
) -> Iterator[Check]:
    """One check a size: value and gradient against the definition. `lenient`: a lone row may be refused."""
    value_loose, slope_loose = (2e-6, 2e-5) if dtype == torch.float64 else (3e-4, 1e-2)
    if distance:  # torch adds 1e-6 to each difference
        value_loose, slope_loose = max(value_loose, 1e-4), max(slope_loose, 1e-3)
    for one in asked:
        tiny = one.case.batch == 1 or one.case.group == 1 or (one.case.kind is Kind.CLASSES and one.case.batch < 4)
        if one.seen is None:
            forgiven = (lenient and tiny) or one.case.group == 1
            yield Check(one.name, Grade.NOTE if forgiven else Grade.WRONG, f"it raises at {one.name}: {one.error}")
            continue
        factor = reduction.constant * reduction.pattern(one.case)
        wanted, seen = one.wanted.value * factor, one.seen.value
        if wanted != wanted or abs(wanted) == float("inf"):
            continue
        slope = one.wanted.gradient * factor
        if tiny and seen != seen and lenient:
            yield Check(one.name, Grade.NOTE, f"it gives {seen} at {one.name}")
            continue
        if not abs(seen - wanted) <= value_loose * max(abs(wanted), 1e-2):
            yield Check(one.name, Grade.WRONG, f"at {one.name} the loss must be {wanted:.6g}, not {seen:.6g}")
            continue
        yield _slopes(one, slope, slope_loose)


def _slopes(one: Asked, slope: torch.Tensor, loose: float) -> Check:
    assert one.seen is not None
    size = slope.norm()
    floor = 1e-7 * one.case.rows.numel() ** 0.5
    error = float((one.seen.gradient - slope).norm())
    if error <= loose * float(size) + floor * (loose / 2e-5):
        return Check(one.name, Grade.OK)
    return Check(
        one.name, Grade.WRONG, f"at {one.name} the value is right but the gradient is not: {_whose(one, slope)}"
    )


def _whose(one: Asked, slope: torch.Tensor) -> str:
    assert one.seen is not None
    seen, case = one.seen.gradient, one.case
    parts: list[tuple[str, torch.Tensor, torch.Tensor]] = [("embeddings", seen, slope)]
    if case.kind in (Kind.GROUPS, Kind.GRADED):
        b, g = case.batch, case.group
        parts = [("queries", seen[:b], slope[:b])]
        grouped, wanted = seen[b:].view(b, g, -1), slope[b:].view(b, g, -1)
        parts += [("positives", grouped[:, 0], wanted[:, 0])]
        if g > 1:
            parts.append(("negatives", grouped[:, 1:], wanted[:, 1:]))
    dead = [
        name
        for name, got, want in parts
        if float(got.norm()) < 1e-9 * float(want.norm() + 1e-30) and float(want.norm()) > 0
    ]
    if dead:
        return f"{' and '.join(dead)} get no gradient, as if they were detached"
    off = []
    for name, got, want in parts:
        size = want.norm().clamp_min(1e-30)
        ratio, error = float(got.norm() / size), float((got - want).norm() / size)
        off.append(f"that of the {name} is {ratio:.4g} times as long, off by {error:.2g}")
    return "; ".join(off)
