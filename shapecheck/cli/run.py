"""`shapecheck run`: a program as it is, with the rules' word on what ran."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shapecheck.cli.console import Wrong, complain, count, faults, write_whole
from shapecheck.cli.values import one_of, path, whole
from shapecheck.formats import Format

if TYPE_CHECKING:
    from shapecheck.findings.diagnostic import Diagnostic
    from shapecheck.recording.program import Ended, Program
    from shapecheck.service.watched import watch


def run(
    program: Annotated[str, typer.Argument(metavar="PROGRAM", help="A Python file; with -m, a module.")],
    args: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="What the program is given.")] = None,
    module: Annotated[bool, typer.Option("-m", help="PROGRAM is a module, as of `python -m`.")] = False,
    steps: Annotated[str, typer.Option(metavar="N", help="Watch so many backward passes; 0: all of the run.")] = "3",
    leave: Annotated[bool, typer.Option("--exit", help="End the program after those.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 where something is found.")] = False,
    include: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Watch this file or folder, not the whole project.")
    ] = None,
    record: Annotated[
        str | None, typer.Option(metavar="FILE", help="Keep the shapes there; lint reads .shapecheck/recorded.json.")
    ] = None,
    output_format: Annotated[
        str, typer.Option(metavar="FORMAT", help="text, concise, json, sarif, github, gitlab, junit or html.")
    ] = "text",
    output_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the findings there instead of stderr.")
    ] = None,
) -> None:
    """Run a program, watch its first steps, and report what the rules find in them.

    The program runs as under `python`: its arguments, output, exit status and tracebacks are its own. With --check the
    exit status is 1 where something is found in a program that ended well.
    """
    with faults():
        from shapecheck.recording import program as programs

        form, watched = one_of(Format, "--output-format", output_format), whole("--steps", steps, least=0)
        _as_python_has_it()
        try:
            ready = programs.module(program) if module else programs.script(program)
        except programs.NoProgram as error:
            raise Wrong(str(error)) from error
        except SyntaxError as error:  # as Python says it, without our frames
            programs.Ended(error).tell()
            sys.exit(1)
    ended, seen = _watched(ready, program, args or [], include or [], watched, leave)
    ended.tell()
    found = _reported(seen, ended, form, path(output_file))
    if record is not None:
        _record(seen, Path(record))
    ended.leave(int(check and bool(found)))


def _as_python_has_it() -> None:
    """Undo what the command does for itself."""
    import gc
    import signal

    gc.enable()
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _watched(
    ready: Program, name: str, args: list[str], include: list[str], steps: int, leave: bool
) -> tuple[Ended, watch]:
    from shapecheck.recording import program as programs
    from shapecheck.service.watched import watch

    tops = include or [ready.path, *_projects(ready.path, os.path.join(os.getcwd(), "here"))]
    seen = watch(*tops, steps=steps or None, ends=leave)
    return programs.run(ready, name, args, lambda: seen), seen


def _projects(*paths: str) -> list[str]:
    """The projects that these files belong to; what is installed belongs to none."""
    from shapecheck.service.watched import project_of
    from shapecheck.source.imports import INSTALLED

    return [project_of(one) for one in paths if not set(os.path.abspath(one).split(os.sep)) & {*INSTALLED}]


def _reported(seen: watch, ended: Ended, form: Format, file: Path | None) -> list[Diagnostic]:
    """Tell what was found, and what torch refused."""
    from shapecheck.cli.console import colored
    from shapecheck.formats import Report, render
    from shapecheck.service.watched import text_of

    with faults():
        found = seen.findings
        texts = {name: text for name, _ in seen.judged.rows if (text := text_of(name)) is not None}
        colors = file is None and colored(sys.stderr)
        report = render(Report(found, len(texts), texts, seen.judged.problems, color=colors), form)
        if file is not None:
            write_whole(file, report)
        else:
            sys.stderr.write(report)
        complain(map(str, seen.judged.problems))
        complain(f"shapecheck disagrees with torch, please report it: {text}" for text in seen.judged.disagreements)
        complain(_why(seen, ended))
        rows = sum(rows for _, rows in seen.judged.rows)
        told = count(len(found), "finding") if found else "no findings"
        complain([f"{told}, {count(rows, 'row')} of {count(len(texts), 'file')} watched"])
    return found


def _record(seen: watch, file: Path) -> None:
    from shapecheck.recording.file import Unreadable

    with faults():
        try:
            functions = seen.record(file)
        except (OSError, Unreadable) as error:
            raise Wrong(f"--record: {error}") from error
        complain([f"{file} has the shapes of {count(functions, 'function')}"])


def _why(seen: watch, ended: Ended) -> list[str]:
    """Why torch refused what the program ended at."""
    from shapecheck.findings.diagnostic import shown

    at = ended.traceback
    rows: set[tuple[str, int]] = set()
    while at is not None:
        rows.add((os.path.abspath(at.tb_frame.f_code.co_filename), at.tb_lineno))
        at = at.tb_next
    return [f"{shown(name)}:{row}: {text}" for name, row, text in seen.judged.refusals if (name, row) in rows]
