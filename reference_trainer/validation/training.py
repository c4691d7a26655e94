"""Both losses at work: the bundled task trained with each, three seeds, curves and their spread."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn

from ..batch import assemble
from ..evaluate import evaluate
from ..journal import Silent
from ..processes import bare
from ..settings import from_plain
from ..setup import set_up
from ..train import learning_rate
from ..world import Alone
from .case import Case, Kind
from .finding import Judgement
from .subject import Subject
from .target import CannotCall

SEEDS, STEPS, EVERY, BATCH, GROUP = (0, 1, 2), 60, 20, 64, 8
METRIC = "mrr@10"


@dataclass(frozen=True)
class Curve:
    """One loss: of every seed, the metric at each evaluated step, and the loss at each step."""

    name: str
    quality: tuple[tuple[tuple[int, float], ...], ...]
    losses: tuple[tuple[float, ...], ...]
    error: str = ""

    def last(self) -> tuple[float, float, float]:
        """Mean, least and most over the seeds, after the last step."""
        values = [curve[-1][1] for curve in self.quality]
        return statistics.fmean(values), min(values), max(values)


@dataclass(frozen=True)
class Trained:
    curves: tuple[Curve, ...]

    def text(self) -> str:
        rows = [f"trained {STEPS} steps of {BATCH} queries on the bundled task, {len(SEEDS)} seeds, {METRIC}:"]
        for curve in self.curves:
            if curve.error:
                rows.append(f"  {curve.name}: {curve.error}")
                continue
            mean, low, high = curve.last()
            begun = statistics.fmean(c[0][1] for c in curve.quality)
            rows.append(f"  {curve.name}: {begun:.3f} -> {mean:.3f} ({low:.3f} to {high:.3f})")
        return "\n".join(rows)

    def plain(self) -> list[dict[str, Any]]:
        return [
            {"function": c.name, "error": c.error, "metric": METRIC, "quality": c.quality, "losses": c.losses}
            for c in self.curves
        ]


def train_all(losses: list[tuple[str, Subject, Judgement]], tell: Callable[[str], None]) -> Trained:
    """Train with each loss in turn; a loss that can't be trained with says why."""
    with tempfile.TemporaryDirectory() as folder:  # one for all: texts are tokenised once
        curves = tuple(_train(name, subject, judgement, Path(folder), tell) for name, subject, judgement in losses)
    return Trained(curves)


def _train(name: str, subject: Subject, judgement: Judgement, folder: Path, tell: Callable[[str], None]) -> Curve:
    working = judgement.pictures["working"]
    if working.how.kind is not Kind.GROUPS or any(role.startswith("teacher") for _, role in working.how.roles):
        return Curve(name, (), (), "the bundled task has queries and groups of passages, which this loss does not take")
    quality, losses = [], []
    for seed in SEEDS:
        tell(f"training with {name}, seed {seed} ...")
        try:
            one, other = _one(subject, working.how, seed, folder)
        except CannotCall as error:
            return Curve(name, (), (), f"it can't be trained with: {error}")
        quality.append(one)
        losses.append(other)
    return Curve(name, tuple(quality), tuple(losses))


def _one(
    subject: Subject, how: Any, seed: int, folder: Path
) -> tuple[tuple[tuple[int, float], ...], tuple[float, ...]]:
    settings = from_plain(
        {
            "loss": {"mode": "in-group"},
            "data": {"group": GROUP},
            "model": {"name": "static"},
            "train": {
                "learning_rate": 0.005,
                "warmup": 5,
                "batch": BATCH,
                "steps": STEPS,
                "chunk_tokens": 4096,
                "threads": 1,
                "seed": seed,
            },
        }
    )
    run = set_up(settings, folder, Alone(), torch.device("cpu"), Silent())  # shapecheck: ignore[SC101]
    assert run.dev is not None
    quality, losses = [], []

    def measure(step: int) -> None:
        assert run.dev is not None
        found = evaluate(bare(run.model), run.dev, GROUP, 4096, run.pad, False)
        quality.append((step, float(found[METRIC])))
        run.model.train()

    measure(0)
    for step in range(STEPS):
        batch = assemble(run.sampler.store, run.sampler.draw(step, 0, 1), 4096, run.pad, False)
        embeddings = run.model(batch.chunks)
        queries, passages = embeddings[batch.query_at], embeddings[batch.passage_at]
        group = how.group or GROUP
        own = passages.view(BATCH, GROUP, -1)[:, :group].flatten(0, 1)
        rows = torch.cat([queries, own])
        case = Case(
            Kind.GROUPS, BATCH, group, rows.detach(), torch.arange(BATCH), torch.ones(BATCH), torch.zeros(BATCH, group)
        )
        outcome = subject.run(case, how, torch.float32)
        torch.autograd.backward(rows, outcome.gradient.to(rows.dtype))
        losses.append(outcome.value)
        nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        for each in run.optimizer.param_groups:
            each["lr"] = learning_rate(settings, step)
        run.optimizer.step()
        run.optimizer.zero_grad(set_to_none=True)
        if (step + 1) % EVERY == 0:
            measure(step + 1)
    return tuple(quality), tuple(losses)
