"""The judgement: of all calls that work, the one that fits best, and every check on it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from . import binding as bindings
from . import extras
from .case import Kind, draw
from .engine import Reading, Working, calls, first_exact, read, said, sample_at, spread_of, wrong_candidates
from .finding import Check, Diagnosis, Found, Grade, Judgement
from .laws import ask
from .matching import Fit
from .numbers import exponents, judge_scale
from .processes import two_processes
from .sizes import Asked, Reduction, ask_all, compare, reduction_of, size_name
from .subject import Subject
from .target import CannotCall


@dataclass(frozen=True)
class Claims:
    """What the user says that the loss is; None where nothing is said."""

    mode: str | None = None
    temperature: float | None = None
    layout: str | None = None
    normalizes: bool | None = None
    symmetric: bool | None = None
    reduction: str | None = None


NOTHING = Claims()


def judge(subject: Subject, mapping: Mapping[str, str] | None = None, claims: Claims = NOTHING) -> Judgement:
    """Everything that can be found out about one loss. CannotCall if no call of it works."""
    chosen, rivals, notes = _choose(subject, calls(subject, mapping or {}), claims)
    working = chosen.working
    _repeatable(subject, working)
    if chosen.right is not None:
        judgement = _of_right(subject, chosen, chosen.right)
        for rival in rivals:
            if judgement.right or rival.right is None:
                break
            other = _of_right(subject, rival, rival.right)
            judgement = other if other.right else judgement
    elif chosen.wrong is not None:
        judgement = _of_wrong(subject, working, chosen.wrong)
    else:
        judgement = _of_unknown(subject, working)
    if working.sample.outcomes[0].dropped:
        notes.append("it drops out at random; dropout was switched off for all that follows")
    checks = (*judgement.checks, *_claimed(judgement.found, claims))
    found = replace(judgement.found, notes=(*judgement.found.notes, *notes))
    return replace(judgement, checks=checks, found=found)


def _repeatable(subject: Subject, working: Working) -> None:
    case, before = working.sample.cases[0], working.sample.outcomes[0].value
    after = [subject.run(case, working.how, working.dtype, seed=seed).value for seed in (1, 2)]
    if any(abs(value - before) > 1e-6 * max(abs(before), 1e-3) for value in after):
        values = ", ".join(f"{v:.5g}" for v in (before, *after))
        raise CannotCall(
            f"{said(subject, working.how)} is not deterministic: on one and the same batch it gave {values}. "
            "Switch its randomness off to have it judged"
        )


def _choose(subject: Subject, workings: list[Working], claims: Claims) -> tuple[Reading, list[Reading], list[str]]:
    """The reading that fits best, others that fit as well, and what is to be said of the choice."""
    readings: list[Reading] = []
    for working in workings:
        if (
            claims.layout
            and claims.layout not in working.how.layout
            and any(claims.layout in w.how.layout for w in workings)
        ):
            continue
        reading = read(subject, working)
        readings.append(reading)
        if (
            reading.right is not None
            and reading.right.exact
            and (working.how.group is None or working.how.kind in (Kind.CLASSES, Kind.VIEWS))
        ):
            return reading, [], []
    exact = [r for r in readings if r.right is not None and r.right.exact]
    general = [r for r in readings if r.working.how.group is None and _flat(r.working)]
    groups = bool(general) and written_for_groups(subject)
    if any(r.working.how.role_of("passages [B, G, D]") for r in general):  # G = 1 of them is no other reading
        exact = [r for r in exact if not r.working.how.role_of("positives [B, 1, D]")]
    if exact and (not general or not groups):
        notes = []
        if any(r.wrong is not None and r.wrong.candidate.structure.name == "no stride" for r in general):
            notes.append(
                "it is right for pairs (G=1); with G passages a query, group after group, target i must be i*G "
                "(SC302): it is right only if all positives come first"
            )
        return exact[0], exact[1:], notes
    formula = any(r.wrong is not None and r.wrong.exact and not r.wrong.candidate.structure.parts for r in readings)
    if not formula and any(_labelled(r.working) for r in readings):
        for reading in readings:
            if reading.right is None and reading.wrong is None and _unbroken(subject, reading.working):
                return reading, [], []
    known = [r for r in readings if r.wrong is not None and r.wrong.exact]
    crossed = [r for r in known if r.wrong is not None and r.wrong.candidate.structure.code == "SC101"]
    grouped = [r for r in known if r.working.how.role_of("passages [B, G, D]")]
    preferred = crossed or grouped or [r for r in known if r in general] or known
    if preferred:
        return preferred[0], [], []
    loose = [r for r in readings if r.right is not None]
    if loose:
        return loose[0], [], []
    inexact = [r for r in readings if r.wrong is not None]
    if inexact:
        return inexact[0], [], []
    if exact:
        return exact[0], [], []
    return _lawful(subject, readings, groups), [], []


def _flat(working: Working) -> bool:
    """Were passages given as one matrix, so that their layout is a guess?"""
    return working.how.role_of("passages") or working.how.role_of("passages [B, G, D]")


_LABELS = ("labels", "grades", "signs", "binary labels", "target", "zeros", "teacher", "teacher margin", "features")


def _labelled(working: Working) -> bool:
    return any(working.how.role_of(role) for role in _LABELS)


def _unbroken(subject: Subject, working: Working) -> bool:
    return all(check.grade is not Grade.WRONG for check in _laws(subject, working))


def _lawful(subject: Subject, readings: list[Reading], groups: bool) -> Reading:
    """Of calls that no definition fits, the one that breaks the fewest laws."""
    usable = [r for r in readings if r.working.how.group is None] if groups else readings
    usable = usable or readings

    def broken(reading: Reading) -> int:
        return sum(check.grade is Grade.WRONG for check in _laws(subject, reading.working))

    best = usable[0]
    fewest = broken(best)
    for reading in usable[1:]:
        if fewest == 0:
            break
        count = broken(reading)
        if count < fewest:
            best, fewest = reading, count
    return best


def _laws(subject: Subject, working: Working) -> list[Check]:
    if working.how not in subject.asked:
        subject.asked[working.how] = _ask_laws(subject, working)
    return list(subject.asked[working.how])


def _ask_laws(subject: Subject, working: Working) -> list[Check]:
    sample = working.sample
    try:
        return list(ask(subject, working.how, sample.cases[0], sample.outcomes[0], working.dtype))
    except CannotCall as error:
        return [Check("laws", Grade.WRONG, f"it raises on a reordered batch: {error}")]


def written_for_groups(subject: Subject) -> bool:
    """Does the source divide one size by another, or speak of groups? Then a flat matrix of passages is meant."""
    found = subject.target.found
    try:
        shown = found if inspect.isclass(found) or inspect.isroutine(found) else type(found)
        text = textwrap.dedent(inspect.getsource(inspect.unwrap(shown)))
        tree = ast.parse(text)
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
    low = text.lower()
    if any(
        word in low
        for word in (
            "group",
            "b*g",
            "b * g",
            "num_neg",
            "n_neg",
            "hard neg",
            "hard_neg",
            "passages_per",
            "negatives_per",
        )
    ):
        return True
    return any(
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv) and not isinstance(node.right, ast.Constant)
        for node in ast.walk(tree)
    )


def _found(working: Working, fit: Fit, reduction: Reduction | None) -> Found:
    candidate = fit.candidate
    softmax = candidate.head.grid == "scale"
    scale, temperature = "", None
    if softmax:
        temperature = 1 / fit.parameter if fit.parameter else None
        scale = "no temperature" if abs(fit.parameter - 1) < 1e-4 else f"divides by {1 / fit.parameter:.5g}"
    elif candidate.head.grid == "margin":
        scale = f"margin {fit.parameter:.5g}"
    normalises = bool(all(working.free))
    how = "normalises, cosine" if normalises and "cosine" in candidate.similarity.name else candidate.similarity.name
    head = (
        "" if candidate.head.name == "softmax cross-entropy" or not candidate.structure.parts else candidate.head.name
    )
    return Found(
        reading=candidate.structure.name
        + (f", {head}" if head else "")
        + (f": {candidate.structure.says}" if candidate.structure.says else ""),
        mode=candidate.structure.mode,
        layout=working.how.layout,
        similarity=how,
        scale=scale,
        temperature=temperature,
        normalises=normalises,
        symmetric=candidate.structure.symmetric,
        reduction=reduction.sentence if reduction else "",
        returns=working.sample.outcomes[0].form,
    )


def _of_right(subject: Subject, reading: Reading, fit: Fit) -> Judgement:
    working = reading.working
    spread = spread_of(working)
    asked = ask_all(subject, working.how, fit, working.dtype, spread)
    reduction = reduction_of(asked, fit, working.sample.cases[0])
    lenient = working.how.kind is not Kind.GROUPS or fit.candidate.head.name != "softmax cross-entropy"
    distance = "istance" in fit.candidate.similarity.name
    checks = list(compare(asked, reduction, working.dtype, lenient, distance))
    if reduction.mistake:
        checks.append(Check("reduction", Grade.WRONG, reduction.mistake))
    diagnosis = _diagnose_size(subject, working, fit, asked, checks, spread)
    if fit.candidate.head.grid == "scale":
        moved = exponents(subject, working.how, fit, working.sample, working.dtype)
        checks += judge_scale(moved, fit.parameter, bool(all(working.free)))
    if diagnosis is None:
        checks += _beyond(subject, working, fit.parameter if fit.candidate.head.grid == "scale" else 1.0)
    if diagnosis is None and all(check.grade is not Grade.WRONG for check in checks):
        checks += two_processes(subject, working.how, working.dtype, fit, reduction, spread)
    diagnosis = diagnosis or _named(checks)
    found = _found(working, fit, reduction)
    proof = f"equals its definition in value and gradient at {sum(c.grade is Grade.OK for c in checks)} points asked"
    return Judgement(
        subject.target.spec,
        subject.target.file,
        subject.target.line,
        _call(subject, working),
        found,
        tuple(checks),
        diagnosis,
        proof,
        {"fit": fit, "working": working},
    )


def _named(checks: list[Check]) -> Diagnosis | None:
    """A diagnosis for failures that need no table."""
    for check in checks:
        if check.grade is not Grade.WRONG:
            continue
        if check.name == "temperature":
            name = (
                "temperature applied twice"
                if "twice" in check.sentence
                else "temperature left out"
                if "left out" in check.sentence
                else "temperature multiplied"
            )
            return Diagnosis(name, check.sentence, "", "divide the scores by the temperature once")
        if check.name == "reduction":
            return Diagnosis(
                "mean over all cells" if "cells" in check.sentence else "divided twice",
                check.sentence,
                "",
                "sum over the candidates, then the mean over the queries",
            )
        if check.name.startswith("two processes"):
            return Diagnosis(
                "rank offset or gather",
                check.sentence,
                "SC303",
                "gather with gradient, and move targets by rank * B * G",
            )
        if "no gradient" in check.sentence:
            return Diagnosis(
                "detached side",
                check.sentence,
                "SC603",
                "leave out detach(), no_grad() and gathers without gradient on that side",
            )
        if check.name.startswith("parameter"):
            return Diagnosis(
                "dead gradient of a parameter",
                check.sentence,
                "",
                "use the parameter itself, not its .item(), .data or detach()",
            )
    return None


def _diagnose_size(
    subject: Subject, working: Working, fit: Fit, asked: list[Asked], checks: list[Check], spread: float
) -> Diagnosis | None:
    """At the smallest size where the definition no longer fits: which known mistake does?"""
    wrong = {
        check.name
        for check in checks
        if check.grade is Grade.WRONG and check.sentence.startswith("at ") and "loss must be" in check.sentence
    }
    bad = sorted((a.case for a in asked if a.name in wrong), key=lambda c: c.batch * c.group)
    usable = [c for c in bad if c.batch > 2]
    for case in usable[:3]:
        try:
            sample = sample_at(subject, working, case.batch, case.group, spread)
        except CannotCall:
            continue
        there = replace(working, sample=sample)
        found = first_exact(sample, wrong_candidates(there))
        if found is not None and abs(found.parameter / (fit.parameter or 1) - 1) < 1e-2:
            return _diagnosis(found, size_name(case))
    return None


def _beyond(subject: Subject, working: Working, scale: float | None) -> list[Check]:
    checks = list(extras.parameters(subject, working.how, working.sample.cases[0], working.dtype))
    checks += extras.precisions(subject, working.how, scale)
    checks += extras.devices(subject, working.how)
    return checks


def _diagnosis(fit: Fit, size: str = "") -> Diagnosis:
    candidate = fit.candidate
    if candidate.similarity.bug:
        return Diagnosis(
            candidate.similarity.bug,
            f"{candidate.similarity.bug}; else {candidate.structure.name}",
            candidate.similarity.code,
            "`F.normalize(x, dim=-1)`",
            size,
        )
    if candidate.similarity.name.startswith("dot product with"):
        side = "queries" if "queries" in candidate.similarity.name else "passages"
        return Diagnosis("one side normalised", f"only the {side} are normalised", "", "normalise both sides", size)
    if fit.parameter < 0:
        return Diagnosis(
            "sign turned",
            f"{candidate.structure.name} with the scores' sign turned: positives are pushed away",
            "",
            "a similarity grows as embeddings come nearer: use the dot product or minus the distance",
            size,
        )
    if candidate.structure.code or candidate.structure.fix:
        head = f"; {candidate.head.bug}" if candidate.head.bug else ""
        return Diagnosis(
            candidate.structure.name.strip(),
            candidate.structure.says + head,
            candidate.structure.code,
            candidate.structure.fix,
            size,
        )
    return Diagnosis(
        candidate.head.name,
        f"{candidate.structure.name}, but {candidate.head.bug}",
        candidate.head.code,
        candidate.head.fix,
        size,
    )


def _of_wrong(subject: Subject, working: Working, fit: Fit) -> Judgement:
    diagnosis = _diagnosis(fit)
    found = replace(_found(working, fit, None), mode="", symmetric=None)
    checks = (Check("definition", Grade.WRONG, diagnosis.says),)
    return Judgement(
        subject.target.spec,
        subject.target.file,
        subject.target.line,
        _call(subject, working),
        found,
        checks,
        diagnosis,
        "",
        {"fit": fit, "working": working},
    )


def _of_unknown(subject: Subject, working: Working) -> Judgement:
    checks = _laws(subject, working)
    unclear = bindings.unclear([name for name, _ in working.how.roles])
    if unclear and any(check.grade is Grade.WRONG for check in checks):
        raise CannotCall(
            f"{said(subject, working.how)} was tried, and it is like no loss known here; what is {', '.join(unclear)}? "
            "Say it with --map"
        )
    checks += _larger(subject, working)
    if all(check.grade is not Grade.WRONG for check in checks):
        checks += _beyond(subject, working, None)
    normalises = all(working.free)
    found = Found(
        reading="no definition that is known here",
        layout=working.how.layout,
        normalises=normalises,
        similarity="lengths of embeddings do not matter" if normalises else "lengths of embeddings matter",
        returns=working.sample.outcomes[0].form,
    )
    proof = "it keeps every law that was asked, but equals no definition known here: nothing is proven beyond the laws"
    return Judgement(
        subject.target.spec,
        subject.target.file,
        subject.target.line,
        _call(subject, working),
        found,
        tuple(checks),
        None,
        proof,
        {"working": working},
    )


def _larger(subject: Subject, working: Working) -> Iterator[Check]:
    """The laws of order again at sizes where chunks and configured sizes show themselves."""
    how = working.how
    from .laws import _order

    for batch in (17, 33):
        group = how.group or (1 if how.kind is Kind.CLASSES else 3)
        case = draw(how.kind, batch, group, seed=13, spread=spread_of(working), positive=-1.0 if how.binary else 0.5)
        try:
            before = subject.run(case, how, working.dtype)
            for check in _order(
                subject, how, case, before, working.dtype, 1e-5 if working.dtype == torch.float64 else 5e-3
            ):
                yield replace(check, name=f"{check.name}, {size_name(case)}")
        except CannotCall as error:
            yield Check(size_name(case), Grade.WRONG, f"it raises at {size_name(case)}: {error}")


def _call(subject: Subject, working: Working) -> str:
    return said(subject, working.how) + (f", {subject.built}" if subject.built else "")


def _claimed(found: Found, claims: Claims) -> Iterator[Check]:
    def check(name: str, wanted: object, seen: object, ok: bool) -> Check:
        return Check(
            f"--{name}",
            Grade.OK if ok else Grade.WRONG,
            "" if ok else f"--{name} {wanted} was said, {seen or 'nothing of the kind'} was found",
        )

    if claims.mode is not None:
        yield check("mode", claims.mode, found.mode, found.mode == claims.mode)
    if claims.temperature is not None:
        near = found.temperature is not None and abs(found.temperature / claims.temperature - 1) < 1e-3
        yield check("temperature", claims.temperature, found.scale, near)
    if claims.normalizes is not None:
        yield check("normalizes", claims.normalizes, found.similarity, found.normalises == claims.normalizes)
    if claims.symmetric is not None:
        yield check("symmetric", claims.symmetric, found.reading, found.symmetric == claims.symmetric)
    if claims.reduction is not None:
        yield check("reduction", claims.reduction, found.reduction, found.reduction.startswith(claims.reduction))
