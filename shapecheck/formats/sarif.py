"""SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), as code scanning services read it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from shapecheck.findings.diagnostic import HOME, NOT_CHECKED, UNUSED, Diagnostic, Problem, Span, rule_url
from shapecheck.findings.rule import Severity
from shapecheck.formats import Report

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"


def render(report: Report) -> str:
    rules = _rules(report)
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    driver = {
        "name": "shapecheck",
        "informationUri": HOME,
        "version": version("torch-shapecheck"),
        "rules": rules,
        "notifications": [_descriptor(*NOT_CHECKED, "what could not be checked, or not wholly", Severity.ERROR)],
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [_invocation(report)],
        "originalUriBaseIds": {ROOT: {"uri": Path(report.root or os.getcwd()).as_uri().rstrip("/") + "/"}},
        "columnKind": "unicodeCodePoints",
        "results": [
            {**_result(d, report), "ruleIndex": index[d.code], "partialFingerprints": {"shapecheck/v1": fingerprint}}
            for d, fingerprint in zip(report.diagnostics, report.fingerprints())
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rules(report: Report) -> list[dict[str, Any]]:
    """A descriptor of each installed rule, and of what else the findings are of."""
    found = {
        item.rule.code: {
            **_descriptor(item.rule.code, item.rule.name, item.rule.summary, item.rule.severity),
            "help": {"text": item.readme, "markdown": item.readme},
        }
        for item in report.rules
    }
    found.setdefault(UNUSED[0], _descriptor(*UNUSED, "a suppression that silences nothing", Severity.WARNING))
    for d in report.diagnostics:
        found.setdefault(d.code, _descriptor(d.code, d.name, d.name, d.severity))
    return [rule for _, rule in sorted(found.items())]


def _descriptor(code: str, name: str, summary: str, severity: Severity) -> dict[str, Any]:
    text = summary[:1].upper() + summary[1:] + "."
    return {
        "id": code,
        "name": name,
        "shortDescription": {"text": name.replace("-", " ")},
        "fullDescription": {"text": text},
        "help": {"text": text},
        "helpUri": rule_url(code),
        "defaultConfiguration": {"level": LEVELS[severity]},
    }


def _invocation(report: Report) -> dict[str, Any]:
    told = [_notification(problem, report) for problem in report.problems]
    if report.interrupted:
        text = "The run was interrupted: there may be more to find."
        told.append({"level": "error", "message": {"text": text}, "descriptor": {"id": NOT_CHECKED[0]}})
    return {
        "executionSuccessful": not told,
        "workingDirectory": {"uri": Path.cwd().as_uri() + "/"},
        "toolExecutionNotifications": told,
    }


def _notification(problem: Problem, report: Report) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": _artifact(problem.path, report)}
    if problem.location:
        place["region"] = {"startLine": problem.location.row, "startColumn": problem.location.column}
    return {
        "level": "error",
        "message": {"text": problem.message},
        "descriptor": {"id": NOT_CHECKED[0]},
        "locations": [{"physicalLocation": place}],
    }


def _result(d: Diagnostic, report: Report) -> dict[str, Any]:
    told = [d.sentence, *(f"{label}: {text}" for label, text in (("help", d.help), ("proof", d.proof)) if text)]
    related = [(label.span, label.text) for label in d.labels]
    related += [(note.span, note.message) for note in d.notes if note.span]
    result: dict[str, Any] = {
        "ruleId": d.code,
        "level": LEVELS[d.severity],
        "message": {"text": "\n".join(told)},
        "locations": [_location(d.span, report)],
    }
    if related:
        result["relatedLocations"] = [
            {"id": number, **_location(span, report), "message": {"text": text}}
            for number, (span, text) in enumerate(related, 1)
        ]
    if fixes := _fixes(d, report):
        result["fixes"] = fixes
    return result


def _fixes(d: Diagnostic, report: Report) -> Sequence[dict[str, Any]]:
    edits = report.edits(d)
    if d.fix is None or edits is None:
        return ()
    replacements = [
        {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.content}}
        for edit in sorted(edits, key=lambda edit: edit.span)
    ]
    safety = "" if d.fix.safe else " (unsafe: look at what it changes)"
    change = {"artifactLocation": _artifact(d.path, report), "replacements": replacements}
    return [{"description": {"text": d.fix.message + safety}, "artifactChanges": [change]}]


def _location(span: Span, report: Report) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": _artifact(span.path, report), "region": _region(span)}}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.start.row,
        "startColumn": span.start.column,
        "endLine": span.end.row,
        "endColumn": span.end.column,
    }


def _artifact(path: str, report: Report) -> dict[str, str]:
    """Where a file is: from the root where it lies below it, so that a service finds it in its own copy."""
    relative = report.from_root(path)
    if PurePath(relative).is_absolute():
        return {"uri": Path(path).as_uri()}
    return {"uri": quote(os.fsencode(relative)), "uriBaseId": ROOT}
