"""What `shapecheck lint` says about the lines of a loss: asked of the command, since the trainer imports no parser."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LintFinding:
    """One finding of the linter, and the fix it offers."""

    code: str
    name: str
    line: int
    message: str
    help: str
    fix: str


def findings_in(file: str, found: Any, seconds: float = 60.0) -> tuple[LintFinding, ...]:
    """Findings within the source lines of an object; none where the linter can't run."""
    if not file.endswith(".py"):
        return ()
    try:
        shown = inspect.unwrap(found) if callable(found) else found
        shown = shown if inspect.isclass(shown) or inspect.isroutine(shown) else type(shown)
        source, first = inspect.getsourcelines(shown)
    except (OSError, TypeError, ValueError):
        source, first = [], 0
    command = [
        sys.executable,
        "-m",
        "shapecheck",
        "lint",
        "--isolated",
        "--output-format",
        "json",
        "--quiet",
        "--",
        file,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        listed = json.loads(done.stdout or "[]")
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError):
        return ()
    last = first + len(source)
    kept = [_of(entry) for entry in listed if not source or first <= entry["location"]["row"] <= last]
    return tuple(kept or [_of(entry) for entry in listed])


def _of(entry: dict[str, Any]) -> LintFinding:
    fix = entry.get("fix") or {}
    return LintFinding(
        entry["code"],
        entry["name"],
        entry["location"]["row"],
        entry["message"],
        entry.get("help") or "",
        fix.get("message") or "",
    )
