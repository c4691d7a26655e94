"""`shapecheck reveal`: a file with its computed shapes beside the code."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from shapecheck.cli.console import Wrong, count, faults, read_stdin, say
from shapecheck.cli.lint import record_of
from shapecheck.cli.values import whole


def reveal(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A Python file; - reads stdin.")],
    why: Annotated[
        str | None, typer.Option(metavar="LINE", help="Only this line, and how its shapes were learned.")
    ] = None,
    recorded: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What `run --record` kept.", show_default=".shapecheck/recorded.json"),
    ] = None,
) -> None:
    """Print a file with its computed shapes beside the code."""
    with faults():
        from shapecheck import engine
        from shapecheck.source import lower
        from shapecheck.source.imports import Project
        from shapecheck.source.text import decode, visible

        line_wanted = None if why is None else whole("--why", why, least=1)
        data = _read(file)
        try:
            program = lower.parse(data, os.path.abspath("stdin.py" if file == "-" else file))
        except lower.Unreadable as error:
            raise Wrong(f"{file}:{error.line or 1}:{error.column or 1}: {error.reason}") from error
        project, record = Project(lower.parse, (lower.Unreadable,)), record_of(recorded)
        project.evidence = None if record is None else record.evidence
        shapes = engine.reveal(program, project)
        lines = decode(data).lines
        lines = lines[:-1] if lines[-1] == "" else lines
        if line_wanted is not None and line_wanted > len(lines):
            raise Wrong(f"{file}: there is no line {line_wanted}: the file has {count(len(lines), 'line')}")
        for row, line in enumerate(lines, 1):
            found = shapes.get(row, [])
            told = ", ".join(f"{name} {shape}{_mark(reasons)}" for name, shape, reasons in found)
            if line_wanted in (None, row):
                say(visible(f"{line}  #> {told}" if told else line, "\t\f") + "\n")
            if line_wanted == row:
                for name, shape, reasons in found:
                    say(
                        "".join(
                            f"  {visible(text)}\n" for text in (f"{name} is {shape}:", *(f"  {r}" for r in reasons))
                        )
                    )
                if not found:
                    say("  no shape is known here\n")


def _read(file: str) -> bytes:
    from shapecheck.service.files import Unusable, read_file

    if file == "-":
        return read_stdin()
    if file.endswith(".ipynb"):
        raise Wrong(f"{file}: notebooks are not supported; export it to a .py file")
    try:
        return read_file(os.path.abspath(file))
    except Unusable as error:
        raise Wrong(f"{file}: cannot be read: {error}") from error


def _mark(reasons: tuple[str, ...]) -> str:
    """What rests on something written, or on a custom, is no knowledge."""
    return " (assumed)" if any(", assuming " in reason for reason in reasons) else ""
