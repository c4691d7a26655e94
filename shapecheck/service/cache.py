"""Results by content: what a file's check said last time, while nothing that it rested on has changed.

An entry is found by the file's path and bytes, the configuration, and the state of shapecheck and of the rule packs. It
holds the diagnostics, a digest of every other file that was read for them, and the paths that were looked for in vain.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from shapecheck.findings.diagnostic import Diagnostic, diagnostic_from, to_plain
from shapecheck.service.files import Unusable, read_file, why

_DAY = 86_400
KEEP_DAYS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check said. `used` are the marks of other files that silenced something: path, row, column; `rests_on` the
    other files that were read, and paths that were looked for in vain."""

    diagnostics: tuple[Diagnostic, ...]
    used: tuple[tuple[str, int, int], ...] = ()
    rests_on: tuple[str, ...] = ()
    unfinished: int = 0  # functions that the step limit broke off


def digest(*parts: bytes) -> str:
    joined = hashlib.blake2b(digest_size=20)
    for part in parts:
        joined.update(len(part).to_bytes(8, "big"))
        joined.update(part)
    return joined.hexdigest()


def default_folder() -> Path:
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("shapecheck", appauthor=False))


PACKAGE = Path(__file__).parent.parent  # all of shapecheck, whichever folder this file stands in


def own_state() -> str:
    """A digest of the names, sizes and times of shapecheck's own modules, so that a changed checkout never serves old
    answers. (Their text would cost ten times as much to read.)"""
    states = []
    for folder, _, names in os.walk(PACKAGE):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                state = os.stat(path)
                states.append(f"{path} {state.st_size} {state.st_mtime_ns}")
    return digest("\n".join(sorted(states)).encode())


class Cache:
    """Never raises: a cache that cannot be read or written only makes the run slower. `fault` says why it could not be
    written, "" while it could."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: dict[str, str | None] = {}
        self.fault = ""

    def get(self, path: str, source: bytes, setting: str) -> Answer | None:
        try:
            entry = json.loads(self._file(path, source, setting).read_bytes())
            if any(os.path.lexists(other) for other in entry["absent"]):
                return None
            if any(self._digest(other) != known for other, known in entry["reads"].items()):
                return None
            diagnostics = tuple(diagnostic_from(plain) for plain in entry["diagnostics"])
            used = tuple((str(at), int(row), int(column)) for at, row, column in entry["used"])
            return Answer(diagnostics, used, (*entry["reads"], *entry["absent"]), int(entry["unfinished"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, LookupError, RecursionError):
            return None  # absent or corrupt

    def put(self, path: str, source: bytes, setting: str, answer: Answer) -> None:
        digests = {other: self._digest(other) for other in answer.rests_on if other != path}
        entry = {
            "absent": [other for other, known in digests.items() if known is None],
            "reads": {other: known for other, known in digests.items() if known is not None},
            "diagnostics": [to_plain(d) for d in answer.diagnostics],
            "used": answer.used,
            "unfinished": answer.unfinished,
        }
        file = self._file(path, source, setting)
        import tempfile

        try:
            text = json.dumps(entry)
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=file.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    stream.write(text)
                os.replace(name, file)  # whole or not at all, also with two runs at once
            except BaseException:
                os.unlink(name)
                raise
        except OSError as error:
            self.fault = self.fault or why(error)

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

    def _file(self, path: str, source: bytes, setting: str) -> Path:
        key = digest(setting.encode(), os.fsencode(path), source)
        return self._folder / key[:2] / f"{key[2:]}.json"

    def _digest(self, path: str) -> str | None:
        if path not in self._digests:
            try:
                self._digests[path] = digest(read_file(path))
            except Unusable:
                self._digests[path] = None
        return self._digests[path]
