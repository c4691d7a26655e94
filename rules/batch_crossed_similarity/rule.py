"""SC101: a similarity of ranks r and r+1 leaves the batch axis in its result twice."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.dataflow import base, blame
from shapecheck.facts import Called, Contract, Facts
from shapecheck.labels import operand_labels
from shapecheck.program import walk
from shapecheck.rule import Finding, Note, Rule, Severity
from shapecheck.values import Axis, Site, Tensor

META = Rule(
    "SC101",
    "batch-crossed-similarity",
    Severity.ERROR,
    "a similarity of tensors of different rank puts the batch axis in its result twice",
)

PRODUCTS = {"matmul": ("input", "other"), "inner": ("input", "other")}
# what a result of all pairs is made for: its diagonal, or an einsum over it
TAKES_DIAGONAL = frozenset({"diagonal", "diag", "einsum"})


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    if fact.op not in PRODUCTS or not isinstance(fact.result, Tensor):
        return
    left, right = (fact.args.get(name) for name in PRODUCTS[fact.op])
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return
    crossed = crossed_axis(fact.op, left, right, fact.result)
    if crossed is None or _diagonal_taken(fact.result, facts):
        return
    flat, grouped = (left, right) if (left.rank or 0) < (right.rank or 0) else (right, left)
    site = blame(fact, [flat, grouped], facts.path)
    names = facts.names()
    batch = names.axis(crossed)
    low, high, result = (names.shape(base(flat)), names.shape(base(grouped)), names.shape(fact.result))
    wanted = [a for a in base(grouped).axes or () if a.size not in {x.size for x in base(flat).axes or ()}]
    meant = "[" + ", ".join([batch, *map(names.axis, wanted)]) + "]"
    notes = [
        Note(
            f"{low} and {high} differ in rank, so the product pairs every row of the first with every "
            f"{batch}-slice of the second",
            fact.site,
        ),
    ]
    made = base(grouped).made
    if made is not None:
        notes.append(Note(f"{high} is made here", made.site))
    comment = _comment_at(site, facts)
    yield META.finding(
        site,
        f"this similarity of {low} and {high} computes {result}: {batch} stands in it twice"
        + (f', where the comment says "{comment}"' if comment else ""),
        labels=operand_labels(site, [left, right], facts, names),
        notes=tuple(notes),
        condition=f"{batch} = 1",
        help=f"give the smaller one an axis of its own, `x.unsqueeze(1)` and `.squeeze(1)` on the result, or write "
        f"`torch.einsum`, to get {meant}",
        covers=("SC701", "SC105", "SC301"),
    )


def crossed_axis(op: str, left: Tensor, right: Tensor, result: Tensor) -> Axis | None:
    """The batch axis that both operands brought and neither gave up: leading in both, twice in the result."""
    if left.axes is None or right.axes is None or result.axes is None:
        return None
    low, high = sorted((left, right), key=lambda t: t.rank or 0)
    if low.rank is None or high.rank is None or low.rank < 2 or high.rank != low.rank + 1:
        return None
    assert low.axes is not None
    assert high.axes is not None
    batch = high.axes[0]
    rows = base(low).axes or ()
    if not rows or rows[0].size != batch.size or batch.size == 1:
        return None
    if isinstance(batch.size, int):
        return None
    count = sum(a.size == batch.size for a in result.axes)
    return batch if count >= 2 and result.axes[0].size == batch.size else None


def _diagonal_taken(result: Tensor, facts: Facts) -> bool:
    return any(
        f.op in TAKES_DIAGONAL and any(isinstance(v, Tensor) and v.made is result.made for v in f.args.values())
        for f in facts.of(Called)
    )


def _comment_at(site: Site, facts: Facts) -> str:
    for f in facts.of(Contract):
        if f.declared.source == "comment" and f.verdict.never and f.axis is None and _stands_in(site, f.declared.site):
            return f.declared.text
    return ""


def _stands_in(site: Site, statement: Site) -> bool:
    return statement.path == site.path and any(n is site.node for n in walk(statement.node))
