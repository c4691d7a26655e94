"""Which table, head and similarity give the numbers that a loss gave? Its one parameter and its factor are solved for.

With value L1 and L2 on two batches and R1(t), R2(t) of a candidate at parameter t, L1*R2(t) = L2*R1(t) whatever
constant the loss is multiplied by. Its roots are few, and a third batch and the gradient of every row settle them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import cells
from .case import Case, Kind
from .cells import Head, Table
from .similarity import Similarity
from .structures import Structure
from .subject import Outcome


@dataclass(frozen=True)
class NamedHead:
    """What is done with a row of scores; `grid` is the parameter's range; `bug` where it is a known mistake."""

    name: str
    head: Head
    grid: str = "scale"
    bug: str = ""
    code: str = ""
    fix: str = ""
    sums: bool = False  # its rows are sums over cells


SOFTMAX = NamedHead("softmax cross-entropy", cells.softmax)
RIGHT_HEADS = (
    SOFTMAX,
    NamedHead("decoupled softmax (the positive is not in its denominator)", cells.decoupled),
    NamedHead("softmax with the positives' shares summed", cells.softmax_of_sum),
    NamedHead("logistic loss of pairs", cells.logistic),
    NamedHead("hinge over all negatives", cells.hinge, "margin"),
    NamedHead("hinge on the hardest negative", cells.hardest, "margin"),
    NamedHead("sigmoid of each pair", cells.sigmoid, sums=True),
    NamedHead("sigmoid of each pair with a bias of -2", cells.sigmoid_with_bias(-2.0), sums=True),
    NamedHead("sigmoid of each pair with a bias of -10", cells.sigmoid_with_bias(-10.0), sums=True),
    NamedHead("1 - similarity of the positive", cells.attract, "none"),
    NamedHead("minus the similarity of the positive", cells.attract_signed, "none"),
    *(NamedHead(f"softmax with {share:g} label smoothing", cells.smoothed(share)) for share in (0.05, 0.1, 0.2)),
    *(
        NamedHead(f"softmax with an additive margin of {m:g}", cells.with_margin(m))
        for m in (0.02, 0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5)
    ),
)
_ONE_SCALE = "divide all scores by the temperature once, before the softmax"
WRONG_HEADS = (
    NamedHead(
        "softmax twice",
        cells.twice,
        bug="the cross-entropy is given probabilities: the softmax is taken twice",
        fix="give cross_entropy the scores themselves",
    ),
    NamedHead(
        "log left out",
        cells.probability,
        bug="the loss is minus the probability: the log was left out",
        fix="log_softmax instead of softmax",
    ),
    NamedHead(
        "positive unscaled",
        cells.positive_unscaled,
        bug="the temperature is left out of the positive's score",
        fix=_ONE_SCALE,
    ),
    NamedHead(
        "negatives unscaled",
        cells.negatives_unscaled,
        bug="the temperature is left out of the negatives' scores",
        fix=_ONE_SCALE,
    ),
    NamedHead(
        "numerator unscaled",
        cells.numerator_unscaled,
        bug="the temperature is left out of the numerator",
        fix=_ONE_SCALE,
    ),
    NamedHead(
        "denominator unscaled",
        cells.denominator_unscaled,
        bug="the temperature is left out of the denominator",
        fix=_ONE_SCALE,
    ),
    NamedHead(
        "hinge turned",
        cells.hinge_turned,
        "margin",
        bug="positive and negative are exchanged in the hinge",
        fix="relu(margin + negative - positive) of similarities",
    ),
)
LATER_WRONG_HEADS = (  # of the common structures alone
    NamedHead(
        "a score of 0 among the candidates",
        cells.with_zero,
        bug="one candidate more that scores 0: a running sum that starts at exp(0), or a mask that multiplies scores",
        fix="mask with -inf, and start a running logsumexp at -inf",
    ),
    NamedHead(
        "the positive counts twice",
        cells.positive_twice,
        bug="the positive is among the negatives too: it counts twice in its denominator",
        fix="leave the positive out where negatives are gathered",
    ),
    NamedHead(
        "margin of the wrong sign",
        cells.hinge,
        "below",
        bug="the margin has the wrong sign: negatives count only once they are nearer than the positive by it",
        fix="relu(margin + negative - positive) of similarities",
    ),
    *(
        NamedHead(
            f"margin of the wrong sign, {m:g}",
            cells.with_margin(-m),
            bug=f"the positive's score is raised by a margin of {m:g}, where it must be lowered",
            fix="subtract the margin from the positive's score",
        )
        for m in (0.1, 0.2, 0.3, 0.35, 0.4, 0.5)
    ),
)

