"""In-batch, in-group, and the bug that crossed them: three short runs of one model on one task, side by side.

Each run is its own process, so that its peak memory is its own; texts are tokenised once for all three. The replayed
bug is FlagEmbedding issue 450: nothing crashes, but its loss never comes down to log C, and its quality stays behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .charts import as_file
from .report import History, milliseconds, read_history, side_by_side, write_report

STEPS = 100
RUNS = {
    "in-batch": ("loss.mode=in-batch",),
    "in-group": ("loss.mode=in-group",),
    "bug-450": ("loss.mode=in-group", "train.replay_bug=450"),
}
COMMON = (
    "model.name=static", "train.learning_rate=0.005", "train.warmup=5", "train.batch=128", f"train.steps={STEPS}",
    f"train.eval_every={STEPS // 4}", "train.log_every=5", "train.chunk_tokens=4096",
    "train.threads=1",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One run of the demo, and the seconds that its process took."""

    history: History
    seconds: float


def run_demo(out: Path, say: Callable[[str], None], seed: int = 0) -> dict[str, Outcome]:
    """Train the three and draw them: report.html and demo.svg in out. CalledProcessError if a run fails."""
    outcomes = {}
    prepared = out / "prepared"
    prepared.mkdir(parents=True)
    for name, own in RUNS.items():
        say(f"training {name} ...")
        began = time.perf_counter()
        changes = [part for change in (*COMMON, *own, f"train.seed={seed}") for part in ("--set", change)]
        (out / name).mkdir()
        (out / name / "prepared").symlink_to(prepared.resolve(), target_is_directory=True)
        command = [sys.executable, "-m", "reference_trainer", "train", "--quiet", "--resume", "never"]
        subprocess.run(
            [*command, "--out", str(out / name), *changes],
            check=True,
            capture_output=True,
            text=True,
            env=dict(os.environ),
        )
        outcomes[name] = Outcome(read_history(out / name), time.perf_counter() - began)
    write_report([out / name for name in RUNS], out / "report.html")
    drawn = side_by_side([outcome.history for outcome in outcomes.values()])
    (out / "demo.svg").write_text(as_file(drawn), encoding="utf-8")
    return outcomes


def table(outcomes: dict[str, Outcome]) -> list[list[str]]:
    """Header and one row a run: loss first to last, log C, quality before and after, seconds a step, memory."""
    rows = [["run", "loss", "log C", "under log C", "MRR@10", "group accuracy", "ms a step", "peak MB"]]
    for name, outcome in outcomes.items():
        steps, before = outcome.history.steps, outcome.history.evaluations[0]
        after, first, last = outcome.history.evaluations[-1], steps[0], steps[-1]
        rows.append(
            [
                name,
                f"{first['loss']:.2f} -> {last['loss']:.2f}",
                f"{last['level']:.2f}",
                "yes" if last["loss"] < last["level"] else "NO",
                f"{before['mrr@10']:.3f} -> {after['mrr@10']:.3f}",
                f"{before['group_accuracy']:.3f} -> {after['group_accuracy']:.3f}",
                f"{milliseconds(outcome.history):.0f}",
                f"{last['memory_mb']:.0f}",
            ]
        )
    return rows
