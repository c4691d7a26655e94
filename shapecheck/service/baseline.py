"""Findings that a project lives with for now: kept in a file, known by what stays when lines move.

A finding is its file (from the baseline's own folder), its code, and the text of its line; equal ones are counted.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from shapecheck.findings.diagnostic import UNUSED, Diagnostic
from shapecheck.findings.marks import matches
from shapecheck.service.check import Options
from shapecheck.service.config import ConfigError
from shapecheck.service.files import Unusable, read_file
from shapecheck.source.text import decode

VERSION = 1


@dataclass(frozen=True, slots=True, order=True)
class Known:
    """What a finding keeps. `file` is written with slashes."""

    file: str
    code: str
    rule: str
    line: str


class Baseline:
    """The findings in `file`, as they were when it was read."""

    def __init__(self, file: Path, counts: Mapping[Known, int]) -> None:
        self.file = file
        self.counts = Counter(counts)
        self._lines: dict[bytes, list[str]] = {}

    def key(self, d: Diagnostic, text: bytes) -> Known:
        if text not in self._lines:
            self._lines[text] = decode(text).lines
        lines = self._lines[text]
        line = lines[d.location.row - 1].strip() if d.location.row <= len(lines) else ""
        return Known(self._name(d.path), d.code, d.name, line)

    def knows(self, d: Diagnostic, text: bytes) -> bool:
        return self.key(d, text) in self.counts

    def new(self, diagnostics: Iterable[Diagnostic], text_of: Callable[[str], bytes]) -> list[Diagnostic]:
        """Those that are not in it; of more equal ones than it has, the last."""
        left = self.counts.copy()
        found = []
        for d in diagnostics:
            key = self.key(d, text_of(d.path))
            if left[key] > 0:
                left[key] -= 1
            else:
                found.append(d)
        return found

    def gone(
        self,
        diagnostics: Iterable[Diagnostic],
        text_of: Callable[[str], bytes],
        checked: Collection[str],
        options_of: Callable[[str], Options],
    ) -> int:
        """How many of its findings are there no more: in files that were checked for them, or that are gone too."""
        left = self.counts - Counter(self.key(d, text_of(d.path)) for d in diagnostics)
        return sum(number for key, number in left.items() if self._looked_for(key, checked, options_of))

    def written(
        self, diagnostics: Iterable[Diagnostic], text_of: Callable[[str], bytes], checked: Collection[str]
    ) -> str:
        """The file's text with these findings, and its old ones in files that were not checked and are still there."""
        kept = {k: n for k, n in self.counts.items() if (p := self._path(k)) not in checked and os.path.exists(p)}
        counts = Counter(self.key(d, text_of(d.path)) for d in diagnostics if d.path in checked)
        rows = [
            {"file": k.file, "code": k.code, "rule": k.rule, "line": k.line, "count": n}
            for k, n in sorted((kept | counts).items())
        ]
        return json.dumps({"version": VERSION, "findings": rows}, indent=1, ensure_ascii=False) + "\n"

    def _looked_for(self, key: Known, checked: Collection[str], options_of: Callable[[str], Options]) -> bool:
        path = self._path(key)
        if not os.path.exists(path):
            return True
        if path not in checked:
            return False
        options = options_of(path)
        if key.code == UNUSED[0]:
            return options.unused_ignores
        wanted = not options.select or matches(key.code, key.rule, options.select)
        return wanted and not matches(key.code, key.rule, (*options.ignore, *options.off(path)))

    def _name(self, path: str) -> str:
        return PurePath(os.path.relpath(path, self.file.parent)).as_posix()

    def _path(self, key: Known) -> str:
        return os.path.normpath(os.path.join(self.file.parent, key.file))


def read(file: Path, required: bool) -> Baseline:
    """The baseline in a file; an empty one where there is none and none is `required`. Raises ConfigError."""
    file = Path(os.path.abspath(file))
    if not required and not os.path.lexists(file):
        return Baseline(file, {})
    try:
        table = json.loads(read_file(file).decode("utf-8"))
        if table["version"] != VERSION:
            raise ConfigError(f"it was written by another version of shapecheck: {table['version']!r}", file)
        counts = {
            Known(*(_text(row[key]) for key in ("file", "code", "rule", "line"))): int(row["count"])
            for row in table["findings"]
        }
    except Unusable as error:
        hint = " (--write-baseline makes it)" if not os.path.lexists(file) else ""
        raise ConfigError(f"cannot be read: {error}{hint}", file) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError("it is no baseline of shapecheck's", file) from error
    return Baseline(file, counts)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