_SCALES = (
    torch.cat(
        [
            torch.logspace(-2, 3.2, 64, dtype=torch.float64),
            torch.tensor([1.0, 10, 20, 50, 100, 1 / 0.07, 5, 2, 0.5, 1 / 0.03], dtype=torch.float64),
        ]
    )
    .sort()
    .values
)
_MARGINS = torch.cat([torch.linspace(0, 3, 61, dtype=torch.float64), torch.linspace(3.5, 12, 18, dtype=torch.float64)])
_GRIDS = {
    "scale": _SCALES,
    "margin": _MARGINS,
    "below": -_MARGINS[1:].flip(0),
    "none": torch.ones(1, dtype=torch.float64),
    "negative": -_SCALES.flip(0),
}


@dataclass(frozen=True)
class Candidate:
    """A table under a head and a similarity: a function of a batch and of one parameter."""

    structure: Structure
    head: NamedHead
    similarity: Similarity

    def values(self, case: Case, parameters: Tensor, similarity: Tensor | None = None) -> Tensor:
        """Values at each of the parameters, `[K]`."""
        seen = self.similarity(case) if similarity is None else similarity
        total = torch.zeros(len(parameters), dtype=torch.float64)
        for build in self.structure.parts:
            made = build(case)
            total = total + cells.rows_mean(self.head.head(cells.scores(seen, made), made, parameters), made)
        return total / len(self.structure.parts)

    def outcome(self, case: Case, parameter: float) -> Outcome:
        """Value and gradient at one parameter."""
        rows = case.rows.detach().clone().requires_grad_()
        value = self.values(case.with_rows(rows), torch.tensor([parameter], dtype=torch.float64))[0]
        (gradient,) = torch.autograd.grad(value, rows, allow_unused=True) if value.requires_grad else (None,)
        return Outcome(value.item(), torch.zeros_like(rows) if gradient is None else gradient)


@dataclass(frozen=True)
class Fit:
    """A candidate that gives the same values, its parameter, the constant factor, and how far its gradient is off."""

    candidate: Any  # a Candidate or a FormulaCandidate
    parameter: float
    factor: float
    gradient_error: float
    loose: float
    parts: tuple[tuple[float, float], ...]  # of each part of the rows: cosine and ratio of the two gradients

    @property
    def exact(self) -> bool:
        return self.gradient_error < (1e-3 if self.loose <= 1e-5 else 2e-2)

    @property
    def explained(self) -> bool:
        """Though the gradient is wrong: is each part of it there, or missing, or a multiple of what it must be?"""
        whole = [abs(along - 1) < 1e-3 for along, ratio in self.parts if ratio > 1e-9]
        return all(whole) and any(whole)


@dataclass(frozen=True)
class Sample:
    """Batches of one size and what the loss gave on them."""

    cases: tuple[Case, ...]
    outcomes: tuple[Outcome, ...]
    loose: float = 1e-5  # relative error of the values: more where the loss insists on float32


