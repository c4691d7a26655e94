"""Results by content: what a file's check said last time, while nothing that it rested on has changed.

An entry is found by the file's path and bytes, the configuration, and the state of shapecheck and of the rule packs. It
holds the diagnostics, and a digest of every other file that was read for them (None: it was not there).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from shapecheck.findings.diagnostic import Diagnostic, diagnostic_from, to_plain

_DAY = 86_400
KEEP_DAYS = 30


def digest(*parts: bytes) -> str:
    joined = hashlib.blake2b(digest_size=20)
    for part in parts:
        joined.update(len(part).to_bytes(8, "big"))
        joined.update(part)
    return joined.hexdigest()


def default_folder() -> Path:
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("shapecheck", appauthor=False))


def own_state() -> str:
    """A digest of the names, sizes and times of shapecheck's own modules, so that a changed checkout never serves old
    answers. (Their text would cost ten times as much to read.)"""
    states = []
    for folder, _, names in os.walk(Path(__file__).parent):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                state = os.stat(path)
                states.append(f"{path} {state.st_size} {state.st_mtime_ns}")
    return digest("\n".join(sorted(states)).encode())


class Cache:
    """Never raises: a cache that cannot be read or written only makes the run slower."""

    def __init__(self, folder: Path, setting: str) -> None:
        self._folder = folder
        self._setting = setting.encode()
        self._digests: dict[str, str | None] = {}

    def get(self, path: str, source: bytes) -> tuple[Diagnostic, ...] | None:
        try:
            entry = json.loads(self._file(path, source).read_bytes())
            if any(self._digest(other) != known for other, known in entry["reads"].items()):
                return None
            return tuple(diagnostic_from(plain) for plain in entry["diagnostics"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # absent or corrupt
            return None

    def put(self, path: str, source: bytes, diagnostics: Iterable[Diagnostic], reads: Iterable[str]) -> None:
        entry = {
            "reads": {other: self._digest(other) for other in reads if other != path},
            "diagnostics": [to_plain(d) for d in diagnostics],
        }
        file = self._file(path, source)
        import tempfile

        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=file.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(entry, stream)
            os.replace(name, file)  # whole or not at all, also with two runs at once

    def forget_old(self) -> None:
        """Once a day: drop entries that nobody has written for a month."""
        stamp = self._folder / "swept"
        with contextlib.suppress(OSError):
            if stamp.exists() and time.time() - stamp.stat().st_mtime < _DAY:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            stamp.touch()
            for file in self._folder.glob("??/*"):
                if time.time() - file.stat().st_mtime > KEEP_DAYS * _DAY:
                    file.unlink()

    def _file(self, path: str, source: bytes) -> Path:
        key = digest(self._setting, os.fsencode(path), source)
        return self._folder / key[:2] / f"{key[2:]}.json"

    def _digest(self, path: str) -> str | None:
        if path not in self._digests:
            try:
                self._digests[path] = digest(Path(path).read_bytes())
            except OSError:
                self._digests[path] = None
        return self._digests[path]
