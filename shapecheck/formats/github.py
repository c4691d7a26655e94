"""Workflow commands: GitHub Actions shows them beside the lines of a pull request."""

from __future__ import annotations

from shapecheck.findings.rule import Severity
from shapecheck.formats import Report

COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(report: Report) -> str:
    lines = []
    for d in report.diagnostics:
        places = {"file": d.filename, "line": d.location.row, "endLine": d.end_location.row}
        if d.location.row == d.end_location.row:  # columns across lines are refused
            places |= {"col": d.location.column, "endColumn": d.end_location.column}
        places["title"] = f"{d.code} {d.name}"
        told = "\n".join([d.sentence, *([f"help: {d.help}"] if d.help else [])])
        where = ",".join(f"{key}={_property(str(value))}" for key, value in places.items())
        lines.append(f"::{COMMANDS[d.severity]} {where}::{_data(told)}\n")
    return "".join(lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
