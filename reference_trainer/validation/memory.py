"""What a loss keeps from one call to the next: earlier embeddings count as negatives, by their similarity alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .case import Case, Kind
from .engine import Working
from .finding import Check, Grade
from .quiet import still
from .roles import make
from .subject import Subject

STEP = 1e-3


def ask(subject: Subject, working: Working) -> Iterator[Check]:
    """The laws of a memory, of a loss whose second call depends on the embeddings of the first."""
    how = working.how
    if how.kind is not Kind.GROUPS or how.taught or working.dtype != torch.float64 or not _kept(subject):
        return
    yield from _lengths(subject, working)
    batch, group = 5, how.group or 2
    earlier, now = (how.draw(batch, group, seed=seed, spread=1.0) for seed in (31, 32))
    width = now.rows.shape[1]
    if width < 2 * len(now.rows):
        return

    def second(rows: Tensor) -> float:
        return subject.run(now, how, alter=lambda loss: _call(loss, working, earlier.with_rows(rows))).value

    start = second(earlier.rows)
    generator = torch.Generator().manual_seed(6)
    noise = torch.randn(earlier.rows.shape, dtype=torch.float64, generator=generator)
    basis, _ = torch.linalg.qr(now.rows.T)  # D N
    queries, _ = torch.linalg.qr(now.queries.T)

    def slope(way: Tensor) -> float:
        unit = earlier.rows / earlier.rows.norm(dim=1, keepdim=True)
        way = way - (way * unit).sum(1, keepdim=True) * unit  # lengths stay
        way = way / way.norm()
        return (second(earlier.rows + STEP * way) - second(earlier.rows - STEP * way)) / (2 * STEP)

    along = slope(noise @ queries @ queries.T)
    if abs(along) <= 1e-7 * max(abs(start), 1e-3):
        return
    # A way that leaves the earlier rows' lengths and all their products with the present rows as they are.
    within = torch.cat([basis.expand(len(noise), -1, -1), earlier.rows[:, :, None]], 2)  # N D M
    free, _ = torch.linalg.qr(within)
    aside = noise - (free @ (free.transpose(1, 2) @ noise[:, :, None]))[:, :, 0]
    beside = slope(aside)
    ok = abs(beside) <= 1e-3 * abs(along)
    yield Check(
        "what it remembers",
        Grade.OK if ok else Grade.WRONG,
        ""
        if ok
        else "embeddings of an earlier call matter by more than their products with the present ones: the memory is "
        "read in another order than it is written, [D, K] as [K, D]",
    )
    toward = now.queries.mean(0).expand(len(noise), -1)
    drawn = slope(toward)
    if ok and abs(drawn) > 1e-6 * max(abs(start), 1e-3):
        yield Check(
            "earlier embeddings as negatives",
            Grade.OK if drawn > 0 else Grade.WRONG,
            ""
            if drawn > 0
            else "queries are drawn to embeddings of an earlier call: what it remembers counts as positive",
        )


def _lengths(subject: Subject, working: Working) -> Iterator[Check]:
    """The embeddings of a bank have length 1 where those of the batch are normalised."""
    width = working.sample.cases[0].rows.shape[1]
    built = subject.build(8)
    held = dict(built.named_buffers()) if hasattr(built, "named_buffers") else vars(built)
    for name, bank in held.items():
        if not isinstance(bank, Tensor) or bank.ndim != 2 or width not in bank.shape or not bank.is_floating_point():
            continue
        axis = bank.shape.index(width)
        if bank.shape[0] == bank.shape[1] or not all(working.free):
            continue
        own, other = ((bank.double().norm(dim=d) - 1).abs().max() < 1e-3 for d in (axis, 1 - axis))
        if bool(other) and not bool(own):
            says = (
                f"{name} {list(bank.shape)} is normalised over its entries, not over the embedding's own axis (SC402)"
            )
            yield Check("lengths of the memory", Grade.WRONG, says)


def _call(loss: Any, working: Working, case: Case) -> None:
    positional, named = working.how.arguments(case, make)
    with still(0):
        loss(*positional, **named)


def _kept(subject: Subject) -> bool:
    """Has it any state of its own that a call could change?"""
    built = subject.build(8)
    return bool(getattr(built, "__dict__", None)) and not subject.embeds and not subject.sentence
