"""Who meets whom, read off the gradient alone: it is `C @ rows`, and C[i, j] says how strongly row i is drawn to row j.

What is asked here holds for every contrastive loss, known or not: rows that are never compared do not influence each
other, each query has a share of its own, and nobody but the positive is drawn nearer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .binding import Binding
from .case import Case, Kind
from .finding import Check, Grade
from .structures import row_labels
from .subject import Outcome, Subject
from .target import CannotCall

STEP = 1e-4


def coefficients(rows: Tensor, gradient: Tensor) -> tuple[Tensor, float]:
    """C of gradient = C @ rows, `[N, N]`: how strongly each row is pushed along each other; and what is left over."""
    solved = torch.linalg.lstsq(rows.T, gradient.T, driver="gelsd").solution.T
    left = float((gradient - solved @ rows).norm() / gradient.norm().clamp_min(1e-30))
    return solved, left


@dataclass(frozen=True)
class Meeting:
    """Of groups: which sides are compared across items, over all batches of a sample."""

    queries: bool  # queries of different items with each other
    passages: bool
    crossed: bool  # a query with another item's passage


def meeting(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> Meeting | None:
    """None where the gradient is no combination of the batch's rows."""
    found = [False, False, False]
    for case, outcome in zip(cases, outcomes, strict=True):
        solved, left = coefficients(case.rows, outcome.gradient)
        if left > 1e-6 or len(case.rows) > case.rows.shape[1]:
            return None
        solved = solved.abs() > 1e-7 * solved.abs().max()
        b, g = case.batch, case.group
        item = torch.cat([torch.arange(b), torch.arange(b).repeat_interleave(g)])
        other = item != item[:, None]
        met = (solved | solved.T) & other
        found[0] |= bool(met[:b, :b].any())
        found[1] |= bool(met[b:, b:].any())
        found[2] |= bool(met[:b, b:].any())
    return Meeting(*found)


def ask(
    subject: Subject, how: Binding, cases: Sequence[Case], outcomes: Sequence[Outcome], dtype: torch.dtype
) -> Iterator[Check]:
    """The laws of meeting; none where differences can't be trusted, or rows have no roles."""
    labelled = how.kind in (Kind.CLASSES, Kind.VIEWS) and any("labels" in role for _, role in how.roles)
    if labelled and dtype == torch.float64:
        yield from _of_labels(cases, outcomes)
    if how.kind is not Kind.GROUPS or dtype != torch.float64:
        return
    met = meeting(cases, outcomes)
    if met is None:
        return
    if not met.queries and not met.passages and not met.crossed:
        yield _apart(subject, how, cases, outcomes)
    elif not met.queries and not met.passages:
        yield from _own_share(subject, how)
    yield from _drawn(how, cases, outcomes)


