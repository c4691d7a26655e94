"""What a wrong loss is called: a known mistake that gives the same numbers, or what its failures have in common."""

from __future__ import annotations

from dataclasses import replace

import torch

from .case import Kind
from .engine import Working, first_exact, sample_at, wrong_candidates
from .finding import Check, Diagnosis, Grade
from .matching import Fit
from .meeting import pulls
from .sizes import Asked, size_name
from .subject import Subject
from .target import CannotCall


def of_fit(fit: Fit, size: str = "") -> Diagnosis:
    """The mistake that this candidate is."""
    candidate = fit.candidate
    structure, head = candidate.structure, candidate.head
    bug = candidate.similarity.bug
    if bug:
        says = f"{bug}; else {structure.name}"
        return Diagnosis(bug, says, candidate.similarity.code, "`F.normalize(x, dim=-1)`", size)
    if candidate.similarity.name.startswith("dot product with"):
        side = "queries" if "queries" in candidate.similarity.name else "passages"
        return Diagnosis("one side normalised", f"only the {side} are normalised", "", "normalise both sides", size)
    if fit.parameter < 0 and head.grid == "scale":
        return Diagnosis(
            "sign turned",
            f"{structure.name} with the scores' sign turned: positives are pushed away",
            "",
            "a similarity grows as embeddings come nearer: use the dot product or minus the distance",
            size,
        )
    if structure.code or structure.fix:
        says = structure.says + (f"; {head.bug}" if head.bug else "")
        return Diagnosis(structure.name.strip(), says, structure.code, structure.fix, size)
    return Diagnosis(head.name, f"{structure.name}, but {head.bug}", head.code, head.fix, size)


def of_size(
    subject: Subject, working: Working, fit: Fit, asked: list[Asked], checks: list[Check], spread: float
) -> Diagnosis | None:
    """At the smallest size where the definition no longer fits: which known mistake does?"""
    wrong = {
        check.name
        for check in checks
        if check.grade is Grade.WRONG and check.sentence.startswith("at ") and "loss must be" in check.sentence
    }
    bad = sorted((a.case for a in asked if a.name in wrong), key=lambda c: c.batch * c.group)
    for case in [c for c in bad if c.batch > 2][:3]:
        try:
            sample = sample_at(subject, working, case.batch, case.group, spread)
        except CannotCall:
            continue
        found = first_exact(sample, wrong_candidates(replace(working, sample=sample)))
        if found is not None and abs(found.parameter / (fit.parameter or 1) - 1) < 1e-2:
            return of_fit(found, size_name(case))
    good = [a.case.batch for a in asked if a.seen is not None and a.name not in wrong]
    from_here = min((c.batch for c in bad), default=0)
    if from_here > 2 and good and max(good) < from_here:
        return Diagnosis(
            f"right up to B={max(good)} only",
            f"it equals its definition up to B={max(good)} and no longer from B={from_here} on: a number of rows is "
            "fixed in the code, or rows are cut where the embedding was meant",
            "SC602",
            "take sizes from the tensors themselves, and slice embeddings along their last axis",
            exact=False,
        )
    return None


_BY_CHECK = (
    ("items by themselves", "column against row", "SC102", "give both sides one shape, `[B]`"),
    ("each query's own share", "normalised over the batch", "SC402", "`dim=-1`: the axis of the candidates"),
    ("scale of a feature", "normalised over the batch", "SC402", "`dim=-1`: the embedding's own axis"),
    ("other labels", "negatives of the same label", "SC502", "`labels.unsqueeze(0) != labels.unsqueeze(1)`"),
    ("own negatives", "negatives as positives", "", "only the first passage of each group is a positive"),
    ("every negative", "a negative unused", "", "use all G-1 negatives"),
    ("each query's own teacher", "teacher normalised over the batch", "SC402", "`dim=-1`: the axis of the passages"),
    (
        "halves of the batch",
        "constants for negatives",
        "",
        "negatives are -1 in a sigmoid, and -inf where they are masked",
    ),
    ("every feature", "features cut off", "", "add up the parts, and compare whole embeddings in one of them"),
    ("weights of the queries", "weights misplaced", "", "`(weights * losses).sum() / weights.sum()`"),
    ("passages with one id", "duplicates as negatives", "", "mask all passages of the positive's id, but the positive"),
    ("both ends of a positive pair", "detached side", "SC603", "leave out detach() on the positive's side"),
    ("both ends of a negative pair", "detached side", "SC603", "leave out detach() where negatives are gathered"),
    ("both ends of a pair of queries", "detached side", "SC603", "leave out detach() between queries"),
    ("both ends of a pair of passages", "detached side", "SC603", "leave out detach() between passages"),
    ("rows by themselves", "another row's mask", "SC202", "`positive.unsqueeze(1)`: one threshold for each row"),
    ("a positive that scores low", "weights turned", "", "a focal weight is (1 - p) ** gamma"),
    ("negatives below the positive", "margin or mask turned", "", "keep the negatives below the positive"),
    ("equal scores", "margin of the wrong sign", "", "lower the positive's score by the margin, not raise it"),
    ("own negatives as others'", "own negatives held back", "", "the margin and the mask are for the positive alone"),
    ("the hardest negative", "easy negatives favoured", "", "weights grow with the negative's similarity"),
    ("items, not features", "features for items", "", "`q @ p.T`: [B, D] with [D, B]"),
    ("lengths of the memory", "normalised over the batch", "SC402", "normalise along the embedding's own axis"),
    ("what it remembers", "memory read in another order", "SC201", "`queue.T` of a queue [D, K], not a view"),
    (
        "earlier embeddings as negatives",
        "memory as positives",
        "",
        "the positive leads, and what is remembered follows",
    ),
)


