"""The loss on two gloo processes, where its file speaks of several: value and gradient of the joined batch."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from .binding import Binding
from .case import Case, Kind
from .finding import Check, Grade
from .matching import SOFTMAX, Candidate, Fit
from .mistakes.chunks import without_rank_offset
from .sizes import Reduction
from .subject import Subject
from .target import CannotCall

WORLD, SECONDS = 2, 60.0
_RANKS = ("rank", "process_rank", "local_rank")


def speaks_of_processes(subject: Subject) -> bool:
    """Does the file, or an attribute, have to do with several processes?"""
    built = subject.build(8)
    if any(hasattr(built, name) for name in ("world_size", *_RANKS)):
        return True
    try:
        text = Path(subject.target.file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(word in text for word in ("torch.distributed", "all_gather", "dist.get_rank", "dist.is_initialized"))


@dataclass(frozen=True)
class Share:
    """What one process answers: the value, the gradient of its own rows, or why there is none."""

    value: float
    gradient: torch.Tensor
    error: str = ""


def two_processes(
    subject: Subject, how: Binding, dtype: torch.dtype, fit: Fit, reduction: Reduction, spread: float
) -> Iterator[Check]:
    """One check, and none where several processes are not spoken of."""
    if how.kind is not Kind.GROUPS or not speaks_of_processes(subject):
        return
    group = how.group or 3
    joined = how.draw(4 * WORLD, group, seed=17, spread=spread)
    parts = [part_of(joined, rank) for rank in range(WORLD)]
    shares = _run(subject, how, dtype, parts)
    if shares is None:
        yield Check("two processes", Grade.NOTE, f"two processes gave no answer within {SECONDS:.0f} seconds")
        return
    failed = next((share.error for share in shares if share.error), "")
    if failed:
        yield Check("two processes", Grade.NOTE, f"it can't be called on two processes: {failed}")
        return
    seen = sum(share.value for share in shares) / WORLD
    factor = reduction.constant
    whole = fit.candidate.outcome(joined, fit.parameter)
    own = [fit.candidate.outcome(part, fit.parameter) for part in parts]
    loose = 1e-5 if dtype == torch.float64 else 1e-3
    wholes = whole.value * factor * reduction.pattern(joined)
    alone = sum(o.value for o in own) / WORLD * factor * reduction.pattern(parts[0])
    own_gradient = torch.cat([o.gradient for o in own]) * factor * reduction.pattern(parts[0]) / WORLD
    whole_gradient = torch.cat([whole.gradient[rows_of(joined, rank)] for rank in range(WORLD)])
    whole_gradient = whole_gradient * factor * reduction.pattern(joined)
    gradient = torch.cat([share.gradient for share in shares]) / WORLD
    for name, value, wanted in (
        ("two processes, candidates of both", wholes, whole_gradient),
        ("two processes, each with its own candidates", alone, own_gradient),
    ):
        if abs(seen - value) <= loose * max(abs(value), 1e-3):
            yield _gradient(name, gradient, wanted, loose)
            return
    made = Candidate(without_rank_offset(WORLD), SOFTMAX, fit.candidate.similarity).outcome(joined, fit.parameter)
    if abs(seen - made.value * factor) <= loose * max(abs(seen), 1e-3):
        sentence = "on two processes the target of each starts at 0: the rank offset is forgotten (SC303)"
        yield Check("two processes", Grade.WRONG, sentence)
        return
    yield Check(
        "two processes",
        Grade.WRONG,
        f"on two processes the mean of the losses is {seen:.6g}: neither that of the joined batch, {wholes:.6g}, "
        f"nor that of each process alone, {alone:.6g} (SC303)",
    )


def _gradient(name: str, seen: torch.Tensor, wanted: torch.Tensor, loose: float) -> Check:
    along = float(torch.nn.functional.cosine_similarity(seen.flatten(), wanted.flatten(), dim=0))
    ratio = float(seen.norm() / wanted.norm().clamp_min(1e-30))
    if along < 0.9:
        return Check(
            name, Grade.WRONG, f"the value is right, but the averaged gradient points elsewhere: cosine {along:.3f}"
        )
    if abs(along - 1) > loose:
        return Check(
            name, Grade.NOTE, f"rows of the other process get no gradient: cosine {along:.3f} with the exact one"
        )
    if abs(ratio - 1) > 100 * loose:
        return Check(name, Grade.NOTE, f"the averaged gradient is {ratio:.4g} times as long as the joined batch's")
    return Check(name, Grade.OK)


def rows_of(joined: Case, rank: int) -> torch.Tensor:
    """Rows of the joined batch that lie on one process."""
    share = joined.batch // WORLD
    items = torch.arange(rank * share, (rank + 1) * share)
    inner = (items[:, None] * joined.group + torch.arange(joined.group)).flatten()
    return torch.cat([items, joined.batch + inner])


def part_of(joined: Case, rank: int) -> Case:
    share = joined.batch // WORLD
    cut = slice(rank * share, (rank + 1) * share)
    return replace(
        joined,
        batch=share,
        rows=joined.rows[rows_of(joined, rank)],
        labels=joined.labels[cut],
        grades=joined.grades[cut],
        teacher=joined.teacher[cut],
    )


def _run(subject: Subject, how: Binding, dtype: torch.dtype, parts: list[Case]) -> list[Share] | None:
    """Fork, so that what the user built needs no pickling; children that hang are ended."""
    if "fork" not in multiprocessing.get_all_start_methods():
        return None
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        queue = context.SimpleQueue()
        children = [
            context.Process(target=_child, args=(subject, how, dtype, part, rank, folder, queue), daemon=True)
            for rank, part in enumerate(parts)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(SECONDS)
        stuck = [child for child in children if child.is_alive()]
        for child in stuck:
            child.kill()
        if stuck:
            return None
        found: dict[int, Share] = {}
        while not queue.empty():
            rank, value, gradient, error = queue.get()
            found[rank] = Share(value, torch.tensor(gradient, dtype=torch.float64), error)
    return [found[k] for k in range(WORLD)] if len(found) == WORLD else None


def _child(subject: Subject, how: Binding, dtype: torch.dtype, part: Case, rank: int, folder: str, queue: Any) -> None:
    torch.set_num_threads(1)
    value, gradient, error = 0.0, [[0.0]], ""
    try:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(WORLD), LOCAL_RANK=str(rank))
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD, timeout=timedelta(seconds=30)
        )

        def alter(function: Any) -> None:
            for name in _RANKS:
                if isinstance(getattr(function, name, None), int):
                    setattr(function, name, rank)
            if isinstance(getattr(function, "world_size", None), int):
                function.world_size = WORLD

        outcome = subject.run(part, how, dtype, alter=alter)
        value, gradient = outcome.value, outcome.gradient.tolist()
        dist.barrier()
    except CannotCall as refusal:
        error = str(refusal)
    except Exception as failure:  # said to the parent, which says it to the user
        error = f"{type(failure).__name__}: {failure}"
    queue.put((rank, value, gradient, error))
    os._exit(0)
