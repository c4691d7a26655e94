"""`shapecheck lint`: check files, report, and fix."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shapecheck.cli.console import (
    Unwritable,
    Wrong,
    colored,
    complain,
    count,
    faults,
    on_terminal,
    read_stdin,
    say,
    say_bytes,
    write_whole,
)
from shapecheck.cli.summary import hidden, notes_of, summary
from shapecheck.cli.values import one_of, path_of, seconds, whole
from shapecheck.findings.rule import Severity
from shapecheck.formats import Format, Report
from shapecheck.service.cache import default_folder
from shapecheck.source.text import visible

if TYPE_CHECKING:
    from shapecheck.findings.diagnostic import Diagnostic, Problem
    from shapecheck.findings.packs import Loaded
    from shapecheck.service.baseline import Baseline
    from shapecheck.service.check import Options
    from shapecheck.service.config import Config, Settings
    from shapecheck.service.recorded import Recorded
    from shapecheck.service.run import Outcome, Repair

Codes = list[str] | None
LONGEST = 1e6  # seconds; a limit beyond any patience


def lint(
    paths: Annotated[
        Codes, typer.Argument(metavar="PATHS", help="Files and folders; - reads stdin.", show_default="this folder")
    ] = None,
    output_format: Annotated[
        str,
        typer.Option(metavar="FORMAT", help="text, concise, json, sarif, github, gitlab, junit, html or statistics."),
    ] = "text",
    output_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the findings there instead of stdout.")
    ] = None,
    select: Annotated[
        Codes, typer.Option(metavar="CODES", help="Only these rules: codes, their beginnings or names.")
    ] = None,
    ignore: Annotated[Codes, typer.Option(metavar="CODES", help="Not these rules; goes before --select.")] = None,
    exclude: Annotated[Codes, typer.Option(metavar="PATTERN", help="More patterns of files to leave out.")] = None,
    severity: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="The least to show: error, warning (the default) or info.")
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="The least that makes the exit status 1.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Write safe fixes into the files.")] = False,
    unsafe_fixes: Annotated[
        bool, typer.Option("--unsafe-fixes", help="With --fix or --diff: unsafe ones too.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --fix would write, and write nothing.")] = False,
    add_ignores: Annotated[
        bool, typer.Option("--add-ignores", help="Silence what is found with comments in the files; --diff shows them.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Nothing that rests on an assumption.")] = False,
    baseline: Annotated[
        str | None, typer.Option(metavar="FILE", help="Report only what this file of known findings does not have.")
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write what is found into the file of --baseline.")
    ] = False,
    unused_ignores: Annotated[
        bool, typer.Option("--unused-ignores", help="Also report `# shapecheck: ignore` without effect.")
    ] = False,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="The count of each rule's findings: --output-format statistics.")
    ] = False,
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="This configuration file instead of the nearest.")
    ] = None,
    recorded: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What `run --record` kept.", show_default=".shapecheck/recorded.json"),
    ] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache.")] = False,
    cache_dir: Annotated[str | None, typer.Option(metavar="DIR", help="Where the cache is.")] = None,
    jobs: Annotated[str, typer.Option("--jobs", "-j", metavar="N", help="Worker processes; 0: one a core.")] = "0",
    time_limit: Annotated[str, typer.Option(metavar="SECONDS", help="Processor time for one file.")] = "30",
    stdin_filename: Annotated[str, typer.Option(metavar="NAME", help="The name of what stdin holds.")] = "stdin.py",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Check files for tensor-shape bugs.

    Exit status: 0 when nothing is found, 1 with findings, 2 when a file could not be checked or the command line or
    configuration is wrong.
    """
    with faults(), _refusals(_format(output_format, statistics), path_of("--output-file", output_file)) as form:
        from shapecheck.service import interrupt
        from shapecheck.service.baseline import read as read_baseline
        from shapecheck.service.project import STDIN, discover, repository
        from shapecheck.service.run import run

        paths = paths or ["."]
        floor = None if severity is None else one_of(Severity, "--severity", severity)
        failing_from = None if fail_on is None else one_of(Severity, "--fail-on", fail_on)
        workers, limit = whole("--jobs", jobs, least=0), seconds("--time-limit", time_limit, 0.1, LONGEST)
        if (fix or (add_ignores and not diff)) and STDIN in paths:
            raise Wrong(f"{'--fix' if fix else '--add-ignores'} cannot write to stdin; use --diff")
        if write_baseline and (baseline is None or fix or diff or add_ignores):
            raise Wrong(
                "--write-baseline needs --baseline FILE, and goes with neither --fix nor --diff nor --add-ignores"
            )
        if diff and not form.for_people:
            raise Wrong(f"--diff prints a patch, and no {form.value}")
        if add_ignores and (fix or unsafe_fixes):
            raise Wrong("--add-ignores goes without fixes: fix first, then silence what is left")

        def change(found: Config) -> Config:
            return found.with_(
                select=_codes(select) or None,
                ignore=(*found.ignore, *_codes(ignore)),
                severity=floor,
                fail_on=failing_from,
            )

        scope = _scope(
            change, path_of("--config", config), isolated, tuple(exclude or ()), unused_ignores, limit, strict
        )
        known_file = path_of("--baseline", baseline)
        known = None if known_file is None else read_baseline(known_file, required=not write_baseline)
        names = [stdin_filename] if STDIN in paths else []
        found = discover([name for name in paths if name != STDIN], scope.settings, given=names)
        given = {name: read_stdin() for name in found.given}
        cache_folder = path_of("--cache-dir", cache_dir) or default_folder()
        record = record_of(recorded)
        with interrupt.listening():
            outcome = run(
                [*found.files, *(name for name in given if name not in found.files)],
                scope.options_of,
                named=found.named | given.keys(),
                given=given,
                jobs=workers,
                cache_folder=None if no_cache else cache_folder,
                tick=_progress(quiet),
                recorded=record,
            )
            repairs: list[Repair] = []
            if (fix or diff or add_ignores) and not outcome.interrupted:
                how = None if add_ignores else unsafe_fixes
                repairs = _repair(outcome, scope, known, how, write=not diff)
        outcome.problems[:0] = found.problems
        shown = [d for d in outcome.diagnostics if scope.shows(d)]
        notes: list[str] = []
        if known is not None:
            shown, notes = _without_known(known, shown, outcome, scope, write_baseline)
        if diff:
            _write_diff(repairs, path_of("--output-file", output_file))
        else:
            report = Report(
                shown,
                len(outcome.checked),
                outcome.sources,
                outcome.problems,
                repository(found.files),
                _rules(form),
                outcome.interrupted,
            )
            _write_report(report, form, path_of("--output-file", output_file))
        complain(map(str, outcome.problems))
        if outcome.cache_fault:
            complain(
                [f"the cache in {cache_folder} cannot be written: {outcome.cache_fault} (--no-cache does without it)"]
            )
        if not quiet:
            fixing = (fix or diff) and not add_ignores
            complain([*notes_of(found), *_stale(record), *notes])
            complain(summary(shown, outcome, repairs, diff, found.notebooks, fixing, unsafe_fixes and fixing))
            complain(hidden([d for d in outcome.diagnostics if not scope.shows(d)], scope.config_of))
        failing = (diff and repairs) or any(scope.fails(d) for d in shown)
    sys.exit(interrupt.STATUS if outcome.interrupted else 2 if outcome.problems else int(bool(failing)))


