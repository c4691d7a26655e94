"""What the modes and the replayed bug do to quality on WordNet: three seeds, the demo's model and steps, both metrics.

python benchmarks/trainer_quality.py [--seeds 0,1,2]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from reference_trainer.demo import RUNS, run_demo

METRICS = ("mrr@10", "ndcg@10", "group_accuracy")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="0,1,2")
    options = parser.parse_args()
    seen = {name: {metric: [] for metric in METRICS} for name in ("start", *RUNS)}
    losses = {name: [] for name in RUNS}
    for seed in map(int, options.seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            outcomes = run_demo(Path(folder), lambda text, seed=seed: print(f"seed {seed}: {text}", flush=True), seed)
        for name, outcome in outcomes.items():
            steps = outcome.history.steps
            losses[name].append((steps[0]["loss"], steps[-1]["loss"], steps[-1]["level"]))
            for metric in METRICS:
                seen[name][metric].append(outcome.history.evaluations[-1][metric])
        for metric in METRICS:
            seen["start"][metric].append(outcomes["in-batch"].history.evaluations[0][metric])
    for name, metrics in seen.items():
        cells = [f"{metric} {statistics.mean(v):.3f} ({min(v):.3f} to {max(v):.3f})" for metric, v in metrics.items()]
        if name in losses:
            first, last, level = (statistics.mean(values) for values in zip(*losses[name]))
            cells.append(f"loss {first:.2f} -> {last:.2f}, log C {level:.2f}")
        print(f"{name}: " + "; ".join(cells))


if __name__ == "__main__":
    main()
