"""A list of objects. Rows and columns count from 1; an `end_location` is the place after the last character."""

from __future__ import annotations

import json
from typing import Any

from shapecheck.findings.diagnostic import Diagnostic, TextFix
from shapecheck.formats import Report
from shapecheck.source.text import Location


def render(report: Report) -> str:
    return json.dumps([plain(d, report) for d in report.diagnostics], indent=2) + "\n"


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
        "fix": _fix(d.fix, d.path, report) if d.fix else None,
        "url": d.url,
    }


def _location(at: Location) -> dict[str, int]:
    return {"row": at.row, "column": at.column}


def _fix(fix: TextFix, path: str, report: Report) -> dict[str, Any] | None:
    from shapecheck.findings.fixes import import_edits

    added = import_edits(report.source(path), path, fix.imports)
    if added is None:  # the import that it needs has no place here
        return None
    return {
        "applicability": fix.applicability,
        "message": fix.message,
        "edits": [
            {"content": edit.content, "location": _location(edit.span.start), "end_location": _location(edit.span.end)}
            for edit in (*added, *fix.edits)
        ],
    }
