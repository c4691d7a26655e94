"""SC309: an index with a place for each row that names the same place in all of them."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.constant import equal_everywhere, one_column_written, one_row_read
from shapecheck.analysis.expected import by_a_test, in_a_test
from shapecheck.engine.facts import Called, Facts
from shapecheck.findings.rule import Finding, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import COMPARES, SUBSCRIPT

META = Rule(
    "SC309",
    "one-place-for-all",
    Severity.WARNING,
    "an index with a place for each row names the same place in all of them",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`x[torch.zeros(x.size(0)), last]`, `mask.scatter(1, torch.zeros(n).view(-1, 1), 0)`."""
    if fact.site.path != facts.path:
        return
    found = one_row_read(fact) or one_column_written(fact)
    if found is None or _of_a_test(fact, facts):
        return
    made, axis = found
    names = facts.names()
    rows = names.axis(axis)
    what = "reads row" if fact.kind & SUBSCRIPT else "writes column"
    yield META.finding(
        fact.site,
        f"this index has a place for each of the {rows} rows, but it is the same number in all of them: every one of "
        f"them {what} 0",
        notes=(Note("all its numbers are one number here", made.site),),
        condition=when_one(rows),
        help=f"count the rows: `torch.arange({rows})`",
    )


@META.on(Called)
def check_compared(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`labels[:, None] == labels[None]` of labels that are all 0 is true everywhere."""
    if fact.site.path != facts.path or not fact.kind & COMPARES:
        return
    made = equal_everywhere(fact)
    if made is None or _of_a_test(fact, facts):
        return
    yield META.finding(
        fact.site,
        f"this compares each of {made.op} with each other one: they are all one number, so it comes out the same for "
        "all pairs",
        notes=(Note("all its numbers are one number here", made.site),),
        help="count the rows: `torch.arange` gives each a number of its own",
    )


def _of_a_test(fact: Called, facts: Facts) -> bool:
    return by_a_test(fact, facts) or in_a_test(fact.site.node, facts)


__all__ = ["META", "check", "check_compared"]
