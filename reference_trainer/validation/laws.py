"""Laws that any contrastive loss obeys, asked where no known definition fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from . import meeting
from .binding import Binding
from .case import Case, Kind, places, reorder
from .finding import Check, Grade
from .subject import Outcome, Subject


def near(one: float, two: float, relative: float = 1e-5) -> bool:
    return abs(one - two) <= relative * max(abs(one), abs(two), 1e-3)


def ask(
    subject: Subject, how: Binding, cases: Sequence[Case], outcomes: Sequence[Outcome], dtype: torch.dtype
) -> Iterator[Check]:
    """All laws but that of training, on batches whose outcomes are known."""
    loose = 1e-5 if dtype == torch.float64 else 2e-3
    case, before = cases[0], outcomes[0]
    yield from order(subject, how, case, before, dtype, loose)
    yield from _attraction(subject, how, case, before)
    yield from _features(subject, how, case, before, dtype, loose)
    yield from _slope(subject, how, case, before, dtype)
    yield from meeting.ask(subject, how, cases, outcomes, dtype)


def _check(name: str, ok: bool, sentence: str) -> Check:
    return Check(name, Grade.OK if ok else Grade.WRONG, "" if ok else sentence)


def order(
    subject: Subject, how: Binding, case: Case, before: Outcome, dtype: torch.dtype, loose: float
) -> Iterator[Check]:
    generator = torch.Generator().manual_seed(1)
    items = torch.randperm(case.batch, generator=generator)
    straight, same = torch.arange(case.group), torch.arange(case.batch)
    if how.role_of("target"):
        items = same
    if case.kind is Kind.CLASSES:
        items = torch.randperm(case.batch, generator=generator) if how.alone else _shuffled(case, generator)
    what = (
        "the batch, everything that belongs together moved together,"
        if case.kind is not Kind.CLASSES
        else "the rows with their labels"
    )
    yield _reordered(subject, how, case, before, dtype, loose, "order of the batch", what, items, straight)
    if case.kind is Kind.GROUPS and case.group > 2:
        turned = torch.cat([straight[:1], straight[1:].flip(0)])
        yield _reordered(
            subject,
            how,
            case,
            before,
            dtype,
            loose,
            "order of the negatives",
            "the negatives of each group",
            same,
            turned,
        )
    if case.kind is Kind.VIEWS:
        turns = [straight.flip(0)]
        if how.role_of("other views"):
            turns = [torch.cat([straight[:1], straight[1:].flip(0)])]
        elif how.role_of("view 0"):  # two views of two networks: views are exchanged, and networks are not
            turns = [torch.tensor([1, 0, 3, 2]), torch.tensor([2, 3, 0, 1])]
        asked = [
            _reordered(
                subject,
                how,
                case,
                before,
                dtype,
                loose,
                "order of the views",
                "the views of each item",
                same,
                turned,
            )
            for turned in turns
        ]
        yield next((check for check in asked if check.grade is Grade.OK), asked[0])


def _shuffled(case: Case, generator: torch.Generator) -> Tensor:
    """Rows of different labels change places, those of one label keep their order: some losses take pairs in order."""
    count = int(case.labels.max()) + 1
    if bool((case.labels.diff() >= 0).all()) and case.batch % count == 0:  # label after label: the blocks change places
        return torch.arange(case.batch).view(count, -1).flip(0).flatten()
    labels = case.labels[torch.randperm(case.batch, generator=generator)]
    items = torch.empty(case.batch, dtype=torch.long)
    for label in sorted(set(labels.tolist())):
        items[labels == label] = (case.labels == label).nonzero().flatten()
    return items


def _reordered(
    subject: Subject,
    how: Binding,
    case: Case,
    before: Outcome,
    dtype: torch.dtype,
    loose: float,
    name: str,
    what: str,
    items: Tensor,
    within: Tensor,
) -> Check:
    after = subject.run(reorder(case, items, within), how, dtype)
    if not near(after.value, before.value, loose):
        return _check(name, False, f"reordering {what} changes the loss from {before.value:.5g} to {after.value:.5g}")
    moved = before.gradient[places(case, items, within)]
    error = float((after.gradient - moved).norm() / moved.norm().clamp_min(1e-30))
    return _check(
        name,
        error < loose * 100,
        f"reordering {what} keeps the loss but not the gradient: off by {error:.2g} of its length",
    )


def _attraction(subject: Subject, how: Binding, case: Case, before: Outcome) -> Iterator[Check]:
    size = before.gradient.norm()
    yield _check("gradient", bool(size > 0), "no embedding gets a gradient")
    if size == 0:
        return
    if case.kind is Kind.GROUPS:
        for name, part in (
            ("queries", before.gradient[: case.batch]),
            ("positives", before.gradient[case.batch :: case.group]),
        ):
            dead = not bool(part.norm() > 1e-9 * size)
            if name == "positives" and how.role_of("teacher embeddings"):
                continue
            if dead and name == "positives" and subject.banked(how.width):
                yield Check(
                    f"gradient of the {name}",
                    Grade.NOTE,
                    "the positives get no gradient: as it must be where a momentum encoder gives them, as its bank of "
                    "earlier embeddings suggests, and wrong elsewhere",
                )
                continue
            yield _check(
                f"gradient of the {name}",
                not dead,
                f"the {name} get no gradient: that side is detached or unused",
            )
        if case.group > 1:
            negatives = before.gradient[case.batch :].view(case.batch, case.group, -1)[:, 1:]
            yield _check(
                "gradient of the negatives",
                bool(negatives.norm() > 1e-9 * size),
                "the negatives get no gradient: they are detached or unused",
            )


def _features(
    subject: Subject, how: Binding, case: Case, before: Outcome, dtype: torch.dtype, loose: float
) -> Iterator[Check]:
    """Scaling one feature of all rows, or of one side's, must matter, unless features are standardised."""
    scale = torch.linspace(0.5, 2.0, case.rows.shape[1], dtype=torch.float64)
    parts = [(slice(0, None), "all rows")]
    if case.kind in (Kind.GROUPS, Kind.GRADED):
        parts += [(slice(0, case.batch), "all queries"), (slice(case.batch, None), "all passages")]
    for part, whose in parts:
        rows = case.rows.clone()
        rows[part] = rows[part] * scale
        if not near(subject.run(case.with_rows(rows), how, dtype).value, before.value, loose):
            continue
        if float(before.gradient[part].norm()) == 0 and how.role_of("teacher embeddings"):
            continue
        rows = case.rows.clone()
        rows[part] = rows[part] + scale  # shifting is free too where features are standardised
        if near(subject.run(case.with_rows(rows), how, dtype).value, before.value, loose):
            return
        if _of_features(subject, how, case, before, dtype, loose):
            says = "each feature is normalised over the batch, as it is where features are compared with each other"
            yield Check("scale of a feature", Grade.NOTE, says)
            return
        yield _check(
            "scale of a feature",
            False,
            f"scaling a feature of {whose} changes nothing: something is normalised over the batch, not over the "
            "embedding's own axis (SC402)",
        )
        return
    yield Check("scale of a feature", Grade.OK)


