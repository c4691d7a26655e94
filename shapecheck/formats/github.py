"""Workflow commands: GitHub Actions shows them beside the lines of a pull request."""

from __future__ import annotations

from shapecheck.findings.diagnostic import NOT_CHECKED
from shapecheck.findings.rule import Severity
from shapecheck.formats import Report
from shapecheck.source.text import visible

COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(report: Report) -> str:
    lines = []
    for problem in report.problems:
        at = {"file": report.from_root(problem.path)}
        if problem.location:
            at |= {"line": str(problem.location.row), "col": str(problem.location.column)}
        lines.append(_command("error", {**at, "title": " ".join(NOT_CHECKED)}, problem.message))
    for d in report.diagnostics:
        places = {
            "file": report.from_root(d.path),
            "line": str(d.location.row),
            "endLine": str(d.end_location.row),
        }
        if d.location.row == d.end_location.row:  # columns across lines are refused
            places |= {"col": str(d.location.column), "endColumn": str(d.end_location.column)}
        places["title"] = f"{d.code} {d.name}"
        told = "\n".join([d.sentence, *([f"help: {d.help}"] if d.help else [])])
        lines.append(_command(COMMANDS[d.severity], places, told))
    return "".join(lines)


def _command(command: str, places: dict[str, str], told: str) -> str:
    where = ",".join(f"{key}={_property(value)}" for key, value in places.items())
    return f"::{command} {where}::{_data(told)}\n"


def _data(text: str) -> str:
    return visible(text, "\t\r\n").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
