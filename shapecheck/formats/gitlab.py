"""GitLab's code quality report. Fingerprints leave the row out, so that an old finding stays one when lines move."""

from __future__ import annotations

import json

from shapecheck.findings.diagnostic import NOT_CHECKED
from shapecheck.findings.rule import Severity
from shapecheck.formats import Report

SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "info"}


def render(report: Report) -> str:
    rows = [
        {
            "description": f"{NOT_CHECKED[0]}: {problem.message}",
            "check_name": NOT_CHECKED[0],
            "fingerprint": fingerprint,
            "severity": "blocker",
            "location": {
                "path": report.from_root(problem.path),
                "lines": {"begin": problem.location.row if problem.location else 1},
            },
        }
        for problem, fingerprint in zip(report.problems, report.problem_fingerprints())
    ]
    rows += [
        {
            "description": f"{d.code}: {d.sentence}",
            "check_name": d.code,
            "fingerprint": fingerprint,
            "severity": SEVERITIES[d.severity],
            "location": {
                "path": report.from_root(d.path),
                "lines": {"begin": d.location.row, "end": d.end_location.row},
            },
        }
        for d, fingerprint in zip(report.diagnostics, report.fingerprints())
    ]
    return json.dumps(rows, indent=2) + "\n"
