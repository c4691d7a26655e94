"""SC306: labels that name each row's similarity with itself."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.origin import base, blame, operands
from shapecheck.analysis.targets import labelled, product_behind
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Affine, Made, Tensor
from shapecheck.findings.rule import Finding, Note, Rule, Severity
from shapecheck.ops.kinds import CHAINS, JOINS, LINEAR, STANDARDISES, UNARY

META = Rule(
    "SC306",
    "own-row-target",
    Severity.ERROR,
    "the label of each row is the column of the row itself, not that of its other view",
)

ROW_BY_ROW = LINEAR | CHAINS | STANDARDISES | UNARY


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    loss = labelled(fact)
    if loss is None or loss.content != Affine(0, 1):
        return
    product = product_behind(loss.scores)
    if product is None or product.made is None:
        return
    joined = _squared(product.made)
    if joined is None or joined.made is None:
        return
    names = facts.names()
    scores, rows = names.shape(loss.scores), names.axis(loss.rows)
    notes = [
        Note("the views are joined here", joined.made.site),
        Note(f"the product of the joined rows with themselves: {scores}", product.made.site),
    ]
    if loss.target.made is not None:
        notes.append(Note("the labels are made here", loss.target.made.site))
    yield META.finding(
        blame(fact, [loss.scores, loss.target], facts.path),
        f"the labels are 0, 1, ..., {rows} - 1, and column i of these scores {scores} is row i itself: every row is "
        "trained to be like itself, which it is, and its other view counts as a negative",
        notes=tuple(notes),
        help="name the other view, `torch.cat([torch.arange(n, 2 * n), torch.arange(n)])`, and mask the diagonal out",
    )


def _squared(made: Made) -> Tensor | None:
    """The tensor of joined views, where both operands of the product are that one tensor, or made of it row by row."""
    given = [base(t) for t in operands(made)]
    if len(given) != 2 or given[0].made is None or given[0].made is not given[1].made:
        return None
    tensor = given[0]
    for _ in range(20):
        history = tensor.made
        if history is None:
            return None
        parts = operands(history)
        if history.kind & JOINS:
            return tensor if (history.dim() == 0 or history.key == "vstack") and len(parts) > 1 else None
        if not history.kind & ROW_BY_ROW or not parts:
            return None
        tensor = base(parts[0])
    return None
