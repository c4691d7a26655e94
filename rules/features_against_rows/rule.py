"""SC108: a product sums the features of one operand with the rows of the other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shapecheck.analysis.axes import normal_dim
from shapecheck.analysis.enclosing import function_of
from shapecheck.analysis.expected import expected
from shapecheck.analysis.facing import square_demand
from shapecheck.analysis.labels import operand_labels
from shapecheck.analysis.origin import blame
from shapecheck.analysis.untransposed import Side, ends_alike, lengths, named, sides
from shapecheck.dims import as_symbol
from shapecheck.engine.facts import Called, Demanded, Facts, Squared
from shapecheck.engine.values import Axis
from shapecheck.findings.rule import Finding, Note, Rule, Severity
from shapecheck.ops.kinds import PRODUCT, RESHAPES
from shapecheck.source.program import Attr, Name, Op, walk

META = Rule(
    "SC108",
    "features-against-rows",
    Severity.WARNING,
    "a product sums the features of one side with the rows of the other, which a transposition would turn",
)

_HELP = "turn the one whose other axis is meant: `a @ b.mT` compares rows with rows"
# Square by what it is: `rotation @ frames`, `adjacency @ adjacency_norm`
_SQUARE = re.compile(
    r"(?i:(?:^|_)(?:adj\w*|affinit\w*|cov\w*|graph|kernel|laplac\w*|poses?|propag\w*|rot\w*|transition|transform\w*|"
    r"matri\w+|mats?|hess\w*|basis)(?:_|$))|^[A-Z]\d?$"
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    pair = sides(fact) if fact.kind & PRODUCT else None
    if pair is None or square_demand(fact) is not None or expected(fact, facts):
        return
    if any(d.site.node is fact.site.node for d in (*facts.of(Demanded), *facts.of(Squared))):
        return  # said there
    found = _by_length(fact, pair, facts) or _by_shape(fact, pair, facts) or _by_name(fact, pair, facts)
    if found is not None:
        yield found


def _by_length(fact: Called, pair: tuple[Side, Side], facts: Facts) -> Finding | None:
    """Both have rows of length 1; the product sums along that axis of the one, and along another of the other."""
    told = lengths(pair)
    if told is None or told[0].along == told[1].along:
        return None
    wrong = told[0] if told[1].along else told[1]
    if wrong.made.site.path == facts.path == fact.site.path and _by_columns(pair, facts):
        return None
    names = facts.names()
    given = [s.tensor for s in pair]
    site = blame(fact, given, facts.path)
    if site.path != facts.path:
        return None
    return META.finding(
        site,
        f"both operands of this {fact.op} were brought to length 1, but only one of them along the axis that is "
        "summed: features of the one are multiplied with rows of the other, and no number is a cosine",
        labels=operand_labels(site, given, facts, names),
        notes=tuple(Note("brought to length 1 here", t.made.site) for t in told if t.made.site.path == facts.path),
        help=_HELP,
        covers=("SC107", "SC402"),
    )


def _by_columns(pair: tuple[Side, Side], facts: Facts) -> bool:
    """`normalize(x, dim=0)`, on purpose or not: SC402 speaks of norms over the batch."""
    return any(normal_dim(s.tensor) == 0 for s in pair)


def _by_shape(fact: Called, pair: tuple[Side, Side], facts: Facts) -> Finding | None:
    """`q @ k` of queries and keys that both end in the features of a head."""
    axes = ends_alike(pair)
    if axes is None or any(map(_SQUARE.search, _spelled(fact))):
        return None
    names = facts.names()
    given = [s.tensor for s in pair]
    left, right = map(names.axis, axes)
    site = blame(fact, given, facts.path)
    if any(_left_open(axis, facts) for axis in axes):
        return None
    if site.path != facts.path or left == right or _compared(fact, {left, right}, facts):
        return None
    shown = " and ".join(map(names.shape, given))
    return META.finding(
        site,
        f"this {fact.op} of {shown} sums {left} of the one with {right} of the other: they are of one size by chance "
        "at most, and the other axis of one of the two is what fits",
        labels=operand_labels(site, given, facts, names),
        condition=f"{left} = {right}",
        help=_HELP,
    )


def _left_open(axis: Axis, facts: Facts) -> bool:
    """Was the size left to a view, as -1? Then it may be any."""
    name = as_symbol(axis.size)
    viewed = axis.origin is not None and bool(axis.origin.kind & RESHAPES)
    return viewed and name is not None and name not in facts.authored


def _compared(fact: Called, sizes: set[str], facts: Facts) -> bool:
    """Does the function test whether the two are one size, `if group_size == dim`?"""
    function = function_of(fact.site.node, facts)
    tests = (n for n in walk(function) if isinstance(n, Op) and n.op in ("==", "!=")) if function is not None else ()
    return any(sizes <= {n.id for n in walk(test) if isinstance(n, Name)} for test in tests)


def _by_name(fact: Called, pair: tuple[Side, Side], facts: Facts) -> Finding | None:
    """`q_reps @ p_reps`, each one row for each example, as their names tell."""
    if not named(pair, facts) or any(map(_SQUARE.search, _spelled(fact))):
        return None
    names = facts.names()
    given = [s.tensor for s in pair]
    site = blame(fact, given, facts.path)
    if site.path != facts.path:
        return None
    shown = " and ".join(map(names.shape, given))
    return META.finding(
        site,
        f"this {fact.op} of {shown} sums the features of the one with the rows of the other",
        labels=operand_labels(site, given, facts, names),
        help=_HELP,
    )


def _spelled(fact: Called) -> Iterator[str]:
    for inner in walk(fact.site.node):
        if isinstance(inner, (Name, Attr)):
            yield inner.id if isinstance(inner, Name) else inner.name


__all__ = ["META", "check"]
