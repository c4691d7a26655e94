"""SC503: a mask that is the same along the axis of the softmax takes no place out of it."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.axes import STILL, is_implicit, place
from shapecheck.analysis.origin import blame, operands
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Axis, Made, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import ARITHMETIC, MASKS, SOFTMAX, UNARY

META = Rule(
    "SC503",
    "mask-without-effect",
    Severity.WARNING,
    "a mask has one value along the axis that the softmax runs over, so that it hides nothing from it",
)

SCALED = STILL | ARITHMETIC | UNARY


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    x = fact.args.get("input")
    if (
        not (fact.kind & SOFTMAX or fact.key == "logsumexp")
        or not isinstance(x, Tensor)
        or x.axes is None
        or is_implicit(fact)
    ):
        return
    dim = fact.dim()
    if dim is None or len(x.axes) < 2:
        return
    at = place(dim, len(x.axes))
    if not 0 <= at < len(x.axes) or isinstance(x.axes[at].size, int):
        return
    masks = list(_masks(x))
    if len(masks) != 1 or not _fills(masks[0][0]):  # a second mask may be the one that hides places
        return
    ((made, mask),) = masks
    axis = _along(mask, at - len(x.axes))
    if mask.axes is None or (axis is not None and axis.size != 1) or not _within_examples(mask, len(x.axes)):
        return
    names = facts.names()
    own, shown, scores = names.axis(x.axes[at]), names.shape(mask), names.shape(x)
    yield META.finding(
        blame(fact, [x], facts.path) if made.site.path != facts.path else made.site,
        f"this mask {shown} has one value along the {own} that the softmax of {scores} runs over: it fills whole rows, "
        f"and hides none of the {own} places from the others",
        notes=(Note(f"the softmax runs over {own} here", fact.site),),
        condition=when_one(own),
        help=f"give the mask the axis of the softmax: its {own} must stand at dim {at - len(x.axes)}, with size 1 "
        "where the rows are",
    )


def _masks(x: Tensor) -> Iterator[tuple[Made, Tensor]]:
    """The masks that went into these scores since they were computed, latest first."""
    for _ in range(50):
        made = x.made
        if made is None:
            return
        given = operands(made)
        if _fills(made):
            mask = made.args.get("condition", made.args.get("mask"))
            if not isinstance(mask, Tensor):
                return
            yield made, mask
            inner = made.args.get("input")
            if not isinstance(inner, Tensor) or inner.rank != x.rank:
                return
            x = inner
            continue
        if not made.kind & SCALED:
            return
        full = [t for t in given if t.rank is not None and t.rank > 0]
        if len(full) > 1 and made.kind & ARITHMETIC:
            for other in full[1:]:
                yield made, other  # a bias that masks by adding
        same = [t for t in full if t.rank == x.rank]
        if not same:
            return
        x = same[0]


def _fills(made: Made) -> bool:
    """Does the op put numbers where a mask says?"""
    return bool(made.kind & MASKS) or made.key == "where"


def _within_examples(mask: Tensor, rank: int) -> bool:
    """Does the mask tell places of one example apart? One that tells only examples apart leaves rows out on purpose."""
    axes = mask.axes or ()
    return any(axis.size != 1 for i, axis in enumerate(axes) if i + rank - len(axes) > 0)


def _along(tensor: Tensor, back: int) -> Axis | None:
    """The axis that stands `back` places from the right, None where the tensor is stretched over it."""
    axes = tensor.axes or ()
    return axes[back] if -back <= len(axes) else None
