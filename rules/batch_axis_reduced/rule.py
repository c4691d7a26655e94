"""SC402: numbers of one example are normalised over the batch."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.axes import back, dim_of, place
from shapecheck.facts import Called, Facts
from shapecheck.rule import Finding, Note, Rule, Severity
from shapecheck.values import Num, Tensor

META = Rule(
    "SC402",
    "batch-axis-reduced",
    Severity.WARNING,
    "a softmax or norm runs over the batch where it should run within each example",
)

LIKELIHOOD = frozenset({"nll_loss", "NLLLoss", "kl_div", "KLDivLoss"})


@META.on(Called)
def check_likelihood(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`nll_loss(log_softmax(x, dim=0), y)`: the loss reads classes from axis 1."""
    if fact.op not in ("nll_loss", "NLLLoss") or fact.site.path != facts.path:
        return
    scores, target = fact.args.get("input"), fact.args.get("target")
    if not isinstance(scores, Tensor) or scores.made is None or scores.made.op not in ("log_softmax", "LogSoftmax"):
        return
    dim = dim_of(scores.made.args)
    rank = scores.rank or (target.rank + 1 if isinstance(target, Tensor) and target.rank else None)
    if dim is None or rank is None or rank < 2 or place(dim, rank) == 1:
        return
    names = facts.names()
    yield META.finding(
        scores.made.site,
        f"this log_softmax runs over axis {dim} of {names.shape(scores)}, but the loss takes axis 1 for the classes",
        Severity.ERROR,
        notes=(Note("the loss reads the classes from axis 1 here", fact.site),),
        help="use `dim=1`",
    )


@META.on(Called)
def check_contracted(fact: Called, facts: Facts) -> Iterator[Finding]:
    """The axis that a product or a weighted sum runs over is the one that must have been normalised."""
    if fact.site.path != facts.path:
        return
    for operand, axis in _summed(fact):
        found = back(operand, axis)
        if found is None:
            continue
        result, place_ = found
        made = result.made
        dim = dim_of(made.args) if made is not None else None
        if made is None or dim is None or result.rank is None or result.axes is None:
            continue
        at = place(dim, result.rank)
        if at == place_ or at != 0 or result.rank < 2 or made.site.path != facts.path:
            continue
        names = facts.names()
        batch, own = names.axis(result.axes[0]), names.axis(result.axes[place_])
        what = "norm" if made.op == "normalize" else "softmax"
        yield META.finding(
            made.site,
            f"this {what} of {names.shape(result)} runs over axis 0, across {batch} examples, but the sum "
            f"that follows runs over {own}",
            notes=(Note(f"summed over {own} here", fact.site),),
            help=f"use `dim={place_ - result.rank}`",
        )
        return


def _summed(fact: Called) -> list[tuple[Tensor, int]]:
    """The operands of a sum of products, each with the axis that is summed over."""
    if fact.op in ("matmul", "bmm", "mm"):
        left, right = fact.args.get("input"), fact.args.get("other", fact.args.get("mat2"))
        if isinstance(left, Tensor) and isinstance(right, Tensor) and left.rank and right.rank:
            return [(left, left.rank - 1), (right, max(right.rank - 2, 0))]
    if fact.op == "sum":
        product, dim = fact.args.get("input"), fact.args.get("dim")
        if not isinstance(product, Tensor) or product.made is None or product.made.op != "mul" or product.rank is None:
            return []
        at = dim.size if isinstance(dim, Num) else None
        if not isinstance(at, int):
            return []
        at = place(at, product.rank)
        given = [v for v in product.made.args.values() if isinstance(v, Tensor)]
        return [(t, at - (product.rank - t.rank)) for t in given if t.rank]
    return []
