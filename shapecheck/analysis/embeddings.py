"""What tells that a vector norm runs over the examples of a batch: what gave the rows, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass

from shapecheck.analysis.axes import STILL
from shapecheck.analysis.features import last_axis, projected
from shapecheck.analysis.origin import base
from shapecheck.analysis.roles import is_batch
from shapecheck.analysis.summed import summed_over, unit
from shapecheck.analysis.untransposed import length, sides
from shapecheck.engine.facts import Applied, Called, Facts
from shapecheck.engine.values import Axis, Made, Partial, Site, Tensor, Unknown
from shapecheck.ops.kinds import ADDS_AXIS, DROPS_AXIS, FEATURES_LAST, PRODUCT, UNIT
from shapecheck.source.program import Call


@dataclass(frozen=True, slots=True)
class Rows:
    """What has the examples along its first axis, in words, and the place that tells it."""

    text: str
    site: Site | None
    note: str


def rows_normalised(fact: Called, facts: Facts) -> Rows | None:
    """`F.normalize(x, dim=0)` of an x with one example in each row, that no later code sums over axis 0."""
    x, made = fact.args.get("input"), fact.result.made if isinstance(fact.result, Tensor) else None
    if not fact.kind & UNIT or fact.dim() != 0 or made is None or not unit(made):
        return None
    found = _of_model(x, made, facts) or _of_layer(x) or _of_name(x, facts)
    return None if found is None or summed_over(made, 0, facts) or _along(made, facts) else found


def _along(made: Made, facts: Facts) -> bool:
    """Does a product, of whatever rank, sum along that axis, as `a.T @ b` does?"""
    for fact in facts.of(Called):
        pair = sides(fact) if fact.kind & PRODUCT else None
        for found in map(length, pair or ()):
            if found is not None and found.along and found.made.site.node is made.site.node:
                return True
    return False


def _of_model(x: object, made: Made, facts: Facts) -> Rows | None:
    """What a model gives, handed to another one, of a module's own member, or taken for a matrix later."""
    key = x.key if isinstance(x, Unknown) else None
    if isinstance(x, Tensor) and x.made is None and isinstance(x.shape, Partial):
        key = x.shape.key
    if key is None:
        return None
    applied = next((f for f in facts.of(Applied) if isinstance(f.result, Unknown) and _part(key, f.result.key)), None)
    if applied is None or not isinstance(applied.site.node, Call) or not isinstance(applied.result, Unknown):
        return None
    whole = applied.result.key == key
    fed = next((f for f in facts.of(Applied) if any(isinstance(a, Tensor) and _from(a, made) for a in f.args)), None)
    text = f"what `{applied.name}` gives"
    if fed is not None and whole:
        return Rows(text, fed.site, f"given to `{fed.name}` here")
    shape = facts.later.get(key)
    if (whole and applied.member) or (shape is not None and _rank(Tensor(shape)) >= 2):
        return Rows(text, applied.site, "made here")
    return None


def _part(key: str, whole: str | None) -> bool:
    return whole is not None and (key == whole or key.startswith((whole + "[", whole + ".")))


def _from(tensor: Tensor, made: Made) -> bool:
    return base(tensor, STILL | ADDS_AXIS | DROPS_AXIS).made is made


def _of_layer(x: object) -> Rows | None:
    """What a layer gives has its features last."""
    if not isinstance(x, Tensor) or _rank(x) < 2:
        return None
    last = last_axis(x)
    made = base(x, STILL).made
    if projected(x) and made is not None:
        return Rows(f"what a {made.op} gives", made.site, "made here")
    if last is not None and last.origin is not None and last.origin.kind & FEATURES_LAST:
        return Rows("features of a layer", last.origin.site, "made here")
    return None


def _of_name(x: object, facts: Facts) -> Rows | None:
    """A first axis that its name, or that of the tensor, calls the batch."""
    if not isinstance(x, Tensor) or not isinstance(x.shape, tuple) or len(x.shape) < 2:
        return None
    first, *others = x.shape
    custom = first.role == "batch" and first.origin is not None and first.origin.assumption is not None
    if not (custom or is_batch(first, facts)) or all(axis.size == 1 for axis in others) or _counts_pairs(first, others):
        return None
    return Rows(facts.names().shape(x), first.origin.site if first.origin is not None else None, "named here")


def _counts_pairs(first: Axis, others: list[Axis]) -> bool:
    return any(axis.size == first.size for axis in others)


def _rank(x: Tensor) -> int:
    return x.shape.min_rank if isinstance(x.shape, Partial) else len(x.shape)


__all__ = ["Rows", "rows_normalised"]