# -------------------------------------------------------------------- what holds where


@dataclass(frozen=True)
class _Scope:
    """The configuration of each place, as the command line has it."""

    settings: Settings
    base: Config
    options_of: Callable[[str], Options]

    def config_of(self, d: Diagnostic) -> Config:
        from shapecheck.service.config import ConfigError

        try:
            return self.settings.of(d.path)
        except ConfigError:  # a place outside of what is checked
            return self.base

    def shows(self, d: Diagnostic) -> bool:
        from shapecheck.service.config import at_least

        return at_least(d.severity, self.config_of(d).severity)

    def fails(self, d: Diagnostic) -> bool:
        from shapecheck.service.config import at_least

        return at_least(d.severity, self.config_of(d).fail_on)


def _scope(
    change: Callable[[Config], Config],
    config: Path | None,
    isolated: bool,
    exclude: tuple[str, ...],
    unused_ignores: bool,
    time_limit: float,
    strict: bool,
) -> _Scope:
    from shapecheck.service.check import Options
    from shapecheck.service.config import Config, Settings, read

    if config is not None and isolated:
        raise Wrong("--config and --isolated contradict each other")
    base = Config(Path.cwd())
    only = base if isolated else None if config is None else read(Path(os.path.abspath(config)))
    settings = Settings(change, only, exclude)

    @cache
    def options(found: Config, left_out: bool) -> Options:
        return Options(
            found.root,
            found.select,
            found.ignore,
            found.per_file_ignores,
            unused_ignores,
            time_limit,
            found.source,
            strict,
            left_out,
        )

    def options_of(path: str) -> Options:
        return options(settings.of(path), settings.excluded(path) is not None)

    return _Scope(settings, change(base), options_of)


