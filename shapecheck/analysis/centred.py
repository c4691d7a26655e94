"""Over which axis numbers were centred, and over which the products of them are then added up.

`x - x.mean(d, keepdim=True)`, also turned, scaled and cast, is centred over d. A covariance is a sum of products over
the axis of the observations, so that is the axis to be centred. Which of two axes the observations are, is told by
names, layers, networks, or by the count that the products are divided by; without that nothing is said, since the
products of examples, summed over features, are a kernel and may well be centred over the examples.
"""

from __future__ import annotations

from dataclasses import dataclass

from shapecheck.analysis.batch import uses
from shapecheck.analysis.candidates import rows_of_batch
from shapecheck.analysis.features import features_last
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import operands, same
from shapecheck.analysis.roles import is_batch, is_features
from shapecheck.dims import symbols
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Made, Num, Partial, Tensor
from shapecheck.ops.kinds import (
    ADDS_AXIS,
    AVERAGES,
    CAST,
    DEVIATION,
    LENGTH,
    MATMUL,
    SCALES,
    SHIFTS,
    STRETCHES,
    SWAPS,
    UNARY,
)

_CARRIES = CAST | ADDS_AXIS | STRETCHES


@dataclass(frozen=True, slots=True)
class Centred:
    """`x` with its mean along `dim` taken away by the call `made`; `dim` counts from the end of a matrix."""

    x: Tensor
    dim: int
    made: Made


def centred(tensor: Tensor) -> list[Centred]:
    """All centrings of this tensor, the last first: through scalings, casts and clones."""
    found: list[Centred] = []
    for _ in range(20):
        made = tensor.made
        if made is None:
            break
        inner = [t for t in operands(made) if t.rank != 0]
        if made.kind & SHIFTS and len(inner) == 2:
            here = _without_mean(made, *inner) or _without_mean(made, *inner[::-1])
            if here is None:
                break
            found.append(here)
            tensor = here.x
        elif made.kind & (SCALES | CAST) and inner:
            if len(inner) > 1 and not _spread(inner[1]):
                break
            tensor = inner[0]
        else:
            break
    return found


def _without_mean(made: Made, x: Tensor, mean: Tensor) -> Centred | None:
    """`x - mean`, where `mean` is that of x itself."""
    for _ in range(6):
        if mean.made is None or mean.made.kind & AVERAGES:
            break
        inner = operands(mean.made)
        if not mean.made.kind & _CARRIES or len(inner) != 1:
            return None
        mean = inner[0]
    dim = mean.made.dim() if mean.made is not None else None
    if mean.made is None or dim is None or not same(mean.made.arg("input"), x, CAST):
        return None
    at = from_end(dim, x)
    return None if at is None else Centred(x, at, made)


def from_end(dim: int, x: Tensor) -> int | None:
    """A dim of a matrix counted from its end; of more than two axes where it is known to be one of the last two."""
    rank = x.rank if x.rank is not None else 2
    if isinstance(x.shape, Partial) and x.shape.min_rank > 2 and dim >= 0:
        return None
    at = dim - rank if dim >= 0 else dim
    return at if at in (-1, -2) else None


def _spread(t: Tensor) -> bool:
    """A deviation that centred numbers are divided by, bounded and kept away from 0."""
    for _ in range(6):
        made = t.made
        if made is None:
            return False
        if made.kind & (DEVIATION | LENGTH):
            return True
        inner = [i for i in operands(made) if i.rank != 0]
        if not made.kind & (CAST | UNARY | SHIFTS | ADDS_AXIS | STRETCHES) or not inner:
            return False
        t = inner[0]
    return False


@dataclass(frozen=True, slots=True)
class Gram:
    """Products of centred numbers with each other, summed over the axis `over` (-1 or -2) of them."""

    of: Centred
    all: list[Centred]
    over: int


