"""What a run says, in the format that its reader wants: one module for each, with `render(report) -> str`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from shapecheck.findings.diagnostic import Diagnostic, Problem
from shapecheck.source.text import Source, decode


class Format(str, Enum):
    TEXT = "text"
    CONCISE = "concise"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
    GITLAB = "gitlab"
    JUNIT = "junit"
    HTML = "html"


@dataclass(frozen=True)
class Report:
    """`sources` has the bytes of files by absolute path, as they were checked; others are read when they are shown."""

    diagnostics: Sequence[Diagnostic]
    files: int = 0  # that were checked
    sources: Mapping[str, bytes] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
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


def render(report: Report, form: Format) -> str:
    """The whole output, with its last newline; "" where a format says nothing about nothing."""
    text: str = importlib.import_module(f"shapecheck.formats.{form.value}").render(report)
    return text
