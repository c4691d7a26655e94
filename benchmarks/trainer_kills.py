"""SIGKILL a small run at random instants, saves included, restart it each time, and compare the final weights.

    python benchmarks/trainer_kills.py [--kills 100] [--seed 0]

The kills counted are those that fall while a checkpoint is written or an old one is removed; the others come along.
Every interrupted run is continued by the same call until it ends; its weights must have the sha256 of an undisturbed
run. The run is a child forked from a warm process, so that the instants fall on training and saving, not on imports.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from reference_trainer.checkpoint import weights_digest
from reference_trainer.settings import Settings, load
from reference_trainer.train import train

CONFIG = {
    "model_type": "bert", "vocab_size": 6000, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 128, "pad_token_id": 0,
}  # fmt: skip


def settings_in(folder: Path) -> Settings:
    (folder / "tiny.json").write_text(json.dumps(CONFIG))
    changes = [
        "loss.mode=in-batch", "data.limit=200", "data.group=4", f"model.name={folder / 'tiny.json'}", "train.steps=40",
        "train.warmup=2", "train.batch=8", "train.save_every=1", "train.log_every=1", "train.learning_rate=0.001",
        "train.threads=1",
    ]  # fmt: skip
    return load(None, changes)


def forked(settings: Settings, out: Path) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            train(settings, out)
            status = 0
        finally:
            os._exit(status)
    return child


def state_of(out: Path) -> str:
    folder = out / "checkpoints"
    if not folder.is_dir():
        return "before the first save"
    if any(folder.glob(".partial-*")):
        return "while saving"
    if any(folder.glob(".removing-*")):
        return "while removing an old checkpoint"
    return "between saves"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp())
    settings = settings_in(folder)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    began = time.perf_counter()
    os.waitpid(forked(settings, folder / "whole"), 0)
    alone = time.perf_counter() - began
    wanted = weights_digest(folder / "whole" / "checkpoints" / "step-00000040")
    runs, wrong, where = 0, 0, Counter()
    aimed = lambda: where["while saving"] + where["while removing an old checkpoint"]  # noqa: E731
    while aimed() < options.kills:
        out = folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        shutil.copytree(folder / "whole" / "prepared", out / "prepared")
        while True:
            child = forked(settings, out)
            deadline = time.perf_counter() + generator.uniform(0.02, alone / 2)
            if aimed() < options.kills:
                while time.perf_counter() < deadline and os.waitpid(child, os.WNOHANG) == (0, 0):
                    time.sleep(0.0005)
                try:
                    os.kill(child, signal.SIGKILL)
                    _, status = os.waitpid(child, 0)
                except (ProcessLookupError, ChildProcessError):
                    status = 0
                if os.WIFSIGNALED(status):
                    where[state_of(out)] += 1
                    continue
            else:
                _, status = os.waitpid(child, 0)
            if (out / "checkpoints" / "step-00000040").is_dir():
                break
            if status:
                raise SystemExit(f"a run that was not killed failed: status {status}")
        runs += 1
        wrong += weights_digest(out / "checkpoints" / "step-00000040") != wanted
    print(
        f"{where.total()} kills, {aimed()} of them on a checkpoint, over {runs} runs of 40 steps and 40 saves each; "
        f"final weights unlike the undisturbed run's: {wrong}"
    )
    print("the kill fell " + ", ".join(f"{state}: {count}" for state, count in where.most_common()))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
