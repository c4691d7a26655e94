"""SC401: a dim left to torch, which picks another axis at another rank."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.axes import is_implicit
from shapecheck.analysis.batch import uses
from shapecheck.analysis.features import (
    features_last,
    known_later,
    last_axis,
    more_than_two,
    of_any_rank,
    projected,
    rows_of,
    subject,
)
from shapecheck.analysis.origin import ancestors, base, same
from shapecheck.analysis.rewriting import with_argument
from shapecheck.analysis.single import COMPARING, alone, outcome
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Tensor
from shapecheck.findings.rule import Finding, Fix, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import CHAINS, EQUALS, EXTREMES, FEATURES_LAST, PICKS, SOFTMAX, SUMS, UNIT
from shapecheck.source.program import Call

META = Rule(
    "SC401",
    "implicit-dim",
    Severity.WARNING,
    "a dim that is left out, or written for another rank, runs over another axis than the one that is meant",
)


# ------------------------------------------------------------- softmax without dim


@META.on(Called)
def check_softmax(fact: Called, facts: Facts) -> Iterator[Finding]:
    x = subject(fact, facts, SOFTMAX)
    if x is None:
        return
    names = facts.names()
    if not is_implicit(fact):
        return
    last = last_axis(x)
    one = last is not None and last.size == 1
    if x.rank == 3 and x.axes is not None:
        yield META.finding(
            fact.site,
            f"without a dim, torch runs this softmax of {names.shape(x)} over axis 0: the weights of "
            f"{names.axis(x.axes[0])} rows compete with each other",
            help=f"say which axis sums to 1: `dim={-2 if one else -1}`",
            fix=_with_dim(fact, -2 if one else -1),
        )
    elif x.rank is None and one:
        yield META.finding(
            fact.site,
            "without a dim, torch runs this softmax over the last axis of [N, 1], which gives ones, and over the "
            "batch of [B, N, 1]",
            notes=(Note(f"the operand is {names.shape(x)}", fact.site),),
            condition="the operand has rank 4",
            help="say which axis sums to 1: `dim=-2`",
            fix=_with_dim(fact, -2),
        )


@META.on(Called)
def check_single(fact: Called, facts: Facts) -> Iterator[Finding]:
    """A softmax, an argmax, a cross-entropy over the one output of a layer does not depend on the scores."""
    x = alone(fact, facts) if fact.kind & COMPARING and fact.site.path == facts.path else None
    if x is None:
        return
    what, gives = outcome(fact)
    yield META.finding(
        fact.site,
        f"this {what} of {facts.names().shape(x)} runs over an axis of size 1: {gives}, whatever the scores are",
        Severity.ERROR if x.made is not None and x.made.kind & (CHAINS | FEATURES_LAST) else None,
        notes=(Note("the axis of size 1 is made here", x.made.site),) if x.made is not None else (),
        help="give the axis along which the scores compete",
    )


# ------------------------------------------------------------- normalize, cosine_similarity


@META.on(Called)
def check_normalize(fact: Called, facts: Facts) -> Iterator[Finding]:
    x = subject(fact, facts, UNIT)
    if x is None or "dim" in fact.given:
        return
    names = facts.names()
    if x.axes is not None and len(x.axes) >= 3 and features_last(x, facts):
        yield META.finding(
            fact.site,
            f"normalize runs over axis 1 by default: over the {names.axis(x.axes[1])} axis of {names.shape(x)}, not "
            f"over the {names.axis(x.axes[-1])} features",
            help="write `dim=-1`",
            fix=_with_dim(fact, -1),
        )
    elif x.axes is None and projected(x) and of_any_rank(x, facts) and not known_later(fact, facts):
        yield META.finding(
            fact.site,
            "normalize runs over axis 1 by default, but the features that the layer before it makes are the last axis",
            notes=(Note("the features are made here", x.made.site),) if x.made is not None else (),
            condition="the operand has rank 2",
            help="write `dim=-1`, which is right for every rank",
            fix=_with_dim(fact, -1),
        )


@META.on(Called)
def check_cosine(fact: Called, facts: Facts) -> Iterator[Finding]:
    if fact.key != "cosine_similarity" or fact.site.path != facts.path:
        return
    dim = fact.dim()
    left, right = fact.tensor("input"), fact.tensor("other")
    if dim != 1 or "dim" in fact.given or left is None or right is None:
        return
    if left.axes is None or right.axes is None or max(len(left.axes), len(right.axes)) < 3:
        return
    names = facts.names()
    wide = left if len(left.axes) >= len(right.axes) else right
    axis = (wide.axes or ())[1]
    seconds = {axes[1].size for axes in (left.axes, right.axes) if len(axes) > 2}
    stretched = len(seconds) == 2 and 1 in seconds
    if not (stretched or features_last(left, facts) or features_last(right, facts)):
        return
    yield META.finding(
        fact.site,
        f"the cosine runs over axis 1 by default: of {names.shape(left)} and {names.shape(right)} it compares along "
        f"{names.axis(axis)}, not along the {names.axis(left.axes[-1])} features",
        help="write `dim=-1`",
        fix=_with_dim(fact, -1),
    )


# ------------------------------------------------------------- dims of two calls


@META.on(Called)
def check_agreement(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`x.max(dim=1)` names the classes, `softmax(x, dim=-1)` another axis unless x has two."""
    x = subject(fact, facts, SOFTMAX)
    if x is None or is_implicit(fact):
        return
    dim = fact.dim()
    if dim is None or not more_than_two(fact, x, facts):
        return
    for other in facts.of(Called):
        if (
            not other.kind & (EXTREMES | PICKS)
            or other.activation != fact.activation
            or not same(other.args.get("input"), x)
        ):
            continue
        picked = other.dim()
        if picked is None or "dim" not in other.given or (picked < 0) == (dim < 0) or picked - dim == (x.rank or 0):
            continue
        rank = picked - dim if picked >= 0 else dim - picked
        names = facts.names()
        yield META.finding(
            fact.site,
            f"the classes are axis {picked} where {other.op} picks them, but this softmax runs over axis {dim}",
            notes=(Note(f"{other.op} runs over axis {picked} of the same tensor", other.site),),
            condition=f"the tensor {names.shape(x)} has rank {rank}",
            help=f"use `dim={picked}` in both",
            fix=_with_dim(fact, picked),
        )
        return


