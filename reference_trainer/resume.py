"""Between a run and its checkpoints: what is saved, what a resumed run must agree with, and how it is put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from .alarm import LevelAlarm
from .checkpoint import BrokenCheckpoint, Checkpoint, latest, load, save
from .journal import Display
from .processes import bare
from .settings import Settings, SettingsError, from_plain, to_plain
from .setup import Run

# What may differ between a run and its continuation without changing a single weight.
_FREE = {"train.log_every", "train.eval_every", "train.save_every", "train.keep", "train.tensorboard", "data.dev"}


def checkpoints_of(out: Path) -> Path:
    return out / "checkpoints"


def find_start(out: Path, resume: str, display: Display) -> Path | None:
    """The checkpoint to continue from, or none. BrokenCheckpoint if only broken ones are left, or the named one is."""
    folder = checkpoints_of(out)
    if resume not in ("auto", "never"):
        if not Path(resume).is_dir():
            raise SettingsError(f"--resume {resume}: neither auto nor never, and no such checkpoint")
        load(Path(resume))
        return Path(resume)
    found, refused = latest(folder)
    if resume == "never":
        if found or refused:
            raise SettingsError(f"{out} holds checkpoints already: choose another folder, or --resume auto")
        return None
    for reason in refused:
        display.say(f"refused: {reason}")
    if found is None and refused:
        raise BrokenCheckpoint(f"{folder}: no whole checkpoint is left; remove the broken ones to start anew")
    return found


def write_checkpoint(run: Run, alarm: LevelAlarm) -> Path:
    """Save the run; every process takes part, the first one writes."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = get_model_state_dict(run.model, options=options)
    optimizer = get_optimizer_state_dict(run.model, run.optimizer, options=options)
    random_states = _everyones(
        [torch.get_rng_state(), torch.cuda.get_rng_state() if run.device.type == "cuda" else None], run
    )
    home = checkpoints_of(run.out) / f"step-{run.step:08d}"
    if run.world.rank == 0:
        encoder: Any = bare(run.model)
        state = {
            "optimizer": optimizer,
            "log_scale": run.log_scale.detach().cpu(),
            "scale_optimizer": None if run.scale_optimizer is None else run.scale_optimizer.state_dict(),
            "random_states": random_states,
            "alarm": alarm.state(),
        }
        about = {
            "step": run.step,
            "mode": run.settings.loss.mode.value,
            "settings": to_plain(run.settings),
            "settings_sha256": run.settings.digest(),
            "processes": run.world.size,
            "replayed_bug": run.settings.train.replay_bug,
        }
        config = encoder.backbone.config.to_dict()
        own = {name: value.detach().clone() for name, value in weights.items()}
        save(checkpoints_of(run.out), Checkpoint(own, config, state, about), run.settings.train.keep)
    if run.world.size > 1:
        dist.barrier()
    return home


def continue_from(run: Run, alarm: LevelAlarm, home: Path) -> None:
    """Put a checkpoint back. SettingsError if it was made by other settings or another number of processes."""
    saved = load(home)
    require_same(saved.run, run.settings, run.world.size)
    options = StateDictOptions(full_state_dict=True)
    weights: dict[str, Any] = dict(saved.weights)
    set_model_state_dict(run.model, weights, options=options)
    set_optimizer_state_dict(run.model, run.optimizer, saved.state["optimizer"], options=options)
    with torch.no_grad():
        run.log_scale.copy_(saved.state["log_scale"])
    if run.scale_optimizer is not None:
        run.scale_optimizer.load_state_dict(saved.state["scale_optimizer"])
    host, device = saved.state["random_states"][run.world.rank]
    torch.set_rng_state(host)
    if device is not None and run.device.type == "cuda":
        torch.cuda.set_rng_state(device)
    alarm.restore(saved.state["alarm"])
    run.step = int(saved.run["step"])
    run.display.say(f"continuing from {home.name}")


def require_same(saved: dict[str, Any], settings: Settings, processes: int) -> None:
    """SettingsError names every setting that the checkpoint was made with and that would now be another."""
    if saved["processes"] != processes:
        raise SettingsError(f"the checkpoint was made by {saved['processes']} processes, this run has {processes}")
    before, now = _flat(to_plain(from_plain(saved["settings"]))), _flat(to_plain(settings))
    changed = [
        f"{key} was {before[key]!r}, is {now[key]!r}" for key in now if before[key] != now[key] and key not in _FREE
    ]
    if changed:
        raise SettingsError("the checkpoint belongs to another run: " + "; ".join(changed))


def _flat(plain: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {f"{section}.{name}": value for section, values in plain.items() for name, value in values.items()}


def _everyones(mine: Any, run: Run) -> list[Any]:
    if run.world.size == 1:
        return [mine]
    gathered: list[Any] = [None] * run.world.size
    dist.all_gather_object(gathered, mine)
    return gathered
