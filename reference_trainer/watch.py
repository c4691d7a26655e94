"""Keeps an eye on a run: losses that aren't finite, a loss level that can't be right, and the numbers of the log.

On CUDA a step's loss is looked at one step later, so that the host never waits for the step that it has just launched.
Nothing is saved before every loss up to then was looked at.
"""

from __future__ import annotations

import contextlib
import math
import resource
import sys
import time
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from .alarm import LevelAlarm
from .batch import Batch
from .journal import Journal
from .objective import uniform_loss
from .processes import mean_over
from .refusal import Refusal, Unusable
from .setup import Run
from .whole import save_torch, writing


class NotFinite(Refusal):
    """The loss or its gradient is NaN or infinite; the message names the step, the rows and the dump."""

    code: ClassVar[int] = 3


class Watch:
    """Takes every step's loss and gradient norm."""

    def __init__(self, run: Run) -> None:
        hyper, data = run.settings.train, run.settings.data
        self._run = run
        self.level = uniform_loss(run.settings.loss, hyper.batch, data.group, run.world.size)
        self.alarm = LevelAlarm(self.level, patience=max(20, hyper.warmup + 5))
        self._waiting: list[tuple[int, Tensor, Tensor, Batch]] = []
        self._losses: list[float] = []
        self._norm = 0.0
        self._tokens = self._padded = 0
        self._since = time.perf_counter()

    def take(self, batch: Batch, loss: Tensor, norm: Tensor) -> None:
        """One step's outcome. NotFinite may speak of an earlier step."""
        late = self._run.device.type == "cuda"
        self._waiting.append((self._run.step, loss, norm, batch))
        self._tokens += batch.tokens
        self._padded += batch.padded_tokens
        while len(self._waiting) > int(late):
            self._look(*self._waiting.pop(0))

    def settle(self) -> None:
        """Look at every step up to now."""
        while self._waiting:
            self._look(*self._waiting.pop(0))

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Look at every step up to now; what is done meanwhile, an evaluation or a save, is not a step's time."""
        self.settle()
        began = time.perf_counter()
        yield
        self._since += time.perf_counter() - began

    def log(self, journal: Journal | None) -> None:
        """Write the mean since the last call."""
        self.settle()
        run, seconds = self._run, time.perf_counter() - self._since
        mean = torch.tensor(sum(self._losses) / max(1, len(self._losses)), device=run.device)
        numbers = {
            "loss": float(mean_over(mean, run.world)),
            "level": self.level,
            "learning_rate": float(run.optimizer.param_groups[0]["lr"]),
            "gradient_norm": self._norm,
            "temperature": float((-run.log_scale.detach()).exp()),
            "tokens_per_second": self._tokens * run.world.size / seconds,
            "padding": self._padded / max(1, self._tokens),
            "memory_mb": peak_memory(run.device) / 2**20,
        }
        run.display.advance(run.step, numbers)
        if journal is not None:
            journal.write("step", run.step, steps=len(self._losses), seconds=seconds, **numbers)
        self._losses, self._tokens, self._padded = [], 0, 0
        self._since = time.perf_counter()

    def _look(self, step: int, loss: Tensor, norm: Tensor, batch: Batch) -> None:
        value, self._norm = float(loss), float(norm)
        if not (math.isfinite(value) and math.isfinite(self._norm)):
            raise NotFinite(self._dump(step, value, batch))
        self._losses.append(value)
        warning = self.alarm.update(value)
        if warning:
            self._run.display.say(f"[alarm] {warning}")

    def _dump(self, step: int, value: float, batch: Batch) -> str:
        run = self._run
        where = [run.sampler.store.where[row] for row in batch.rows]
        path = run.out / f"not-finite-step-{step}-rank-{run.world.rank}.pt"
        chunks = [
            {"ids": chunk.ids.cpu(), "mask": None if chunk.mask is None else chunk.mask.cpu()} for chunk in batch.chunks
        ]
        dump = {
            "step": step,
            "loss": value,
            "gradient_norm": self._norm,
            "rows": where,
            "chunks": chunks,
            "query_at": batch.query_at.cpu(),
            "passage_at": batch.passage_at.cpu(),
            "teacher": None if batch.teacher is None else batch.teacher.cpu(),
            "recent_losses": self._losses[-100:],
            "random_state": torch.get_rng_state(),
        }
        try:
            with writing(path):
                save_torch(dump, path)
            kept = f"The batch is in {path}"
        except Unusable as error:
            kept = str(error)
        shown = ", ".join(where[:8]) + (", ..." if len(where) > 8 else "")
        return (
            f"step {step}: loss {value}, gradient norm {self._norm}; rows {shown}. "
            f"{kept}. No checkpoint holds weights from this step on."
        )


def peak_memory(device: torch.device) -> int:
    """Bytes at the highest: of the CUDA allocator, or of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
