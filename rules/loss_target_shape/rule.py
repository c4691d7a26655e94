"""SC906: a loss whose target does not fit its scores: torch raises."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crashes import finding, proven, subject
from shapecheck.engine.facts import Demanded, Facts
from shapecheck.engine.naming import Names
from shapecheck.findings.rule import Finding, Rule, Severity
from shapecheck.ops.kinds import CLASS_LOSS

META = Rule(
    "SC906",
    "loss-target-shape",
    Severity.ERROR,
    "a loss whose target does not fit its scores, so torch raises",
)


@META.on(Demanded)
def check(fact: Demanded, facts: Facts) -> Iterator[Finding]:
    if subject(fact) != "loss" or not proven(fact, facts):
        return
    names = facts.names()
    message = f"{fact.op} gets {_given(fact, names)}: {_why(fact, names)}"
    yield finding(META, fact, facts, names, message, help=_help(fact))


def _given(fact: Demanded, names: Names) -> str:
    told = [names.shape(t) for t in fact.operands]
    if len(told) == 2:
        return f"scores {told[0]} and target {told[1]}"
    return ", ".join(told[:-1]) + f" and {told[-1]}"


def _why(fact: Demanded, names: Names) -> str:
    by_rank = {fact.left, fact.right} <= {t.rank for t in fact.operands} or fact.demand == "rank"
    if fact.left is None or fact.right is None or (by_rank and fact.detail):
        return fact.detail
    return f"{fact.detail or 'their sizes differ'}, but {names.size(fact.left)} meets {names.size(fact.right)}"


def _help(fact: Demanded) -> str:
    if fact.kind & CLASS_LOSS and len(fact.operands) == 2:
        scores, target = fact.operands
        if scores.rank == target.rank == 2 and target.axes is not None and target.axes[1].size == 1:
            return "take the last axis off the target: `.squeeze(1)`"
        if scores.rank == 3 and target.rank == 2:
            return "join batch and positions in both, or put the classes second: `scores.transpose(1, 2)`"
        return "the target holds one class for each row of scores, so it has one axis less than they have"
    return "give the target the shape that the loss takes"
