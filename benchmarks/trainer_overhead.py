"""What the guards cost: `@shaped` on against off over whole training steps, and the start-up oracles, in CPU time.

    python benchmarks/trainer_overhead.py [--pairs 300] [--batch 8]

On and off are two copies of the trainer in one process, imported under one and the other word of SHAPECHECK, that take
turns at the same step; a third copy, also off, shows what the method sees where there is nothing to see. The figure is
the median over pairs of neighbouring steps, with the interval that holds the median in 95 of 100 resamplings.

Oracles are asked in children forked from a process that has only imported the trainer, and at last in that process
itself, which has no page to copy at a first touch: "first" is what a run pays.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

UNFORKED = "in-batch, not in a fork"
SMALL = (
    "train.threads=1", "train.chunk_tokens=1024", "data.group=4", "loss.mode=in-batch", "data.limit=200",
)  # fmt: skip


def copy_of_trainer(word: str, batch: int, folder: Path) -> Callable[[], None]:
    """A training step of a fresh copy of the trainer, imported with SHAPECHECK=word."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "reference_trainer"]:
        del sys.modules[name]
    os.environ["SHAPECHECK"] = word
    fresh = {
        name: importlib.import_module(f"reference_trainer.{name}")
        for name in ("batch", "journal", "settings", "setup", "train", "world")
    }
    changes = [*SMALL, f"train.batch={batch}"]
    run = fresh["setup"].set_up(
        fresh["settings"].load(None, changes), folder, fresh["world"].Alone(), torch.device("cpu"),
        fresh["journal"].Silent(),
    )  # fmt: skip
    made = fresh["batch"].assemble(run.sampler.store, run.sampler.draw(0), 1024, run.pad)
    return lambda: fresh["train"].train_step(run, made)


def seconds(step: Callable[[], None]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def median_and_interval(ratios: list[float]) -> tuple[float, float, float]:
    """The median, and where 95 % of the medians of resampled lists lie."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(2000))
    return statistics.median(ratios), medians[49], medians[-50]


def steps(pairs: int, batch: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copies = {name: copy_of_trainer(name.split()[0], batch, Path(folder)) for name in ("off", "on", "off again")}
        for _ in range(5):
            for step in copies.values():
                step()
        gc.collect()
        gc.disable()
        times: dict[str, list[float]] = {name: [] for name in copies}
        names = list(copies)
        for k in range(pairs):
            for name in names[k % 3 :] + names[: k % 3]:
                times[name].append(seconds(copies[name]))
            if k % 50 == 49:
                print(f"  {k + 1} of {pairs} rounds", flush=True)
    off = 1e3 * statistics.median(times["off"])
    for name in names[1:]:
        middle, low, high = median_and_interval([a / b for a, b in zip(times[name], times["off"])])
        print(f"{name} / off over {pairs} steps of {off:.0f} ms: median {middle:.4f} (95 %: {low:.4f} to {high:.4f})")


def oracles() -> None:
    """Print, for each mode, the milliseconds of the first and the median of later judgements."""
    import reference_trainer.train  # noqa: F401  (what a run has imported before it asks)
    from reference_trainer.fused import Fused
    from reference_trainer.modes import Mode
    from reference_trainer.oracles import ByAutograd, ByCache, configured, judge, require, small
    from reference_trainer.settings import Distill, LossSettings

    torch.set_num_threads(1)
    in_batch, preset = Mode.IN_BATCH, Mode.IN_GROUP
    cases = {
        "in-batch": (LossSettings(in_batch), 1, ByAutograd),
        "in-batch, cached": (LossSettings(in_batch), 1, ByCache),
        "in-batch, chunked": (LossSettings(in_batch, fused=Fused.CHUNKED), 1, ByAutograd),
        "in-batch, torch's fused": (LossSettings(in_batch, fused=Fused.TORCH, mask_duplicates=False), 1, ByAutograd),
        "in-batch, symmetric": (LossSettings(in_batch, symmetric=True), 1, ByAutograd),
        "in-batch, across processes": (LossSettings(in_batch, cross_device=True), 2, ByAutograd),
        "in-batch, three Matryoshka widths": (LossSettings(in_batch, dims=(16, 32, 64)), 1, ByAutograd),
        "in-batch, all options at once": (
            LossSettings(in_batch, symmetric=True, cross_device=True, dims=(16, 32), distill=Distill.KL), 2, ByCache,
        ),
        "preset": (LossSettings(preset), 1, ByAutograd),
        "preset, cached": (LossSettings(preset), 1, ByCache),
        "preset, kl": (LossSettings(preset, distill=Distill.KL), 1, ByAutograd),
        "preset, margin-mse": (LossSettings(preset, distill=Distill.MARGIN_MSE), 1, ByAutograd),
    }  # fmt: skip
    for title, (loss, size, engine) in [*cases.items(), (UNFORKED, cases["in-batch"])]:
        forked = title != UNFORKED
        if forked and os.fork():
            os.wait()
            continue
        scale, times = 1 / loss.temperature, []
        for _ in range(15):
            start = time.process_time()
            require(judge(engine(configured(loss, scale, True)), small(loss, scale, world_size=size)), title)
            times.append(1e3 * (time.process_time() - start))
        print(json.dumps([title, times[0], statistics.median(times[1:])]), flush=True)
        if forked:
            os._exit(0)


def compare_oracles() -> None:
    found = {}
    for word in ("on", "off"):
        command = [sys.executable, __file__, "--oracles"]
        environment = {**os.environ, "SHAPECHECK": word, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        found[word] = {title: rest for title, *rest in map(json.loads, done.stdout.splitlines())}
    print("oracles, ms of CPU: first with guards | first without guards | later, with guards")
    for title, (first, later) in found["on"].items():
        print(f"  {title}: {first:.1f} | {found['off'][title][0]:.1f} | {later:.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--oracles", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.oracles:
        oracles()
        return
    compare_oracles()
    torch.set_num_threads(1)
    steps(options.pairs, options.batch)


if __name__ == "__main__":
    main()
