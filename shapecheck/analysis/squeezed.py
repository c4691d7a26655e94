"""What a `squeeze()` was given and what becomes of its result: is a batch in front, and does anyone count on it?"""

from __future__ import annotations

from shapecheck.analysis.batch import rows, uses
from shapecheck.analysis.origin import base, operands
from shapecheck.dims import symbols
from shapecheck.engine.facts import Applied, Called, Facts, Returned
from shapecheck.engine.values import Items, Lit, Partial, Tensor, Unknown
from shapecheck.ops.kinds import (
    ARITHMETIC,
    BINARY_LOSS,
    CAST,
    CHAINS,
    ELEMENTWISE_LOSS,
    LINEAR,
    RESHAPES,
    SOFTMAX,
    STANDARDISES,
    SUBSCRIPT,
    UNARY,
)

# what changes neither the axes nor what they mean
SAME_AXES = CAST | UNARY


# what computes each row of the result from the same row alone
_ROW_BY_ROW = SAME_AXES | ARITHMETIC | LINEAR | CHAINS | STANDARDISES | SOFTMAX


def has_one(x: Tensor) -> bool:
    """Is an axis of size 1 known among the last, in the tensor or in what was added to others for it?"""
    for _ in range(10):
        tail = x.shape.tail if isinstance(x.shape, Partial) else x.shape
        if any(a.size == 1 for a in tail):
            return True
        if x.made is None or not x.made.kind & (SAME_AXES | ARITHMETIC):
            return False
        given = operands(x.made)
        if x.made.kind & ARITHMETIC:
            return any(has_one(t) for t in given)
        if not given:
            return False
        x = given[0]
    return False


def from_batch(x: Tensor, facts: Facts) -> bool:
    """Were these rows computed, each for itself, from what a module's forward or one of its members was given?"""
    queue = [x]
    for _ in range(30):
        if not queue:
            return False
        t = queue.pop(0)
        key = t.shape.key if isinstance(t.shape, Partial) else None
        if t.made is None:
            if key is not None and (key.startswith("forward.") or _applied_to_batch(key, facts)):
                return True
        elif t.made.kind & _ROW_BY_ROW:
            given = t.made.args.get("input")
            if isinstance(given, Unknown) and given.hint == "" and given.key is not None:
                queue.append(Tensor(Partial(key=given.key)))
            queue += operands(t.made)
    return False


def _applied_to_batch(key: str, facts: Facts) -> bool:
    return any(
        f.member
        and isinstance(f.result, Unknown)
        and f.result.key == key
        and any(isinstance(a, Unknown) or (isinstance(a, Tensor) and a.rank not in (0, 1)) for a in f.args[:1])
        for f in facts.of(Applied)
    )


def second_axis(fact: Called, facts: Facts) -> bool:
    """Does later code look for a second axis in what is left, so that the batch must be the first?"""
    result = fact.result
    assert isinstance(result, Tensor)
    for use, _ in uses(facts, result, SAME_AXES | ARITHMETIC):
        index = use.args.get("index")
        if not use.kind & SUBSCRIPT or not isinstance(index, Items) or len(index.items) < 2:
            continue
        if Lit(None) not in index.items and Lit(...) not in index.items:
            return True
    return False


def hands_back(fact: Called, facts: Facts) -> bool:
    """A module that does nothing but squeeze: `forward(x)` returns `x.squeeze()`."""
    x = fact.args.get("input")
    shape = x.shape if isinstance(x, Tensor) else None
    key = x.key if isinstance(x, Unknown) else shape.key if isinstance(shape, Partial) else None
    if key is None or not key.startswith("forward.") or not isinstance(fact.result, Tensor):
        return False
    return any(
        f.name == "forward" and isinstance(f.value, Tensor) and f.value.made is fact.result.made
        for f in facts.of(Returned)
    )


def row_symbols(result: Tensor, facts: Facts) -> frozenset[str]:
    """The names of the size of axis 0 of a squeezed tensor of unknown rank, where later code asked for it."""
    if not isinstance(result.shape, Partial):
        return frozenset()
    found: frozenset[str] = frozenset()
    for f in facts.of(Called):
        for value in f.args.values():
            members = value.items if hasattr(value, "items") and isinstance(value.items, tuple) else (value,)
            for t in members:
                if isinstance(t, Tensor) and t.made is result.made and rows(t) is not None:
                    found |= symbols(rows(t).size)  # type: ignore[union-attr]
    return found


def harmless(fact: Called, facts: Facts) -> bool:
    """Every use gives the axes back, or meets a tensor that was squeezed in the same way."""
    result = fact.result
    assert isinstance(result, Tensor)
    seen = [(use, p) for use, p in uses(facts, result, SAME_AXES) if not use.kind & SAME_AXES]
    return bool(seen) and all(_restores(use) or (_broadcasts(use) and _all_bare(use)) for use, _ in seen)


def _restores(use: Called) -> bool:
    return bool(use.kind & RESHAPES) or use.key == "item"


def _broadcasts(use: Called) -> bool:
    return bool(use.kind & (ARITHMETIC | ELEMENTWISE_LOSS)) and not use.kind & BINARY_LOSS


def _all_bare(use: Called) -> bool:
    given = [v for k, v in use.args.items() if k in ("input", "other", "target") and isinstance(v, Tensor)]
    return len(given) == 2 and all(bare(base(t, SAME_AXES)) for t in given)


def bare(tensor: Tensor) -> bool:
    return tensor.made is not None and tensor.made.key == "squeeze" and tensor.made.args.get("dim") is None


__all__ = [
    "SAME_AXES", "bare", "from_batch", "hands_back", "harmless", "has_one", "row_symbols", "second_axis",
]  # fmt: skip