def of_checks(checks: list[Check]) -> Diagnosis | None:
    """A diagnosis for failures that need no table."""
    for check in checks:
        if check.grade is not Grade.WRONG:
            continue
        for name, label, code, fix in _BY_CHECK:
            if check.name == name:
                return Diagnosis(label, check.sentence, code, fix, exact=False)
        if check.name == "temperature":
            twice, out = "twice" in check.sentence, "left out" in check.sentence
            name = "applied twice" if twice else "left out" if out else "multiplied"
            return Diagnosis(f"temperature {name}", check.sentence, "", "divide the scores by the temperature once")
        if check.name == "reduction":
            name = "mean over all cells" if "cells" in check.sentence else "divided twice"
            return Diagnosis(name, check.sentence, "", "sum over the candidates, then the mean over the queries")
        if "drawn to its own positive" in check.sentence or check.name == "drawn together":
            fix = "positives must lower the loss as they come nearer: look at the sign and at the mask of positives"
            return Diagnosis("positives are not drawn", check.sentence, "", fix, exact=False)
        if "order is turned" in check.sentence:
            fix = "a pair that is marked more alike must have the higher similarity"
            return Diagnosis("labels' order reversed", check.sentence, "", fix, exact=False)
        if check.name.startswith("two processes"):
            fix = "gather with gradient, and move targets by rank * B * G"
            return Diagnosis("rank offset or gather", check.sentence, "SC303", fix)
        if "no gradient" in check.sentence:
            fix = "leave out detach(), no_grad() and gathers without gradient on that side"
            return Diagnosis("detached side", check.sentence, "SC603", fix)
        if check.name.startswith("parameter"):
            fix = "use the parameter itself, not its .item(), .data or detach()"
            return Diagnosis("dead gradient of a parameter", check.sentence, "", fix)
    return None


def of_pulls(working: Working) -> Diagnosis | None:
    """No known mistake gives these numbers: to which passage is each query drawn most, in every batch?"""
    how, sample = working.how, working.sample
    if how.kind is not Kind.GROUPS or how.taught:
        return None
    nearest = []
    for case, outcome in zip(sample.cases, sample.outcomes, strict=True):
        seen = pulls(case, outcome)
        if seen is None:
            return None
        nearest.append(seen.argmax(1))
        batch, group = case.batch, case.group
    found = torch.stack(nearest)  # [batches, B]
    rows = torch.arange(batch)

    def always(column: torch.Tensor) -> bool:
        return bool((found == column).all())

    if always(rows * group):
        return None
    if always(found[0, :1].expand(batch)):
        says = f"every query is drawn to one and the same passage, {int(found[0, 0])}"
        return Diagnosis("one target for all", says, "SC301", "`target = torch.arange(B) * G`", exact=False)
    if always(rows):
        says = "query i is drawn to passage i of the flat ones, not to the first of group i"
        return Diagnosis("no stride", says, "SC302", "`target = torch.arange(B) * G`", exact=False)
    for place in range(1, group):
        if always(rows * group + place):
            says = f"each query is drawn to passage {place} of its own group, a negative"
            return Diagnosis("wrong place of the group", says, "SC306", "the positive leads its group", exact=False)
    for step in range(1, batch):
        if always((rows + step) % batch * group):
            says = "each query is drawn to another query's positive"
            return Diagnosis("another's positive", says, "SC202", "keep rows in one order on both sides", exact=False)
    if bool((found // group != rows).all()):
        says = "each query is drawn to passages of other groups, and never to its own"
        return Diagnosis("other groups", says, "SC202", "keep rows in one order on both sides", exact=False)
    return None
