"""Letters of einsum equations: which letter stands for which axis of an operand and of what is made of the result."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shapecheck.analysis.axes import place
from shapecheck.analysis.origin import operands
from shapecheck.analysis.targets import IN_PLACE
from shapecheck.engine.values import Items, Lit, Made, OfOp, Tensor, Value
from shapecheck.ops.kinds import SOFTMAX, SWAPS

_EQUATION = re.compile(r"[A-Za-z]+(?:,[A-Za-z]+)*->[A-Za-z]*\Z")
_KEEPING = IN_PLACE | SOFTMAX


@dataclass(frozen=True, slots=True)
class Equation:
    """`bqd,bkd->bqk`: the letters of each operand, and those of the result."""

    inputs: tuple[str, ...]
    output: str
    operands: tuple[Tensor | None, ...]
    given: tuple[Value, ...]  # the operands, those too of which nothing is known


@dataclass(frozen=True, slots=True)
class Lettered:
    """The letters of a tensor's axes, and the einsum that gave them."""

    letters: str
    made: Made


def equation(made: OfOp) -> Equation | None:
    """The equation of an einsum in plain letters, with an operand for each part; None for anything else."""
    text, given = made.args.get("equation"), given_to(made)
    if made.key != "einsum" or not isinstance(text, Lit) or not isinstance(text.value, str):
        return None
    plain = text.value.replace(" ", "")
    if not _EQUATION.match(plain) or given is None:
        return None
    left, _, output = plain.partition("->")
    inputs = tuple(left.split(","))
    if len(inputs) != len(given) or any(c not in left for c in output):
        return None
    return Equation(inputs, output, tuple(t if isinstance(t, Tensor) else None for t in given), given)


def given_to(made: OfOp) -> tuple[Value, ...] | None:
    """The operands of an einsum, one by one or in a list."""
    given = made.args.get("operands")
    if isinstance(given, tuple) and len(given) == 1 and isinstance(given[0], Items):
        given = given[0].items
    return given if isinstance(given, tuple) else None


def letters_of(tensor: Tensor) -> Lettered | None:
    """The letters of this tensor's axes where an einsum made it, or what it was computed from number by number."""
    swaps: list[tuple[int, int]] = []
    for _ in range(30):
        made = tensor.made
        if made is None:
            return None
        if made.key == "einsum":
            found = equation(made)
            return Lettered(_swapped(found.output, swaps), made) if found is not None else None
        if made.kind & SWAPS:
            swap = _swap(made)
            if swap is None:
                return None
            swaps.insert(0, swap)
        elif not made.kind & _KEEPING:
            return None
        full = [t for t in operands(made) if t.rank != 0]
        if len(full) != 1:
            return None
        tensor = full[0]
    return None


def _swap(made: Made) -> tuple[int, int] | None:
    if "dim0" not in made.args:  # x.T, x.mT
        return -1, -2
    one, two = made.number("dim0"), made.number("dim1")
    return None if one is None or two is None else (one, two)


def _swapped(letters: str, swaps: list[tuple[int, int]]) -> str:
    order = list(letters)
    for a, b in swaps:
        i, j = place(a, len(order)), place(b, len(order))
        if not (0 <= i < len(order) and 0 <= j < len(order)):
            return ""
        order[i], order[j] = order[j], order[i]
    return "".join(order)


__all__ = ["Equation", "Lettered", "equation", "letters_of"]
