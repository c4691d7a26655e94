"""Sums that are divided by the count of a mask, and whether the mask is in the sum.

A mask is what is compared, what is of truth values, or what the author calls one. It is in a sum where it, or what it
was cut or cast from, went into what is added up. A loss over classes may leave places out by itself (`ignore_index`),
and an argument may come masked: of these something is said only where the same function masks them elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shapecheck.analysis.origin import ancestors, identity, operands
from shapecheck.engine.facts import Applied, Called, Facts
from shapecheck.engine.values import Made, Partial, Site, Tensor, Unknown
from shapecheck.ops.axes import as_tensor
from shapecheck.ops.kinds import (
    ADDS_AXIS,
    AVERAGES,
    BOUNDS,
    CAST,
    CLASS_LOSS,
    COMPARES,
    DROPS_AXIS,
    ELEMENTWISE_LOSS,
    LOGIC,
    LOSS,
    RESHAPES,
    SHIFTS,
    STRETCHES,
    SUBSCRIPT,
    SUMS,
    UNARY,
)

_CUT = CAST | ADDS_AXIS | DROPS_AXIS | STRETCHES | RESHAPES | SUBSCRIPT
_NAME = re.compile(r"(?:^|[._])(?:\w+_)?masks?(?:_\w+)?(?:@\d+)?$|\['\w*mask'\]$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unmasked:
    """The sum, what is added up in it, the mask that is counted; `masked`: where else the same is masked; `one`: a
    single number that the mask is multiplied with."""

    total: Made
    x: Tensor
    mask: Tensor
    count: Made
    masked: Site | None = None
    one: Made | None = None


def unmasked(fact: Called, facts: Facts) -> Unmasked | None:
    """A sum divided by the count of a mask that is not in the sum, or that weighs one number of the whole."""
    if fact.key != "div":
        return None
    total, count = _sum(fact.args.get("input")), _sum(fact.args.get("other"))
    if total is None or count is None or total is count or not _same_dim(total, count):
        return None
    x, mask = as_tensor(total.arg("input")), as_tensor(count.arg("input"))
    if not is_mask(mask):
        return None
    roots = set(_roots(mask))
    one = _one_number(x, roots)
    if one is not None:
        return Unmasked(total, x, mask, count, one=one)
    if any(identity(t) in roots for t in _all(x)):
        return None
    if any(t.made is not None and t.made.kind & CLASS_LOSS for t in ancestors(x)):
        return None
    elsewhere = _masked_elsewhere(x, roots, facts)
    if elsewhere is not None or _made_here(x, facts):
        return Unmasked(total, x, mask, count, masked=elsewhere)
    return None


def _all(x: Tensor) -> list[Tensor]:
    """The tensor and all that went into it, also what nothing is known of."""
    found = list(ancestors(x))
    made = [t.made for t in found if t.made is not None]
    return found + [as_tensor(v) for m in made for v in m.args.values() if isinstance(v, Unknown)]


def _sum(value: object) -> Made | None:
    """The sum behind bounds, small additions and axes that were put back."""
    x = as_tensor(value)
    for _ in range(10):
        made = x.made
        if made is None:
            return None
        if made.kind & SUMS:
            return made
        inner = [t for t in operands(made) if t.rank != 0] or operands(made)
        if not made.kind & (CAST | BOUNDS | SHIFTS | ADDS_AXIS | STRETCHES | UNARY) or not inner:
            return None
        x = inner[0]
    return None


def _same_dim(total: Made, count: Made) -> bool:
    if total.arg("dim") is None and count.arg("dim") is None:
        return True
    return total.dim() is not None and total.dim() == count.dim()


def is_mask(x: Tensor) -> bool:
    """A tensor of truth values, or of a name that says so."""
    for _ in range(10):
        if x.dtype == "bool" or (x.made is not None and x.made.kind & (COMPARES | LOGIC)):
            return True
        if x.made is None:
            key = x.shape.key if isinstance(x.shape, Partial) else None
            return key is not None and _NAME.search(key) is not None
        if not x.made.kind & _CUT:
            return False
        x = as_tensor(x.made.arg("input"))
    return False


def _roots(mask: Tensor) -> list[object]:
    """The mask, and what it was cut or cast from."""
    found: list[object] = []
    for _ in range(12):
        found.append(identity(mask))
        if mask.made is None or not mask.made.kind & (_CUT | LOGIC):
            break
        mask = as_tensor(mask.made.arg("input"))
    return [key for key in found if key is not None]


def _one_number(x: Tensor, roots: set[object]) -> Made | None:
    """`loss * mask` of a loss that is one mean already."""
    if x.made is None or x.made.key != "mul":
        return None
    sides = [as_tensor(v) for v in (x.made.arg("input"), x.made.arg("other"))]
    weights = [t for t in sides if any(identity(a) in roots for a in ancestors(t))]
    number = [t for t in sides if t.rank == 0 and t.made is not None]
    if len(sides) != 2 or len(weights) != 1 or len(number) != 1 or number[0] is weights[0]:
        return None
    made = number[0].made
    return made if made is not None and made.kind & (LOSS | AVERAGES) and made.arg("dim") is None else None


def _masked_elsewhere(x: Tensor, roots: set[object], facts: Facts) -> Site | None:
    """Where the same thing is multiplied with the mask, filled or picked by it."""
    own = identity(x)
    for fact in facts.of(Called):
        given = operands(fact)
        if own is None or own not in [identity(t) for t in given] or len(given) < 2:
            continue
        if fact.key == "mul" or fact.kind & SUBSCRIPT or fact.key in ("where", "masked_fill", "masked_select"):
            others = [t for t in given if identity(t) != own]
            if any(identity(a) in roots for t in others for a in ancestors(t, 20)):
                return fact.site
    return None


def _made_here(x: Tensor, facts: Facts) -> bool:
    """Numbers of every place: an elementwise loss without a reduction, or what a network gave."""
    made = x.made
    if made is not None:
        given = [v for v in made.args.values() if isinstance(v, (Tensor, Unknown))]
        return bool(made.kind & ELEMENTWISE_LOSS) and all(_known(v, facts) for v in given)
    key = x.shape.key if isinstance(x.shape, Partial) else None
    return key is not None and _given(key, facts)


def _known(value: Tensor | Unknown, facts: Facts) -> bool:
    """Is it known what went in? Something unknown, indexed, may well have been masked by that."""
    key = value.key if isinstance(value, Unknown) else None
    if isinstance(value, Tensor):
        if value.made is not None:
            return all(_known(t, facts) for t in operands(value.made))
        key = value.shape.key if isinstance(value.shape, Partial) else ""
    number = isinstance(value, Unknown) and value.hint != ""
    return number or (key is not None and (not key.startswith("?") or _given(key, facts)))


def _given(key: str, facts: Facts) -> bool:
    """What a network gave. One that is given a mask may well have masked it."""
    made = (f for f in facts.of(Applied) if isinstance(f.result, Unknown) and f.result.key == key)
    return any(not any(is_mask(t) for t in map(as_tensor, f.args) if t.rank != 0) for f in made)


__all__ = ["Unmasked", "is_mask", "unmasked"]
