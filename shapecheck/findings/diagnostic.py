"""The final record of a finding: plain text and numbers, picklable, ready to be printed, cached or sent elsewhere.

A `Finding` points at nodes; a `Diagnostic` at rows and columns, both counted from 1, columns in characters.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from shapecheck.findings.rule import Severity
from shapecheck.source.text import Location, visible

Json: TypeAlias = Any
NOT_CHECKED = ("SC000", "not-checked")
UNUSED = ("SC001", "unused-suppression")
HOME = "https://github.com/torch-shapecheck/torch-shapecheck"


def rule_url(code: str) -> str:
    """Where a code is explained."""
    if code in (NOT_CHECKED[0], UNUSED[0]):
        return f"{HOME}/blob/main/docs/lint.md#{'exit-status' if code == NOT_CHECKED[0] else 'silencing-a-finding'}"
    return f"{HOME}/blob/main/docs/rules.md#{code.lower()}"


def shown(path: str) -> str:
    """The name by which a file is reported: relative where it lies under the working directory."""
    here = os.getcwd()
    return os.path.relpath(path, here) if path.startswith(here.rstrip(os.sep) + os.sep) else path


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From `start` up to, not including, `end`. `path` is absolute, `filename` as a user reads it."""

    path: str
    start: Location
    end: Location

    @property
    def filename(self) -> str:
        return shown(self.path)


@dataclass(frozen=True, slots=True)
class Caret:
    """A marked part of an excerpt with the text beside it, mostly a shape."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence of evidence, and where it was learned when it was learned somewhere."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Put `content` in the place of `span`. An insertion has an empty span."""

    span: Span
    content: str


@dataclass(frozen=True, slots=True)
class TextFix:
    """Edits that belong together. `imports` are lines that the new text needs, `places` the expressions that it is
    about: no other fix may reach into them at the same time."""

    message: str
    safe: bool
    edits: tuple[TextEdit, ...]
    imports: tuple[str, ...] = ()
    places: tuple[Span, ...] = ()

    @property
    def applicability(self) -> str:
        return "safe" if self.safe else "unsafe"


# Rules whose bug `reference-trainer validate` names too: it runs the loss before and after the fix.
PROVABLE = frozenset(
    {"SC101", "SC102", "SC202", "SC301", "SC302", "SC303", "SC306", "SC401", "SC402", "SC501", "SC503"}
)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    code: str
    name: str
    severity: Severity
    message: str
    span: Span
    labels: tuple[Caret, ...] = ()
    notes: tuple[Remark, ...] = ()
    condition: str = ""
    help: str = ""
    fix: TextFix | None = None

    @property
    def path(self) -> str:
        return self.span.path

    @property
    def filename(self) -> str:
        return self.span.filename

    @property
    def location(self) -> Location:
        return self.span.start

    @property
    def end_location(self) -> Location:
        return self.span.end

    @property
    def url(self) -> str:
        return rule_url(self.code)

    @property
    def proof(self) -> str:
        """The command that says by running it whether the loss is right; "" where it does not name this bug."""
        if self.code not in PROVABLE:
            return ""
        file = shlex.quote(self.filename)
        return f"reference-trainer validate {file}:NAME, the loss's own name, says whether it is right"

    @property
    def sentence(self) -> str:
        """The message with its condition, for formats that have one line."""
        return f"{self.message} (only right when {self.condition})" if self.condition else self.message

    @property
    def order(self) -> tuple[Span, str, str]:
        return self.span, self.code, self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file could not be checked, or, `partly`, not wholly. The run exits 2."""

    path: str
    message: str
    location: Location | None = None
    partly: bool = False

    @property
    def url(self) -> str:
        return rule_url(NOT_CHECKED[0])

    def __str__(self) -> str:
        at = f":{self.location.row}:{self.location.column}" if self.location else ""
        return visible(f"{shown(self.path)}{at}: {self.message}")


# ------------------------------------------------------------ to and from plain data, for the cache


def to_plain(diagnostic: Diagnostic) -> Json:
    return {**asdict(diagnostic), "severity": diagnostic.severity.value}


def diagnostic_from(plain: Json) -> Diagnostic:
    """The inverse of `to_plain`. Raises KeyError, TypeError or ValueError on anything else."""
    fix = plain["fix"]
    return Diagnostic(
        plain["code"],
        plain["name"],
        Severity(plain["severity"]),
        plain["message"],
        _span(plain["span"]),
        tuple(Caret(_span(label["span"]), label["text"]) for label in plain["labels"]),
        tuple(Remark(note["message"], note["span"] and _span(note["span"])) for note in plain["notes"]),
        plain["condition"],
        plain["help"],
        fix
        and TextFix(
            fix["message"],
            fix["safe"],
            tuple(TextEdit(_span(edit["span"]), edit["content"]) for edit in fix["edits"]),
            tuple(fix["imports"]),
            tuple(map(_span, fix["places"])),
        ),
    )


def _span(plain: Json) -> Span:
    return Span(plain["path"], Location(**plain["start"]), Location(**plain["end"]))
