"""Numbers of one row each (lengths, squares, sums) beside a product of all pairs of rows: along which axis they lie.

Of `x @ y.t()` the rows are those of x and the columns those of y. A number for each row of x then stands in a column
`[n, 1]`, one for each row of y in a row `[m]` or `[1, m]`. This needs no size: which tensor the numbers were taken from
tells it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shapecheck.analysis.facing import rows_of, source
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import operands
from shapecheck.engine.facts import Called
from shapecheck.engine.values import Items, Lit, Made, Num, Partial, SliceVal, Tensor, Unknown
from shapecheck.ops.axes import as_tensor
from shapecheck.ops.kinds import (
    ARITHMETIC,
    BINARY,
    BOUNDS,
    CAST,
    LINEAR,
    MATMUL,
    REDUCTION,
    SCALES,
    SHIFTS,
    SUBSCRIPT,
    SWAPS,
    UNARY,
)

_NUMBERWISE = CAST | UNARY | BOUNDS


@dataclass(frozen=True, slots=True)
class Laid:
    """Numbers of the rows of the tensor `key`, in a column or in a row; `made` took them, `shown` laid them."""

    key: object
    column: bool
    made: Made
    shown: Tensor


@dataclass(frozen=True, slots=True)
class Crosswise:
    """Numbers of one operand's rows that lie along the axis of the other's; `of_rows`: of the rows of the product."""

    numbers: Laid
    product: Made
    of_rows: bool


def crosswise(fact: Called) -> Crosswise | None:
    """`(x @ y.t()) / (x.norm(dim=1)[None] * y.norm(dim=1)[:, None])`: both lengths lie along the wrong axis."""
    if not fact.kind & (SCALES | SHIFTS):
        return None
    given = operands(fact)
    if len(given) != 2:
        return None
    for scores, numbers in (given, given[::-1]):
        pair = _pairs(scores)
        if pair is None:
            continue
        made, rows, columns = pair
        if rows == columns:
            continue
        laid = list(_laid(numbers))
        wrong = [n for n in laid if n.key == (columns if n.column else rows)]
        right = [n for n in laid if n.key == (rows if n.column else columns)]
        if wrong and not right:
            return Crosswise(wrong[0], made, not wrong[0].column)
    return None


def _pairs(scores: Tensor) -> tuple[Made, object, object] | None:
    """A product of all pairs, and the tensors whose rows are its rows and its columns."""
    for _ in range(20):
        made = scores.made
        if made is None:
            return None
        sides = _sides(made)
        if sides is not None:
            left, right = source(sides[0]), source(sides[1])
            return (made, rows_of(left), rows_of(right)) if left and right and not left.turned else None
        inner = [t for t in operands(made) if t.rank != 0]
        if not made.kind & (_NUMBERWISE | SCALES) or len(inner) != 1:
            return None
        scores = inner[0]
    return None


def _sides(made: Made) -> tuple[Tensor, Tensor] | None:
    given = operands(made)
    told = equation(made)
    if told is not None:
        match told.inputs, told.output:
            case (str(a), str(b)), str(out) if (
                len(a) == len(b) == len(out) == 2 and a[1] == b[1] and out == a[0] + b[0]
            ):
                left, right = (as_tensor(v) for v in told.given)
                return left, right
        return None
    if made.kind & LINEAR and len(given) >= 2:
        return given[0], given[1]
    if not made.kind & MATMUL or len(given) != 2:
        return None
    turned = source(given[1])
    return (given[0], given[1]) if turned is not None and turned.turned else None


def _laid(numbers: Tensor) -> Iterator[Laid]:
    """The numbers of rows that these were combined from: one kind, or an outer product or sum of two."""
    made = numbers.made
    if made is None:
        return
    inner = [t for t in operands(made) if t.rank != 0]
    if made.kind & BINARY and made.kind & (SCALES | SHIFTS | ARITHMETIC) and len(inner) == 2:
        for each in inner:
            yield from _laid(each)
        return
    found = _one(numbers)
    if found is not None:
        yield found
    elif (made.kind & _NUMBERWISE and len(inner) == 1) or (made.kind & BINARY and len(inner) == 1):
        yield from _laid(inner[0])


def _one(numbers: Tensor) -> Laid | None:
    column: bool | None = None
    turned = False
    x = numbers
    for _ in range(12):
        made = x.made
        if made is None:
            return None
        inner = [t for t in operands(made) if t.rank != 0]
        if made.kind & REDUCTION:
            return _taken(made, x, numbers, column, turned)
        if made.kind & SWAPS:
            turned = not turned
        elif made.key == "unsqueeze" and made.dim() in (0, 1, -1):
            column = made.dim() != 0
        elif made.kind & SUBSCRIPT:
            column = _added(made)
            if column is None:
                return None
        elif made.key == "view":
            column = _viewed(made)
            if column is None:
                return None
        elif not made.kind & _NUMBERWISE:
            return None
        if len(inner) != 1:
            return None
        x = inner[0]
    return None


def _taken(made: Made, x: Tensor, shown: Tensor, column: bool | None, turned: bool) -> Laid | None:
    """One number for each row: a reduction along the last axis of what was computed from one tensor."""
    source_ = as_tensor(made.arg("input"))
    if made.dim() not in (1, -1) or source_.rank not in (None, 2):
        return None
    least = source_.shape.min_rank if isinstance(source_.shape, Partial) else 2
    if made.dim() == -1 and least < 2:  # of a vector it is one number
        return None
    if made.keeps_dim():
        column = column is None
    elif column is None:
        column = False
    key = _of_one(source_)
    return None if key is None else Laid(key, column != turned, made, shown)


def _of_one(x: Tensor) -> object:
    """The tensor that every number was computed from: x, `x ** 2`, `x * x`."""
    for _ in range(8):
        made = x.made
        inner = [t for t in map(as_tensor, _sides_of(made)) if t.rank != 0] if made is not None else []
        found = [source(t) for t in inner]
        if made is None or not made.kind & (_NUMBERWISE | ARITHMETIC) or not inner:
            break
        if any(f is None for f in found) or len({f.key for f in found if f is not None}) != 1:
            break
        x = inner[0]
    own = source(x)
    return None if own is None or own.turned else rows_of(own)


def _sides_of(made: Made) -> list[object]:
    given = [made.arg("input"), made.arg("other")]
    return [v for v in given if isinstance(v, (Tensor, Unknown))]


def _added(made: Made) -> bool | None:
    """`x[:, None]`: True; `x[None]`, `x[None, :]`: False."""
    index = made.args.get("index")
    items = index.items if isinstance(index, Items) else (index,)
    plain = [i for i in items if isinstance(i, SliceVal)]
    if len(items) > 2 or sum(i == Lit(None) for i in items) != 1 or len(plain) != len(items) - 1:
        return None
    return items[-1] == Lit(None) and len(items) == 2


def _viewed(made: Made) -> bool | None:
    shape = made.args.get("shape")
    items = shape[0].items if isinstance(shape, tuple) and len(shape) == 1 and isinstance(shape[0], Items) else shape
    if not isinstance(items, tuple) or len(items) != 2:
        return None
    return True if items[1] == Num(1) else False if items[0] == Num(1) else None


__all__ = ["Crosswise", "Laid", "crosswise"]
