"""A run that is watched, and what the rules say of it: the same rules and messages, on shapes that were seen."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from shapecheck.findings.diagnostic import Diagnostic, Problem
from shapecheck.source.imports import INSTALLED, MARKERS

if TYPE_CHECKING:
    from shapecheck.engine.evidence import Ran
    from shapecheck.recording.recorder import Recorder
    from shapecheck.service.check import Options

_OURS = str(Path(__file__).parent.parent) + os.sep


@dataclass(frozen=True, slots=True)
class Judged:
    """What there is to say of what was seen. `disagreements`: places where the interpreter computes another shape than
    torch did, which are faults of ours; `rows`: how many rows of code were run, by file; `refusals`: file, row and
    why torch refused what stands there."""

    diagnostics: tuple[Diagnostic, ...] = ()
    problems: tuple[Problem, ...] = ()
    disagreements: tuple[str, ...] = ()
    rows: tuple[tuple[str, int], ...] = ()
    refusals: tuple[tuple[str, int, str], ...] = ()


def judge(files: dict[str, list[Ran]], options_of: Callable[[str], Options] | None = None) -> Judged:
    """What the rules find in the rows that were run. Raises packs.PackError."""
    from shapecheck.engine.evidence import Evidence
    from shapecheck.findings.diagnostic import shown
    from shapecheck.service.run import make_checks

    options = {path: options_of(path) if options_of else _configured(path) for path in sorted(files)}
    evidence = Evidence(files, only_ran=True)
    checks = make_checks(options.values(), evidence)
    diagnostics: dict[tuple[object, str], Diagnostic] = {}
    problems: dict[Problem, None] = {}
    for path, one in options.items():
        source = text_of(path)
        if source is None:
            problems[Problem(path, "cannot be read, so what ran of it was not checked")] = None
            continue
        result = checks.of(one)(path, source)
        problems.update(dict.fromkeys(result.problems))
        for d in result.diagnostics:
            if d.path in files and not evidence.rows(d.path).isdisjoint(_rows(d)):
                diagnostics.setdefault((d.span, d.code), d)
    return Judged(
        tuple(sorted(diagnostics.values(), key=lambda d: d.order)),
        tuple(problems),
        tuple(f"{shown(path)}:{place[0]}:{place[1]}: {text}" for (path, place), text in evidence.disagreements.items()),
        tuple((path, len(evidence.rows(path))) for path in files),
        tuple((path, place[0], text) for (path, place), text in evidence.refusals.items()),
    )


def _rows(d: Diagnostic) -> range:
    """The rows that a finding stands on. Of a statement with a body, the first."""
    return range(d.location.row, max(d.location.row, min(d.end_location.row, d.location.row + 20)) + 1)


def _configured(path: str) -> Options:
    from shapecheck.service.check import Options
    from shapecheck.service.config import Settings

    found = Settings().of(path)
    return Options(found.root, found.select, found.ignore, found.per_file_ignores, source=found.source)


def seen_by(recorder: Recorder) -> dict[str, list[Ran]]:
    """What a recorder saw, by file, with places as the interpreter counts them."""
    from shapecheck.recording.recorder import placed

    return placed(recorder.files(), lambda path: (text_of(path) or b"").decode(errors="replace"))


def shows(d: Diagnostic) -> bool:
    """Whether the configuration of the place shows findings of this severity."""
    from shapecheck.service.config import Settings, at_least

    return at_least(d.severity, Settings().of(d.path).severity)


def text_of(path: str) -> bytes | None:
    """The text of a file, or of a cell of a notebook; None where there is none."""
    if os.path.isfile(path):
        return Path(path).read_bytes()
    lines = linecache.getlines(path)
    return "".join(lines).encode() if lines else None


def wanted(paths: Iterable[str]) -> Callable[[str], bool]:
    """Which files are watched: these, and those in these folders, save what is installed there and what is ours."""
    given = [os.path.abspath(path) for path in paths]

    def want(name: str) -> bool:
        if name in given:
            return True
        path = os.path.abspath(name)
        if path.startswith(_OURS) or not os.path.isfile(path):
            return False
        for top in given:
            if path == top:
                return True
            if path.startswith(top.rstrip(os.sep) + os.sep):
                inside = os.path.relpath(path, top).split(os.sep)
                return not set(inside) & {*INSTALLED, "lib"} and not any(part.startswith(".") for part in inside)
        return False

    return want


def project_of(path: str) -> str:
    """The folder of the project that a file belongs to: the nearest above it that looks like one, else its own."""
    own = here = os.path.dirname(os.path.abspath(path))
    while os.path.dirname(here) != here:
        if any(os.path.exists(os.path.join(here, marker)) for marker in MARKERS):
            return here
        here = os.path.dirname(here)
    return own


class watch:
    """`with watch() as seen:` watches the code inside, and what it calls in the files of its project.

    `paths`: files and folders to watch instead; `steps`: only until more than so many backward passes have begun, when,
    with `ends`, SystemExit is raised. Then `seen.findings` is what the rules say, `str(seen)` the report.
    """

    def __init__(self, *paths: str | os.PathLike[str], steps: int | None = None, ends: bool = False) -> None:
        self._steps, self._ends = steps, ends
        self._paths = tuple(os.fspath(path) for path in paths)
        self._recorder: Recorder | None = None
        self._frame: FrameType | None = None
        self._judged: Judged | None = None

    def __enter__(self) -> watch:
        from shapecheck.recording.recorder import Recorder

        frame = sys._getframe(1)
        name = frame.f_code.co_filename
        paths = self._paths or (name, project_of(name))
        self._recorder, self._frame, self._judged = Recorder(wanted(paths), self._steps, ends=self._ends), frame, None
        self._recorder.start(frame)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._recorder is not None
        self._recorder.stop(self._frame)
        self._frame = None

    @property
    def files(self) -> dict[str, list[Ran]]:
        """What was seen, by file."""
        return {} if self._recorder is None else seen_by(self._recorder)

    @property
    def judged(self) -> Judged:
        """What there is to say of it, made when it is first asked for."""
        if self._judged is None:
            self._judged = judge(self.files)
        return self._judged

    @property
    def findings(self) -> list[Diagnostic]:
        """What the rules find in the code that ran, of the severity that the configuration shows."""
        return [d for d in self.judged.diagnostics if shows(d)]

    def record(self, file: str | os.PathLike[str]) -> int:
        """Put the shapes that were seen into a file for `shapecheck lint`, beside what it has; the number of functions
        that it has then. Raises OSError, `recording.file.Unreadable`."""
        from shapecheck.recording.file import write

        return write(Path(file), self.files, text_of)

    def __str__(self) -> str:
        from shapecheck.formats import Format, Report, render

        texts = {path: text for path in self.files if (text := text_of(path)) is not None}
        report = Report(self.findings, len(texts), texts, self.judged.problems)
        return render(report, Format.TEXT) or "no findings\n"
