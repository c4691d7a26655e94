"""One line for each finding, as editors and `grep` read it."""

from __future__ import annotations

from shapecheck.formats import Report
from shapecheck.source.text import visible


def render(report: Report) -> str:
    return "".join(
        visible(f"{d.filename}:{d.location.row}:{d.location.column}: {d.severity.value} {d.code} {d.sentence}") + "\n"
        for d in report.diagnostics
    )
