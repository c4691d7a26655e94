"""A judgement as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any

from .finding import Judgement


def plain(judgement: Judgement) -> dict[str, Any]:
    """Everything but the pictures, JSON-able."""
    diagnosis = judgement.diagnosis
    return {
        "function": judgement.spec,
        "file": judgement.file,
        "line": judgement.line,
        "right": judgement.right,
        "verdict": judgement.verdict,
        "proof": judgement.proof if judgement.right else "",
        "diagnosis": dataclasses.asdict(diagnosis) if diagnosis is not None else None,
        "call": judgement.call,
        "found": {**dataclasses.asdict(judgement.found), "sentence": judgement.found.sentence},
        "linter": [dataclasses.asdict(found) for found in judgement.lint],
        "checks": [{"name": c.name, "grade": c.grade.value, "sentence": c.sentence} for c in judgement.checks],
    }
