"""Similarities of rows: which call made them, what it compares, and whether a loss is made of their difference."""

from __future__ import annotations

from shapecheck.analysis.crossing import (
    uses,
)
from shapecheck.analysis.origin import IN_PLACE_ORDER, base, call_of, operands
from shapecheck.dims import compare
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Items, Lit, Num, Site, SliceVal, Tensor
from shapecheck.ops.kinds import (
    AVERAGES,
    ELEMENTWISE_LOSS,
    POSITIVE,
    SUMS,
)
from shapecheck.source.program import Attr, Call, Expr, Name, Op


def before_axis(tensor: Tensor) -> tuple[Tensor, str] | None:
    """`s[:, None]`: s and how the axis was added."""
    made = base(tensor, IN_PLACE_ORDER).made
    inner = next(iter(operands(made)), None) if made is not None else None
    if made is None or inner is None:
        return None
    match made.key, made.args.get("dim"), made.args.get("index"):
        case "unsqueeze", Num(size=1), _:
            return inner, "[:, None]"
        case "unsqueeze", Num(size=0), _:
            return inner, "[None, :]"
        case "getitem", _, Items(items=(SliceVal(), Lit(None))):
            return inner, "[:, None]"
        case "getitem", _, Items(items=(Lit(None),)) | Items(items=(Lit(None), SliceVal())):
            return inner, "[None, :]"
    return None


def written_pair(fact: Called, facts: Facts) -> tuple[Expr, Expr] | None:
    """What the call compares, as the code of this file writes it: `sim(a, p)` has a and p."""
    match here(fact, facts).node:
        case Call(args=(one, other, *_)) if not any(a.star for a in (one, other)):
            return one.value, other.value
        case Call(func=Attr(value=left), args=(one,)) if not one.star:
            return left, one.value
        case Op(op="@", operands=(left, right)):
            return left, right
    return None


def one_of_each(scores: Tensor) -> bool:
    """Can there be as many partners as anchors, as far as the sizes tell?"""
    return scores.axes is not None and len(scores.axes) == 2 and not compare(*(a.size for a in scores.axes)).never


def is_loss(margin: Tensor, facts: Facts) -> bool:
    """Does the margin go into a hinge that is averaged, or into an elementwise loss whose other side tells nothing?"""
    for fact, _ in uses(margin, facts):
        if fact.kind & ELEMENTWISE_LOSS:
            target = fact.args.get("target")
            return not isinstance(target, Tensor) or target.rank is None
        if fact.kind & POSITIVE and isinstance(fact.result, Tensor):
            return any(f.kind & (AVERAGES | SUMS) for f, _ in uses(fact.result, facts))
    return False


def made_by(tensor: Tensor, kind: int, facts: Facts) -> Called | None:
    made = base(tensor, IN_PLACE_ORDER).made
    if made is None or not made.kind & kind:
        return None
    return call_of(made, facts)


def here(fact: Called, facts: Facts) -> Site:
    """The call itself, or the call in this file that led to it."""
    outer = (frame.site for frame in reversed(fact.stack))
    return next((s for s in (fact.site, *outer) if s.path == facts.path), fact.site)


def spoken(fact: Called) -> str:
    """The name as the code has it: `F.cosine_similarity`, `cos_sim`."""
    match fact.site.node:
        case Call(func=Attr(name=name)) | Call(func=Name(id=name)):
            return name
        case _:
            return fact.op


__all__ = ["before_axis", "here", "is_loss", "made_by", "one_of_each", "spoken", "written_pair"]
