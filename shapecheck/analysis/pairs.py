"""Matrices of all pairs: whose rows stand along the rows, and whose along the columns, by the author's names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shapecheck.analysis.order import parts
from shapecheck.analysis.origin import operands
from shapecheck.analysis.targets import IN_PLACE
from shapecheck.engine.facts import Assigned, Facts
from shapecheck.engine.values import Items, Lit, Made, Tensor
from shapecheck.ops.kinds import ALL_PAIRS, COMPARES, LOGIC, SUBSCRIPT, SWAPS

_KEEPING = IN_PLACE | COMPARES | LOGIC
_NAME = re.compile(r"[a-z]+|[A-Z]+[a-z]*|\d+")


@dataclass(frozen=True, slots=True)
class Pairs:
    """A matrix of all pairs: the names behind its rows and its columns, and the op that paired them."""

    rows: str
    columns: str
    made: Made


def names_of(facts: Facts) -> dict[int, str]:
    """The variable that each made tensor was first put in."""
    found: dict[int, str] = {}
    for fact in facts.of(Assigned):
        if isinstance(fact.value, Tensor) and fact.value.made is not None and fact.name.isidentifier():
            found.setdefault(id(fact.value.made), fact.name)
    return found


def pairs_of(tensor: Tensor, names: dict[int, str]) -> Pairs | None:
    """What the last two axes of this tensor pair; None for anything but a matrix of pairs of two named tensors."""
    turned = False
    for _ in range(40):
        made = tensor.made
        if made is None:
            return None
        inputs = operands(made)
        found = _paired(made, inputs, names)
        if found is not None:
            return Pairs(found.columns, found.rows, found.made) if turned else found
        full = [t for t in inputs if t.rank]
        if made.kind & SWAPS and (made.key == "t" or tensor.rank == 2):
            turned = not turned
        elif made.kind & SUBSCRIPT:
            if not _adds_axes_only(made):
                return None
        elif not made.kind & _KEEPING and made.key != "view":
            return None
        if len(full) != 1:
            return None
        tensor = full[0]
    return None


def _adds_axes_only(made: Made) -> bool:
    index = made.args.get("index")
    return isinstance(index, Items) and all(isinstance(i, Lit) and i.value in (None, ...) for i in index.items)


def _paired(made: Made, inputs: list[Tensor], names: dict[int, str]) -> Pairs | None:
    if len(inputs) != 2 or inputs[0].axes is None or inputs[1].axes is None:
        return None
    a, b = inputs
    if made.kind & ALL_PAIRS and a.rank == b.rank == 2:
        rows, columns = a, b
    else:
        varying = _flat_pairs(a, b) or _outer_pairs(a, b)
        if varying is None:
            return None
        rows, columns = varying
    one, two = _name(rows, names), _name(columns, names)
    return Pairs(one, two, made) if one and two else None


def _outer_pairs(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor] | None:
    """`x[:, None]` with `y[None, :]`: the operand that varies along the first of the two axes, then the other."""
    varying = []
    for x, y in zip(reversed(a.axes or ()), reversed(b.axes or ())):
        still = (x.size == 1 or x.role == "copy", y.size == 1 or y.role == "copy")
        if still[0] != still[1]:
            varying.append(b if still[0] else a)
    return (varying[1], varying[0]) if len(varying) == 2 and varying[0] is not varying[1] else None


def _flat_pairs(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor] | None:
    """All pairs in one flat axis: the operand that each element of the other is copied against varies slowest."""
    sides = {}
    for tensor in (a, b):
        flat = parts((tensor.axes or ())[0]) if tensor.axes else ()
        first, last = (len(flat) > 1 and flat[i].role == "copy" for i in (0, -1))
        if first == last:
            return None
        sides["columns" if first else "rows"] = tensor
    return (sides["rows"], sides["columns"]) if len(sides) == 2 else None


def _name(tensor: Tensor, names: dict[int, str]) -> str:
    """The variable that an operand was before axes were added, expanded or turned."""
    for _ in range(20):
        made = tensor.made
        if made is None:
            return ""
        if id(made) in names:
            return names[id(made)]
        inputs = operands(made)
        if not inputs:
            return ""
        tensor = inputs[0]
    return ""


def marks(name: str, other: str) -> frozenset[str]:
    """The words of a name that its counterpart lacks: `coords_one` against `coords_two` is {"one"}."""
    return _words(name) - _words(other)


def _words(name: str) -> frozenset[str]:
    return frozenset(w.lower() for w in _NAME.findall(name))


def exchanged(a: Pairs, b: Pairs) -> bool:
    """Do the names say that the rows of one are the columns of the other, and the other way round?"""
    up, across = marks(a.rows, a.columns), marks(a.columns, a.rows)
    down, along = marks(b.rows, b.columns), marks(b.columns, b.rows)
    return bool(up & along and across & down) and not (up & down or across & along)


__all__ = ["Pairs", "exchanged", "names_of", "pairs_of"]
