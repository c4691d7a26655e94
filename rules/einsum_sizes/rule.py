"""SC905: an einsum equation that its operands do not fit: torch raises."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crashes import finding, proven, shapes, subject
from shapecheck.engine.facts import Demanded, Facts
from shapecheck.findings.rule import Finding, Rule, Severity

META = Rule(
    "SC905",
    "einsum-sizes",
    Severity.ERROR,
    "an einsum whose letters do not fit its operands, so torch raises",
)


@META.on(Demanded)
def check(fact: Demanded, facts: Facts) -> Iterator[Finding]:
    if subject(fact) != "einsum" or not proven(fact, facts):
        return
    names = facts.names()
    given = shapes(fact.operands, names)
    if fact.demand == "letter" and fact.left is not None and fact.right is not None:
        left, right = names.size(fact.left), names.size(fact.right)
        what = f"{fact.detail.replace('axis', 'the letter', 1)} stands for {left} and for {right}"
    else:
        what = fact.detail
    message = f"this {fact.op} of {given} cannot be done: {what}"
    help = "give each operand one letter for each axis, and the same letter to axes of one size only"
    yield finding(META, fact, facts, names, message, help=help)
