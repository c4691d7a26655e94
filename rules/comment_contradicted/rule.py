"""SC701: a comment, a docstring or an assertion tells another shape than the code computes."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.contradiction import alone, contradicted, finding
from shapecheck.analysis.expected import in_a_test
from shapecheck.engine.facts import Beside, Contract, Facts
from shapecheck.findings.rule import Finding, Rule, Severity

META = Rule(
    "SC701",
    "comment-contradicted",
    Severity.WARNING,
    "a shape comment, docstring or assertion disagrees with the shape that the code computes",
)


@META.on(Contract)
def check(fact: Contract, facts: Facts) -> Iterator[Finding]:
    source = fact.declared.source
    if source == "assert" and in_a_test(fact.declared.site.node, facts):
        return  # it ran when the test was written
    if source != "annotation" and contradicted(fact, facts):
        yield finding(META, fact, facts, facts.names())


@META.on(Beside)
def check_line_above(fact: Beside, facts: Facts) -> Iterator[Finding]:
    if alone(fact, facts):
        yield finding(META, fact.contract, facts, facts.names())