def _of_features(subject: Subject, how: Binding, case: Case, before: Outcome, dtype: torch.dtype, loose: float) -> bool:
    """Is it a loss of the features' covariance: items may be mixed by a rotation, and features act on each other?"""
    if case.kind not in (Kind.GROUPS, Kind.VIEWS):
        return False
    b = case.batch
    columns = case.rows.view(b, case.group, -1) if case.kind is Kind.VIEWS else case.passages
    generator = torch.Generator().manual_seed(4)
    turn, _ = torch.linalg.qr(torch.randn(b, b, dtype=case.rows.dtype, generator=generator))
    mixed = torch.einsum("ij,jgd->igd", turn, columns).flatten(0, 1)
    rows = mixed if case.kind is Kind.VIEWS else torch.cat([turn @ case.queries, mixed])
    if not near(subject.run(case.with_rows(rows), how, dtype).value, before.value, loose):
        return False
    moved = case.rows.clone()
    moved[:, 0] = moved[:, 0].flip(0)
    after = subject.run(case.with_rows(moved), how, dtype).gradient[:, 1:]
    start = before.gradient[:, 1:]
    return float((after - start).norm()) > 1e-3 * float(start.norm())


def _slope(subject: Subject, how: Binding, case: Case, before: Outcome, dtype: torch.dtype) -> Iterator[Check]:
    """The gradient that is returned against differences of the value."""
    if dtype != torch.float64:
        return
    generator = torch.Generator().manual_seed(3)
    step = 1e-5
    worst, wanted, seen = 0.0, 0.0, 0.0
    for part in _sides(case):
        way = torch.zeros_like(case.rows)
        way[part] = torch.randn(way[part].shape, dtype=torch.float64, generator=generator)
        way /= way.norm()
        up = subject.run(case.with_rows(case.rows + step * way), how, dtype).value
        down = subject.run(case.with_rows(case.rows - step * way), how, dtype).value
        slope, given = (up - down) / (2 * step), float((before.gradient * way).sum())
        error = abs(slope - given) / max(abs(slope), abs(given), 1e-6)
        if error > worst:
            worst, wanted, seen = error, slope, given
    grade = Grade.OK if worst < 2e-3 else Grade.NOTE
    sentence = (
        f"part of the value is not differentiated: the value's slope is {wanted:.4g}, the gradient says {seen:.4g}"
    )
    yield Check("gradient against differences", grade, "" if grade is Grade.OK else sentence)


def _sides(case: Case) -> list[slice]:
    if case.kind in (Kind.GROUPS, Kind.GRADED):
        return [slice(0, case.batch), slice(case.batch, None)]
    return [slice(0, None)]


