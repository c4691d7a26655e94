"""Questions that rules ask of a tensor's history, and where to lay the blame.

A tensor's `made` names the op that produced it and holds that op's arguments, so history is a walk from result to
arguments. Nothing here has an opinion.
"""

from __future__ import annotations

from shapecheck.engine.facts import Called, Fact, Facts
from shapecheck.engine.history import ancestors, operands
from shapecheck.engine.values import OfOp, Partial, Site, Tensor, Unknown
from shapecheck.ops.kinds import ARITHMETIC, CAST, MOVES_AXES, STANDARDISES, UNARY, UNIT

# what hands on its first argument's rows: shape up to order of axes, and meaning, stay
NEUTRAL = CAST | UNARY | ARITHMETIC | UNIT | STANDARDISES | MOVES_AXES
# those of them that also keep every axis in its place
IN_PLACE_ORDER = NEUTRAL & ~MOVES_AXES


def base(tensor: Tensor, through: int = NEUTRAL) -> Tensor:
    """The tensor behind casts, scalings and transpositions: what was made before those."""
    for _ in range(50):
        made = tensor.made
        if made is None or not made.kind & through:
            return tensor
        first = operands(made)
        # a scaling has one tensor of the result's rank; two full tensors make something new
        if not first or len([t for t in first if t.rank is None or t.rank > 0]) > 1:
            return tensor
        tensor = first[0]
    return tensor


def identity(value: object, through: int = 0) -> object:
    """What makes two values one: the call that made it, or the key of what is not known; None where neither tells.
    `through`: the kinds of op (`CAST`) that leave a tensor the same one."""
    match value:
        case Tensor():
            first = base(value, through)
            if first.made is not None:
                return id(first.made)
            return first.shape.key if isinstance(first.shape, Partial) else None
        case Unknown(key=key):
            return key
        case _:
            return None


def same(a: object, b: object, through: int = 0) -> bool:
    """One tensor: made by one call, one unknown thing, or one parameter."""
    one, other = identity(a, through), identity(b, through)
    if one is not None or other is not None:
        return one == other
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or not a.axes or not b.axes:
        return False
    return len(a.axes) == len(b.axes) and all(x is y for x, y in zip(a.axes, b.axes))


def call_of(made: OfOp | None, facts: Facts) -> Called | None:
    """The call whose result remembers it as its maker."""
    return None if made is None else facts.once(_calls).get(id(made))


def _calls(facts: Facts) -> dict[int, Called]:
    found: dict[int, Called] = {}
    for fact in facts.of(Called):
        if isinstance(fact.result, Tensor) and fact.result.made is not None:
            found.setdefault(id(fact.result.made), fact)
    return found


def lifted(site: Site, fact: Fact, facts: Facts) -> Site:
    """A place as seen from the function that the fact is stated in: what a helper did, at the call of the helper."""
    depth = len(fact.stack)
    found = site
    for other in facts.items:
        if other is fact:
            break
        inside = other.activation > fact.activation and len(other.stack) > depth
        if inside and other.site.node is site.node and _same_calls(other, fact, depth):
            found = other.stack[depth].site  # the latest one before the fact
    return found


def _same_calls(a: Fact, b: Fact, depth: int) -> bool:
    return all(x.activation == y.activation for x, y in zip(a.stack[:depth], b.stack[:depth]))


def blame(fact: Fact, values: list[Tensor], path: str) -> Site:
    """The place that answers for what the fact states: the op itself, or the call that handed it operands made
    elsewhere. A helper that only combines its parameters is innocent; its caller chose them.

    `path`: the file under check; a place in it is preferred to one in a file that was entered.
    """
    site = fact.site
    activation = fact.activation
    for frame in reversed(fact.stack):
        if frame.activation != activation:
            break
        if any(b.made is not None and b.made.activation >= activation for b in map(base, values)):
            break
        site = frame.site
        outer = [f.activation for f in fact.stack if f.activation < activation]
        activation = outer[-1] if outer else 0
    if site.path != path:
        for frame in reversed(fact.stack):
            if frame.site.path == path:
                return frame.site
    return site


__all__ = [
    "IN_PLACE_ORDER",
    "NEUTRAL",
    "ancestors",
    "base",
    "blame",
    "call_of",
    "identity",
    "lifted",
    "operands",
    "same",
]
