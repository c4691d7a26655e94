"""Files and folders that are whole or not there, whatever ends the process or fills the disk.

Everything is written beside its place under a name that starts with `.partial-`, fsynced, and renamed. What a killed
process leaves behind is swept away by the next one that holds the folder's lock.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from .refusal import Unusable, printable, reason_of

_LEFTOVERS = re.compile(r"\.(partial|removing)-")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Unusable, with the path and the system's reason, where what is written inside fails."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise Unusable(f"{printable(path)} can't be written: {reason_of(error)}") from error


@contextlib.contextmanager
def whole_folder(home: Path) -> Iterator[Path]:
    """A folder to fill, which takes the name home when the block ends; what was there before gives way."""
    staging = home.with_name(f".partial-{home.name}-{os.getpid()}")
    with writing(home):
        home.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            yield staging
            for path in (*staging.rglob("*"), staging):
                sync(path)
            if home.exists():
                remove(home)
            os.rename(staging, home)
            sync(home.parent)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the name path when the block ends."""
    staging = path.with_name(f".partial-{path.name}-{os.getpid()}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with staging.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(staging, path)
            sync(path.parent)
        except BaseException:
            staging.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Replace a text file as a whole."""
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))


def save_torch(value: object, path: Path) -> None:
    """torch.save that fails with the system's OSError; torch's own error doesn't say what went wrong."""
    with path.open("wb") as file:
        _keeping(file, lambda kept: torch.save(value, kept))


def save_array(values: np.ndarray[Any, Any], path: Path) -> None:
    """np.save that fails with the system's OSError."""
    with path.open("wb") as file:
        _keeping(file, lambda kept: np.save(kept, values))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder against other runs until the block ends or the process does; made if it isn't there."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise Unusable(f"{printable(folder)} is in use by another run: choose another folder, or wait") from None
    try:
        yield
    finally:
        lock.release()


def remove(home: Path) -> None:
    """Rename first: a removal that is cut short never leaves half a folder under its name."""
    doomed = home.with_name(f".removing-{home.name}")
    shutil.rmtree(doomed, ignore_errors=True)
    os.rename(home, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Clear away what killed processes have left; the folder must be locked."""
    if not folder.is_dir():
        return
    for leftover in folder.iterdir():
        if _LEFTOVERS.match(leftover.name):
            shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Kept:
    """A file that remembers why a write failed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def _keeping(file: BinaryIO, save: Any) -> None:
    kept = _Kept(file)
    try:
        save(kept)
    except (RuntimeError, OSError):
        if kept.error is not None:
            raise kept.error from None
        raise
