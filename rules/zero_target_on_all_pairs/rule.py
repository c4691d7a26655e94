"""SC301: zeros as labels of a matrix of all pairs make column 0 the positive of every row."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.origin import blame
from shapecheck.analysis.targets import labelled, multiple, product_behind
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Affine, Joined
from shapecheck.findings.rule import Finding, Note, Rule, Severity

META = Rule(
    "SC301",
    "zero-target-on-all-pairs",
    Severity.ERROR,
    "zeros as labels of a matrix of all pairs make column 0 the positive of every row",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    loss = labelled(fact)
    if loss is None or loss.content != Affine(0, 0):
        return
    product = product_behind(loss.scores)
    rows, columns = loss.rows.size, loss.columns.size
    if product is None or product.made is None or isinstance(rows, int) or isinstance(loss.columns.layout, Joined):
        return
    group = multiple(columns, rows)
    if group is None:
        return
    names = facts.names()
    b, g = names.size(rows), names.size(group)
    stride = "" if group == 1 else f" * {g}"
    notes = [Note(f"the scores {names.shape(loss.scores)} of all pairs are made here", product.made.site)]
    if loss.target.made is not None:
        notes.append(Note("the labels are all 0", loss.target.made.site))
    yield META.finding(
        blame(fact, [loss.scores, loss.target], facts.path),
        f"the labels are zeros, but these scores {names.shape(loss.scores)} pair every row with all "
        f"{names.size(columns)} columns of the batch: column 0 belongs to row 0, and every other row is trained "
        f"towards it",
        notes=tuple(notes),
        condition=f"{b} = 1",
        help=f"label row i with its own column, `torch.arange({b}){stride}`, or score each row "
        f"against its own group only",
    )
