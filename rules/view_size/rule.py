"""SC903: a view, reshape or expand asks for another number of elements than there are: torch raises."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crashes import finding, proven, shapes, subject
from shapecheck.dims import Size, exact_div
from shapecheck.engine.facts import Demanded, Facts
from shapecheck.findings.rule import Finding, Rule, Severity

META = Rule(
    "SC903",
    "view-size",
    Severity.ERROR,
    "a view, reshape or expand that the number of elements does not allow, so torch raises",
)


@META.on(Demanded)
def check(fact: Demanded, facts: Facts) -> Iterator[Finding]:
    if subject(fact) != "view" or not proven(fact, facts):
        return
    names = facts.names()
    given = shapes(fact.operands[:1], names)
    if fact.left is None or fact.right is None:
        message, help = f"{fact.op} of {given} cannot be done: {fact.detail}", "leave one size to torch at most"
    elif fact.demand == "stretch":
        message = f"{fact.op} of {given} cannot be done: {fact.detail or 'only an axis of size 1 can be stretched'}"
        if not fact.detail:
            message += f", and {names.size(fact.left)} is not {names.size(fact.right)}"
        help = "stretch axes of size 1 only, and put new ones in front"
    elif fact.demand == "divides":
        left, right = names.size(fact.left), names.size(fact.right)
        message = f"{fact.op} of {given} cannot be done: its {left} elements cannot be split by {right}"
        help = "let the sizes multiply to the number of elements"
    elif fact.demand == "pattern":
        left, right = names.size(fact.left), names.size(fact.right)
        message = f"{fact.op} of {given} cannot be done: {fact.detail} is {right} in the pattern, and {left} here"
        help = "write the pattern that the tensor has"
    else:
        left, right = (names.size(size) for size in _totals(fact))
        message = f"{fact.op} of {given} cannot be done: it has {left} elements, the sizes asked for have {right}"
        help = "let the sizes multiply to the number of elements, or leave one to torch with -1"
    yield finding(META, fact, facts, names, message, help=help)


def _totals(fact: Demanded) -> tuple[Size, Size]:
    """Elements there are, and elements asked for, with the factors that both share and the fact leaves out."""
    assert fact.left is not None
    assert fact.right is not None
    total: Size = 1
    for size in fact.operands[0].sizes or ():
        total = total * size
    shared = exact_div(total, fact.left)
    return (fact.left, fact.right) if shared is None else (total, shared * fact.right)
