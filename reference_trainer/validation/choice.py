"""Of all calls that work, the one that was meant: the reading that fits best, and others that fit as well."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass

from .binding import Binding
from .case import Kind
from .engine import Reading, Working, read
from .finding import Check, Grade
from .laws import ask, training
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


@dataclass(frozen=True)
class Choice:
    """A reading, rivals that fit as well, and what is to be said of the choice."""

    reading: Reading
    rivals: tuple[Reading, ...] = ()
    notes: tuple[str, ...] = ()


def choose(subject: Subject, workings: list[Working], claims: Claims) -> Choice:
    """Right definitions before known mistakes, both before what is unknown; flat passages where groups are meant."""
    said = claims.layout
    if said and any(said in working.how.layout for working in workings):
        workings = [working for working in workings if said in working.how.layout]
    readings: list[Reading] = []
    for working in workings:
        reading = read(subject, working)
        readings.append(reading)
        free = working.how.group is None or working.how.kind in (Kind.CLASSES, Kind.VIEWS)
        if reading.right is not None and reading.right.exact and free:
            return Choice(reading)
    exact = [r for r in readings if r.right is not None and r.right.exact]
    general = [r for r in readings if r.working.how.group is None and _flat(r.working.how)]
    groups = bool(general) and written_for_groups(subject)
    several = any(r.working.how.role_of("other views") for r in readings)
    if several or any(r.working.how.role_of("passages [B, G, D]") for r in general):  # one of them is no other reading
        exact = [r for r in exact if not r.working.how.role_of("positives [B, 1, D]")]
    if exact and not groups:
        return Choice(exact[0], tuple(exact[1:]), _also_strideless(general))
    formula = any(r.wrong is not None and r.wrong.exact and not r.wrong.candidate.structure.parts for r in readings)
    if not formula and any(_labelled(r.working.how) for r in readings):
        for reading in readings:
            if reading.right is None and reading.wrong is None and unbroken(subject, reading.working):
                return Choice(reading)
    known = _preferred([r for r in readings if r.wrong is not None and r.wrong.exact], general)
    loose = [r for r in readings if r.right is not None and not r.right.exact]
    inexact = [r for r in readings if r.wrong is not None]
    for found in (known, loose, inexact):
        if found:
            return Choice(found[0])
    return Choice(_lawful(subject, general if groups else readings))


def _also_strideless(general: list[Reading]) -> tuple[str, ...]:
    if any(r.wrong is not None and r.wrong.candidate.structure.name == "no stride" for r in general):
        return (
            "it is right for pairs (G=1); with G passages a query, group after group, target i must be i*G "
            "(SC302): it is right only if all positives come first",
        )
    return ()


def _preferred(known: list[Reading], general: list[Reading]) -> list[Reading]:
    crossed = [r for r in known if r.wrong is not None and r.wrong.candidate.structure.code == "SC101"]
    grouped = [r for r in known if r.working.how.role_of("passages [B, G, D]")]
    return crossed or grouped or [r for r in known if r in general] or known


def _flat(how: Binding) -> bool:
    """Were passages given as one matrix, so that their layout is a guess?"""
    return how.role_of("passages") or how.role_of("passages [B, G, D]")


_LABELS = ("labels", "grades", "signs", "binary labels", "target", "zeros", "teacher", "teacher margin", "features")


def _labelled(how: Binding) -> bool:
    return any(how.role_of(role) for role in _LABELS)


def _lawful(subject: Subject, readings: list[Reading]) -> Reading:
    """Of calls that no definition fits, the one that breaks the fewest laws."""

    def broken(checks: list[Check]) -> int:
        return sum(check.grade is Grade.WRONG for check in checks)

    rows = any(r.working.how.kind is Kind.CLASSES for r in readings)
    counts = [
        # labels of rows are the common meaning: another one counts if it breaks nothing
        broken(laws(subject, r.working)) + (2 if rows and r.working.how.kind is Kind.GRADED else 0)
        for r in readings
    ]
    order = sorted(range(len(readings)), key=lambda k: counts[k])
    best, fewest = readings[order[0]], counts[order[0]] + 2
    for k in order:
        if counts[k] >= fewest:
            break
        count = counts[k] + broken(trained(subject, readings[k].working))
        if count < fewest:
            best, fewest = readings[k], count
        if fewest == 0:
            break
    return best


def unbroken(subject: Subject, working: Working) -> bool:
    """Does this call keep every law?"""
    return all(c.grade is not Grade.WRONG for c in laws(subject, working)) and all(
        c.grade is not Grade.WRONG for c in trained(subject, working)
    )


def laws(subject: Subject, working: Working) -> list[Check]:
    """The laws but that of training, asked once a call."""
    key = ("laws", working.how)
    if key not in subject.asked:
        sample = working.sample
        try:
            subject.asked[key] = list(ask(subject, working.how, sample.cases, sample.outcomes, working.dtype))
        except CannotCall as error:
            subject.asked[key] = [Check("laws", Grade.WRONG, f"it raises on a reordered batch: {error}")]
    return list(subject.asked[key])


def trained(subject: Subject, working: Working) -> list[Check]:
    """The law of training, the dearest one, asked once a call."""
    key = ("training", working.how)
    if key not in subject.asked:
        try:
            subject.asked[key] = list(training(subject, working.how, working.sample.cases[0], working.dtype))
        except CannotCall as error:
            subject.asked[key] = [Check("laws", Grade.WRONG, f"it raises while embeddings follow it: {error}")]
    return list(subject.asked[key])


_OTHER_GROUPS = re.compile(r"process_group|dist\.group|group=None|group=group|groupby|param_group|new_group")
_GROUP_WORDS = ("group", "b*g", "b * g", "num_neg", "n_neg", "hard neg", "hard_neg", "passages_per", "negatives_per")


def written_for_groups(subject: Subject) -> bool:
    """Does the source divide one size by another, or speak of groups? Then a flat matrix of passages is meant."""
    found = subject.target.found
    try:
        shown = found if inspect.isclass(found) or inspect.isroutine(found) else type(found)
        text = textwrap.dedent(inspect.getsource(inspect.unwrap(shown)))
        tree = ast.parse(text)
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
    low = _OTHER_GROUPS.sub("", text).lower()
    if any(word in low for word in _GROUP_WORDS):
        return True
    sizes = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _sized(node.value, set())
        for target in node.targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name)
    }
    return any(
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.FloorDiv)
        and _sized(node.left, sizes)
        and _sized(node.right, sizes)
        for node in ast.walk(tree)
    )


def _sized(node: ast.AST, sizes: set[str]) -> bool:
    """Is a tensor's size in it?"""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and inner.attr in ("shape", "size"):
            return True
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "len":
            return True
        if isinstance(inner, ast.Name) and inner.id in sizes:
            return True
    return False
