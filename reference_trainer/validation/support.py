"""What a loss may depend on at all: every feature, each row's own teacher, and nothing of items that never meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from .binding import Binding
from .case import WIDTH, Case, Kind, places
from .engine import Working
from .finding import Check, Grade
from .meeting import coefficients, pulls
from .subject import Subject
from .target import CannotCall


def ask(subject: Subject, working: Working) -> Iterator[Check]:
    """Every law of support that applies."""
    yield from _features(working)
    yield from _of_items(subject, working)
    if working.how.role_of("ids of passages"):
        yield duplicates(subject, working)
    taught = list(_teacher(subject, working)) if working.how.role_of("teacher") else []
    yield from taught
    if all(check.grade is Grade.OK for check in taught):
        yield from _parts(subject, working)


def _check(name: str, ok: bool, sentence: str) -> Check:
    return Check(name, Grade.OK if ok else Grade.WRONG, "" if ok else sentence)


def _features(working: Working) -> Iterator[Check]:
    """Each feature of an embedding gets a gradient in some row of some batch."""
    alive = torch.stack([outcome.gradient.norm(dim=0) for outcome in working.sample.outcomes]).sum(0)  # D
    if not float(alive.max()):
        return
    dead = (alive <= 1e-9 * alive.max()).nonzero().flatten().tolist()
    shown = f"{dead[0]} to {dead[-1]}" if len(dead) > 1 else str(dead[0] if dead else "")
    yield _check(
        "every feature",
        not dead,
        f"of {len(alive)} features of the embeddings those from {shown} never get a gradient: they are cut off, or a "
        "sum over parts keeps its last part alone",
    )


def _of_items(subject: Subject, working: Working) -> Iterator[Check]:
    """Items are compared, and not features: then features that are 0 everywhere change nothing.

    Asked where the gradient is no combination of the rows, no feature is told from another, and neither features are
    standardised over the batch nor each row's features under a softmax.
    """
    how, case = working.how, working.sample.cases[0]
    before = working.sample.outcomes[0]
    if how.kind is not Kind.GROUPS or how.taught or how.width != WIDTH or working.dtype != torch.float64:
        return
    if len(case.rows) > WIDTH or coefficients(case.rows, before.gradient)[1] < 1e-3:
        return

    def value(rows: Tensor) -> float:
        return subject.run(case.with_rows(rows), how, working.dtype).value

    def same(rows: Tensor) -> bool:
        return abs(value(rows) - before.value) <= 1e-6 * max(abs(before.value), 1e-6)

    steps = torch.linspace(0.5, 2.0, WIDTH, dtype=case.rows.dtype)
    each = torch.linspace(-1, 1, len(case.rows), dtype=case.rows.dtype)[:, None]
    if not same(case.rows.flip(1)) or same(case.rows * steps) or same(case.rows + steps) or same(case.rows + each):
        return
    padded = torch.cat([case.rows, torch.zeros(len(case.rows), 8, dtype=case.rows.dtype)], 1)
    after = subject.run(case.with_rows(padded), how, working.dtype).gradient[:, :WIDTH].flatten()
    start = before.gradient.flatten()
    left = after - start * (after @ start) / (start @ start)
    yield _check(
        "items, not features",
        float(left.norm()) <= 1e-6 * float(after.norm()),
        "features that are 0 in every embedding change the loss: features are compared with each other where items "
        "were meant, `q.T @ p` is [D, D]",
    )


def _parts(subject: Subject, working: Working) -> Iterator[Check]:
    """Where no item is compared with another: the loss of a batch is the mean or the sum of that of its halves."""
    how, case = working.how, working.sample.cases[0]
    if case.kind is not Kind.GROUPS or case.batch < 4 or how.role_of("target"):
        return
    if not _apart(subject, how, case, working.dtype):
        return
    order, within = torch.arange(case.batch), torch.arange(case.group)
    half = case.batch // 2
    try:
        first = subject.run(_some(case, order[:half], within), how, working.dtype).value
        second = subject.run(_some(case, order[half:], within), how, working.dtype).value
    except CannotCall:
        return
    whole = working.sample.outcomes[0].value
    mean = (half * first + (case.batch - half) * second) / case.batch
    near = [abs(whole - wanted) <= 1e-4 * max(abs(whole), abs(wanted), 1e-6) for wanted in (mean, first + second)]
    yield _check(
        "halves of the batch",
        any(near),
        f"no item is compared with another, and yet the loss of {case.batch} items is {whole:.5g} where its parts give "
        f"{first:.5g} and {second:.5g}: neither mean nor sum; cells that must be negatives are constants",
    )


def _apart(subject: Subject, how: Binding, case: Case, dtype: torch.dtype) -> bool:
    """Does moving one item change no other item's gradient at all, and is every passage but its own idle?"""
    before = subject.run(case, how, dtype)
    rows = case.rows.clone()
    mine = torch.cat([torch.zeros(1, dtype=torch.long), case.batch + torch.arange(case.group)])
    rows[mine] = rows[mine].flip(1)
    others = torch.ones(len(rows), dtype=torch.bool)
    others[mine] = False
    after = subject.run(case.with_rows(rows), how, dtype)
    size = before.gradient[others].norm()
    return bool(size > 0) and float((after.gradient - before.gradient)[others].norm()) <= 1e-9 * float(size)