def matches(sample: Sample, candidates: Iterable[Any], turned: bool = False) -> Iterator[Fit]:
    """Candidates that give all values of the sample, the gradient's error measured too."""
    first = sample.cases[0]
    if all(abs(outcome.value) < 1e-12 for outcome in sample.outcomes[:2]):  # every parameter would solve that
        return
    similarities: dict[Similarity, list[Tensor]] = {}
    tables: dict[tuple[Callable[[Case], Table], int], Table] = {}

    def values(candidate: Any, number: int, parameters: Tensor) -> Tensor:
        seen = similarities[candidate.similarity][number]
        if not candidate.structure.parts:
            given: Tensor = candidate.values(sample.cases[number], parameters, seen)
            return given
        total = torch.zeros(len(parameters), dtype=torch.float64)
        for build in candidate.structure.parts:
            key = (build, number)
            if key not in tables:
                tables[key] = build(sample.cases[number])
            made = tables[key]
            total = total + cells.rows_mean(candidate.head.head(cells.scores(seen, made), made, parameters), made)
        return total / len(candidate.structure.parts)

    for candidate in candidates:
        if (
            first.kind not in candidate.structure.kinds
            or not candidate.structure.only(first)
            or not candidate.similarity.fits(first)
        ):
            continue
        if candidate.similarity not in similarities:
            similarities[candidate.similarity] = [candidate.similarity(case) for case in sample.cases]
        grid = _GRIDS["negative" if turned and candidate.head.grid == "scale" else candidate.head.grid]
        for parameter in _roots(sample, lambda n, t, c=candidate: values(c, n, t), grid):  # type: ignore[misc]
            fit = _confirmed(sample, candidate, parameter, lambda n, t, c=candidate: values(c, n, t))  # type: ignore[misc]
            if fit is not None:
                yield fit


def _cross(sample: Sample, values: Callable[[int, Tensor], Tensor], parameters: Tensor) -> Tensor:
    one, two = sample.outcomes[0].value, sample.outcomes[1].value
    first, second = values(0, parameters), values(1, parameters)
    size = (abs(one) * second.abs() + abs(two) * first.abs()).clamp_min(1e-300)
    return (one * second - two * first) / size


def _roots(sample: Sample, values: Callable[[int, Tensor], Tensor], grid: Tensor) -> Iterator[float]:
    found = _cross(sample, values, grid)
    near = (found.abs() < 1e-9).nonzero().flatten()
    yield from grid[near].tolist()
    if len(grid) == 1:
        if len(near) == 0 and found.abs().item() < sample.loose:
            yield float(grid[0])
        return
    signs = torch.sign(found)
    for k in ((signs[:-1] * signs[1:]) < 0).nonzero().flatten().tolist():
        low, high = float(grid[k]), float(grid[k + 1])
        for _ in range(5):
            inner = torch.linspace(low, high, 33, dtype=torch.float64)
            turns = torch.sign(_cross(sample, values, inner))
            change = ((turns[:-1] * turns[1:]) <= 0).nonzero().flatten()
            if len(change) == 0:
                break
            low, high = float(inner[change[0]]), float(inner[change[0] + 1])
        yield (low + high) / 2
    if sample.loose > 1e-5:  # float32: the difference may touch zero without crossing it
        k = int(found.abs().nan_to_num(1e9).argmin())
        if float(found[k].abs()) < sample.loose:
            yield float(grid[k])


def _confirmed(sample: Sample, candidate: Any, parameter: float, values: Callable[[int, Tensor], Tensor]) -> Fit | None:
    at = torch.tensor([parameter], dtype=torch.float64)
    factors = []
    for number, outcome in enumerate(sample.outcomes):
        value = float(values(number, at)[0])
        if abs(value) < 1e-12 or value != value:
            return None
        factors.append(outcome.value / value)
    middle = sorted(factors)[len(factors) // 2]
    if middle <= 0 or max(factors) - min(factors) > max(sample.loose * 3, 1e-5) * abs(middle):
        return None
    wanted = candidate.outcome(sample.cases[-1], parameter).gradient * middle
    seen = sample.outcomes[-1].gradient
    error = float((seen - wanted).norm() / wanted.norm().clamp_min(1e-30))
    return Fit(candidate, parameter, middle, error, sample.loose, _parts(sample.cases[-1], seen, wanted))


def _parts(case: Case, seen: Tensor, wanted: Tensor) -> tuple[tuple[float, float], ...]:
    """Cosine and ratio of lengths: of queries, positives, negatives; of all rows where there are no roles."""
    cuts = [slice(None)]
    if case.kind in (Kind.GROUPS, Kind.GRADED):
        cuts = [slice(0, case.batch), slice(case.batch, None, case.group)]
    found = []
    for cut in cuts:
        one, other = seen[cut].flatten(), wanted[cut].flatten()
        ratio = float(one.norm() / other.norm().clamp_min(1e-300))
        found.append((float(torch.nn.functional.cosine_similarity(one, other, dim=0)), ratio))
    return tuple(found)
