"""Several gloo processes compute what one process computes of the joined batch, and their runs continue bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reference_trainer.checkpoint import weights_digest
from reference_trainer.settings import to_plain

from .losses import relative
from .runs import small_settings

GLOBAL_BATCH = 8
LOCAL = {"preset": ("loss.mode=preset",), "preset cached": ("loss.mode=preset", "train.cache=true")}
ACROSS = {
    "across": ("loss.cross_device=true",),
    "across symmetric": ("loss.cross_device=true", "loss.symmetric=true", "loss.fused=chunked"),
    "across cached": ("loss.cross_device=true", "train.cache=true"),
    "across matryoshka kl": ("loss.cross_device=true", "loss.dims=[8, 16]", "loss.distill=kl"),
    "across fsdp": ("loss.cross_device=true", "train.parallel=fsdp"),
    "across fsdp cached": ("loss.cross_device=true", "train.parallel=fsdp", "train.cache=true"),
}


def launch(processes: int, *arguments: str) -> None:
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [*command, str(Path(__file__).parent / "distributed_worker.py"), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
        timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.partition("elastic")[0][-3000:]


def plain_settings(folder, processes, *changes):
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    batch = f"train.batch={GLOBAL_BATCH // processes}"
    return to_plain(small_settings(folder, "train.clip=0", "data.unique=false", batch, *changes, scores=True, **quiet))


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """Loss and gradients of every mode, on 1, 2 and 4 processes."""
    found = {}
    for processes in (1, 2, 4):
        folder = tmp_path_factory.mktemp(f"step-{processes}")
        every = {name: plain_settings(folder, processes, *change) for name, change in {**LOCAL, **ACROSS}.items()}
        (folder / "settings.json").write_text(json.dumps(every), encoding="utf-8")
        launch(processes, "step", str(folder))
        for name in every:
            found[name, processes] = torch.load(folder / f"{name}-{processes}.pt", weights_only=True)
    return found


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("name", [*LOCAL, *ACROSS])
def test_processes_together_take_the_step_of_the_joined_batch(steps, name, processes):
    wanted, seen = steps[name, 1], steps[name, processes]
    assert seen["loss"].item() == pytest.approx(wanted["loss"].item(), rel=1e-6)
    assert seen["norm"].item() == pytest.approx(wanted["norm"].item(), rel=1e-5)
    joined = [
        torch.cat([grads[key].flatten() for key in wanted if key not in ("loss", "norm")]) for grads in (seen, wanted)
    ]
    assert relative(*joined) <= 1e-6


def test_runs_continue_bit_for_bit_and_a_forgotten_rank_offset_is_refused(tmp_path):
    every = {}
    for name in ("ddp", "fsdp"):
        changes = ("loss.cross_device=true", f"train.parallel={name}", "train.save_every=3", "train.batch=4")
        changes += ("train.eval_every=3", f"data.dev={tmp_path / 'rows.jsonl'}")
        every[name] = to_plain(small_settings(tmp_path, *changes))
    (tmp_path / "settings.json").write_text(json.dumps(every), encoding="utf-8")
    digests = []
    for _ in range(2):
        launch(2, "train", str(tmp_path))
        last = [tmp_path / "run" / name / "checkpoints" / "step-00000006" for name in every]
        digests.append([weights_digest(home) for home in last])
        for home in last:
            (home / "run.json").unlink()
    assert digests[0] == digests[1]
    assert "is not the declared loss" in (tmp_path / "refused.txt").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted as Linux shows them")
def test_a_model_does_not_take_its_group_along(tmp_path):
    """The group would wait for its threads while the model holds Python's lock: now and then, for ever."""
    launch(2, "left", str(tmp_path))
    for rank in range(2):
        before, after = json.loads((tmp_path / f"left-{rank}.json").read_text())
        assert [name for name in before if "gloo" in name]
        assert sorted(after) == sorted(before)
