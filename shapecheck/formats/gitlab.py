"""GitLab's code quality report. Fingerprints leave the row out, so that an old finding stays one when lines move."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import PurePath

from shapecheck.findings.rule import Severity
from shapecheck.formats import Report

SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "info"}


def render(report: Report) -> str:
    seen: Counter[str] = Counter()
    rows = []
    for d in report.diagnostics:
        path = PurePath(d.filename).as_posix()
        same = f"{path}\0{d.code}\0{d.message}"
        seen[same] += 1
        rows.append(
            {
                "description": f"{d.code}: {d.sentence}",
                "check_name": d.code,
                "fingerprint": hashlib.sha256(f"{same}\0{seen[same]}".encode()).hexdigest(),
                "severity": SEVERITIES[d.severity],
                "location": {"path": path, "lines": {"begin": d.location.row, "end": d.end_location.row}},
            }
        )
    return json.dumps(rows, indent=2) + "\n"
