"""SC702: a jaxtyping annotation tells another shape than the code computes."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.contradiction import contradicted, finding
from shapecheck.engine.facts import Contract, Facts
from shapecheck.findings.rule import Finding, Rule, Severity

META = Rule(
    "SC702",
    "annotation-contradicted",
    Severity.ERROR,
    "a jaxtyping annotation disagrees with the shape that the code computes",
)


@META.on(Contract)
def check(fact: Contract, facts: Facts) -> Iterator[Finding]:
    if fact.declared.source == "annotation" and contradicted(fact, facts):
        yield finding(META, fact, facts, facts.names())
