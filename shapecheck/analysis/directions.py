"""Two terms of a loss over scores of all pairs: whether they read the scores in two directions, or in one.

Scores are told by the product that made them: which tensor's rows are the rows, which tensor's the columns. A transpose
exchanges them. Casts and equal scalings are looked through; of other scores nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass

from shapecheck.analysis.facing import rows_of, source
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import identity, operands
from shapecheck.engine.facts import Called
from shapecheck.engine.values import Made, Tensor, Unknown
from shapecheck.ops.axes import as_tensor
from shapecheck.ops.kinds import CAST, CLASS_LOSS, LINEAR, MATMUL, SCALES, SHIFTS, SWAPS


@dataclass(frozen=True, slots=True)
class Direction:
    """A class loss over pairs: the tensors along its rows and along its columns."""

    loss: Made
    rows: object
    columns: object
    scales: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Twice:
    """Two terms that are one computation; `own`: the scores pair the rows of one tensor with themselves."""

    first: Direction
    second: Direction
    own: bool


def twice(fact: Called) -> Twice | None:
    """Does this sum add two class losses that read the same numbers in the same way?"""
    if not fact.kind & SHIFTS or fact.key != "add":
        return None
    terms = [_direction(v) for v in (fact.tensor("input"), fact.tensor("other"))]
    match terms:
        case [Direction() as a, Direction() as b] if a.loss.site.node is not b.loss.site.node:
            own = a.rows == a.columns
            same = (a.rows, a.columns) == (b.rows, b.columns) or (own and b.rows == b.columns == a.rows)
            if same and sorted(map(str, a.scales)) == sorted(map(str, b.scales)) and _one_target(a.loss, b.loss):
                return Twice(a, b, own)
    return None


def _direction(term: Tensor | None) -> Direction | None:
    for _ in range(6):
        made = term.made if term is not None else None
        if term is None or made is None:
            return None
        if made.kind & CLASS_LOSS:
            pair = _pairs(as_tensor(made.arg("input")))
            return Direction(made, *pair) if pair is not None else None
        inner = [t for t in operands(made) if t.made is not None]
        if not made.kind & (SCALES | CAST) or len(inner) != 1:
            return None
        term = inner[0]
    return None


def _pairs(scores: Tensor) -> tuple[object, object, tuple[object, ...]] | None:
    turned = False
    scales: list[object] = []
    for _ in range(20):
        made = scores.made
        if made is None:
            return None
        sides = _sides(made)
        if sides is not None:
            left, right = source(sides[0]), source(sides[1])
            if left is None or right is None or left.turned:
                return None
            rows, columns = (rows_of(right), rows_of(left)) if turned else (rows_of(left), rows_of(right))
            return rows, columns, (*scales, *map(_scale, sides))
        inner = [t for t in operands(made) if t.rank != 0]
        if not made.kind & (CAST | SCALES | SWAPS) or len(inner) != 1:
            return None
        turned ^= bool(made.kind & SWAPS)
        if made.kind & SCALES:
            scales.append((made.key, _number(made)))
        scores = inner[0]
    return None


def _number(made: Made) -> object:
    """What the scores are multiplied with or divided by."""
    sides = [v for v in (made.arg("input"), made.arg("other")) if not (isinstance(v, Tensor) and v.rank != 0)]
    return [identity(v) if isinstance(v, (Tensor, Unknown)) else v for v in sides]


def _scale(side: Tensor) -> object:
    """`scale * x`, before the product."""
    made = side.made
    return (made.key, _number(made)) if made is not None and made.kind & SCALES else ""


def _sides(made: Made) -> tuple[Tensor, Tensor] | None:
    given = operands(made)
    told = equation(made)
    if told is not None:
        match told.inputs, told.output:
            case (str(a), str(b)), str(out) if len(a) == len(b) == len(out) == 2 and a[1] == b[1]:
                left, right = (as_tensor(v) for v in told.given)
                return (left, right) if out == a[0] + b[0] else (right, left) if out == b[0] + a[0] else None
        return None
    if made.kind & LINEAR and "weight" in made.args:
        return as_tensor(made.arg("input")), as_tensor(made.args["weight"])
    if not made.kind & MATMUL or len(given) != 2:
        return None
    turned = source(given[1])
    return (given[0], given[1]) if turned is not None and turned.turned else None


def _one_target(a: Made, b: Made) -> bool:
    one, other = as_tensor(a.arg("target")), as_tensor(b.arg("target"))
    key = identity(one)
    return (key is not None and key == identity(other)) or (one.content is not None and one.content == other.content)


__all__ = ["Direction", "Twice", "twice"]
