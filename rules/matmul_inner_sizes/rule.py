"""SC901: the operands of a product do not fit: torch raises."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crashes import finding, proven, shapes, subject
from shapecheck.analysis.labels import operand_sites
from shapecheck.engine.facts import Demanded, Facts
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Tensor
from shapecheck.findings.rule import Edit, Finding, Fix, Rule, Severity
from shapecheck.ops.kinds import MATMUL
from shapecheck.source.program import Call, Op

META = Rule(
    "SC901",
    "matmul-inner-sizes",
    Severity.ERROR,
    "a product or layer gets operands whose sizes or ranks do not fit, so torch raises",
)


@META.on(Demanded)
def check(fact: Demanded, facts: Facts) -> Iterator[Finding]:
    if subject(fact) != "product" or not proven(fact, facts):
        return
    names = facts.names()
    given = shapes(fact.operands, names)
    if fact.demand == "window":
        message = f"{fact.op} cannot take {given}: {fact.detail}"
        help = "make the kernel smaller, or pad the input"
    elif fact.demand == "rank":
        message = f"{fact.op} cannot take {given}: {fact.detail}"
        help = _rank_help(fact, names)
    elif fact.left is None or fact.right is None:
        message = f"{fact.op} cannot take {given}: {fact.detail}"
        help = "give it the shapes that it takes"
    elif len(fact.operands) == 1:
        left, right = names.size(fact.left), names.size(fact.right)
        what = f"{fact.detail} of {right}" if fact.detail else right
        message = f"this {fact.op} was made for {what}, but gets {left}: its input is {given}"
        help = f"make it for {left}, or bring its input to {right}"
    elif fact.demand == "made for":
        left, right = names.size(fact.left), names.size(fact.right)
        message = f"{fact.op} of {given} cannot be done: {fact.detail or 'their sizes differ'}, {left} meets {right}"
        help = "give both the size that the layer takes"
    else:
        left, right = names.size(fact.left), names.size(fact.right)
        message = f"{fact.op} of {given} cannot be done: the axes that are multiplied have sizes {left} and {right}"
        help = _product_help(fact, names)
    yield finding(META, fact, facts, names, message, help=help, fix=_fix(fact, facts))


def _rank_help(fact: Demanded, names: Names) -> str:
    a = fact.operands[0]
    if fact.op == "bmm" and a.rank == 2 and len(fact.operands) == 2:
        return "write `.unsqueeze(1)` on the first operand and `.squeeze(1)` on the result to score each row by itself"
    return f"give {fact.op} operands of the ranks it takes, or write torch.matmul, which broadcasts"


def _product_help(fact: Demanded, names: Names) -> str:
    if _transposable(fact):
        return "transpose the second operand: `.transpose(-2, -1)`"
    return "make the last axis of the first operand and the last but one of the second the same"


def _transposable(fact: Demanded) -> bool:
    """Would the second operand, transposed, fit?"""
    if not fact.kind & MATMUL or len(fact.operands) != 2:
        return False
    a, b = (t.axes for t in fact.operands)
    if a is None or b is None or len(a) < 2 or len(b) < 2 or len(a) != len(b):
        return False
    return a[-1].size == b[-1].size and a[-1].size != b[-2].size and a[:-2] == b[:-2]


def _fix(fact: Demanded, facts: Facts) -> Fix | None:
    """`q @ p` of two tensors with one last axis can only have meant `q @ p.transpose(-2, -1)`."""
    if not _transposable(fact) or fact.site.path != facts.path:
        return None
    if not isinstance(fact.site.node, (Call, Op)):
        return None
    second: Tensor = fact.operands[1]
    found = operand_sites(fact.site, fact.operands, facts)[1]
    if found is None or found[1] is not second:
        return None
    edit = Edit(found[0], "{x}.transpose(-2, -1)", (("x", found[0]),))
    return Fix("transpose the second operand", (edit,), safe=False)


__all__ = ["META", "check"]
