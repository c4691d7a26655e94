"""What a run tells: one json line per event, always; TensorBoard and a progress display if wanted."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Protocol

from .refusal import Unusable, printable, reason_of
from .settings import SettingsError
from .whole import write_text, writing


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
        self._board = _board(out, step) if tensorboard else None

    def write(self, kind: str, step: int, **values: Any) -> None:
        record = {"kind": kind, "step": step, "time": round(time.time(), 3), **values}
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self._board is not None:
            with writing(self._path.parent / "tensorboard"):
                for name, value in values.items():
                    if isinstance(value, float):
                        self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _rewind(self, step: int) -> None:
        kept = [line for line in read(self._path.parent) if line["step"] <= step] if step else []
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))


def read(out: Path) -> list[dict[str, Any]]:
    """Every whole record of a run's log; a last line that was cut off by a kill is left out."""
    path = out / "log.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{printable(path)} can't be read: {reason_of(error)}") from error
    return [_record(line, f"{printable(path)}:{number}") for number, line in enumerate(lines, start=1)]


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("step"), int) or "kind" not in found:
        raise Unusable(f"{where} is no record of a run's log: mend that line, or move the file away")
    return found


def _board(out: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as error:
        raise SettingsError(
            "train.tensorboard needs tensorboard: install torch-shapecheck with its extra [tensorboard]"
        ) from error
    return SummaryWriter(str(out / "tensorboard"), purge_step=step)