def _format(name: str, statistics: bool) -> Format:
    form = one_of(Format, "--output-format", name)
    if statistics and form not in (Format.TEXT, Format.STATISTICS):
        raise Wrong("--statistics and --output-format contradict each other")
    return Format.STATISTICS if statistics else form


def record_of(file: str | None) -> Recorded | None:
    """The record of an earlier run: the named one, or that in the usual place. Raises Wrong."""
    from shapecheck.service.recorded import NoRecord, recorded

    try:
        return recorded(path_of("--recorded", file))
    except NoRecord as error:
        raise Wrong(str(error)) from error


def _stale(record: Recorded | None) -> list[str]:
    """What was recorded in vain."""
    from shapecheck.findings.diagnostic import shown

    stale = () if record is None else record.stale
    return [f"{shown(name)}: {function} changed since its shapes were recorded" for name, function in stale]


def _codes(values: Codes) -> tuple[str, ...]:
    return tuple(code.strip() for value in values or () for code in value.split(",") if code.strip())


# ---------------------------------------------------------------------------- fixes


def _repair(outcome: Outcome, scope: _Scope, known: Baseline | None, unsafe: bool | None, write: bool) -> list[Repair]:
    """The repairs that were made, or with `write` False would be; the outcome then tells of the repaired files.
    `unsafe` None: comments that silence, and no fixes."""
    from shapecheck.service import interrupt
    from shapecheck.service.run import Repair, after, repair, silence

    def shows(d: Diagnostic, text: bytes) -> bool:
        return scope.shows(d) and not (known and known.knows(d, text))

    made: list[Repair] = []
    try:
        texts = silence(outcome, shows) if unsafe is None else repair(outcome, scope.options_of, unsafe, shows)
        for one in texts:
            if not isinstance(one, Repair):
                outcome.problems.append(one)
            elif not write:
                made.append(one)
            elif (problem := _write(one)) is not None:
                outcome.problems.append(problem)
            else:
                made.append(one)
                interrupt.check()
    except KeyboardInterrupt:
        outcome.interrupted = True
    after(outcome, made, scope.options_of, look_again=write and not outcome.interrupted)
    return made


