"""SC402: numbers of one example are normalised over the batch."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.axes import back, is_implicit, normal_dim, place
from shapecheck.analysis.candidates import examples_first, weighs_rows
from shapecheck.analysis.classes import beside_shares, elsewhere, logarithm_of
from shapecheck.analysis.embeddings import rows_normalised
from shapecheck.analysis.origin import operands, same
from shapecheck.analysis.roles import counts_with, is_batch, is_features
from shapecheck.analysis.summed import summed, summed_over, unit, used_otherwise
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Axis, Partial, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import LOGARITHMIC, MATMUL, SOFTMAX, SUMS

META = Rule(
    "SC402",
    "batch-axis-reduced",
    Severity.WARNING,
    "a softmax or norm runs over the batch where it should run within each example",
)


@META.on(Called)
def check_likelihood(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`nll_loss(log_softmax(x, dim=0), y)`: the loss reads classes from axis 1."""
    if fact.key != "nll_loss" or fact.site.path != facts.path:
        return
    scores, target = fact.args.get("input"), fact.args.get("target")
    if not isinstance(scores, Tensor):
        return
    told = target.shape if isinstance(target, Tensor) else Partial()
    rank = scores.rank or (None if isinstance(told, Partial) else len(told) + 1)
    if (rank is None and isinstance(told, Partial) and not told.min_rank) or (rank is not None and rank < 2):
        return
    found = back(scores, 1, rank)
    made = found.tensor.made if found is not None else None
    if found is None or made is None or not made.kind & LOGARITHMIC or made.site.path != facts.path:
        return
    dim = made.dim()
    if dim is None or (dim < 0 and found.rank is None) or place(dim, found.rank or 2) == found.axis:
        return
    names = facts.names()
    yield META.finding(
        made.site,
        f"this log_softmax runs over axis {dim} of {names.shape(found.tensor)}, "
        "but the loss takes axis 1 for the classes",
        Severity.ERROR,
        notes=(Note("the loss reads the classes from axis 1 here", fact.site),),
        help=f"use `dim={found.axis}`",
    )


@META.on(Called)
def check_contracted(fact: Called, facts: Facts) -> Iterator[Finding]:
    """The axis that a product or a weighted sum runs over is the one that must have been normalised."""
    if fact.site.path != facts.path:
        return
    for operand, axis, rank in summed(fact):
        found = back(operand, axis, rank)
        if found is None:
            continue
        result = found.tensor
        made = result.made
        dim = normal_dim(result)
        if made is None or dim is None or (dim < 0 and found.rank is None):
            continue
        at = place(dim, found.rank or 0)
        # `attn.softmax(dim=1) @ v` of [B, H, S, S]: a product keeps the axes in front of its last two apart
        beside = bool(fact.kind & MATMUL and made.kind & SOFTMAX) and found.rank is not None and at < found.rank - 2
        beside = beside or (_cosine(fact) and is_features(_at(result, found.axis), facts))
        beside = beside or is_batch(_at(result, at), facts)
        if at == found.axis or (at != 0 and not beside) or made.site.path != facts.path:
            continue
        if found.rank is not None and found.rank < 2:
            continue
        if summed_over(made, at, facts):  # the norm is meant for that sum
            continue
        names = facts.names()
        apart, own = _shown(result, at, names), _shown(result, found.axis, names)
        what = "softmax" if made.kind & SOFTMAX else "norm"
        over = (
            f"axis {at}, across {apart} examples"
            if at == 0 or is_batch(_at(result, at), facts)
            else f"axis {at}, across the {apart} that the product keeps apart"
        )
        yield META.finding(
            made.site,
            f"this {what} of {names.shape(result)} runs over {over}, but the sum that follows runs over {own}",
            notes=(Note(f"summed over {own} here", fact.site),),
            help=f"use `dim={found.axis if found.rank is None else found.axis - found.rank}`",
        )
        return


