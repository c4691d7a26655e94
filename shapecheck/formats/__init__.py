"""What a run says, in the format that its reader wants: one module for each, with `render(report) -> str`.

People see what could not be checked on stderr, beside a report in `text`, `concise` or `statistics`; formats for
machines hold it.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from shapecheck.findings.diagnostic import Diagnostic, Problem, TextEdit
from shapecheck.source.text import Source, decode

if TYPE_CHECKING:
    from shapecheck.findings.packs import Loaded


class Format(str, Enum):
    TEXT = "text"
    CONCISE = "concise"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
    GITLAB = "gitlab"
    JUNIT = "junit"
    HTML = "html"
    STATISTICS = "statistics"

    @property
    def for_people(self) -> bool:
        return self in (Format.TEXT, Format.CONCISE, Format.STATISTICS)


@dataclass(frozen=True)
class Report:
    """`files` counts those that were checked. `sources` has the bytes of files by absolute path, as they were checked;
    others are read when they are shown. `root` is the folder that a repository's services name files from, `rules`
    those that were installed. `interrupted`: there may be more to find."""

    diagnostics: Sequence[Diagnostic]
    files: int = 0
    sources: Mapping[str, bytes] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    root: str = ""
    rules: Sequence[Loaded] = ()
    interrupted: bool = False
    color: bool = False
    _read: dict[str, Source] = field(default_factory=dict, repr=False)

    def source(self, path: str) -> Source:
        """The text of a file; empty where it can no longer be read."""
        if path not in self._read:
            try:
                data = self.sources[path] if path in self.sources else Path(path).read_bytes()
                self._read[path] = decode(data)
            except (OSError, SyntaxError, UnicodeDecodeError):
                self._read[path] = Source("", "utf-8")
        return self._read[path]

    def from_root(self, path: str) -> str:
        """The path from the repository's root, with slashes; absolute for a file outside of it."""
        root = self.root or os.getcwd()
        inside = path.startswith(root.rstrip(os.sep) + os.sep)
        return PurePath(os.path.relpath(path, root) if inside else path).as_posix()

    def edits(self, d: Diagnostic) -> tuple[TextEdit, ...] | None:
        """All edits of a diagnostic's fix, its imports included, in the file's own newlines; None without one."""
        from shapecheck.findings.fixes import import_edits

        if d.fix is None:
            return None
        source = self.source(d.path)
        added = import_edits(source, d.path, d.fix.imports)
        if added is None:  # the import that it needs has no place here
            return None
        return tuple(
            replace(edit, content=re.sub(r"\r\n|\r|\n", source.newline, edit.content))
            for edit in (*added, *d.fix.edits)
        )

    def fingerprints(self) -> list[str]:
        """What each finding keeps when lines move: file, code, text of the line, and which of several equal ones."""
        seen: Counter[str] = Counter()
        found = []
        for d in self.diagnostics:
            lines = self.source(d.path).lines
            line = lines[d.location.row - 1].strip() if d.location.row <= len(lines) else ""
            same = f"{self.from_root(d.path)}\0{d.code}\0{line or d.message}"
            seen[same] += 1
            found.append(_digest(f"{same}\0{seen[same]}"))
        return found

    def problem_fingerprints(self) -> list[str]:
        return [_digest(f"{self.from_root(problem.path)}\0{problem.message}") for problem in self.problems]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def render(report: Report, form: Format) -> str:
    """The whole output, with its last newline; "" where a format says nothing about nothing."""
    text: str = importlib.import_module(f"shapecheck.formats.{form.value}").render(report)
    return text
