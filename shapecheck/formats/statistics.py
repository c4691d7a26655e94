"""How many findings each rule has, the most first."""

from __future__ import annotations

from collections import Counter

from shapecheck.formats import Report


def render(report: Report) -> str:
    counts = Counter((d.code, d.name, d.severity.value) for d in report.diagnostics)
    fixable = Counter((d.code, d.name, d.severity.value) for d in report.diagnostics if d.fix and d.fix.safe)
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    width = len(str(rows[0][1])) if rows else 0
    return "".join(
        f"{number:>{width}}  {kind[0]}  {kind[2]:<7}  {kind[1]}{_fixed(fixable[kind])}\n" for kind, number in rows
    )


def _fixed(number: int) -> str:
    return f" ({number} with --fix)" if number else ""
