"""The wording of every finding on every bad sample, kept in tests/snapshots: a changed sentence shows in review.

To renew after a change that is meant: `RENEW=1 pytest tests/test_snapshots.py`, then read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from samples import ROOT, bundled, diagnostics

from shapecheck.findings.diagnostic import Diagnostic
from shapecheck.findings.packs import Loaded

FOLDER = ROOT / "tests" / "snapshots"


def told(path: Path) -> str:
    return "\n".join(_one(d) for d in diagnostics(path))


def _one(d: Diagnostic) -> str:
    lines = [f"{d.location.row}:{d.location.column}: {d.severity.value} {d.code} {d.sentence}"]
    lines += [f"    {c.span.start.row}:{c.span.start.column}: {c.text}" for c in d.labels]
    lines += [f"    note{f' (line {r.span.start.row})' if r.span else ''}: {r.message}" for r in d.notes]
    lines += [f"    help: {d.help}"] if d.help else []
    lines += [f"    fix ({d.fix.applicability}): {d.fix.message}"] if d.fix else []
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("item", bundled(), ids=lambda item: item.folder.name)
def test_messages(item: Loaded) -> None:
    kept = FOLDER / f"{item.folder.name}.txt"
    now = told(item.folder / "bad.py")
    if os.environ.get("RENEW"):
        kept.write_text(now, encoding="utf-8")
    assert kept.exists(), "no snapshot yet: see the top of this file"
    assert kept.read_text(encoding="utf-8") == now


def test_every_snapshot_has_its_rule() -> None:
    assert {p.stem for p in FOLDER.glob("*.txt")} == {item.folder.name for item in bundled()}
