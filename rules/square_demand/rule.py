"""SC107: a product of a tensor with itself, without a transposition, is only right for a square one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shapecheck.analysis.expected import expected
from shapecheck.analysis.facing import square_demand
from shapecheck.analysis.labels import operand_labels
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import base, blame, operands
from shapecheck.dims import as_symbol, compare
from shapecheck.engine.facts import Assigned, Called, Facts, Learned, Squared
from shapecheck.engine.values import Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity
from shapecheck.ops.kinds import LINALG, PRODUCT, SQUARE
from shapecheck.ops.methods import PROPERTIES
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


@META.on(Squared)
def check_forced(fact: Squared, facts: Facts) -> Iterator[Finding]:
    """`text @ image.T` beside `image @ text`: together they need text to have as many rows as columns."""
    calls = [c for c in facts.of(Called) if c.site.node is fact.site.node]
    called = next((c for c in calls if c.stack == fact.stack), None)
    forced = {(s.activation, s.path) for s in facts.of(Squared) if s.site.node is fact.site.node}
    if any((c.activation, c.path) not in forced for c in calls):
        return  # another way comes here with what fits
    if called is None or not called.kind & PRODUCT or square_demand(called) or expected(fact, facts):
        return
    given, told = operands(called), equation(called)
    if told is not None and any(len(set(letters)) < len(letters) for letters in told.inputs):
        return  # a diagonal: its tensor is square on purpose
    if any(_SQUARE.search(word) for word in _spelled(fact.site.node)) or _SQUARE.search(_word(fact.key)):
        return
    names = facts.names()
    left, right = map(names.size, fact.sizes)
    site = blame(fact, given, facts.path)
    whose = f"`{_word(fact.key)}`" if _word(fact.key) else "one tensor"
    shown = " and ".join(map(names.shape, given))
    yield META.finding(
        site,
        f"{fact.op} of {shown} needs {left} = {right}, but both are axes of {whose}: its rows would have to be as many "
        "as its columns",
        labels=operand_labels(site, given, facts, names),
        notes=tuple(_bound(fact, facts)),
        condition=f"{left} = {right}",
        help="transpose the operand whose other axis is meant",
    )


def _bound(fact: Squared, facts: Facts) -> Iterator[Note]:
    """Where one of the two sizes was found to be an axis of another operand too."""
    wanted = {as_symbol(size) for size in fact.sizes}
    for learned in facts.of(Learned):
        if learned.activation == fact.activation and {learned.symbol, as_symbol(learned.size)} & wanted:
            if learned.site.node is not fact.site.node:
                yield Note(f"{learned.op} takes it for an axis of its other operand here", learned.site)
            return


def _word(key: str) -> str:
    """The parameter that a key speaks of; "" for anything else."""
    return key.partition("@")[0].rpartition(".")[2] if "@" in key and not key.startswith("?") else ""


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
        elif isinstance(inner, Attr) and inner.name not in PROPERTIES:
            yield inner.name
