"""Laws of the score table: what a loss must do to one score, in batches whose scores are chosen.

Queries are orthonormal, so that each passage's scores with all queries can be set at will. Of a loss that is a function
of scores, the gradient then says the slope by each score: minus that is the pull on the pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .case import Case, Kind
from .engine import Working
from .finding import Check, Grade
from .meeting import coefficients
from .names import guess
from .numbers import STEP, numbers
from .subject import Subject
from .target import CannotCall

GAPS = (0.003, 0.01, 0.03, 0.1, 0.3, 0.6)  # between the positive's score and the others
NOTHING = 1e-6  # of the largest pull: none


@dataclass(frozen=True)
class Pulls:
    """How strongly pairs are drawn together when all queries are in one and the same position.

    `[B, G]`: row 0 is the own group, its first column the positive; row k is the group of the k-th query after.
    """

    drawn: Tensor

    @property
    def positive(self) -> float:
        return float(self.drawn[0, 0])

    @property
    def own(self) -> Tensor:
        return -self.drawn[0, 1:]

    @property
    def others(self) -> Tensor:
        return -self.drawn[1:]

    @property
    def pushed(self) -> float:
        """Sum of all pushes on negatives."""
        return float(self.own.sum() + self.others.sum())


@dataclass(frozen=True)
class Probe:
    """Asks one call of a loss about score tables."""

    subject: Subject
    working: Working
    length: float = 1.0  # of every embedding

    @property
    def batch(self) -> int:
        return 6 if self.working.how.group == 1 else 5

    @property
    def group(self) -> int:
        return self.working.how.group or 3

    def rows(self, scores: Tensor) -> Tensor | None:
        """Embeddings `[B + B*G, D]` with these scores `[B, B*G]`, up to the length; None where there are none."""
        b, count = scores.shape
        width = self.working.sample.cases[0].rows.shape[1]
        left = 1 - scores.square().sum(0)
        if width < b + count or bool((left <= 0.01).any()):
            return None
        rows = torch.zeros(b + count, width, dtype=torch.float64)
        rows[:b, :b] = torch.eye(b, dtype=torch.float64)
        rows[b:, :b] = scores.T
        rows[b:, b : b + count] = torch.diag(left.sqrt())
        return rows * self.length

    def coefficients(self, scores: Tensor) -> Tensor | None:
        """How strongly each row is pushed along each other `[N, N]`; None where the gradient is no such combination."""
        rows = self.rows(scores)
        if rows is None:
            return None
        case: Case = self.working.how.draw(self.batch, self.group, seed=3).with_rows(rows)
        outcome = self.subject.run(case, self.working.how, self.working.dtype)
        solved, left = coefficients(rows, outcome.gradient)
        return solved if left <= 1e-6 and bool(solved.isfinite().all()) else None

    def slopes(self, scores: Tensor) -> tuple[Tensor, Tensor] | None:
        """Slope by each score, as queries feel it and as passages feel it, `[B, B*G]` each."""
        solved = self.coefficients(scores)
        b = scores.shape[0]
        return None if solved is None else (solved[:b, b:], solved[b:, :b].T)

    def two_below(self, gap: float) -> tuple[float, float]:
        """Pushes on two negatives below the positive by the gap and by twice as much; 0 where they can't be told."""
        b, g, top = self.batch, self.group, 0.2
        if g > 2:
            found = self.of([top, top - gap, top - 2 * gap, *[top - 2 * gap] * (g - 3)], 0.0)
            return (0.0, 0.0) if found is None else (float(found.own[0]), float(found.own[1]))
        others = [[0.0] * g for _ in range(1, b)]
        others[0], others[-1] = [top - gap] * g, [top - 2 * gap] * g
        found = self.of([top] * g, others)
        return (0.0, 0.0) if found is None else (float(found.others[0, 0]), float(found.others[-1, 0]))

    def sharpness(self) -> float | None:
        """How fast the push on a negative grows with its score: the scale of a softmax."""
        for gap in GAPS[1:5]:
            near, far = self.two_below(gap)
            if far > 0 and 1 + 1e-6 < near / far < 1e6:
                return math.log(near / far) / gap
        return None

    def of(self, own: list[float], others: list[list[float]] | float = 0.0) -> Pulls | None:
        """Pulls where every query has these scores with its own group, and with those of the queries after it."""
        b, g = self.batch, self.group
        one = torch.zeros(b, g, dtype=torch.float64)
        one[0] = torch.tensor(own, dtype=torch.float64)
        one[1:] = torch.tensor(others, dtype=torch.float64)
        scores = torch.stack([one.roll(i, 0).flatten() for i in range(b)])
        found = self.slopes(scores)
        if found is None:
            return None
        felt = found[0] if float(found[0].norm()) > 0 else found[1]
        turned = torch.stack([felt[i].view(b, g).roll(-i, 0) for i in range(b)])
        return Pulls(-turned.mean(0))


