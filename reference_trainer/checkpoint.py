"""Checkpoints that are whole or not there: staged, fsynced, listed with their sha256, then renamed into place.

A checkpoint is a folder `step-00000100`:
    model.safetensors   the encoder's weights          config.json   the transformer's configuration
    state.pt            optimizer, temperature, random states of every process; read with weights_only
    run.json            step, settings and their digest, mode, process count
    manifest.json       size and sha256 of each file above, written last
Processes killed while saving leave a `.saving-` folder, which is not a checkpoint and is swept away at the next save.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

_FILES = ("model.safetensors", "config.json", "state.pt", "run.json")


class BrokenCheckpoint(ValueError):
    """A checkpoint is incomplete or altered; the message says which file and how."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory. weights are whole tensors on the CPU; state holds what weights_only loading allows."""

    weights: dict[str, Tensor]
    config: dict[str, Any]
    state: dict[str, Any]
    run: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write `step-N` into folder and remove all but the newest `keep`; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    name = f"step-{checkpoint.run['step']:08d}"
    staging, home = folder / f".saving-{name}", folder / name
    staging.mkdir()
    save_file({key: value.contiguous() for key, value in checkpoint.weights.items()}, staging / "model.safetensors")
    torch.save(checkpoint.state, staging / "state.pt")
    _write_json(staging / "config.json", checkpoint.config)
    _write_json(staging / "run.json", checkpoint.run)
    _write_json(staging / "manifest.json", {name: _fingerprint(staging / name) for name in _FILES})
    for path in (*(staging / name for name in _FILES), staging / "manifest.json", staging):
        _sync(path)
    if home.exists():
        _remove(home)
    os.rename(staging, home)
    _sync(folder)
    for old in _steps(folder)[:-keep]:
        _remove(old)
    return home


def load(home: Path) -> Checkpoint:
    """Read a checkpoint after checking every file against the manifest. BrokenCheckpoint says what is wrong."""
    verify(home)
    return Checkpoint(
        weights=load_file(home / "model.safetensors"),
        config=json.loads((home / "config.json").read_text(encoding="utf-8")),
        state=torch.load(home / "state.pt", weights_only=True, map_location="cpu"),
        run=json.loads((home / "run.json").read_text(encoding="utf-8")),
    )


def verify(home: Path) -> None:
    """BrokenCheckpoint unless all files are there, with the sizes and hashes that the manifest lists."""
    manifest = home / "manifest.json"
    if not manifest.is_file():
        raise BrokenCheckpoint(f"{home}: manifest.json is missing")
    try:
        listed = json.loads(manifest.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BrokenCheckpoint(f"{home}: manifest.json can't be read: {error}") from error
    if not isinstance(listed, dict):
        raise BrokenCheckpoint(f"{home}: manifest.json doesn't list files")
    for name in _FILES:
        path = home / name
        if name not in listed:
            raise BrokenCheckpoint(f"{home}: manifest.json doesn't list {name}")
        if not path.is_file():
            raise BrokenCheckpoint(f"{home}: {name} is missing")
        wanted, found = listed[name], path.stat().st_size
        if found != wanted["bytes"]:
            raise BrokenCheckpoint(f"{home}: {name} has {found} bytes, the manifest says {wanted['bytes']}")
        if _fingerprint(path) != wanted:
            raise BrokenCheckpoint(f"{home}: {name} was altered: its sha256 is not the manifest's")


def latest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint, and why each newer one was refused."""
    refused = []
    for home in reversed(_steps(folder)):
        try:
            verify(home)
        except BrokenCheckpoint as error:
            refused.append(str(error))
            continue
        return home, refused
    return None, refused


def weights_digest(home: Path) -> str:
    """sha256 of the weights file, as the manifest has it."""
    manifest = json.loads((home / "manifest.json").read_text(encoding="utf-8"))
    return str(manifest["model.safetensors"]["sha256"])


def _steps(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def _fingerprint(path: Path) -> dict[str, int | str]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(home: Path) -> None:
    """Rename first: a removal that is cut short never leaves half a checkpoint under its name."""
    doomed = home.with_name(f".removing-{home.name}")
    os.rename(home, doomed)
    shutil.rmtree(doomed)


def _sweep(folder: Path) -> None:
    for pattern in (".saving-*", ".removing-*"):
        for leftover in folder.glob(pattern):
            shutil.rmtree(leftover)