def _of_labels(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> Iterator[Check]:
    """Rows of one label are drawn together, and those of others are not left out."""
    drawn = pushed = others = 0.0
    for case, outcome in zip(cases, outcomes, strict=True):
        solved, left = coefficients(case.rows, outcome.gradient)
        if left > 1e-6:
            return
        solved = solved / solved.abs().max().clamp_min(1e-30)
        labels = row_labels(case)
        same = labels == labels[:, None]
        mine = solved[same & ~torch.eye(len(same), dtype=torch.bool)]
        drawn += float(mine.clamp(max=0).abs().sum())
        pushed += float(mine.clamp(min=0).sum())
        others += float(solved[~same].abs().sum())
    if others < 1e-6 and drawn > 1e-6:
        mixed = pushed > 1e-2 * drawn
        yield Check(
            "other labels",
            Grade.WRONG if mixed else Grade.NOTE,
            "rows of one label are pushed apart too, and rows of different labels never meet: the mask of negatives is "
            "that of positives"
            if mixed
            else "rows of different labels never meet: nothing in it keeps all embeddings from falling together",
        )


def favours_easy(subject: Subject, how: Binding, dtype: torch.dtype) -> Iterator[Check]:
    """Rows with labels: negatives that are nearer to a row must not be pushed less on the whole."""
    if how.kind is not Kind.CLASSES or how.alone or how.balanced or dtype != torch.float64:
        return
    leans = []
    for positive in (0.5, 1.5, 3.0, 6.0):
        for seed in (1, 2, 3):
            case = how.draw(10, 1, seed=seed, spread=0.5, positive=positive)
            case = case.with_rows(torch.nn.functional.normalize(case.rows, dim=1))
            solved, left = coefficients(case.rows, subject.run(case, how, dtype).gradient)
            if left > 1e-6:
                return
            near, pushed = case.rows @ case.rows.T, solved + solved.T
            for row, others in enumerate(case.labels != case.labels[:, None]):
                one, two = near[row][others], pushed[row][others]
                if float(two.std()) > 1e-6 * float(pushed.abs().max()):
                    leans.append(float(torch.corrcoef(torch.stack([one, two]))[0, 1]))
    if len(leans) > 20:
        share = sum(lean > 0 for lean in leans) / len(leans)
        yield Check(
            "the hardest negative",
            Grade.OK if share > 0.15 else Grade.WRONG,
            ""
            if share > 0.15
            else "of the rows of other labels the farthest are pushed most, the nearest least: hardest and easiest "
            "are exchanged",
        )


def _moved(subject: Subject, how: Binding, case: Case, before: Outcome, places: Tensor, seed: int) -> Tensor:
    """Change of the gradient of all rows when the rows at `places` are moved a little."""
    generator = torch.Generator().manual_seed(seed)
    way = torch.zeros_like(case.rows)
    way[places] = torch.randn(way[places].shape, dtype=way.dtype, generator=generator)
    way = way / way.norm() * case.rows.norm(dim=1).mean()
    return (subject.run(case.with_rows(case.rows + STEP * way), how).gradient - before.gradient) / STEP


def _apart(subject: Subject, how: Binding, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> Check:
    """No item is compared with another: then moving one changes the others' gradient by a common factor at most."""
    for case, before in zip(cases, outcomes, strict=True):
        b, g = case.batch, case.group
        mine = torch.cat([torch.zeros(1, dtype=torch.long), b + torch.arange(g)])
        others = torch.ones(len(case.rows), dtype=torch.bool)
        others[mine] = False
        generator = torch.Generator().manual_seed(2)
        rows = case.rows.clone()
        rows[mine] = (
            rows[mine]
            + 0.3
            * rows.norm(dim=1).mean()
            * torch.randn(rows[mine].shape, dtype=rows.dtype, generator=generator)
            / rows.shape[1] ** 0.5
        )
        after = subject.run(case.with_rows(rows), how).gradient[others].flatten()
        start = before.gradient[others].flatten()
        if not start.norm() or not after.norm():
            continue
        left = after - start * (after @ start) / (start @ start)
        if float(left.norm() / after.norm()) > 1e-5:
            return Check(
                "items by themselves",
                Grade.WRONG,
                "no item is compared with another, and yet the pull on one changes with another's embeddings: "
                "a column [B, 1] met a row [B], or something is normalised over the batch (SC102)",
            )
    return Check("items by themselves", Grade.OK)


def _own_share(subject: Subject, how: Binding) -> Iterator[Check]:
    """Queries that are compared with passages alone: each has a share of its own, in one direction or in both.

    With F the direction whose rows are queries, a*F(q, p) + b*F(p, q) changes with two queries at once only through its
    second part, and that is b/a of what the loss with both sides exchanged shows.
    """
    if how.group not in (None, 1) or how.role_of("target"):
        return
    case = how.draw(6, 1, seed=23, spread=0.35)
    turned = replace(case, rows=torch.cat([case.rows[6:], case.rows[:6]]))
    try:
        straight, back = subject.run(case, how), subject.run(turned, how)
        sides = []
        for places in (torch.tensor([0]), torch.tensor([6])):
            rest = torch.arange(1, 6) + int(places)
            seen = _moved(subject, how, case, straight, places, 5)[rest].flatten()
            other = _moved(subject, how, turned, back, (places + 6) % 12, 5)[(rest + 6) % 12].flatten()
            sides.append((seen, torch.stack([other, straight.gradient[rest].flatten()], 1)))
    except CannotCall:
        return
    size = max(float(seen.norm()) for seen, _ in sides)
    whole = float(straight.gradient.norm())
    if any(float(seen.norm()) <= 1e-3 * max(size, whole) for seen, _ in sides):
        yield Check("each query's own share", Grade.OK)
        return
    left = []
    for seen, by in sides:
        solved = torch.linalg.lstsq(by, seen[:, None], driver="gelsd").solution
        left.append(float((seen - (by @ solved)[:, 0]).norm() / seen.norm()))
    yield Check(
        "each query's own share",
        Grade.OK if max(left) < 1e-2 else Grade.WRONG,
        "queries are not compared with each other, and yet the share of one changes with another, which the way "
        "back does not explain: something is normalised or summed over the batch (SC402)"
        if max(left) >= 1e-2
        else "",
    )


def pulls(case: Case, outcome: Outcome) -> Tensor | None:
    """How strongly each query is drawn to each passage, `[B, B*G]`: positive is nearer. None where it can't be told."""
    if len(case.rows) > case.rows.shape[1]:
        return None
    b = case.batch
    solved, _ = coefficients(case.rows, outcome.gradient)
    of_passages = outcome.gradient[b:]
    left = float((of_passages - solved[b:] @ case.rows).norm() / of_passages.norm().clamp_min(1e-30))
    if float(of_passages.norm()) > 0 and left < 1e-6:
        return -solved[b:, :b].T
    left = float((outcome.gradient[:b] - solved[:b] @ case.rows).norm() / outcome.gradient[:b].norm().clamp_min(1e-30))
    return -solved[:b, b:] if left < 1e-6 else None


def _drawn(how: Binding, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> Iterator[Check]:
    """The own negatives are not drawn nearer, and each place of the group is used."""
    if how.taught or cases[0].group < 2:
        return
    net, size, places = 0.0, 0.0, torch.zeros(cases[0].group, dtype=torch.float64)
    for case, outcome in zip(cases, outcomes, strict=True):
        seen = pulls(case, outcome)
        if seen is None:
            return
        own = seen.view(case.batch, case.batch, case.group)[torch.arange(case.batch), torch.arange(case.batch)]
        net += float(own[:, 1:].sum())
        size += float(own[:, 1:].abs().sum())
        places += outcome.gradient[case.batch :].view(case.batch, case.group, -1).norm(dim=2).sum(0)
    drawn = size > 0 and net > 0.2 * size
    yield Check(
        "own negatives",
        Grade.WRONG if drawn else Grade.OK,
        "each query is drawn to its own negatives: they count as positives" if drawn else "",
    )
    dead = [k for k in range(1, len(places)) if float(places[k]) <= 1e-9 * float(places.max())]
    if dead and len(dead) < len(places) - 1:
        yield Check(
            "every negative", Grade.WRONG, f"negative {dead[0]} of each group gets no gradient: it is never used"
        )
