"""A list of objects. Rows and columns count from 1; an `end_location` is the place after the last character."""

from __future__ import annotations

import json
from typing import Any

from shapecheck.findings.diagnostic import NOT_CHECKED, Diagnostic, Problem, shown
from shapecheck.formats import Report
from shapecheck.source.text import Location


def render(report: Report) -> str:
    rows = [_problem(problem) for problem in report.problems] + [plain(d, report) for d in report.diagnostics]
    return json.dumps(rows, indent=2) + "\n"


def plain(d: Diagnostic, report: Report) -> dict[str, Any]:
    return {
        "code": d.code,
        "name": d.name,
        "severity": d.severity.value,
        "message": d.message,
        "condition": d.condition,
        "help": d.help,
        "filename": d.filename,
        "location": _location(d.location),
        "end_location": _location(d.end_location),
        "labels": [
            {
                "message": label.text,
                "filename": label.span.filename,
                "location": _location(label.span.start),
                "end_location": _location(label.span.end),
            }
            for label in d.labels
        ],
        "notes": [
            {
                "message": note.message,
                "filename": note.span.filename if note.span else None,
                "location": _location(note.span.start) if note.span else None,
            }
            for note in d.notes
        ],
        "fix": _fix(d, report),
        "proof": d.proof,
        "url": d.url,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    """With the keys of a finding, so that a reader need not know of it."""
    code, name = NOT_CHECKED
    at = _location(problem.location or Location(1, 1))
    return {
        "code": code,
        "name": name,
        "severity": "error",
        "message": problem.message,
        "condition": "",
        "help": "",
        "filename": shown(problem.path),
        "location": at,
        "end_location": at,
        "labels": [],
        "notes": [],
        "fix": None,
        "proof": "",
        "url": problem.url,
    }


def _location(at: Location) -> dict[str, int]:
    return {"row": at.row, "column": at.column}


def _fix(d: Diagnostic, report: Report) -> dict[str, Any] | None:
    edits = report.edits(d)
    if d.fix is None or edits is None:
        return None
    return {
        "applicability": d.fix.applicability,
        "message": d.fix.message,
        "edits": [
            {"content": edit.content, "location": _location(edit.span.start), "end_location": _location(edit.span.end)}
            for edit in edits
        ],
    }
