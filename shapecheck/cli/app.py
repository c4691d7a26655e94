"""The command line: arguments in, exit status out. Everything heavy is imported where it is needed.

Exit status: 0 nothing found, 1 findings, 2 something could not be checked or was asked for wrongly, 130 interrupted.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from shapecheck.findings.rule import Severity
from shapecheck.formats import Format, Report
from shapecheck.service.cache import default_folder

if TYPE_CHECKING:
    from shapecheck.findings.diagnostic import Diagnostic
    from shapecheck.service.config import Config
    from shapecheck.service.run import Outcome, Repair

Codes = list[str] | None

app = typer.Typer(
    name="shapecheck",
    help="Finds silent tensor-shape bugs in contrastive, retrieval and metric-learning training code.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The console script."""
    gc.disable()  # imports make many objects and no garbage: 10 % of a short run
    app(prog_name="shapecheck")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"shapecheck {version('torch-shapecheck')}")
        sys.exit(0)


@app.callback()
def shapecheck(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Finds silent tensor-shape bugs in contrastive, retrieval and metric-learning training code."""


@app.command()
def lint(
    paths: Annotated[
        Codes, typer.Argument(metavar="PATHS", help="Files and folders; - reads stdin.", show_default="this folder")
    ] = None,
    output_format: Annotated[
        Format, typer.Option(metavar="FORMAT", help="text, concise, json, sarif, github, gitlab, junit or html.")
    ] = Format.TEXT,
    output_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the findings there instead of stdout.")
    ] = None,
    select: Annotated[
        Codes, typer.Option(metavar="CODES", help="Only these rules: codes, their beginnings or names.")
    ] = None,
    ignore: Annotated[Codes, typer.Option(metavar="CODES", help="Not these rules; goes before --select.")] = None,
    exclude: Annotated[Codes, typer.Option(metavar="PATTERN", help="More patterns of files to leave out.")] = None,
    severity: Annotated[
        Severity | None, typer.Option(metavar="LEVEL", help="The least to show: error, warning (the default) or info.")
    ] = None,
    fail_on: Annotated[
        Severity | None, typer.Option(metavar="LEVEL", help="The least that makes the exit status 1.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Write safe fixes into the files.")] = False,
    unsafe_fixes: Annotated[
        bool, typer.Option("--unsafe-fixes", help="With --fix or --diff: unsafe ones too.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --fix would write, and write nothing.")] = False,
    unused_ignores: Annotated[
        bool, typer.Option("--unused-ignores", help="Also report `# shapecheck: ignore` without effect.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="This configuration file instead of the nearest.")
    ] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache.")] = False,
    cache_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the cache is.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, metavar="N", help="Worker processes; 0: one a core.")] = 0,
    time_limit: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Processor time for one file.")] = 30.0,
    stdin_filename: Annotated[str, typer.Option(metavar="NAME", help="The name of what stdin holds.")] = "stdin.py",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Check files for tensor-shape bugs.

    Exit status: 0 when nothing is found, 1 with findings, 2 when a file could not be checked or the command line or
    configuration is wrong.
    """
    with _faults():
        from shapecheck.service.check import Options
        from shapecheck.service.config import ConfigError, at_least
        from shapecheck.service.project import STDIN, Patterns, discover
        from shapecheck.service.run import repair, run

        paths = paths or ["."]
        if fix and STDIN in paths:
            raise ConfigError("--fix cannot write to stdin; use --diff")
        settings = _settings([stdin_filename if path == STDIN else path for path in paths], config, isolated)
        settings = settings.with_(
            select=_codes(select) or None,
            ignore=(*settings.ignore, *_codes(ignore)),
            exclude=(*settings.exclude, *(exclude or ())),
            severity=severity,
            fail_on=fail_on,
        )
        options = Options(
            settings.root, settings.select, settings.ignore, settings.per_file_ignores, unused_ignores, time_limit
        )
        found = discover([path for path in paths if path != STDIN], Patterns(settings.root, settings.exclude))
        given = {os.path.abspath(stdin_filename): sys.stdin.buffer.read()} if STDIN in paths else {}
        outcome = run(
            [*found.files, *(path for path in given if path not in found.files)],
            options,
            named=found.named | given.keys(),
            given=given,
            jobs=jobs,
            cache_folder=None if no_cache else cache_dir or default_folder(),
            tick=_progress(quiet),
        )
        hidden = sum(not at_least(d.severity, settings.severity) for d in outcome.diagnostics)
        repairs = repair(outcome, options, unsafe_fixes, settings.severity) if fix or diff else []
        shown = [d for d in outcome.diagnostics if at_least(d.severity, settings.severity)]
        if diff:
            _write_diff(repairs)
        else:
            _write_files(repairs)
            _write_report(Report(shown, outcome.files, outcome.sources), output_format, output_file)
        _complain([*found.errors, *map(str, outcome.problems)])
        if not quiet:
            _complain([f"{name}: left out, as the configuration excludes it" for name in found.excluded])
            _complain(_summary(shown, outcome, repairs, diff, found.notebooks))
            if hidden:
                least = "info" if settings.severity is Severity.WARNING else "warning"
                below = f"{_count(hidden, 'finding')} below {settings.severity.value}"
                _complain([f"{below} not shown (--severity {least})"])
        failing = (diff and repairs) or any(at_least(d.severity, settings.fail_on) for d in shown)
    sys.exit(2 if found.errors or outcome.problems else int(bool(failing)))


@app.command()
def reveal(
    file: Annotated[str, typer.Argument(metavar="FILE")],
    why: Annotated[
        int | None, typer.Option(metavar="LINE", min=1, help="Only this line, and how its shapes were learned.")
    ] = None,
) -> None:
    """Print a file with its computed shapes beside the code."""
    with _faults():
        from shapecheck import engine
        from shapecheck.source import lower
        from shapecheck.source.imports import Project
        from shapecheck.source.text import decode

        path = os.path.abspath(file)
        try:
            data = Path(path).read_bytes()
            program = lower.parse(data, path)
        except OSError as error:
            raise Wrong(f"{file}: {error.strerror or error}") from error
        except lower.Unreadable as error:
            raise Wrong(f"{file}:{error.line or 1}:{error.column or 1}: {error.reason}") from error
        shapes = engine.reveal(program, Project(lower.parse, (lower.Unreadable,)))
        lines = decode(data).lines
        for row, line in enumerate(lines[:-1] if lines[-1] == "" else lines, 1):
            found = shapes.get(row, [])
            told = ", ".join(f"{name} {shape}" for name, shape, _ in found)
            if why is None or why == row:
                _print(f"{line}  #> {told}\n" if told else f"{line}\n")
            if why == row:
                for name, shape, reasons in found:
                    _print("".join(f"  {text}\n" for text in (f"{name} is {shape}:", *(f"  {r}" for r in reasons))))
                if not found:
                    _print("  no shape is known here\n")


@app.command()
def explain(rule: Annotated[str, typer.Argument(metavar="RULE")]) -> None:
    """Print what a rule finds, and what to write instead."""
    with _faults():
        from shapecheck.findings import packs

        text = packs.lookup(packs.load(packs.find()), rule).readme
        if _colored(sys.stdout):
            from rich.console import Console
            from rich.markdown import Markdown

            Console().print(Markdown(text))
        else:
            _print(text)


@app.command()
def rules(as_json: Annotated[bool, typer.Option("--json", help="As a list of objects.")] = False) -> None:
    """List the rules of all installed packs."""
    with _faults():
        from shapecheck.findings import packs

        found = [item.rule for item in packs.load(packs.find())]
        if as_json:
            rows = [{"code": r.code, "name": r.name, "severity": r.severity.value, "summary": r.summary} for r in found]
            _print(json.dumps(rows, indent=2) + "\n")
        else:
            width = max(len(r.name) for r in found)
            _print("".join(f"{r.code}  {r.name:<{width}}  {r.severity.value:<7}  {r.summary}\n" for r in found))


# ------------------------------------------------------------------------ helpers


class Wrong(Exception):
    """What was asked for cannot be done."""


@contextmanager
def _faults() -> Iterator[None]:
    """A user's mistake is one line on stderr and status 2, Ctrl-C status 130; a closed pipe is no mistake."""
    from shapecheck.findings.packs import PackError
    from shapecheck.service.config import ConfigError

    try:
        yield
        sys.stdout.flush()
    except (Wrong, ConfigError, PackError) as error:
        _complain([f"shapecheck: {error}"])
        sys.exit(2)
    except KeyboardInterrupt:
        _complain(["interrupted"])
        sys.exit(130)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _settings(paths: list[str], config: Path | None, isolated: bool) -> Config:
    from shapecheck.service.config import Config, nearest, read

    if config is not None and isolated:
        raise Wrong("--config and --isolated contradict each other")
    if isolated:
        return Config(Path.cwd())
    found = nearest([Path(path) for path in paths]) if config is None else read(config.absolute())
    assert found is not None  # a file that was asked for is read or refused
    return found


def _codes(values: Codes) -> tuple[str, ...]:
    return tuple(code.strip() for value in values or () for code in value.split(",") if code.strip())


def _progress(quiet: bool) -> Callable[[int, int], None] | None:
    if quiet or not sys.stderr.isatty():
        return None

    def tick(done: int, total: int) -> None:
        if total > 20:
            end = "\r" if done < total else "\r\x1b[K"
            print(f"checked {done} of {total} files", end=end, file=sys.stderr, flush=True)

    return tick


def _write_files(repairs: Sequence[Repair]) -> None:
    from shapecheck.findings.fixes import replace_file

    for one in repairs:
        try:
            replace_file(Path(one.path), one.after)
        except OSError as error:
            raise Wrong(f"{one.path}: cannot be written: {error.strerror or error}") from error


def _write_diff(repairs: Sequence[Repair]) -> None:
    import difflib

    from shapecheck.findings.diagnostic import shown
    from shapecheck.source.text import decode

    for one in repairs:
        before, after = (decode(data).text.splitlines(keepends=True) for data in (one.before, one.after))
        for line in difflib.unified_diff(before, after, shown(one.path), shown(one.path)):
            _print(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")


def _write_report(report: Report, form: Format, file: Path | None) -> None:
    from dataclasses import replace

    from shapecheck.formats import render

    if file is None:
        _print(render(replace(report, color=_colored(sys.stdout)), form))
        return
    try:
        file.write_text(render(report, form), encoding="utf-8")
    except OSError as error:
        raise Wrong(f"{file}: cannot be written: {error.strerror or error}") from error


def _summary(
    shown: Sequence[Diagnostic], outcome: Outcome, repairs: Sequence[Repair], diff: bool, notebooks: int
) -> list[str]:
    lines = []
    if notebooks:
        lines.append(f"{_count(notebooks, 'notebook')} left out: not supported")
    if repairs:
        fixes = _count(sum(one.fixes for one in repairs), "fix", "fixes")
        lines.append(f"{'would make' if diff else 'made'} {fixes} in {_count(len(repairs), 'file')}")
    checked = f"{_count(outcome.files, 'file')} checked"
    if not shown:
        lines.append(f"no findings{' left' * bool(repairs)}, {checked}")
        return lines
    levels = Counter(d.severity.value for d in shown)
    told = ", ".join(_count(levels[level], level) for level in ("error", "warning") if levels[level])
    told += f"{', ' * bool(told)}{levels['info']} info" if levels["info"] else ""
    where = _count(len({d.path for d in shown}), "file")
    lines.append(f"{_count(len(shown), 'finding')} ({told}) in {where}, {checked}")
    fixable = [d.fix.safe for d in shown if d.fix]
    if fixable and not repairs:
        safe, unsafe = sum(fixable), len(fixable) - sum(fixable)
        flags = [f"{safe} with --fix"] * bool(safe) + [f"{unsafe} with --fix --unsafe-fixes"] * bool(unsafe)
        lines.append(f"can be fixed: {', '.join(flags)}")
    return lines


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:  # a terminal with few letters: better with question marks than not at all
        sys.stdout.write(text.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding))


def _complain(lines: Sequence[str]) -> None:
    for line in lines:  # stderr escapes what its encoding cannot say
        print(line, file=sys.stderr)


def _colored(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")