def _some(case: Case, items: Tensor, within: Tensor) -> Case:
    """Only these items of a batch of groups."""
    rows = case.rows[places(case, items, within)]
    return replace(
        case,
        batch=len(items),
        rows=rows,
        labels=case.labels[items],
        grades=case.grades[items],
        teacher=case.teacher[items],
    )


def _teacher(subject: Subject, working: Working) -> Iterator[Check]:
    """What the teacher says of one query is no matter for another: up to a factor common to all."""
    how, case = working.how, working.sample.cases[0]
    if case.group < 2 or case.batch < 3:
        return
    before = working.sample.outcomes[0].gradient[1 : case.batch].flatten()
    teacher = case.teacher.clone()
    teacher[0] = teacher[0].flip(0) + torch.linspace(2, -1, case.group, dtype=teacher.dtype)
    after = subject.run(replace(case, teacher=teacher), how, working.dtype).gradient[1 : case.batch].flatten()
    if not float(before.norm()) or not float(after.norm()):
        return
    left = after - before * (after @ before) / (before @ before)
    loose = 1e-6 if working.dtype == torch.float64 else 1e-3
    yield _check(
        "each query's own teacher",
        float(left.norm()) <= loose * float(after.norm()),
        "what the teacher says of one query changes the pull on the others: its scores are normalised over the batch, "
        "not over the passages of each query (SC402)",
    )


def weights(subject: Subject, working: Working) -> Check:
    """The weight of one query scales its own share and nothing else, up to a factor common to all."""
    how, case = working.how, working.sample.cases[0]
    unequal = replace(how, roles=tuple((n, "unequal weights" if r == "weights" else r) for n, r in how.roles))
    name = "weights of the queries"
    try:
        first, second = subject.run(case, how, working.dtype), subject.run(case, unequal, working.dtype)
        alone = [
            subject.run(case, replace(how, roles=_only(how.roles, i)), working.dtype).gradient
            for i in range(case.batch)
        ]
    except CannotCall as error:
        return Check(name, Grade.NOTE, f"weights could not be asked about: {error}")
    if float((first.gradient - second.gradient).norm()) <= 1e-9 * float(first.gradient.norm()):
        return Check(name, Grade.WRONG, "the weights of the queries have no effect")
    parts = torch.stack([one.flatten() for one in alone], 1)  # N*D B
    wanted = parts @ _unequal(case)
    got = second.gradient.flatten()
    left = got - wanted * (got @ wanted) / (wanted @ wanted).clamp_min(1e-30)
    return _check(
        name,
        float(left.norm()) <= 1e-4 * float(got.norm()),
        "a query's weight does not scale its share: weights belong on the losses of the rows, not on the scores",
    )


def duplicates(subject: Subject, working: Working) -> Check:
    """Two queries' positives are one text, and have one id: neither is a negative of the other's query."""
    how, name = working.how, "passages with one id"
    b, g = 5, how.group or 3
    case = how.draw(b, g, seed=17, spread=0.35)
    rows = case.rows.clone()
    rows[b + g] = rows[b]
    rows += 1e-3 * torch.randn(rows.shape, dtype=rows.dtype, generator=torch.Generator().manual_seed(2))
    alike = replace(how, roles=tuple((n, "ids, two alike" if r == "ids of passages" else r) for n, r in how.roles))
    case = case.with_rows(rows)
    distinct, same = (pulls(case, subject.run(case, way, working.dtype)) for way in (how, alike))
    if distinct is None or same is None:
        return Check(name, Grade.NOTE, "what it does with passages of one id could not be seen")
    cells = [(0, g), (1, 0)]
    before, after = ([abs(float(one[cell])) for cell in cells] for one in (distinct, same))
    kept = [a > 1e-2 * max(b, 1e-12) for a, b in zip(after, before, strict=True)]
    which = "both" if all(kept) else "one of them" if any(kept) else ""
    return _check(
        name,
        not which,
        f"the positives of two queries have one id, and {which} still count as a negative of the other's query",
    )


def _only(roles: tuple[tuple[str, str], ...], item: int) -> tuple[tuple[str, str], ...]:
    return tuple((n, f"weight of {item} alone" if r == "weights" else r) for n, r in roles)


def _unequal(case: Case) -> Tensor:
    return 0.5 + case.grades
