"""SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), as code scanning services read it."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from shapecheck.findings.diagnostic import HOME, Diagnostic, Span
from shapecheck.findings.rule import Severity
from shapecheck.formats import Report

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(report: Report) -> str:
    codes = {d.code: d for d in report.diagnostics}
    rules = [
        {"id": d.code, "name": d.name, "helpUri": d.url, "shortDescription": {"text": d.name}}
        for _, d in sorted(codes.items())
    ]
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    driver = {"name": "shapecheck", "informationUri": HOME, "version": version("torch-shapecheck"), "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [{**_result(d), "ruleIndex": index[d.code]} for d in report.diagnostics],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(d: Diagnostic) -> dict[str, Any]:
    told = [d.sentence, *(f"help: {text}" for text in [d.help] if text)]
    related = [(label.span, label.text) for label in d.labels]
    related += [(note.span, note.message) for note in d.notes if note.span]
    result: dict[str, Any] = {
        "ruleId": d.code,
        "level": LEVELS[d.severity],
        "message": {"text": "\n".join(told)},
        "locations": [_location(d.span)],
    }
    if related:
        result["relatedLocations"] = [{**_location(span), "message": {"text": text}} for span, text in related]
    return result


def _location(span: Span) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(span.filename)},
            "region": {
                "startLine": span.start.row,
                "startColumn": span.start.column,
                "endLine": span.end.row,
                "endColumn": span.end.column,
            },
        }
    }


def _uri(filename: str) -> str:
    path = Path(filename)
    return path.as_uri() if path.is_absolute() else quote(PurePath(filename).as_posix())
