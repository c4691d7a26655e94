"""The judgement: of all calls that work, the one that fits best, and every check on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch

from . import diagnosis as named
from . import extras, memory, regular, score_table, support
from .case import Kind
from .choice import Claims, choose, laws, trained
from .engine import SPREADS, Reading, Working, calls, first_exact, said, sample_at, spread_of, wrong_candidates
from .finding import Check, Found, Grade, Judgement
from .laws import order
from .matching import Fit
from .meeting import favours_easy
from .names import unclear
from .numbers import exponents, judge_scale
from .processes import two_processes
from .sizes import Reduction, ask_all, compare, reduction_of, size_name
from .subject import Subject
from .target import CannotCall

NOTHING = Claims()


def judge(subject: Subject, mapping: Mapping[str, str] | None = None, claims: Claims = NOTHING) -> Judgement:
    """Everything that can be found out about one loss. CannotCall if no call of it works."""
    choice = choose(subject, calls(subject, mapping or {}), claims)
    chosen, notes = choice.reading, list(choice.notes)
    working = chosen.working
    _repeatable(subject, working)
    if chosen.right is not None:
        judgement = _of_right(subject, chosen, chosen.right)
        for rival in choice.rivals:
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
    if any(_of_value(check) for check in checks) and _by_data(subject, working, fit, reduction, lenient, distance):
        mistaken = _apart(subject, working, fit)
        return mistaken if mistaken is not None else _of_masked(subject, working, fit)
    diagnosis = named.of_size(subject, working, fit, asked, checks, spread)
    if fit.candidate.head.grid == "scale":
        moved = exponents(subject, working.how, fit, working.sample, working.dtype)
        checks += judge_scale(moved, fit.parameter, bool(all(working.free)))
    if diagnosis is None:
        checks += _beyond(subject, working, fit.parameter if fit.candidate.head.grid == "scale" else 1.0)
    if diagnosis is None and all(check.grade is not Grade.WRONG for check in checks):
        checks += two_processes(subject, working.how, working.dtype, fit, reduction, spread)
    diagnosis = diagnosis or named.of_checks(checks)
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


def _apart(subject: Subject, working: Working, fit: Fit) -> Judgement | None:
    """The known mistake that it is where embeddings lie far apart: at that spread it is no longer its definition."""
    first = working.sample.cases[0]
    try:
        wide = replace(working, sample=sample_at(subject, working, first.batch, first.group, SPREADS[0]))
    except CannotCall:
        return None
    found = first_exact(wide.sample, wrong_candidates(wide))
    if found is None or not found.exact or abs(found.parameter / (fit.parameter or 1) - 1) > 1e-2:
        return None
    return _of_wrong(subject, wide, found)


def _beyond(subject: Subject, working: Working, scale: float | None) -> list[Check]:
    checks = list(extras.parameters(subject, working.how, working.sample.cases[0], working.dtype))
    if working.how.role_of("weights"):
        checks.append(support.weights(subject, working))
    if working.how.role_of("ids of passages"):
        checks.append(support.duplicates(subject, working))
    checks += extras.precisions(subject, working.how, scale)
    checks += extras.devices(subject, working.how)
    return checks


def _of_wrong(subject: Subject, working: Working, fit: Fit) -> Judgement:
    diagnosis = named.of_fit(fit)
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


_BY_ROLE = ("training", "gradient of", "order of the negatives", "own negatives", "every negative")


def _of_unknown(subject: Subject, working: Working) -> Judgement:
    checks = _kept(subject, working)
    normalises = all(working.free)
    reading = "no definition that is known here"
    if working.how.alone and all(check.grade is not Grade.WRONG for check in checks):
        reading = "it treats all rows alike: a regulariser"
    found = Found(
        reading=reading,
        layout=working.how.layout,
        normalises=normalises,
        similarity="lengths of embeddings do not matter" if normalises else "lengths of embeddings matter",
        returns=working.sample.outcomes[0].form,
    )
    return _lawful(subject, working, found, checks, "equals no definition known here")


def _of_masked(subject: Subject, working: Working, fit: Fit) -> Judgement:
    """It equals its definition as long as embeddings lie near together."""
    found = _found(working, fit, None)
    note = (
        f"it equals {fit.candidate.structure.name} where similarities lie near together, not where they lie apart: "
        "a mask or a margin leaves some out or changes them, and what it leaves out is not judged"
    )
    found = replace(found, notes=(*found.notes, note))
    checks = _kept(subject, working)
    return _lawful(subject, working, found, checks, "equals its definition only where nothing is left out")


def _kept(subject: Subject, working: Working) -> list[Check]:
    """Every law, at the base size and at larger ones. CannotCall where a broken one may be due to the call."""
    checks = laws(subject, working) + trained(subject, working) + _nearer(subject, working)
    wrong = [check for check in checks if check.grade is Grade.WRONG]
    names = [name for name, _ in working.how.roles]
    doubtful = unclear(names) if working.how.named else names
    if doubtful and wrong and all(check.name.startswith(_BY_ROLE) for check in wrong):
        raise CannotCall(
            f"{said(subject, working.how)} was tried, and it is like no loss known here; what is "
            f"{', '.join(doubtful)}? Say it with --map"
        )
    if wrong and all(check.name.startswith("training") for check in wrong):
        sentence = regular.says(working)
        lost = sentence is None and regular.only_pushes(working)
        if lost and not regular.evens_out(subject, working):
            said_so = "no query is drawn to its own positive: positives are left out of the loss"
            checks.append(Check("positives", Grade.WRONG, said_so))
        elif lost:
            raise CannotCall(
                f"{said(subject, working.how)} draws no positive nearer and only pushes apart: a regulariser "
                "or a loss whose positives are lost; what it is for can't be told"
            )
        if sentence is not None:
            checks = [replace(c, grade=Grade.NOTE, sentence=sentence) if c in wrong else c for c in checks]
    return checks + list(_larger(subject, working))


def _nearer(subject: Subject, working: Working) -> list[Check]:
    """Laws of single scores and of what may matter at all, of the call that was chosen."""
    checks: list[Check] = []
    features = any(c.name == "scale of a feature" and c.grade is Grade.OK for c in laws(subject, working))
    for asked in (
        support.ask(subject, working),
        memory.ask(subject, working),
        favours_easy(subject, working.how, working.dtype),
        score_table.ask(subject, working) if features else (),
    ):
        try:
            checks += asked
        except CannotCall:  # a batch of our making that it refuses says nothing
            continue
    return checks


def _lawful(subject: Subject, working: Working, found: Found, checks: list[Check], but: str) -> Judgement:
    wrong = any(check.grade is Grade.WRONG for check in checks)
    if not wrong:
        checks = checks + _beyond(subject, working, None)
    return Judgement(
        subject.target.spec,
        subject.target.file,
        subject.target.line,
        _call(subject, working),
        found,
        tuple(checks),
        named.of_checks(checks) or named.of_pulls(working) if wrong else None,
        f"it keeps every law that was asked, but {but}: nothing is proven beyond the laws",
        {"working": working},
    )


def _of_value(check: Check) -> bool:
    return check.grade is Grade.WRONG and "loss must be" in check.sentence


def _by_data(subject: Subject, working: Working, fit: Fit, reduction: Reduction, lenient: bool, distance: bool) -> bool:
    """Do values depart from the definition only where embeddings lie far apart? A bug of sizes departs everywhere."""
    if fit.candidate.head.grid != "scale":
        return False
    asked = ask_all(subject, working.how, fit, working.dtype, SPREADS[-1])
    return all(c.grade is not Grade.WRONG for c in compare(asked, reduction, working.dtype, lenient, distance))


def _larger(subject: Subject, working: Working) -> Iterator[Check]:
    """The laws of order again at sizes where chunks and configured sizes show themselves; every item has a pull."""
    how = working.how
    loose = 1e-5 if working.dtype == torch.float64 else 5e-3
    for batch in (16, 36) if how.balanced else (17, 33):
        group = how.group or (1 if how.kind is Kind.CLASSES else 3)
        case = how.draw(batch, group, seed=13, spread=spread_of(working))
        try:
            before = subject.run(case, how, working.dtype)
            for check in order(subject, how, case, before, working.dtype, loose):
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