def ask(subject: Subject, working: Working) -> Iterator[Check]:
    """Every law, of a loss that ranks passages for queries by scores; nothing where it isn't one."""
    how = working.how
    if how.kind is not Kind.GROUPS or how.taught or how.role_of("teacher embeddings"):
        return
    if working.dtype != torch.float64 or not _of_products(subject, working):
        return
    lengths = (1.0,) if all(working.free) else (1.0, 5.0)
    found: dict[str, Check] = {}
    for length in lengths:
        try:
            for check in _asked(Probe(subject, working, length)):
                if check.name not in found or check.grade is Grade.OK:  # a law that holds at one length is kept
                    found[check.name] = check
        except CannotCall:
            continue
    yield from found.values()


def _of_products(subject: Subject, working: Working) -> bool:
    """Is it a function of products of embeddings: does it stay when all are rotated? (Slices of features do not.)"""
    case, before = working.sample.cases[0], working.sample.outcomes[0].value
    width = case.rows.shape[1]
    generator = torch.Generator().manual_seed(8)
    turn, _ = torch.linalg.qr(torch.randn(width, width, dtype=case.rows.dtype, generator=generator))
    after = subject.run(case.with_rows(case.rows @ turn), working.how, working.dtype).value
    return abs(after - before) <= 1e-6 * max(abs(before), 1e-6)


def _felt(probe: Probe) -> Iterator[Check]:
    """A score's slope is felt by the query and by the passage, and it is one slope."""
    generator = torch.Generator().manual_seed(7)
    b, g = probe.batch, probe.group
    scores = 0.5 * torch.rand(b, b * g, dtype=torch.float64, generator=generator) - 0.25
    solved = probe.coefficients(scores)
    if solved is None:
        return
    by_query, by_passage = solved[:b, b:], solved[b:, :b].T
    size = max(float(by_query.abs().max()), float(by_passage.abs().max()))
    if min(float(by_query.abs().max()), float(by_passage.abs().max())) <= NOTHING * size:
        return  # a whole side is held still: asked elsewhere
    own = torch.arange(b * g)[None, :] == torch.arange(b)[:, None] * g
    apart = (by_query - by_passage).abs() > 1e-3 * torch.maximum(by_query.abs(), by_passage.abs()).clamp_min(
        1e-6 * size
    )
    yield _check(
        "both ends of a positive pair",
        not bool(apart[own].any()),
        "a query and its positive feel different pulls of one score: one of them is detached in the positive's term, "
        "or the positive is among the negatives without its gradient",
    )
    for what, block in (("queries", solved[:b, :b]), ("passages", solved[b:, b:])):
        block = block - torch.diag(block.diagonal())
        if float((block - block.T).abs().max()) > max(1e-3 * float(block.abs().max()), 1e-6 * size):
            yield Check(
                f"both ends of a pair of {what}",
                Grade.WRONG,
                f"{what} are compared with each other, and the two of a pair feel different pulls: one is detached",
            )
    rest = apart[~own]
    yield _check(
        "both ends of a negative pair",
        bool(rest.all()) or not bool(rest.any()),
        "some negatives feel the pull that their query feels, and others do not: part of them is detached",
    )


def _rows_apart(probe: Probe) -> Iterator[Check]:
    """Where a row's pulls depend on that row of scores alone, they do so for large changes too, masks included.

    Where columns count as rows do, only the pulls that share neither a row nor a column with the change are looked at.
    """
    if probe.working.how.group not in (None, 1):
        return
    generator = torch.Generator().manual_seed(9)
    b, g = probe.batch, probe.group
    both = _both_ways(probe)
    for _ in range(3):
        scores = 0.5 * torch.rand(b, b * g, dtype=torch.float64, generator=generator) - 0.25
        fresh = 0.5 * torch.rand(b * g, dtype=torch.float64, generator=generator) - 0.25
        end = g if both else b * g
        other, near = scores.clone(), scores.clone()
        other[0, :end] = fresh[:end]
        near[0, :end] += 1e-6 * (fresh - scores[0])[:end]
        start = g if both else 0
        found = [probe.slopes(table) for table in (scores, near, other)]
        pulls = [one[0][1:, start:].flatten() for one in found if one is not None]
        if len(pulls) < 3 or not all(float(one.norm()) for one in pulls):
            return
        first = pulls[0]
        left = [float((one - first * (one @ first) / (first @ first)).norm() / one.norm()) for one in pulls[1:]]
        if left[0] > 1e-9:  # the way back, or a row that is normalised with others: asked elsewhere
            return
        if left[1] > 1e-6:
            yield Check(
                "rows by themselves",
                Grade.WRONG,
                "whom a query is drawn to changes with another's scores, in jumps: its mask, threshold or positive is "
                "taken from other rows (from its columns, from the transpose, or from a mean)",
            )
            return
    yield Check("rows by themselves", Grade.OK)


