"""SC405: two views are standardised together, then correlated with each other."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.shared_statistics import correlated
from shapecheck.engine.facts import Called, Facts
from shapecheck.findings.rule import Finding, Note, Rule, Severity

META = Rule(
    "SC405",
    "statistics-of-joined-blocks",
    Severity.WARNING,
    "mean and deviation run over the joined rows of two views that are then correlated with each other",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`a, b = batch_norm(cat([x, y])).chunk(2)`, then `a.t() @ b`."""
    found = correlated(fact, facts)
    if found is None or found.made.site.path != facts.path:
        return
    yield META.finding(
        found.made.site,
        f"the statistics of {facts.names().shape(found.x)} run over {found.over}, over the rows of all blocks that "
        "were joined, but the blocks are correlated with each other: neither has mean 0 and deviation 1 by itself",
        notes=(Note("two blocks are correlated here", fact.site),),
        condition="all blocks have one mean and one deviation",
        help="standardise each block by itself, before it is joined or after it is cut",
    )
