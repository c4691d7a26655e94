"""The rules' folders and their samples, and what the installed rules say about a file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from shapecheck.findings import packs
from shapecheck.findings.diagnostic import Diagnostic
from shapecheck.findings.marks import Expect, read
from shapecheck.findings.packs import Loaded
from shapecheck.service.check import Check, Options
from shapecheck.service.run import make_check

ROOT = Path(__file__).parent.parent
SAMPLES = ("bad.py", "good.py", "fixed.py")


@cache
def bundled() -> tuple[Loaded, ...]:
    return packs.load(pack for pack in packs.find() if pack.package == "shapecheck_rules")


@cache
def checker() -> Check:
    return make_check(Options(ROOT))


@cache
def diagnostics(path: Path) -> tuple[Diagnostic, ...]:
    return check(path, path.read_bytes())


def check(path: Path, text: bytes) -> tuple[Diagnostic, ...]:
    """What all rules say of `text` as the content of `path`; fails where it cannot be read or a rule breaks."""
    result = checker()(str(path), text)
    assert not result.problems, result.problems
    return tuple(d for d in result.diagnostics if d.path == str(path))


def found(path: Path) -> dict[int, list[str]]:
    """The codes of each line, sorted."""
    rows: dict[int, list[str]] = {}
    for d in diagnostics(path):
        rows.setdefault(d.location.row, []).append(d.code)
    return {row: sorted(codes) for row, codes in sorted(rows.items())}


def expected(path: Path) -> dict[int, list[str]]:
    """What the `# expect:` marks say, likewise."""
    rows: dict[int, list[str]] = {}
    for mark in read(path.read_text(encoding="utf-8")):
        if isinstance(mark, Expect):
            rows.setdefault(mark.row, []).extend(mark.codes)
    return {row: sorted(codes) for row, codes in sorted(rows.items())}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))