def _without_known(
    known: Baseline, shown: list[Diagnostic], outcome: Outcome, scope: _Scope, write: bool
) -> tuple[list[Diagnostic], list[str]]:
    """The findings that the baseline does not have, and what there is to say of it; with `write`, it has all now."""

    @cache
    def text_of(path: str) -> bytes:
        with suppress(OSError):
            return outcome.sources[path] if path in outcome.sources else Path(path).read_bytes()
        return b""

    name = known.file.name
    if write:
        if outcome.interrupted:
            return shown, [f"{name} was not written: the run was interrupted"]
        write_whole(known.file, known.written(shown, text_of, outcome.checked))
        return [], [f"{count(len(shown), 'finding')} written to {name}"]
    new = known.new(shown, text_of)
    notes = [f"{count(len(shown) - len(new), 'finding')} of {name} not shown"] if len(new) < len(shown) else []
    if gone := known.gone(outcome.diagnostics, text_of, outcome.checked, scope.options_of):
        notes.append(f"{count(gone, 'finding')} of {name} gone (--write-baseline drops them)")
    return new, notes


def _write(one: Repair) -> Problem | None:
    from shapecheck.findings.diagnostic import Problem
    from shapecheck.service import interrupt
    from shapecheck.service.files import Unusable, replace_file

    with interrupt.shielded(raises=False):
        try:
            replace_file(Path(one.path), one.before, one.after)
        except Unusable as error:
            return Problem(one.path, f"not {'fixed' if one.fixing else 'written'}: {error}", partly=True)
    return None


def _write_diff(repairs: Sequence[Repair], file: Path | None) -> None:
    """A patch, in the files' own bytes."""
    import difflib
    import re

    from shapecheck.findings.diagnostic import shown

    patch: list[bytes] = []
    for one in repairs:
        before, after = (re.findall(rb"[^\n]*\n|[^\n]+", data) for data in (one.before, one.after))  # as patch has it
        name = os.fsencode(_quoted(shown(one.path)))
        for line in difflib.diff_bytes(difflib.unified_diff, before, after, name, name):
            patch.append(line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n")
    if file is not None:
        write_whole(file, b"".join(patch))
    elif on_terminal(sys.stdout):
        say(visible(b"".join(patch).decode("utf-8", "backslashreplace"), "\t\n"))
    else:
        say_bytes(b"".join(patch))


def _quoted(name: str) -> str:
    """A name as `patch` and `git apply` read it: with escapes, in quotes, where it would not end with its line."""
    import re

    if not re.search(r'[\x00-\x1f\x7f"\\]', name):
        return name
    return '"' + re.sub(r'[\x00-\x1f\x7f"\\]', lambda c: f"\\{ord(c[0]):03o}", name) + '"'


# -------------------------------------------------------------------------- reports


def _progress(quiet: bool) -> Callable[[int, int], None] | None:
    if quiet or not on_terminal(sys.stderr):
        return None

    def tick(done: int, total: int) -> None:
        if total > 20:
            end = "\r" if done < total else "\r\x1b[K"
            print(f"checked {done} of {total} files", end=end, file=sys.stderr, flush=True)

    return tick


def _write_report(report: Report, form: Format, file: Path | None) -> None:
    from dataclasses import replace

    from shapecheck.formats import render

    if file is None:
        say(render(replace(report, color=colored(sys.stdout)), form))
    else:
        write_whole(file, render(report, form))


@contextmanager
def _refusals(form: Format, file: Path | None) -> Iterator[Format]:
    """A run that cannot begin says so in its format, too, where a program reads it."""
    from shapecheck.findings.diagnostic import Problem
    from shapecheck.findings.packs import PackError
    from shapecheck.service.config import ConfigError
    from shapecheck.service.project import repository

    try:
        yield form
    except (Wrong, ConfigError, PackError) as error:
        if not form.for_people and not isinstance(error, Unwritable):
            problem = getattr(error, "problem", None) or Problem(os.getcwd(), str(error))
            _write_report(Report([], problems=[problem], root=repository([])), form, file)
        raise


def _rules(form: Format) -> Sequence[Loaded]:
    """The installed rules, for the one format that describes them: loading them takes time."""
    from shapecheck.findings import packs

    return packs.load(packs.find()) if form is Format.SARIF else ()
