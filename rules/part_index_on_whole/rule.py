"""SC307: an index that counts the places of a part is used on the whole."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.index_domains import astray
from shapecheck.engine.facts import Called, Facts, Stored
from shapecheck.findings.rule import Finding, Note, Rule, Severity

META = Rule(
    "SC307",
    "part-index-on-whole",
    Severity.WARNING,
    "an index that counts the places of picked rows is used on the rows that they were picked from",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    yield from _astray(fact, facts)


@META.on(Stored)
def check_stored(fact: Stored, facts: Facts) -> Iterator[Finding]:
    """`mask[best] = True`, of a best that was searched in a part."""
    yield from _astray(fact, facts)


def _astray(fact: Called | Stored, facts: Facts) -> Iterator[Finding]:
    found = astray(fact, facts) if fact.site.path == facts.path else None
    if found is None:
        return
    x = fact.tensor if isinstance(fact, Stored) else fact.tensor("input")
    names = facts.names()
    part, whole = names.size(found.domain.size), names.size(found.part.whole)
    shown = f" of {names.shape(x)}" if x is not None and x.rank is not None else ""
    yield META.finding(
        fact.site,
        f"this index counts the {part} places of what was picked out of {whole}, but it is used on axis {found.axis}"
        f"{shown}, on the {whole} themselves: number 0 is another one there",
        notes=(
            Note(f"the {part} are picked here", found.part.site),
            Note("the index is made here", found.domain.site),
        ),
        condition=f"the {part} picked ones are the first of the {whole}, in order",
        help="index what was picked, or go back to the whole through the places of the picked: `at[index]`",
    )
