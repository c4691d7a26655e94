"""Between a run and its checkpoints: what is saved, what a resumed run must agree with, and how it is put back."""

from __future__ import annotations

from dataclasses import dataclass
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
from .checkpoint import BrokenCheckpoint, Checkpoint, latest, load, save, steps, verify
from .journal import Display
from .processes import bare, first_alone
from .refusal import Refusal, printable
from .settings import Settings, SettingsError, from_plain, to_plain
from .setup import Run

# What may differ between a run and its continuation without changing a single weight.
_FREE = {"train.log_every", "train.eval_every", "train.save_every", "train.keep", "train.tensorboard", "data.dev"}


def checkpoints_of(out: Path) -> Path:
    return out / "checkpoints"


@dataclass(frozen=True)
class Start:
    """A whole checkpoint to continue from, and what its run.json says."""

    home: Path
    run: dict[str, Any]


def find_start(out: Path, resume: str, settings: Settings, processes: int, display: Display) -> Start | None:
    """The checkpoint to continue from, or none. Nothing is written, and whatever run.json can tell is decided here.

    SettingsError where the folder holds another run, or checkpoints that this one would replace; BrokenCheckpoint if
    only broken ones are left, or the named one is.
    """
    if resume not in ("auto", "never"):
        home = _named(out, Path(resume))
    else:
        found, refused = latest(checkpoints_of(out))
        if resume == "never" and (found or refused):
            raise SettingsError(f"{printable(out)} holds checkpoints already: choose another folder, or --resume auto")
        for reason in refused:
            display.say(f"refused: {reason}")
        if found is None and refused:
            raise BrokenCheckpoint(
                f"{printable(checkpoints_of(out))}: no whole checkpoint is left; remove the broken ones to start anew"
            )
        if found is None:
            return None
        home = found
    start = Start(home, verify(home))
    require_same(start, settings, processes)
    return start


def _named(out: Path, home: Path) -> Path:
    """A checkpoint that --resume names. Later saves would replace what out holds, unless it is out's newest."""
    if not home.is_dir():
        raise SettingsError(f"--resume {printable(home)}: neither auto nor never, and no such checkpoint")
    there = steps(checkpoints_of(out))
    if there and home.resolve() != there[-1].resolve():
        raise SettingsError(
            f"--resume {printable(home)}: {printable(out)} holds {there[-1].name}, which the run would replace: "
            "choose another folder"
        )
    return home


def write_checkpoint(run: Run, alarm: LevelAlarm) -> Path:
    """Save the run; every process takes part, the first one writes."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = get_model_state_dict(run.model, options=options)
    optimizer = get_optimizer_state_dict(run.model, run.optimizer, options=options)
    random_states = _everyones(
        [torch.get_rng_state(), torch.cuda.get_rng_state() if run.device.type == "cuda" else None], run
    )
    return Path(first_alone(run.world, lambda: _save(run, alarm, weights, optimizer, random_states)))


def _save(run: Run, alarm: LevelAlarm, weights: dict[str, Any], optimizer: Any, random_states: list[Any]) -> Path:
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
        "tokenizer_sha256": run.tokenizer.sha256,
        "data": {"rows": len(run.sampler.store), "sha256": run.sampler.store.sha256},
    }
    own = {name: value.detach().clone() for name, value in weights.items()}
    made = Checkpoint(own, encoder.backbone.config.to_dict(), state, about, run.tokenizer.files)
    return save(checkpoints_of(run.out), made, run.settings.train.keep)


def continue_from(run: Run, alarm: LevelAlarm, start: Start) -> None:
    """Put a checkpoint back. SettingsError if the data or the tokenizer is no longer what it was trained on."""
    _require_same_texts(start, run)
    saved = load(start.home)
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
    run.display.say(f"continuing from {start.home.name}")


def require_same(start: Start, settings: Settings, processes: int) -> None:
    """SettingsError names every setting that the checkpoint was made with and that would now be another."""
    saved = start.run
    if saved["processes"] != processes:
        raise SettingsError(
            f"{printable(start.home)} was made by {saved['processes']} processes, this run has {processes}"
        )
    try:
        before = _flat(to_plain(from_plain(saved["settings"])))
    except Refusal as error:
        raise BrokenCheckpoint(f"{printable(start.home)}: another version wrote it: {error}") from error
    now = _flat(to_plain(settings))
    changed = [
        f"{key} was {before[key]!r}, is {now[key]!r}" for key in now if before[key] != now[key] and key not in _FREE
    ]
    if changed:
        raise SettingsError(f"{printable(start.home)} belongs to another run: " + "; ".join(changed))


def _require_same_texts(start: Start, run: Run) -> None:
    """The settings are the same; what they point at need not be."""
    if start.run.get("tokenizer_sha256") != run.tokenizer.sha256:
        raise SettingsError(f"model.tokenizer is not the one that {printable(start.home)} was trained with")
    store, before = run.sampler.store, start.run.get("data") or {}
    if before.get("sha256") != store.sha256:
        raise SettingsError(
            f"data.source: {run.settings.data.source} is not what {printable(start.home)} was trained on: it had "
            f"{before.get('rows')} usable rows then and has {len(store)} now, or other texts; choose another --out"
        )


def _flat(plain: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {f"{section}.{name}": value for section, values in plain.items() for name, value in values.items()}


def _everyones(mine: Any, run: Run) -> list[Any]:
    if run.world.size == 1:
        return [mine]
    gathered: list[Any] = [None] * run.world.size
    dist.all_gather_object(gathered, mine)
    return gathered
