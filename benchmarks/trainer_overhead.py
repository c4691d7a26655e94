"""What the guards cost: `@shaped` on against off over whole training steps, and the start-up oracles, in CPU time.

    python benchmarks/trainer_overhead.py [--steps 60]

On and off are processes of their own that take steps in turn, so that a busy machine slows both alike. The figure is
the median over pairs of neighbouring steps.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch


def serve(batch: int) -> None:
    """Take one step a line on stdin; answer with its seconds."""
    from reference_trainer.batch import assemble
    from reference_trainer.journal import Silent
    from reference_trainer.settings import load
    from reference_trainer.setup import set_up
    from reference_trainer.train import train_step
    from reference_trainer.world import Alone

    changes = [
        f"train.batch={batch}",
        "train.threads=1",
        "train.chunk_tokens=2048",
        "data.group=4",
        "loss.mode=in-batch",
    ]
    with tempfile.TemporaryDirectory() as folder:
        run = set_up(load(None, changes), Path(folder), Alone(), torch.device("cpu"), Silent())
        made = assemble(run.sampler.store, run.sampler.draw(0), 2048, run.pad)
        train_step(run, made)
        print("ready", flush=True)
        for _ in sys.stdin:
            start = time.process_time()
            train_step(run, made)
            print(time.process_time() - start, flush=True)


def oracles() -> None:
    from reference_trainer.oracles import Declared, by_autograd, by_cache, configured, judge
    from reference_trainer.settings import LossSettings, Mode

    torch.set_num_threads(1)
    for title, loss, size in (
        ("in-batch", LossSettings(Mode.IN_BATCH), 1),
        ("preset", LossSettings(Mode.PRESET), 1),
        ("in-batch, symmetric, two processes", LossSettings(Mode.IN_BATCH, symmetric=True, cross_device=True), 2),
        ("in-batch, three Matryoshka widths", LossSettings(Mode.IN_BATCH, dims=(16, 32, 64)), 1),
    ):
        declared = Declared(loss, 1 / loss.temperature, world_size=size)
        for name, engine in (("plain", by_autograd), ("cached", by_cache)):
            run = engine(configured(loss, declared.scale, True))
            times = []
            for _ in range(15):
                start = time.process_time()
                judge(run, declared)
                times.append(1e3 * (time.process_time() - start))
            print(
                f"oracles, {title}, {name}: first {times[0]:.1f} ms, "
                f"median of the rest {statistics.median(times[1:]):.1f} ms"
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    if options.serve:
        serve(options.batch)
        return
    oracles()
    servers = {}
    for switch in ("on", "off"):
        command = [sys.executable, __file__, "--serve", "--batch", str(options.batch)]
        pipe = subprocess.PIPE
        environment = {**os.environ, "SHAPECHECK": switch}
        servers[switch] = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        servers[switch].stdout.readline()
    times = {"on": [], "off": []}
    for step in range(options.steps):
        for switch in ("on", "off") if step % 2 else ("off", "on"):
            servers[switch].stdin.write("step\n")
            servers[switch].stdin.flush()
            times[switch].append(float(servers[switch].stdout.readline()))
    for server in servers.values():
        server.stdin.close()
        server.wait()
    ratio = statistics.median(a / b for a, b in zip(times["on"], times["off"]))
    best = min(times["on"]) / min(times["off"])
    off = 1e3 * statistics.median(times["off"])
    print(
        f"@shaped on / off over {options.steps} steps of {off:.0f} ms: median {ratio:.4f}, best against best {best:.4f}"
    )


if __name__ == "__main__":
    main()
