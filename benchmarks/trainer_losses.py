"""Loss steps side by side, forward and backward to queries and passages: time and added memory, ratios within one run.

    python benchmarks/trainer_losses.py [--batches 64,256,512,1024,2048] [--fused-batch 4096]

Each measurement is a process of its own, so that its peak memory is its own; time is CPU time of its one thread. `all
pairs, then own group` is the way of public trainers whose preset mode computes `[B, B*G]` and gathers the own group;
`crossed` is the seed bug's `[B, B, G]`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

from reference_trainer.fused import Fused
from reference_trainer.modes import Mode
from reference_trainer.objective import Embedded, contrastive_loss
from reference_trainer.settings import LossSettings

SCALE, GROUP, WIDTH = 20.0, 8, 384


def preset(q, p):
    return contrastive_loss(LossSettings(Mode.IN_GROUP), Embedded(q, p), SCALE)


def all_pairs_then_own_group(q, p):
    size = len(q)
    scores = q @ p.T * SCALE  # B B*G
    columns = torch.arange(size).unsqueeze(1) * GROUP + torch.arange(GROUP)  # B G
    return F.cross_entropy(scores.gather(1, columns), torch.zeros(size, dtype=torch.long))


def crossed(q, p):
    size = len(q)
    # the bug that is timed
    scores = torch.matmul(q, p.view(size, GROUP, -1).transpose(-2, -1)) * SCALE  # shapecheck: ignore[SC101]
    return F.cross_entropy(scores.view(size, -1), torch.zeros(size, dtype=torch.long))


def in_batch(fused):
    return lambda q, p: contrastive_loss(
        LossSettings(Mode.IN_BATCH, fused=fused, mask_duplicates=False), Embedded(q, p), SCALE
    )


LOSSES = {
    "preset": preset,
    "all pairs, then own group": all_pairs_then_own_group,
    "crossed": crossed,
    "in-batch": in_batch(Fused.OFF),
    "in-batch chunked": in_batch(Fused.CHUNKED),
    "in-batch torch": in_batch(Fused.TORCH),
}


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, batch: int) -> dict[str, float]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    small = [F.normalize(torch.randn(n, WIDTH), dim=1).requires_grad_() for n in (4, 4 * GROUP)]
    LOSSES[name](*small).backward()  # load the code paths before memory is looked at
    q = F.normalize(torch.randn(batch, WIDTH), dim=1).requires_grad_()
    p = F.normalize(torch.randn(batch * GROUP, WIDTH), dim=1).requires_grad_()
    before = peak()
    times = []
    began = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - began < 2.0 and len(times) < 30):
        q.grad = p.grad = None
        start = time.process_time()
        loss = LOSSES[name](q, p)
        loss.backward()
        times.append(time.process_time() - start)
    return {"ms": 1e3 * min(times), "mb": peak() - before, "loss": loss.item(), "slope": float(p.grad.double().norm())}


def in_own_process(name: str, batch: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", name, "--batch", str(batch)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", default="64,256,512,1024,2048")
    parser.add_argument("--fused-batch", type=int, default=4096)
    parser.add_argument("--one")
    parser.add_argument("--batch", type=int)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.batch)))
        return
    print(f"G={GROUP} D={WIDTH} float32, 1 thread, torch {torch.__version__}; best ms / added peak MB")
    print("B | preset | all pairs, then own group | crossed | time ratio | crossed ratio")
    for batch in map(int, options.batches.split(",")):
        found = {name: in_own_process(name, batch) for name in ("preset", "all pairs, then own group", "crossed")}
        cells = [f"{f['ms']:.2f} / {f['mb']:.0f}" for f in found.values()]
        ours, theirs, bug = (f["ms"] for f in found.values())
        assert abs(found["preset"]["loss"] - found["all pairs, then own group"]["loss"]) < 1e-5
        print(f"{batch} | {' | '.join(cells)} | {theirs / ours:.1f} | {bug / ours:.1f}", flush=True)
    batch = options.fused_batch
    plain = in_own_process("in-batch", batch)
    print(f"in-batch at B={batch}: {plain['ms']:.0f} ms / {plain['mb']:.0f} MB")
    for name in ("in-batch chunked", "in-batch torch"):
        found = in_own_process(name, batch)
        error = abs(found["slope"] / plain["slope"] - 1)
        print(
            f"{name}: {found['ms']:.0f} ms / {found['mb']:.0f} MB, {plain['mb'] / found['mb']:.1f} times less memory, "
            f"{found['ms'] / plain['ms']:.2f} times the time, gradient length off by {error:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
