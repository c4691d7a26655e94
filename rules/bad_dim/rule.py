"""SC907: a dim, an order of axes or an index that the tensor's rank does not have: torch raises."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crashes import finding, proven, shapes, subject
from shapecheck.engine.facts import Demanded, Facts
from shapecheck.findings.rule import Finding, Rule, Severity

META = Rule(
    "SC907",
    "bad-dim",
    Severity.ERROR,
    "a dim, a number of indices or a setting that the tensor does not take, so torch raises",
)


@META.on(Demanded)
def check(fact: Demanded, facts: Facts) -> Iterator[Finding]:
    if subject(fact) != "dim" or not proven(fact, facts):
        return
    names = facts.names()
    given = shapes(fact.operands, names)
    ranks = "a rank that is" if len(fact.operands) > 1 else "axes that are"
    if fact.demand == "dim":
        rank = fact.operands[0].rank or 0
        message = f"{fact.op} over dim {fact.left}, but {given} has only {rank} {'axis' if rank == 1 else 'axes'}"
        help = f"dims go from {-rank} to {rank - 1} here" if rank else "a scalar has no dim"
    elif fact.demand == "indices":
        message = f"{fact.left} indices for {given}, which has {fact.right} {'axis' if fact.right == 1 else 'axes'}"
        help = "take indices off, or add the axis with unsqueeze first"
    elif fact.demand == "setting":
        message = f"{fact.op}{' of ' + given if given else ''} cannot be done: {fact.detail}"
        help = "give it a value that it takes"
    else:
        message = f"{fact.op} of {given} cannot be done: {fact.detail or f'it needs {ranks} not there'}"
        help = "give it the rank that it takes"
    yield finding(META, fact, facts, names, message, help=help)
