"""A judgement as text for the terminal: header, verdict, what was found, and the checks that are worth a line."""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Grade, Judgement


def lines(judgement: Judgement, all_checks: bool = False) -> Iterator[str]:
    """Header first, verdict second; passed checks as one line unless all are wanted."""
    where = f" ({judgement.file}:{judgement.line})" if judgement.file else ""
    yield f"{judgement.spec}{where}"
    yield f"  {judgement.verdict}"
    if judgement.diagnosis is not None and judgement.diagnosis.fix:
        yield f"  instead: {judgement.diagnosis.fix}"
    for found in judgement.lint:
        yield f"  linter   {found.code} {found.name}, line {found.line}: {found.message}"
        if found.fix or found.help:
            yield f"           {'fix: ' + found.fix if found.fix else found.help}"
    yield f"  called   {judgement.call}"
    yield f"  found    {judgement.found.sentence}"
    for note in judgement.found.notes:
        yield f"  note     {note}"
    passed = [check.name for check in judgement.checks if check.grade is Grade.OK]
    for check in judgement.checks:
        if check.grade is not Grade.OK or all_checks:
            yield f"  {check.grade.value:8} {check.name}" + (f": {check.sentence}" if check.sentence else "")
    if passed and not all_checks:
        yield f"  ok       {', '.join(passed)}"