@META.on(Called)
def check_dot(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`(normalize(a, dim=-1) * normalize(b, dim=-1)).sum(0)`: a cosine sums along the axis of the norms."""
    if fact.site.path != facts.path or not fact.kind & SUMS:
        return
    terms = summed(fact)
    ways = [back(operand, axis, rank) for operand, axis, rank in terms]
    if len(ways) != 2 or any(w is None or w.rank is None or w.tensor.made is None for w in ways):
        return
    units = [(w.tensor, w.axis, normal_dim(w.tensor), w.rank) for w in ways if w is not None and w.rank is not None]
    if any(dim is None or t.made is None or not unit(t.made) or at == place(dim, rank) for t, at, dim, rank in units):
        return
    names = facts.names()
    result, axis, dim, rank = units[0]
    own, apart = _shown(result, place(dim or 0, rank), names), _shown(result, axis, names)
    yield META.finding(
        fact.site,
        f"this sum runs over {apart}, but both vectors that are multiplied were brought to length 1 along {own}: "
        "what comes out is the cosine of no two of them",
        notes=tuple(
            Note(f"brought to length 1 along {own} here", t.made.site) for t, *_ in units if t.made is not None
        ),
        condition=when_one(apart) if axis < len(result.axes or ()) else "",
        help=f"sum over the axis of the norm, `dim={(dim or 0) if (dim or 0) < 0 else (dim or 0) - rank}`",
    )


def _cosine(fact: Called) -> bool:
    """Two operands that were both brought to length 1: the vectors that are multiplied are meant."""
    if not fact.kind & MATMUL:
        return False
    found = [back(operand, axis, rank) for operand, axis, rank in summed(fact)]
    return len(found) == 2 and all(f is not None and f.tensor.made is not None and unit(f.tensor.made) for f in found)


def _at(tensor: Tensor, axis: int) -> Axis:
    """The axis; one of no known size where there is none: the code reads past what its tensor has."""
    axes = tensor.axes or ()
    return axes[axis] if -len(axes) <= axis < len(axes) else Axis(1)


def _shown(tensor: Tensor, axis: int, names: Names) -> str:
    """The name of an axis; its number where the rank is not known."""
    shape = tensor.shape if isinstance(tensor.shape, tuple) else tensor.shape.head
    if axis < len(shape):
        return names.axis(shape[axis])
    return "the" if axis == 0 else f"axis {axis}"


@META.on(Called)
def check_named(fact: Called, facts: Facts) -> Iterator[Finding]:
    """A softmax over an axis that the author calls the batch, where no other axis counts with it."""
    x = fact.args.get("input")
    if not fact.kind & SOFTMAX or fact.site.path != facts.path or not isinstance(x, Tensor) or x.axes is None:
        return
    dim = fact.dim()
    if dim is None or is_implicit(fact) or len(x.axes) < 2 or place(dim, len(x.axes)) != 0:
        return
    first, *others = x.axes
    if not is_batch(first, facts) or first.size == 1 or any(counts_with(axis, first) for axis in others):
        return
    if all(axis.size == 1 for axis in others) or not isinstance(fact.result, Tensor):
        return
    if used_otherwise(fact.result, facts):
        return
    names = facts.names()
    batch, shown = names.axis(first), names.shape(x)
    yield META.finding(
        fact.site,
        f"this softmax of {shown} runs over axis 0: the numbers of one example are made to sum to 1 with those of the "
        f"other {batch} examples",
        notes=(Note(f"{batch} is named here", first.origin.site),) if first.origin and first.origin.site else (),
        condition=when_one(batch),
        help="use `dim=-1`",
    )


@META.on(Called)
def check_cross_entropy(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`-(log_softmax(x, dim=1) * wanted).sum(-1)`: a cross-entropy sums over the classes, which sum to 1."""
    product, over = fact.args.get("input"), fact.dim()
    if not fact.kind & SUMS or over is None or not isinstance(product, Tensor) or fact.site.path != facts.path:
        return
    if product.made is None or product.made.key != "mul":
        return
    given = operands(product.made)
    for scores in given:
        made = scores.made
        entropy = made is not None and any(logarithm_of(t, scores) for t in given)
        if made is None or not (made.kind & LOGARITHMIC or entropy) or made.site.path != facts.path:
            continue
        dim = made.dim()
        least = scores.shape.min_rank if isinstance(scores.shape, Partial) else len(scores.shape)
        known = scores.rank is not None and product.rank == scores.rank
        if dim is None or dim < 0 or made.args.get("dim") is None:
            continue
        apart = place(over, least) != dim if known or over >= 0 else dim < least - 1 and over == -1
        if apart:
            names = facts.names()
            yield META.finding(
                made.site,
                f"this {made.op} of {names.shape(scores)} runs over axis {dim}, but the sum that makes "
                f"{'an entropy' if entropy else 'a cross-entropy'} of it runs over axis {over}",
                notes=(Note("summed here", fact.site),),
                help=f"use `dim={over}`",
            )
            return


@META.on(Called)
def check_classes(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`softmax(scores, 0)` of scores whose classes a cross-entropy, a one_hot or a max finds along another axis."""
    if fact.site.path != facts.path:
        return
    told, made = elsewhere(fact, facts), fact.result.made if isinstance(fact.result, Tensor) else None
    dim, x = fact.dim(), fact.args.get("input")
    if told is None or dim is None or made is None or not isinstance(fact.result, Tensor):
        return
    if not made.kind & LOGARITHMIC and (summed_over(made, dim, facts) or weighs_rows(fact.result, facts)):
        return
    names = facts.names()
    shown = f" of {names.shape(x)}" if isinstance(x, Tensor) and x.rank is not None else ""
    yield META.finding(
        fact.site,
        f"this {fact.op}{shown} runs over axis {dim}, but the classes of these scores lie along another axis: "
        f"{told.text}",
        notes=(Note(told.text, told.site),),
        help="let the scores of one example compete: the softmax runs over the axis of the classes",
    )


@META.on(Called)
def check_candidates(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`softmax(x @ centres.t(), dim=0)`: the examples of a batch compete for each of the model's own candidates."""
    x, result = fact.tensor("input"), fact.result
    if not fact.kind & SOFTMAX or fact.site.path != facts.path or fact.dim() != 0 or is_implicit(fact):
        return
    if x is None or not isinstance(result, Tensor) or not examples_first(x, facts) or weighs_rows(result, facts):
        return
    twins = [f for f in facts.of(Called) if f.kind & SOFTMAX and f.site.node is not fact.site.node]
    if any(same(twin.args.get("input"), x) for twin in twins):  # both ways
        return
    yield META.finding(
        fact.site,
        f"this {fact.op} of {facts.names().shape(x)} runs over axis 0, the examples of the batch: for each of the "
        "candidates that the model keeps they compete with each other, and none is shared out among the candidates",
        notes=(Note("examples meet candidates here", x.made.site),) if x.made is not None else (),
        condition="each candidate is to be shared out among the examples",
        help="use `dim=1`",
    )


@META.on(Called)
def check_soft_targets(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`kl_div(log_softmax(s, dim=0), softmax(t, dim=1))`: both have to be shares of the same whole."""
    found = beside_shares(fact, facts) if fact.site.path == facts.path else None
    if found is None:
        return
    wrong, right, dim, other = found
    made, twin = wrong.made, right.made
    if made is None or twin is None or made.site.path != facts.path:
        return
    yield META.finding(
        made.site,
        f"this {made.op} runs over axis {dim}, but the {twin.op} that it meets runs over axis {other}: they are shares "
        "of different wholes",
        notes=(Note(f"{twin.op} over axis {other} here", twin.site), Note("they meet here", fact.site)),
        help=f"use one axis in both: `dim={other}`",
    )


@META.on(Called)
def check_embeddings(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`F.normalize(model(x), dim=0)` that no later code sums over axis 0: what a model gives has the batch there."""
    found = rows_normalised(fact, facts) if fact.site.path == facts.path else None
    if found is None:
        return
    yield META.finding(
        fact.site,
        f"this norm runs over axis 0 of {found.text}, across the examples: no embedding is of length 1",
        notes=(Note(found.note, found.site),) if found.site is not None else (),
        condition="one embedding is given, not a batch",
        help="use `dim=-1`",
    )


@META.on(Called)
def check_cosine(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`cosine_similarity(a, b, dim=0)` of `[batch, features]` compares the columns, one example against all others."""
    x = fact.tensor("input")
    if fact.key != "cosine_similarity" or fact.site.path != facts.path:
        return
    if x is None or x.axes is None or len(x.axes) < 2:
        return
    dim = fact.dim()
    if dim is None or place(dim, len(x.axes)) != 0 or not is_batch(x.axes[0], facts):
        return
    if not is_features(x.axes[-1], facts):
        return
    names = facts.names()
    yield META.finding(
        fact.site,
        f"this cosine of {names.shape(x)} runs over axis 0: it compares {names.axis(x.axes[-1])} columns across the "
        f"{names.axis(x.axes[0])} examples, and no two examples",
        condition=when_one(names.axis(x.axes[0])),
        help="use `dim=-1`",
    )