def gram(fact: Called) -> Gram | None:
    """`c.t() @ c`, `einsum("bi,bj->ij", c, c)`, `torch.cov(c)` of a tensor that was centred, or of two such."""
    for operand, over in _summed(fact):
        found = centred(operand)
        if found and not any(c.dim == over for c in found):
            return Gram(found[0], found, over)
        if found:
            return None
    return None


def _summed(fact: Called) -> list[tuple[Tensor, int]]:
    """The operands of a product of a matrix with itself, or of two that were centred, before they were turned."""
    given = operands(fact)
    if fact.key == "cov" and given:
        x, turned = _plain(given[0])
        return [(x, -2 if turned else -1)]
    told = equation(fact)
    if told is not None:
        match told.inputs, told.operands:
            case (str(a), str(b)), (Tensor() as left, Tensor() as right) if len(a) == len(b) == 2 and centred(right):
                shared = [c for c in a if c in b and c not in told.output]
                if len(shared) == 1 and centred(left):
                    return [(left, a.index(shared[0]) - 2), (right, b.index(shared[0]) - 2)]
        return []
    if not fact.kind & MATMUL or len(given) != 2:
        return []
    (left, turned_left), (right, turned_right) = map(_plain, given)
    if turned_left == turned_right or not centred(left) or not centred(right):
        return []
    over = -2 if turned_left else -1
    return [(left, over), (right, over)]


def _plain(x: Tensor) -> tuple[Tensor, bool]:
    """The tensor before its last two axes changed places, and whether they did."""
    turned = False
    for _ in range(10):
        made = x.made
        if made is None or not made.kind & (SWAPS | CAST | SCALES):
            break
        inner = [t for t in operands(made) if t.rank != 0]
        if len(inner) != 1:
            break
        turned ^= bool(made.kind & SWAPS)
        x = inner[0]
    return x, turned


def examples_first(x: Tensor, facts: Facts) -> bool:
    """Are the rows of this matrix the examples, and the columns their features?"""
    if x.axes is not None and len(x.axes) == 2 and (is_batch(x.axes[0], facts) or is_features(x.axes[1], facts)):
        return True
    return features_last(x, facts) or rows_of_batch(x, facts)


def divided_by_rows(fact: Called, x: Tensor, facts: Facts) -> bool:
    """Is the product divided by the number of rows of x, or by one less, as a covariance is?"""
    if not isinstance(fact.result, Tensor):
        return False
    for use, _ in uses(facts, fact.result):
        by = use.args.get("other")
        if use.key != "div" or not isinstance(by, Num) or not x.axes:
            continue
        if symbols(by.size) and symbols(by.size) == symbols(x.axes[0].size):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Uneven:
    """Centred along one axis and divided by the deviation along another."""

    centred: Centred
    made: Made
    dim: int


def uneven(fact: Called) -> Uneven | None:
    """`(x - x.mean(0)) / x.std(1, keepdim=True)`."""
    given = [t for t in operands(fact) if t.rank != 0]
    if fact.key != "div" or len(given) != 2:
        return None
    found, length = centred(given[0]), given[1]
    for _ in range(6):
        if length.made is None or length.made.kind & DEVIATION:
            break
        inner = [t for t in operands(length.made) if t.rank != 0]
        if not length.made.kind & (CAST | UNARY | SHIFTS | ADDS_AXIS | STRETCHES) or len(inner) != 1:
            return None
        length = inner[0]
    made = length.made
    if made is None or not made.kind & DEVIATION or len(found) != 1:
        return None
    source, dim = made.tensor("input"), made.dim()
    if source is None or dim is None or not (same(source, found[0].x, CAST) or same(source, given[0], CAST)):
        return None
    at = from_end(dim, source)
    return Uneven(found[0], made, at) if at is not None and at != found[0].dim else None


__all__ = ["Centred", "Gram", "Uneven", "centred", "divided_by_rows", "examples_first", "from_end", "gram", "uneven"]
