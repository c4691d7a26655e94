"""What a run tells: one json line per event, always; TensorBoard and a progress display if wanted."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Protocol

from .settings import SettingsError


class Display(Protocol):
    """Whoever shows a run to a person."""

    def begin(self, done: int, total: int) -> None: ...

    def advance(self, step: int, numbers: dict[str, float]) -> None: ...

    def say(self, text: str) -> None: ...


class Silent:
    """Shows nothing."""

    def begin(self, done: int, total: int) -> None:
        pass

    def advance(self, step: int, numbers: dict[str, float]) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class Journal:
    """Appends to log.jsonl. Reopened at a step, it first drops what an interrupted run wrote after it."""

    def __init__(self, out: Path, step: int, tensorboard: bool) -> None:
        self._path = out / "log.jsonl"
        if self._path.exists():
            self._rewind(step)
        self._file = self._path.open("a", encoding="utf-8")
        self._board = _board(out, step) if tensorboard else None

    def write(self, kind: str, step: int, **values: Any) -> None:
        record = {"kind": kind, "step": step, "time": round(time.time(), 3), **values}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()

    def _rewind(self, step: int) -> None:
        kept = [line for line in read(self._path.parent) if line["step"] <= step]
        if step == 0:
            kept = []
        self._path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def read(out: Path) -> list[dict[str, Any]]:
    """Every whole record of a run's log; a last line that was cut off by a kill is left out."""
    records = []
    for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            records.append(json.loads(line))
    return records


def _board(out: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as error:
        raise SettingsError(
            "train.tensorboard needs tensorboard: pip install 'torch-shapecheck[tensorboard]'"
        ) from error
    return SummaryWriter(str(out / "tensorboard"), purge_step=step)