# ------------------------------------------------------------- argmax without dim


@META.on(Called)
def check_argmax(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`(logits.argmax() == labels)`: one index into the flat scores, compared with a label for each row."""
    if fact.key != "argmax" or fact.given & {"dim"} or fact.site.path != facts.path:
        return
    x = fact.args.get("input")
    if not isinstance(x, Tensor) or x.axes is None or len(x.axes) < 2 or not isinstance(fact.result, Tensor):
        return
    for use, _ in uses(facts, fact.result):
        if not use.kind & EQUALS:
            continue
        for other in use.args.values():
            if isinstance(other, Tensor) and other.axes and other.axes[0].size == x.axes[0].size:
                names = facts.names()
                yield META.finding(
                    fact.site,
                    f"argmax without a dim is one index into all of {names.shape(x)}, but it is compared with "
                    f"{names.axis(x.axes[0])} labels",
                    notes=(Note("compared here", use.site),),
                    condition=when_one(names.axis(x.axes[0])),
                    help="write `argmax(dim=-1)`",
                    fix=_with_dim(fact, -1),
                )
                return


# ------------------------------------------------------------- the count of a mean, over everything


@META.on(Called)
def check_mean(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`(hidden * mask).sum(1) / mask.sum()`: each row is divided by the tokens of the whole batch."""
    if fact.key != "div" or fact.site.path != facts.path:
        return
    sides = fact.args.get("input"), fact.args.get("other")
    total, count = (base(v) if isinstance(v, Tensor) else None for v in sides)
    if total is None or count is None or total.made is None or count.made is None:
        return
    if not total.made.kind & count.made.kind & SUMS or count.rank != 0 or count.made.args.get("dim") is not None:
        return
    mask, dim = count.made.args.get("input"), total.made.dim()
    product = total.made.args["input"]
    if not dim or not isinstance(mask, Tensor) or not isinstance(product, Tensor) or product.made is None:
        return
    if count.made.site.path != facts.path or not any(same(t, base(mask)) for t in ancestors(product, 12)):
        return
    front = rows_of(mask, product)
    if front is None:
        return
    names = facts.names()
    shown, rows = names.shape(mask), names.axis(front)
    yield META.finding(
        count.made.site,
        f"this sum without a dim counts all of {shown}, but the numbers that it divides are sums over axis {dim} "
        f"alone: each of the {rows} means is taken over the tokens of all {rows}",
        notes=(Note("divided here", fact.site), Note(f"summed over axis {dim} here", total.made.site)),
        condition=when_one(rows),
        help=f"count each row for itself: `.sum({dim})`",
    )


# ------------------------------------------------------------- helpers


def _with_dim(fact: Called, dim: int) -> Fix | None:
    """The call with `dim=` at its end; only where the call itself is at hand, not a layer made elsewhere."""
    node = fact.site.node
    if not isinstance(node, Call) or fact.args.get("self") is not None or any(a.star for a in node.args):
        return None
    return Fix(f"write dim={dim}", (with_argument(fact.site, f"dim={dim}", instead_of=("dim", "axis")),))
