"""SC406: everything is added up, and divided by what a mask counts."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.masked_means import unmasked
from shapecheck.engine.facts import Called, Facts
from shapecheck.findings.rule import Finding, Note, Rule, Severity

META = Rule(
    "SC406",
    "unmasked-sum-over-count",
    Severity.WARNING,
    "a sum over all places is divided by the number of places that a mask keeps",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`loss.sum() / mask.sum()`; `(loss.mean() * mask).sum() / mask.sum()`."""
    found = unmasked(fact, facts) if fact.site.path == facts.path else None
    if found is None:
        return
    names = facts.names()
    notes = [Note("the mask is counted here", found.count.site)]
    if found.one is not None:
        notes.append(Note(f"{found.one.op} makes one number of all places here", found.one.site))
        yield META.finding(
            fact.site,
            f"what the mask weighs is one number already, the {found.one.op} over all places: times the mask, over the "
            "count of the mask, it is that number again, and the places that the mask leaves out are in it",
            notes=tuple(notes),
            help='keep one number for each place until it is masked: `reduction="none"`',
        )
        return
    if found.masked is not None:
        notes.append(Note("the same is masked here", found.masked))
    shown = names.shape(found.x)
    yield META.finding(
        fact.site,
        f"{found.total.op} adds up all of {shown}, but is divided by the number of places that the mask keeps: those "
        "that it leaves out are in the sum",
        notes=tuple(notes),
        condition="what the mask leaves out is 0 there",
        help="mask before adding up: `(x * mask).sum() / mask.sum()`",
    )