def training(subject: Subject, how: Binding, case: Case, dtype: torch.dtype) -> Iterator[Check]:
    """Free embeddings that follow the gradient must end with their positives first."""
    start = how.draw(max(case.batch, 6), case.group, seed=11, spread=1.0, positive=0.0)
    rows = start.rows / start.rows.norm(dim=1, keepdim=True)
    moment, second = torch.zeros_like(rows), torch.zeros_like(rows)
    steps = 80
    for step in range(1, steps + 1):
        answer = subject.run(start.with_rows(rows), how, dtype)
        moment = 0.9 * moment + 0.1 * answer.gradient
        second = 0.99 * second + 0.01 * answer.gradient**2
        rate = 0.04 * min(1.0, 2 * (1 - step / (steps + 1)))
        rows = rows - rate * (moment / (1 - 0.9**step)) / ((second / (1 - 0.99**step)).sqrt() + 1e-9)
    if how.alone:
        ends = torch.nn.functional.normalize(rows, dim=1)
        close = float((ends @ ends.T).mean())
        yield _check(
            "training free embeddings", close < 0.9, f"embeddings that follow it fall together: mean cosine {close:.2f}"
        )
        return
    two_networks = how.role_of("view 0") and not how.role_of("other views")
    drawn = _drawn(subject, how, start, dtype) if two_networks else None
    if how.taught:
        quality = _taught
    else:

        def quality(case: Case) -> tuple[float, float, str]:
            return _quality(case, drawn)

    score, wanted, what = quality(start.with_rows(rows))
    before, _, _ = quality(start)
    graded = case.kind is Kind.GRADED or what == _AS_TAUGHT
    if graded and score < min(before, -0.3):
        what = "end the further apart the more alike they are marked: the labels' order is turned; " + what
    improves = score >= wanted or (case.kind is Kind.CLASSES and score >= before + 0.1)
    if drawn is not None and not drawn.any():
        yield _check("drawn together", False, "no two of the views of an item are drawn to each other")
        return
    yield _check(
        "training free embeddings",
        improves,
        f"embeddings that follow this loss for {steps} steps {what}: {before:.2f} before, {score:.2f} after, "
        f"at least {wanted:.2f} wanted",
    )


def _drawn(subject: Subject, how: Binding, case: Case, dtype: torch.dtype) -> Tensor:
    """Which views of an item are drawn to each other, `[V, V]`: with two networks not all of them are."""
    outcome = subject.run(case, how, dtype)
    solved, _ = meeting.coefficients(case.rows, outcome.gradient)
    b, v = case.batch, case.group
    own = solved.view(b, v, b, v)[torch.arange(b), :, torch.arange(b)].mean(0)
    return (torch.minimum(own, own.T) < -1e-6 * solved.abs().max()) & ~torch.eye(v, dtype=torch.bool)


_AS_TAUGHT = "have similarities that follow the teacher's scores within the group (correlation)"


def _taught(case: Case) -> tuple[float, float, str]:
    """How well similarities of the own group follow the teacher's scores."""
    own = torch.einsum("bd,bgd->bg", case.queries, case.passages)
    if case.group == 1:
        both = torch.stack([own[:, 0], case.teacher[:, 0]])
        return float(torch.corrcoef(both)[0, 1].nan_to_num(0.0)), 0.5, _AS_TAUGHT
    one, other = own - own.mean(1, keepdim=True), case.teacher - case.teacher.mean(1, keepdim=True)
    return float(torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0)), 0.5, _AS_TAUGHT


def _quality(case: Case, drawn: Tensor | None = None) -> tuple[float, float, str]:
    """How well the rows are in order, how well they must be, and in words; `drawn`: views that count as of one item."""
    rows = torch.nn.functional.normalize(case.rows, dim=1)
    near = rows @ rows.T
    if case.kind is Kind.GROUPS:
        own = near[: case.batch, case.batch :].view(case.batch, case.batch, case.group)
        mine = own[torch.arange(case.batch), torch.arange(case.batch)]
        if case.group > 1:
            right = (mine[:, :1] >= mine - 1e-6).all(1).double().mean().item()
            return right, 0.75, "rank the own positive first within the group"
        right = (own[:, :, 0].argmax(1) == torch.arange(case.batch)).double().mean().item()
        return right, 0.75, "rank the own positive first"
    if case.kind is Kind.GRADED:
        seen = near[torch.arange(case.batch), case.batch + torch.arange(case.batch)]
        both = torch.stack([seen, case.grades])
        return (
            float(torch.corrcoef(both)[0, 1].nan_to_num(0.0)),
            0.8,
            "have similarities that follow their labels (correlation)",
        )
    labels = case.labels if case.kind is Kind.CLASSES else case.labels.repeat_interleave(case.group)
    same = (labels == labels[:, None]) & ~torch.eye(len(labels), dtype=torch.bool)
    if drawn is not None:
        same &= drawn.repeat(case.batch, case.batch)
    other = labels != labels[:, None]
    gaps = near.unsqueeze(2) - near.unsqueeze(1)
    valid = same.unsqueeze(2) & other.unsqueeze(1)
    share = (gaps[valid] > 0).double().mean().item() if valid.any() else 1.0
    return share, 0.85, "are nearer to those of their own label than to others (share of triplets)"
