"""SC305: counted indices that run past the axis they index."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.origin import blame, operands
from shapecheck.analysis.targets import labelled, rank_names
from shapecheck.dims import Size, TooComplex, compare, nonnegative, substitute, symbol, symbols
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Affine, Axis, Items, Lit, Num, SliceVal, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity
from shapecheck.ops.kinds import ADDS_AXIS, CAST, DROPS_AXIS, GATHERS, MOVES_AXES, RESHAPES, STRETCHES, SUBSCRIPT

META = Rule(
    "SC305",
    "index-past-axis",
    Severity.ERROR,
    "counted indices run past the axis that they index",
)

# what hands on the numbers of an index tensor
_SHAPING = CAST | ADDS_AXIS | DROPS_AXIS | RESHAPES | MOVES_AXES | STRETCHES


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    for indexed, axis, index in _lookups(fact):
        counted = _counted(index)
        if counted is None or axis.size == 1:  # counting through one place is no author's plan: a shape half known
            continue
        numbers, length, tensor = counted
        last = _last(numbers, length)
        when = None if last is None else _past(last, axis.size)
        if last is None or when is None or rank_names(last):
            continue
        names = facts.names()
        width = names.size(axis.size)
        notes = (Note("the indices are made here", tensor.made.site),) if tensor.made is not None else ()
        yield META.finding(
            blame(fact, [indexed, index], facts.path),
            f"these indices run up to {names.size(last)}, but {names.shape(indexed)} has {width} places there",
            notes=notes,
            condition=_condition(when, names),
            help=f"indices of this axis are 0 to {width} - 1: index what has all columns, or drop the stride",
            covers=("SC302", "SC906"),
        )


def _lookups(fact: Called) -> Iterator[tuple[Tensor, Axis, Tensor]]:
    """What is indexed, the axis, and the indices."""
    loss = labelled(fact)
    if loss is not None:
        assert isinstance(loss.target.shape, tuple)
        if compare(loss.target.shape[0].size, loss.rows.size).always:  # another count of labels is a mistake of its own
            yield loss.scores, loss.columns, loss.target
        return
    given, index = fact.arg("input"), fact.arg("index")
    if not isinstance(given, Tensor) or given.axes is None:
        return
    if fact.kind & GATHERS and isinstance(index, Tensor):
        at = fact.dim()
        if at is not None and -len(given.axes) <= at < len(given.axes):
            yield given, given.axes[at], index
    elif fact.kind & SUBSCRIPT and isinstance(index, Items):
        place = 0
        for item in index.items:
            if item == Lit(None):
                continue
            if not isinstance(item, (SliceVal, Num, Tensor)) or (isinstance(item, Tensor) and item.dtype != "int"):
                return
            if isinstance(item, Tensor) and place < len(given.axes):
                yield given, given.axes[place], item
            place += 1


def _counted(index: Tensor) -> tuple[Affine, Size, Tensor] | None:
    """The numbers of an index tensor and how many there are."""
    for _ in range(10):
        if index.content is not None and index.axes is not None and len(index.axes) == 1:
            return index.content, index.axes[0].size, index
        if index.made is None or not index.made.kind & _SHAPING:
            return None
        inputs = operands(index.made)
        if not inputs:
            return None
        index = inputs[0]
    return None


def _last(numbers: Affine, length: Size) -> Size | None:
    try:
        return numbers.offset + numbers.stride * (length - 1)
    except TooComplex:
        return None


def _past(last: Size, width: Size) -> tuple[str, ...] | None:
    """The names that must be 1 for the last index to be in range: () when it never is, None when it may be."""
    try:
        over = last - width
        if isinstance(last, int) and isinstance(width, int):
            return () if last >= width else None
        if any(n.startswith("$") for n in symbols(over)):
            return None
        if nonnegative(over):
            return ()
        inside = tuple(sorted(symbols(last)))
        for names in (*((n,) for n in inside), inside):
            if nonnegative(substitute(over, {n: symbol(n) + 1 for n in names})):
                return names
    except TooComplex:
        return None
    return None


def _condition(when: tuple[str, ...], names: Names) -> str:
    return " or ".join(f"{names.symbol(name)} = 1" for name in when)
