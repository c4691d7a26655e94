"""SC106: an axis meets another one, though it stands in the other operand too, at another place."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.expected import expected
from shapecheck.analysis.labels import operand_labels
from shapecheck.analysis.origin import base, blame
from shapecheck.dims import as_symbol, compare
from shapecheck.engine.facts import Broadcasted, Facts
from shapecheck.engine.values import Axis, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity
from shapecheck.ops.kinds import CREATES

META = Rule(
    "SC106",
    "misaligned-axes",
    Severity.WARNING,
    "an axis of one operand meets another axis than its own, which stands at another place of the other operand",
)


@META.on(Broadcasted)
def check(fact: Broadcasted, facts: Facts) -> Iterator[Finding]:
    if len(fact.operands) != 2:
        return
    small, large = fact.operands
    if len(small.axes or ()) > len(large.axes or ()):
        small, large = large, small
    found = _misaligned(small, large) or _misaligned(large, small)
    if found is None or _of_one(small, large, facts) or _filled(small) or _filled(large) or expected(fact, facts):
        return
    own, met, meant = found
    names = facts.names()
    shown = [names.shape(t) for t in fact.operands]
    site = blame(fact, list(fact.operands), facts.path)
    a, b = names.axis(own), names.axis(met)
    made = [m for t in fact.operands if (m := base(t).made) is not None and m.site.node is not site.node]
    yield META.finding(
        site,
        f"{fact.op} of {shown[0]} and {shown[1]}: the {a} of one meets the {b} of the other, whose own {a} is axis "
        f"{meant}",
        labels=operand_labels(site, fact.operands, facts, names),
        notes=tuple(Note(f"{s} is made here", m.site) for s, m in zip(shown, made)),
        condition=f"{a} = {b}, or either is 1",
        help=f"bring the two {a} axes to one place: `.unsqueeze(...)`, `keepdim=True` or `.t()` on one operand",
    )


def _misaligned(small: Tensor, large: Tensor) -> tuple[Axis, Axis, int] | None:
    """An axis of `small`, the axis of `large` that it meets, and the place of its own axis there."""
    left, right = small.axes, large.axes
    if not left or not right:
        return None
    for back in range(1, min(len(left), len(right)) + 1):
        own, met = left[-back], right[-back]
        if isinstance(own.size, int) or isinstance(met.size, int) or compare(own.size, met.size).always:
            continue
        places = [i for i, axis in enumerate(right) if axis.size == own.size]
        if len(places) != 1:
            continue
        at = places[0]
        facing = len(right) - at  # counted from the right
        if facing > len(left) or left[-facing].size == met.size:  # a 1 there was put on purpose
            return own, met, at
    return None


def _filled(tensor: Tensor) -> bool:
    """Zeros, ones or a diagonal: square targets of both directions are made once, in the shape of one of them."""
    made = base(tensor).made
    return made is not None and bool(made.kind & CREATES)


def _of_one(small: Tensor, large: Tensor, facts: Facts) -> bool:
    """A tensor beside its own transpose: the author knows it to be square."""
    left, right = small.axes or (), large.axes or ()
    if len(left) == len(right) == 2 and (left[0].size, left[1].size) == (right[1].size, right[0].size):
        names = [as_symbol(axis.size) or "" for axis in left]
        if all(name.startswith("?") and name not in facts.authored for name in names):
            return True  # nobody gave these sizes names: only the tensor itself has them
    one, other = base(small), base(large)
    if one.made is None and other.made is None:  # a parameter: no other tensor has its axes
        return one.axes is not None and one.axes == other.axes
    return one.made is other.made
