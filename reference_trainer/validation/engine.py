"""From a function to a judgement: find a call that works, find what it computes, ask the same at many sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from . import formulas
from .attempts import attempts
from .binding import Binding, explicit
from .case import Kind
from .formulas import FormulaCandidate
from .matching import LATER_WRONG_HEADS, RIGHT_HEADS, SOFTMAX, WRONG_HEADS, Candidate, Fit, Sample, matches
from .mistakes import ALL as MISTAKES
from .names import learned
from .similarity import COSINE, DOT, PASSAGES_ONLY, QUERIES_ONLY, Similarity
from .similarity import RIGHT as SIMILARITIES
from .similarity import WRONG as WRONG_SIMILARITIES
from .structures import RIGHT as STRUCTURES
from .subject import Subject
from .target import CannotCall

SPREADS = (1.0, 0.35, 0.12, 0.04)
BASE = {Kind.GROUPS: (5, 3), Kind.CLASSES: (10, 1), Kind.VIEWS: (4, 3), Kind.GRADED: (8, 1)}


@dataclass(frozen=True)
class Working:
    """A call that works, the batches asked about, and which lengths of embeddings do not matter."""

    how: Binding
    sample: Sample
    dtype: torch.dtype
    free: tuple[bool, bool]  # the length of queries, of passages


@dataclass(frozen=True)
class Reading:
    """What a call computes: a right definition, a known wrong one, or neither."""

    working: Working
    right: Fit | None
    wrong: Fit | None
    others: tuple[Fit, ...] = ()


def calls(subject: Subject, mapping: Mapping[str, str]) -> list[Working]:
    """Calls that work, the likeliest first. CannotCall, with what was tried, if there is none."""
    parameters = subject.parameters()
    if mapping:
        try:
            ways = [explicit(mapping, [p.name for p in parameters])]
        except ValueError as error:
            raise CannotCall(str(error)) from None
    else:
        ways = list(attempts(parameters, subject.embeds, subject.sentence))
    foreign = [p.name for p in parameters if p.default is p.empty and learned(p.name)]
    if foreign and not mapping:
        raise CannotCall(
            f"{subject.target.name} takes {foreign[0]}, vectors that are no rows of the batch: they can't be made "
            "here; name a function of yours that gives them"
        )
    if not ways:
        shown = ", ".join(p.name for p in parameters) or "no argument"
        raise CannotCall(f"{subject.target.name}({shown}): no argument looks like embeddings; say which with --map")
    found: list[Working] = []
    refusals: list[tuple[Binding, CannotCall]] = []
    for how in ways:
        _try(subject, how, found, refusals)
    if not found and not mapping:  # names may mislead: y is labels to one author and embeddings to another
        for how in attempts(parameters, subject.embeds, subject.sentence, by_name=False):
            _try(subject, replace(how, named=False), found, refusals)
    for how in ways if not found else ():  # labels of which there must be equally many; embeddings of another width
        if how.kind is Kind.CLASSES:
            _try(subject, replace(how, balanced=True), found, refusals)
    for width in () if found else subject.widths():
        for how in ways:
            _try(subject, replace(how, width=width), found, refusals)
        if found:
            break
    if not found:
        how, refusal = refusals[0]
        raise CannotCall(f"{said(subject, how)} was tried, and {refusal}; say what each argument is with --map")
    return found


def _try(subject: Subject, how: Binding, found: list[Working], refusals: list[tuple[Binding, CannotCall]]) -> None:
    try:
        found.append(_working(subject, how))
    except CannotCall as error:
        refusals.append((how, error))


def said(subject: Subject, how: Binding) -> str:
    """The call, in words."""
    arguments = ", ".join(role if name in ("*",) or name.isdigit() else f"{name}={role}" for name, role in how.roles)
    return f"{subject.target.name}({arguments})"


def _working(subject: Subject, how: Binding) -> Working:
    batch, group = BASE[how.kind]
    batch = 12 if how.balanced else batch
    group = how.group or group
    dtype = torch.float64
    try:
        sample = _sample(subject, how, batch, group, dtype)
    except CannotCall as first:
        dtype = torch.float32
        try:
            sample = _sample(subject, how, batch, group, dtype)
        except CannotCall:
            raise first from None
    return Working(how, sample, dtype, _free(subject, how, sample, dtype))


def sample_at(
    subject: Subject, working: Working, batch: int, group: int, spread: float, positive: float = 0.5
) -> Sample:
    """Five batches of one size and what the loss gives on them; `positive`: how far positives lean to their query."""
    cases = tuple(working.how.draw(batch, group, seed, spread, positive) for seed in (1, 2, 3, 4, 5))
    outcomes = tuple(subject.run(case, working.how, working.dtype) for case in cases)
    return Sample(cases, outcomes, 1e-5 if working.dtype == torch.float64 else 2e-4)


def _sample(subject: Subject, how: Binding, batch: int, group: int, dtype: torch.dtype) -> Sample:
    best: Sample | None = None
    for spread in SPREADS:
        found = sample_at(subject, Working(how, Sample((), ()), dtype, (False, False)), batch, group, spread)
        sizes = found.outcomes[0].gradient.norm(dim=1)
        size = float(sizes.max())
        if all(o.value == o.value and abs(o.value) != float("inf") for o in found.outcomes):
            best = found if best is None else best
            alive = sizes[sizes > 1e-14 * size] if size > 0 else sizes
            if size > 0 and float(alive.quantile(0.1)) > 3e-3 * size:
                return found
    if best is None:
        raise CannotCall(f"it gave {found.outcomes[0].value} on ordinary embeddings")
    if all(float(o.gradient.abs().max()) == 0 for o in best.outcomes) and len({o.value for o in best.outcomes}) == 1:
        if how.kind is Kind.GROUPS:  # a hinge may rest as long as positives lie nearer than negatives
            away = sample_at(subject, Working(how, Sample((), ()), dtype, (False, False)), batch, group, 1.0, -0.9)
            if all(float(o.gradient.abs().max()) > 0 for o in away.outcomes):
                return away
        raise CannotCall("what it gave depends on none of the embeddings")
    return best


def _free(subject: Subject, how: Binding, sample: Sample, dtype: torch.dtype) -> tuple[bool, bool]:
    case, before = sample.cases[0], sample.outcomes[0].value
    halves = (
        [slice(0, case.batch), slice(case.batch, None)] if case.kind in (Kind.GROUPS, Kind.GRADED) else [slice(0, None)]
    )
    free = []
    for half in halves:
        rows = case.rows.clone()
        rows[half] *= torch.linspace(0.5, 3.0, len(rows[half]), dtype=torch.float64)[:, None]
        try:
            after = subject.run(case.with_rows(rows), how, dtype).value
        except CannotCall:
            after = float("nan")
        free.append(abs(after - before) <= sample.loose * max(abs(before), 1e-6) * 3)
    return (free[0], free[-1])


def spread_of(working: Working) -> float:
    """How far the rows of the sample lie apart: the spread at which this loss is not saturated."""
    rows = torch.nn.functional.normalize(working.sample.cases[0].rows, dim=1)
    near = float((rows @ rows.T).mean())
    return min(SPREADS, key=lambda s: abs(near - 1 / (1 + s * s)))


def similarities(working: Working) -> list[Similarity]:
    """Right similarities that care for lengths as the loss does."""
    if all(working.free):
        return [s for s in SIMILARITIES if s.normalises]
    return [s for s in SIMILARITIES if not s.normalises]


def right_candidates(working: Working) -> Iterator[Candidate | FormulaCandidate]:
    kind = working.how.kind
    chosen = similarities(working)
    plain = COSINE if COSINE in chosen else DOT
    if working.how.taught or kind is Kind.GRADED:
        for structure, head, formula in formulas.RIGHT:
            for similarity in chosen:
                yield FormulaCandidate(structure, head, similarity, formula)
    for structure in STRUCTURES:
        yield Candidate(structure, SOFTMAX, plain)
    for structure in STRUCTURES:
        yield Candidate(structure, RIGHT_HEADS[1], plain)
    for structure in STRUCTURES:
        if structure.wide:
            for head in RIGHT_HEADS[2:]:
                yield Candidate(structure, head, plain)
            for head in RIGHT_HEADS:
                for similarity in chosen:
                    if similarity is not plain and "bias" not in head.name and "smoothing" not in head.name:
                        yield Candidate(structure, head, similarity)


def wrong_candidates(working: Working) -> Iterator[Candidate | FormulaCandidate]:
    chosen = similarities(working)
    plain = COSINE if COSINE in chosen else DOT
    if working.how.taught or working.how.kind is Kind.GRADED:
        for structure, head, formula in formulas.WRONG:
            for similarity in chosen:
                yield FormulaCandidate(structure, head, similarity, formula)
    for structure in MISTAKES:
        yield Candidate(structure, SOFTMAX, plain)
    for structure in STRUCTURES:
        for head in WRONG_HEADS:
            for similarity in chosen if structure.wide else [plain]:
                yield Candidate(structure, head, similarity)
    for structure in STRUCTURES:
        if structure.wide:
            for head in LATER_WRONG_HEADS:
                for similarity in chosen if head.grid == "below" else [plain]:
                    yield Candidate(structure, head, similarity)
    if working.free != (True, True):
        for structure in STRUCTURES:
            yield Candidate(structure, SOFTMAX, QUERIES_ONLY)
            yield Candidate(structure, SOFTMAX, PASSAGES_ONLY)
            for similarity in WRONG_SIMILARITIES:
                yield Candidate(structure, SOFTMAX, similarity)
    for structure in MISTAKES:
        if structure.wide:
            for head in (*WRONG_HEADS, *RIGHT_HEADS[1:7]):
                for similarity in chosen:
                    yield Candidate(structure, head, similarity)


def first_exact(sample: Sample, candidates: Iterator[Candidate | FormulaCandidate], turned: bool = False) -> Fit | None:
    """The first candidate with the right gradient too; else the first with the right values alone."""
    loose: Fit | None = None
    for fit in matches(sample, candidates, turned):
        if fit.exact:
            return fit
        loose = loose or (fit if fit.explained else None)
    return loose


def read(subject: Subject, working: Working) -> Reading:
    """What is computed at the base size; nothing is known where the teacher's embeddings are held still."""
    if working.how.role_of("teacher embeddings"):
        return Reading(working, None, None)
    right = first_exact(working.sample, right_candidates(working))
    if right is not None:
        return Reading(working, right, None)
    wrong = first_exact(working.sample, wrong_candidates(working))
    if wrong is None:
        wrong = first_exact(working.sample, right_candidates(working), turned=True)
    return Reading(working, None, wrong)
