"""SC904: tensors that are concatenated or stacked differ in rank, or in another axis than the joined one."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crashes import finding, proven, shapes, subject
from shapecheck.engine.facts import Demanded, Facts
from shapecheck.findings.rule import Finding, Rule, Severity

META = Rule(
    "SC904",
    "joined-sizes",
    Severity.ERROR,
    "tensors of shapes that cat or stack cannot join, so torch raises",
)


@META.on(Demanded)
def check(fact: Demanded, facts: Facts) -> Iterator[Finding]:
    if subject(fact) != "join" or not proven(fact, facts):
        return
    names = facts.names()
    given = shapes(fact.operands, names)
    ranks = {t.rank for t in fact.operands}
    if fact.demand == "dim":
        message = f"{fact.op} over dim {fact.left}, but {given} has no such axis"
        help = "give it that axis with unsqueeze first"
    elif len(ranks) > 1 and None not in ranks:
        message = f"{fact.op} cannot join {given}: they have {_counted(ranks)} axes"
        help = "give all of them the same number of axes with unsqueeze or view first"
    elif fact.demand == "rank" or fact.left is None or fact.right is None:
        message, help = f"{fact.op} cannot join {given}: {fact.detail}", "use torch.stack for scalars"
    else:
        left, right = names.size(fact.left), names.size(fact.right)
        where = f" in {fact.detail}" if fact.detail else ""
        message = f"{fact.op} cannot join {given}: {left} meets {right}{where}"
        if fact.op == "stack":
            help = "stack takes equal shapes; torch.cat joins along an axis in which they may differ"
        else:
            help = "join along the axis in which they differ, or make the others the same"
    yield finding(META, fact, facts, names, message, help=help)


def _counted(ranks: set[int | None]) -> str:
    return " and ".join(str(r) for r in sorted(r for r in ranks if r is not None))
