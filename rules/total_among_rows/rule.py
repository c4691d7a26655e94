"""SC403: a sum over everything is added to numbers that belong to one row each."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.batch import uses
from shapecheck.analysis.labels import operand_labels
from shapecheck.analysis.origin import base, blame, operands
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Made, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import AVERAGES, CAST, REDUCTION, SCALES, SHIFTS, SUMS, UNARY

META = Rule(
    "SC403",
    "total-among-rows",
    Severity.WARNING,
    "a sum over the whole batch is added to numbers of one row each, so that every row gets the total of all",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    if not fact.kind & SHIFTS or fact.site.path != facts.path:
        return
    left, right = fact.tensor("input"), fact.tensor("other")
    if left is None or right is None:
        return
    for total, each in ((left, right), (right, left)):
        made = _summed(total)
        source = made.tensor("input") if made is not None else None
        if made is None or source is None or not each.axes or not source.axes or len(source.axes) < 2:
            continue
        rows = each.axes[0]
        if rows.size != source.axes[0].size or isinstance(rows.size, int) or _related(each, source):
            continue
        if any(axis.size != 1 for axis in each.axes[1:]) or _reduced(fact, facts):
            continue
        names = facts.names()
        n, shown = names.axis(rows), names.shape(source)
        yield META.finding(
            blame(fact, [left, right], facts.path),
            f"this adds one number, the sum of all of {shown}, to {names.shape(each)}: each of the {n} rows gets the "
            f"total of all {n}",
            labels=operand_labels(fact.site, (left, right), facts, names),
            notes=(Note(f"{made.op} without a dim adds up all of {shown} here", made.site),),
            condition=when_one(n),
            help="sum each row for itself, `.sum(dim=-1)`"
            + (", with keepdim=True where the rows are a column" if len(each.axes) > 1 else ""),
        )
        return


def _summed(total: Tensor) -> Made | None:
    """The sum without a dim behind a number, scaled or not."""
    for _ in range(10):
        made = total.made
        if made is None or total.rank != 0:
            return None
        if made.kind & SUMS and made.arg("dim") is None:
            return made
        inner = operands(made)
        if not made.kind & (SCALES | CAST | UNARY) or len(inner) != 1:
            return None
        total = inner[0]
    return None


def _related(each: Tensor, source: Tensor) -> bool:
    """Is it a tensor and its own total?"""
    a, b = base(each).made, base(source).made
    return a is not None and a is b


def _reduced(fact: Called, facts: Facts) -> bool:
    """Does everything that takes the result add it all up? A mean of `x + total` is the mean of x, plus the total."""
    if not isinstance(fact.result, Tensor):
        return True
    taken = uses(facts, fact.result)
    return bool(taken) and all(
        use.kind & REDUCTION and use.kind & (SUMS | AVERAGES) and use.arg("dim") is None for use, _ in taken
    )
