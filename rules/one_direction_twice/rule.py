"""SC308: both directions of a symmetric loss read the scores in one direction."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.directions import twice
from shapecheck.engine.facts import Called, Facts
from shapecheck.findings.rule import Finding, Note, Rule, Severity

META = Rule(
    "SC308",
    "one-direction-twice",
    Severity.WARNING,
    "two terms of a symmetric loss are one computation",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`cross_entropy(a @ b.t(), y) + cross_entropy(a @ b.t(), y)`, of which the second should be turned."""
    found = twice(fact) if fact.site.path == facts.path else None
    if found is None:
        return
    why = (
        "scores of rows with themselves are the same read from either side"
        if found.own
        else "both read the same rows against the same columns, and no term reads them the other way"
    )
    yield META.finding(
        found.second.loss.site,
        f"this {found.second.loss.op} is the other term of the sum once more: {why}",
        notes=(
            Note("the other term", found.first.loss.site),
            Note("they are added here", fact.site),
        ),
        help="turn the scores of the second term: `scores.t()`" if not found.own else "one of the two terms is enough",
    )
