"""Checkpoints that are whole or not there: staged, fsynced, listed with their sha256, then renamed into place.

A checkpoint is a folder `step-00000100` that needs nothing beside it:
    model.safetensors   the encoder's weights          config.json   the transformer's configuration
    state.pt            optimizer, temperature, random states of every process; read with weights_only
    run.json            step, settings and their digest, mode, process count, digests of data and tokenizer
    tokenizer/          as transformers saves it
    manifest.json       size and sha256 of each file above, written last
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from .refusal import Refusal, printable, reason_of
from .whole import remove, save_torch, sweep, whole_folder

_FILES = ("model.safetensors", "config.json", "state.pt", "run.json", "tokenizer/tokenizer.json")
_RUN = {"step": int, "settings": dict, "processes": int, "replayed_bug": int}
_NAME = re.compile(r"step-(\d{8,})")


class BrokenCheckpoint(Refusal):
    """A checkpoint is incomplete or altered; the message says which file and how."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory. weights are whole tensors on the CPU; state holds what weights_only loading allows."""

    weights: dict[str, Tensor]
    config: dict[str, Any]
    state: dict[str, Any]
    run: dict[str, Any]
    tokenizer: Mapping[str, bytes]


def save(folder: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write `step-N` into folder and remove the ones before it but for the newest `keep`; returns its path.

    Unusable if it can't be written; what was there before is then as it was.
    """
    sweep(folder)
    step = int(checkpoint.run["step"])
    home = folder / f"step-{step:08d}"
    with whole_folder(home) as staging:
        save_file({key: value.contiguous() for key, value in checkpoint.weights.items()}, staging / "model.safetensors")
        save_torch(checkpoint.state, staging / "state.pt")
        _write_json(staging / "config.json", checkpoint.config)
        _write_json(staging / "run.json", checkpoint.run)
        (staging / "tokenizer").mkdir()
        for name, data in checkpoint.tokenizer.items():
            (staging / "tokenizer" / name).write_bytes(data)
        names = sorted(path.relative_to(staging).as_posix() for path in staging.rglob("*") if path.is_file())
        _write_json(staging / "manifest.json", {name: _fingerprint(staging / name) for name in names})
    upto = [old for old in steps(folder) if step_of(old) <= step]  # a later one was refused at the start: it counts not
    for old in upto[:-keep]:
        remove(old)
    return home


def load(home: Path) -> Checkpoint:
    """Read a checkpoint after checking every file against the manifest. BrokenCheckpoint says what is wrong."""
    run = verify(home)
    try:
        return Checkpoint(
            weights=load_file(home / "model.safetensors"),
            config=dict(_read_json(home / "config.json")),
            state=torch.load(home / "state.pt", weights_only=True, map_location="cpu"),
            run=run,
            tokenizer={path.name: path.read_bytes() for path in (home / "tokenizer").iterdir()},
        )
    except (OSError, SafetensorError, RuntimeError, ValueError, TypeError) as error:
        raise BrokenCheckpoint(f"{printable(home)} can't be read: {reason_of(error)}") from error


def verify(home: Path) -> dict[str, Any]:
    """What run.json says. BrokenCheckpoint unless all files are there, with the sizes and hashes that are listed."""
    listed = _read_json(home / "manifest.json")
    for name in dict.fromkeys((*_FILES, *listed)):
        path, wanted = home / name, listed.get(name)
        if wanted is None:
            raise BrokenCheckpoint(f"{printable(home)}: manifest.json doesn't list {name}")
        if not isinstance(wanted, dict) or set(wanted) != {"bytes", "sha256"}:
            raise BrokenCheckpoint(f"{printable(home)}: manifest.json doesn't give {name} a size and a sha256")
        if not path.is_file():
            raise BrokenCheckpoint(f"{printable(home)}: {name} is missing")
        found = path.stat().st_size
        if found != wanted["bytes"]:
            raise BrokenCheckpoint(
                f"{printable(home)}: {name} has {found} bytes, the manifest says {wanted['bytes']!r}"
            )
        try:
            intact = _fingerprint(path) == wanted
        except OSError as error:
            raise BrokenCheckpoint(f"{printable(home)}: {name} can't be read: {reason_of(error)}") from error
        if not intact:
            raise BrokenCheckpoint(f"{printable(home)}: {name} was altered: its sha256 is not the manifest's")
    run = _read_json(home / "run.json")
    for name, kind in _RUN.items():
        if type(run.get(name)) is not kind:
            raise BrokenCheckpoint(f"{printable(home)}: run.json says no {name}: another version wrote it")
    return run


def latest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint, and why each newer one was refused."""
    refused = []
    for home in reversed(steps(folder)):
        try:
            verify(home)
        except BrokenCheckpoint as error:
            refused.append(str(error))
            continue
        return home, refused
    return None, refused


def steps(folder: Path) -> list[Path]:
    """Everything in folder that is named like a checkpoint, oldest first, whole or not."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()), key=step_of)


def step_of(home: Path) -> int:
    found = _NAME.fullmatch(home.name)
    return int(found[1]) if found else -1


def weights_digest(home: Path) -> str:
    """sha256 of the weights file, as the manifest has it."""
    return str(_read_json(home / "manifest.json")["model.safetensors"]["sha256"])


def _fingerprint(path: Path) -> dict[str, int | str]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file of a checkpoint; BrokenCheckpoint names the file."""
    home, name = printable(path.parent), path.name
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BrokenCheckpoint(f"{home}: {name} is missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenCheckpoint(f"{home}: {name} can't be read: {reason_of(error)}") from error
    if not isinstance(found, dict):
        raise BrokenCheckpoint(f"{home}: {name} doesn't hold an object")
    return found