def _both_ways(probe: Probe) -> bool:
    """Are queries and positives exchangeable? Then columns count as rows do."""
    case = probe.working.how.draw(6, 1, seed=23, spread=0.35)
    turned = case.with_rows(torch.cat([case.rows[6:], case.rows[:6]]))
    values = [probe.subject.run(one, probe.working.how, probe.working.dtype).value for one in (case, turned)]
    return abs(values[0] - values[1]) <= 1e-6 * max(abs(values[0]), 1e-6)


def _check(name: str, ok: bool, sentence: str) -> Check:
    return Check(name, Grade.OK if ok else Grade.WRONG, "" if ok else sentence)


def _asked(probe: Probe) -> Iterator[Check]:
    yield from _felt(probe)
    yield from _rows_apart(probe)
    level = [0.0] * (probe.group - 1)
    tie = probe.of([0.0, *level])
    under = [probe.of([-gap, *level]) for gap in GAPS]
    over = [probe.of([gap, *level]) for gap in GAPS]
    if tie is None or any(p is None for p in (*under, *over)):
        return
    below = [p for p in under if p is not None]
    above = [p for p in over if p is not None]
    every = [tie, *below, *above]
    size = max(float(p.drawn.abs().max()) for p in every)
    if not size or all(p.pushed <= NOTHING * size for p in every):
        return  # it only draws: no ranking by scores
    least = min(p.positive for p in (tie, *below))
    yield _check(
        "a positive that scores low",
        least > -1e-3 * size,
        "a positive that scores lower than the negatives is pushed further away: the weight of a row falls as the row "
        "gets worse",
    )
    yield _check(
        "negatives below the positive",
        any(p.pushed > NOTHING * size for p in above),
        "negatives are pushed away only once they score above the positive: a margin has the wrong sign, or a mask of "
        "false negatives leaves out the others",
    )
    yield from _margin(tie, below)
    yield from _alike(probe, size)
    yield from _hardest(probe, size)
    yield from _temperature(probe)


def _margin(tie: Pulls, below: list[Pulls]) -> Iterator[Check]:
    """Where all scores are equal the positive must be drawn nearly as strongly as ever."""
    strongest = max(p.positive for p in below)
    if strongest <= 0:
        return
    alive = int((torch.cat([tie.own, tie.others.flatten()]).abs() > 1e-3 * tie.drawn.abs().max()).sum())
    share = max(alive, 1) / (max(alive, 1) + 1)
    yield _check(
        "equal scores",
        tie.positive >= 0.8 * share * strongest,
        f"where all scores are equal the positive is drawn with {tie.positive / strongest:.2g} of the force with which "
        f"a lower one is, where a softmax has {share:.2g}: it is helped by a margin or bias of the wrong sign, "
        "or most of the target is spread over the negatives",
    )


def _alike(probe: Probe, size: float) -> Iterator[Check]:
    """Own negatives and those of others, at equal scores just below the positive."""
    if probe.group < 2:
        return
    seen = [p for gap in (0.003, 0.03, 0.1) if (p := probe.of([gap, *[0.0] * (probe.group - 1)])) is not None]
    own = sum(float(p.own.mean()) for p in seen)
    others = sum(float(p.others[:, 1:].mean()) for p in seen)
    if others <= 1e-4 * size:
        return
    yield _check(
        "own negatives as others'",
        own > 0.7 * others,
        f"own negatives are pushed away with {max(own, 0.0) / others:.2g} of the force with which others' are, at "
        "equal scores: they are masked, or a margin that the positive pays is taken off them too",
    )


def _hardest(probe: Probe, size: float) -> Iterator[Check]:
    """Of two negatives below the positive the nearer one is pushed no less."""
    pairs = [probe.two_below(gap) for gap in GAPS[1:5]]
    net, whole = sum(near - far for near, far in pairs), sum(abs(near) + abs(far) for near, far in pairs)
    if whole > 1e-4 * size:
        yield _check(
            "the hardest negative",
            net > -0.05 * whole,
            "of two negatives below the positive the lower one is pushed harder: weights favour easy negatives",
        )


def _temperature(probe: Probe) -> Iterator[Check]:
    """Does the sharpness follow what is called a temperature, in the power -1?"""
    named = [n for n in numbers(probe.subject) if guess(n.name.rpartition(".")[2]) == "temperature"]
    before = probe.sharpness() if named else None
    if before is None:
        return
    for number in named:
        try:
            after = replace(probe, subject=number.moved(STEP)).sharpness()
        except (CannotCall, TypeError, ValueError):
            continue
        if after is None:
            continue
        power = math.log(after / before) / math.log(STEP)
        if abs(power - 1) < 0.05 and 0 < number.value < 1:
            says = f"the scores are multiplied by {number.name} = {number.value:g}, not divided"
        elif abs(power + 2) < 0.05:
            says = f"the temperature is applied twice: {number.name} = {number.value:g} divides the scores two times"
        else:
            continue
        yield Check("temperature", Grade.WRONG, says)
        return
