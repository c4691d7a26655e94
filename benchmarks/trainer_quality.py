"""What the modes and the replayed bug do to quality on WordNet: one model, the same steps, several seeds, both metrics.

    python benchmarks/trainer_quality.py                                      all of WordNet, the bundled static model
    python benchmarks/trainer_quality.py --model FOLDER --temperature 0.02 --learning-rate 5e-5 --batch 64 --steps 60

Trains on the training split of the database's sense retrieval and evaluates on its dev split (2,355 queries over all of
their glosses); without a database, on the bundled sample. A claim of the last lines holds if it does in every seed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from reference_trainer import journal
from reference_trainer.bundle import sample, write_rows
from reference_trainer.demo import RUNS
from reference_trainer.settings import load
from reference_trainer.train import train
from reference_trainer.wordnet import WordNetMissing, read_irregular, read_synsets, sense_queries

METRICS = ("mrr@10", "ndcg@10", "group_accuracy")
Found = dict[str, dict[str, list[float]]]


def data_of(database: Path, folder: Path) -> list[str]:
    try:
        queries = list(sense_queries(read_synsets(database), read_irregular(database)))
    except WordNetMissing as missing:
        print(f"the bundled sample ({missing})")
        return []
    counts = {split: write_rows(folder / f"{split}.jsonl", sample(queries, split)) for split in ("train", "dev")}
    print("all of WordNet: " + ", ".join(f"{count} {split} queries" for split, count in counts.items()), flush=True)
    return [f"data.source={folder / 'train.jsonl'}", f"data.dev={folder / 'dev.jsonl'}"]


def one_run(name: str, seed: int, folder: Path, changes: list[str], found: Found) -> None:
    out = folder / f"{name}-{seed}"
    out.mkdir()
    (folder / "prepared").mkdir(exist_ok=True)
    (out / "prepared").symlink_to(folder / "prepared")  # tokenised once
    began = time.perf_counter()
    train(load(None, [*RUNS[name], *changes, f"train.seed={seed}"]), out, resume="never")
    records = journal.read(out)
    steps = [r for r in records if r["kind"] == "step"]
    before, after = (r for r in records if r["kind"] == "eval")
    for metric in METRICS:
        found["start"][metric].append(before[metric])
        found[name][metric].append(after[metric])
    shown = "; ".join(f"{metric} {before[metric]:.3f} -> {after[metric]:.3f}" for metric in METRICS)
    loss = f"loss {steps[0]['loss']:.2f} -> {steps[-1]['loss']:.2f}, log C {steps[-1]['level']:.2f}"
    print(f"seed {seed}, {name}: {shown}; {loss}; {time.perf_counter() - began:.0f} s", flush=True)


def gap(found: Found, better: str, worse: str, metric: str) -> str:
    """Whether one is above the other in every seed, and by more than the spread."""
    high, low = found[better][metric], found[worse][metric]
    verdict = "in every seed" if all(a > b for a, b in zip(high, low)) else "NOT in every seed"
    apart = "the ranges are apart" if min(high) > max(low) else "the ranges OVERLAP"
    return f"{statistics.mean(high):.3f} against {statistics.mean(low):.3f}, {verdict}, {apart}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--database", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--model", default="static")
    parser.add_argument("--temperature", type=float, default=0.05)
    parser.add_argument("--learning-rate", type=float, default=0.005)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    found: Found = {name: {metric: [] for metric in METRICS} for name in ("start", *RUNS)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        changes = [
            f"model.name={options.model}", f"loss.temperature={options.temperature}",
            f"train.learning_rate={options.learning_rate}", f"train.batch={options.batch}",
            f"train.steps={options.steps}", f"train.eval_every={options.steps}", f"train.warmup={options.steps // 20}",
            "train.log_every=10", "train.chunk_tokens=1024", f"train.threads={options.threads}",
            *data_of(options.database, folder),
        ]  # fmt: skip
        for seed in map(int, options.seeds.split(",")):
            for mode in RUNS:
                one_run(mode, seed, folder, changes, found)
    for name, metrics in found.items():
        cells = [f"{metric} {statistics.mean(v):.3f} ({min(v):.3f} to {max(v):.3f})" for metric, v in metrics.items()]
        print(f"{name}: " + "; ".join(cells))
    claims = {
        "in-batch improves MRR@10 over the start": gap(found, "in-batch", "start", "mrr@10"),
        "preset improves group accuracy over the start": gap(found, "preset", "start", "group_accuracy"),
        "the replayed bug is worse than preset, MRR@10": gap(found, "preset", "bug-450", "mrr@10"),
        "the same, group accuracy": gap(found, "preset", "bug-450", "group_accuracy"),
    }
    for claim, seen in claims.items():
        print(f"{claim}: {seen}")


if __name__ == "__main__":
    main()
