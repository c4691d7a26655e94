"""SC107: a product of a tensor with itself, without a transposition, is only right for a square one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shapecheck.analysis.expected import expected
from shapecheck.analysis.facing import square_demand
from shapecheck.analysis.labels import operand_labels
from shapecheck.analysis.origin import base, blame
from shapecheck.dims import compare
from shapecheck.engine.facts import Assigned, Called, Facts
from shapecheck.engine.values import Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity
from shapecheck.ops.kinds import LINALG, PRODUCT, SQUARE
from shapecheck.source.program import Attr, Name, Node, walk

META = Rule(
    "SC107",
    "square-demand",
    Severity.WARNING,
    "a product of a tensor with itself, without a transposition, needs its two axes to be of one size",
)

# What is square in the field by what it is; a name with two axes of one kind, or a single capital as in mathematics
_SQUARE = re.compile(
    r"(?i:(?:^|_)(?:adj\w*|affinit\w*|attn|attention|cov\w*|corr\w*|dist\w*|gram|graph|kernel|laplac\w*|mask|"
    r"propag\w*|rot\w*|sim\w*|transition|transform\w*|walk)(?:_|$))|^[A-Z]\d?$"
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    found = square_demand(fact)
    if found is None or _square(found.tensor, fact, facts) or expected(fact, facts):
        return
    names = facts.names()
    site = blame(fact, [found.left, found.right], facts.path)
    shown = names.shape(found.tensor)
    axes = found.tensor.axes
    condition = "its last two axes are of one size"
    if axes is not None and len(axes) >= 2:
        condition = f"{names.axis(axes[-2])} = {names.axis(axes[-1])}"
    made = base(found.tensor).made
    yield META.finding(
        site,
        f"this product takes {shown} twice, the same way round: it sums the last axis of the one with the last but one "
        "of the other, so its rows must be as many as its columns",
        labels=operand_labels(site, (found.left, found.right), facts, names),
        notes=(Note(f"{shown} is made here", made.site),)
        if made is not None and made.site.node is not site.node
        else (),
        condition=condition,
        help="transpose one of the two: `x @ x.mT` compares rows with rows, `x.mT @ x` columns with columns",
        covers=("SC901",),
    )


def _square(tensor: Tensor, fact: Called, facts: Facts) -> bool:
    """Is it square by its sizes, by how it was made, or by what its author calls it?"""
    axes = tensor.axes
    if axes is not None and (len(axes) < 2 or compare(axes[-1].size, axes[-2].size).always):
        return True
    made = tensor.made
    if made is not None and made.kind & (PRODUCT | LINALG | SQUARE):
        return True
    given = [f.name for f in facts.of(Assigned) if isinstance(f.value, Tensor) and f.value.made is made is not None]
    return any(_SQUARE.search(name.rpartition(".")[2]) for name in (*given, *_spelled(fact.site.node)))


def _spelled(node: Node) -> Iterator[str]:
    """What the operands are called where the product stands."""
    for inner in walk(node):
        if isinstance(inner, Name):
            yield inner.id
        elif isinstance(inner, Attr):
            yield inner.name
