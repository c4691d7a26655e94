"""SC908: a mask, an index or a count that does not fit the axis that it picks from: torch raises."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crashes import finding, proven, shapes, subject
from shapecheck.engine.facts import Demanded, Facts
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Tensor
from shapecheck.findings.rule import Finding, Rule, Severity

META = Rule(
    "SC908",
    "index-sizes",
    Severity.ERROR,
    "a mask, an index, a count or a written value that does not fit what it picks from, so torch raises",
)


@META.on(Demanded)
def check(fact: Demanded, facts: Facts) -> Iterator[Finding]:
    if subject(fact) != "index" or fact.left is None or fact.right is None or not proven(fact, facts):
        return
    if not any(map(_is_tensor, fact.operands)):
        return
    names = facts.names()
    what, help = _told(fact, names)
    message = f"{fact.op} of {shapes(fact.operands, names)} cannot be done: {what}"
    yield finding(META, fact, facts, names, message, help=help, covers=("SC902",))


def _is_tensor(operand: Tensor) -> bool:
    """Did an op make it, or does an annotation say what it is? What is only indexed, `members[cls, None]`, may be a
    mapping."""
    return operand.made is not None or any(a.origin and a.origin.text == "annotation" for a in operand.axes or ())


def _told(fact: Demanded, names: Names) -> tuple[str, str]:
    """What does not fit, and what to write instead."""
    assert fact.left is not None
    assert fact.right is not None
    left, right = names.size(fact.left), names.size(fact.right)
    match fact.demand:
        case "mask":
            return (
                f"{fact.detail} of the mask has {left} places, and {right} are there to pick from",
                "make the mask of the tensor that it picks from: it needs the same sizes, axis by axis",
            )
        case "within":
            return (
                f"{fact.detail} is {left}, but the axis has {right} places",
                "stay within the axis: its first place is 0",
            )
        case "sum":
            return (
                f"{fact.detail} add up to {left}, but the axis has {right} places",
                "let the parts add up to the size of the axis, or give one size for all of them",
            )
        case "count":
            return f"there are {left} {fact.detail} for {right} places", f"give one of the {fact.detail} for each place"
        case _:
            return (
                f"{fact.detail} has {left} places where {right} are",
                "give it the shape of the part that it stands for",
            )
