"""In a matrix of rows against a bank that holds these rows too: in which column a row meets itself.

Two things tell it: the rows were picked from the bank by an index (then it is the index's number), or the bank was
joined from several blocks of which a later one is the rows (then it is that many columns further on). Scores are
followed through functions of each number, scalings, masks and norms; of an index that counts 0, 1, 2 nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass

from shapecheck.analysis.facing import source
from shapecheck.analysis.letters import equation
from shapecheck.analysis.origin import operands, same
from shapecheck.engine.facts import Called
from shapecheck.engine.values import Affine, Items, Made, Site, SliceVal, Tensor, Unknown
from shapecheck.ops.kinds import (
    ARITHMETIC,
    BOUNDS,
    CAST,
    COUNTS,
    DISTANCE,
    DROPS,
    GATHERS,
    JOINS,
    LINEAR,
    LOOKS_UP,
    MASKS,
    MATMUL,
    SIMILARITY,
    SOFTMAX,
    SUBSCRIPT,
    SWAPS,
    UNARY,
    UNIT,
)

_SCORES = CAST | UNARY | DROPS | MASKS | ARITHMETIC | BOUNDS | SOFTMAX
_ROWS = CAST | UNIT | DROPS


@dataclass(frozen=True, slots=True)
class Own:
    """Row i meets itself in another column than i: `text` says in which, `site` what makes it so."""

    text: str
    site: Site


def own_column(matrix: Tensor) -> Own | None:
    """Where each row of this matrix of pairs meets itself, if that is known not to be the diagonal."""
    for _ in range(30):
        made = matrix.made
        if made is None:
            return None
        pair = _pair(made)
        if pair is not None:
            return _picked(*pair) or _joined(*pair)
        inner = [t for t in operands(made) if t.rank != 0]
        if made.kind & MASKS:
            inner = inner[:1]
        if not made.kind & _SCORES or len(inner) != 1:
            return None
        matrix = inner[0]
    return None


def _pair(made: Made) -> tuple[Tensor, Tensor] | None:
    """Rows and columns of a product of all pairs."""
    told = equation(made)
    given = operands(made)
    if told is not None:
        if len(given) != 2 or len(told.inputs) != 2 or len(told.output) != 2:
            return None
        return (given[0], given[1]) if told.output[0] in told.inputs[0] else (given[1], given[0])
    if not made.kind & (MATMUL | DISTANCE | SIMILARITY | LINEAR) or len(given) != 2:
        return None
    return given[0], given[1]


def _picked(rows: Tensor, bank: Tensor) -> Own | None:
    """`bank[index] @ bank.t()`."""
    for _ in range(10):
        made = rows.made
        if made is None:
            return None
        if made.kind & (SUBSCRIPT | GATHERS | LOOKS_UP):
            break
        inner = [t for t in operands(made) if t.rank != 0]
        if not made.kind & _ROWS or len(inner) != 1:
            return None
        rows = inner[0]
    else:
        return None
    index = _rows_index(made)
    whole = next(iter(operands(made)), None) if not made.kind & LOOKS_UP else made.tensor("weight")
    if index is None or whole is None or _counts(index):
        return None
    a, b = source(whole), source(bank)
    if a is None or b is None or a.key != b.key:
        return None
    return Own("the one that the index picked it from", made.site)


def _rows_index(made: Made) -> Tensor | Unknown | None:
    """The places of whole rows that the call picks, one by one."""
    index = made.args.get("index", made.args.get("indices"))
    if made.kind & LOOKS_UP:
        index = made.args.get("input")
    elif made.kind & GATHERS and made.dim() != 0:
        return None
    if isinstance(index, Items):
        index, *rest = index.items or (None,)
        if any(not isinstance(r, SliceVal) for r in rest):
            return None
    if isinstance(index, Tensor):
        return index if index.rank in (None, 1) and index.dtype not in ("bool", "float") else None
    return index if isinstance(index, Unknown) and index.hint == "" else None


def _counts(index: Tensor | Unknown) -> bool:
    """0, 1, 2, ...: an arange, whole or cut off behind."""
    if not isinstance(index, Tensor):
        return False
    if isinstance(index.content, Affine):
        return True
    return index.made is not None and bool(index.made.kind & COUNTS)


def _joined(rows: Tensor, bank: Tensor) -> Own | None:
    """`own @ torch.cat([queue, own]).t()`."""
    for _ in range(10):
        made = bank.made
        if made is None:
            return None
        if made.kind & JOINS:
            break
        inner = [t for t in operands(made) if t.rank != 0]
        if not made.kind & (_ROWS | SWAPS) or len(inner) != 1:
            return None
        bank = inner[0]
    else:
        return None
    parts = made.args.get("tensors")
    if not isinstance(parts, Items) or len(parts.items) < 2 or made.dim() not in (0, None):
        return None
    if any(_one(part, rows) for part in parts.items[:1]) or not any(_one(part, rows) for part in parts.items[1:]):
        return None
    return Own("a column behind those of the blocks that were joined in front of it", made.site)


def _one(part: object, rows: Tensor) -> bool:
    if not isinstance(part, Tensor):
        return False
    a, b = source(part), source(rows)
    return a is not None and b is not None and (a.key == b.key or same(a.tensor, b.tensor))


def diagonal_index(items: object) -> bool:
    """`x[arange(n), arange(n)]`: the entries (i, i)."""
    given = items.items if isinstance(items, Items) else items
    if not isinstance(given, tuple) or len(given) != 2:
        return False
    return all(isinstance(i, Tensor) and i.content == Affine(0, 1) for i in given)


def of_diagonal(fact: Called) -> Tensor | None:
    """The matrix that this subscript reads the entries (i, i) of."""
    return fact.tensor("input") if fact.kind & SUBSCRIPT and diagonal_index(fact.args.get("index")) else None


__all__ = ["Own", "diagonal_index", "of_diagonal", "own_column"]
