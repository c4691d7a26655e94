"""Where the features of a tensor stand, as far as layers, names and later code tell."""

from __future__ import annotations

from shapecheck.analysis.batch import uses
from shapecheck.analysis.enclosing import function_of
from shapecheck.analysis.origin import operands
from shapecheck.analysis.roles import is_features
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Axis, Partial, Tensor, Unknown
from shapecheck.ops.kinds import AVERAGES, EXTREMES, FEATURES_LAST
from shapecheck.source.program import Call, Name


def more_than_two(fact: Called, x: Tensor, facts: Facts) -> bool:
    """Known to have more than two axes; or what is picked is flattened, or reduced without a dim."""
    if x.rank is not None:
        return x.rank > 2
    if isinstance(x.shape, Partial) and x.shape.min_rank > 2:
        return True
    if isinstance(fact.result, Tensor):
        for use, _ in uses(facts, fact.result):
            if use.kind & (EXTREMES | AVERAGES) and "dim" not in use.given:
                return True
    return False


def rows_of(mask: Tensor, product: Tensor) -> Axis | None:
    """The axis of the mask that tells examples apart; of a mask of unknown rank that of the `[B, S, D]` it weighs."""
    if mask.axes is not None:
        kept = [a for a in mask.axes if a.size != 1]
        return kept[0] if len(kept) > 1 and mask.axes[0] is kept[0] else None
    full = [t for t in operands(product.made) if t.rank == 3] if product.made is not None else []
    return full[0].axes[0] if full and full[0].axes is not None else None


def last_axis(x: Tensor) -> Axis | None:
    axes = x.shape.tail if isinstance(x.shape, Partial) else x.shape
    return axes[-1] if axes else None


def features_last(x: Tensor, facts: Facts) -> bool:
    last = last_axis(x)
    if last is not None and is_features(last, facts):
        return True
    if last is not None and last.origin is not None and last.origin.kind & FEATURES_LAST:
        return True
    return projected(x)


def projected(x: Tensor) -> bool:
    return x.made is not None and bool(x.made.kind & FEATURES_LAST)


def of_any_rank(x: Tensor, facts: Facts) -> bool:
    """Does the layer take what its function is given, as it is? Of a value made here the author knew the rank."""
    layer = x.made.site.node if x.made is not None else None
    if not isinstance(layer, Call) or len(layer.args) != 1 or not isinstance(given := layer.args[0].value, Name):
        return False
    function = function_of(layer, facts)
    return function is not None and any(p.name == given.id for p in function.params)


def known_later(fact: Called, facts: Facts) -> bool:
    """Does later code take the result for a matrix?"""
    if not isinstance(fact.result, Tensor):
        return False
    return any(
        t.rank == 2
        for f in facts.of(Called)
        for t in f.args.values()
        if isinstance(t, Tensor) and t.made is fact.result.made and t.made is not None
    )


def subject(fact: Called, facts: Facts, kind: int) -> Tensor | None:
    if not fact.kind & kind or fact.site.path != facts.path:
        return None
    x = fact.args.get("input")
    if isinstance(x, Unknown) and x.hint == "":
        return Tensor(Partial(key=x.key))
    return x if isinstance(x, Tensor) else None


__all__ = [
    "features_last", "known_later", "last_axis", "more_than_two", "of_any_rank", "projected", "rows_of",
    "subject",
]  # fmt: skip
