"""SC203: two matrices of pairs meet, and the rows of one are the columns of the other."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.facts import Broadcasted, Facts
from shapecheck.pairs import exchanged, names_of, pairs_of
from shapecheck.rule import Finding, Note, Rule, Severity

META = Rule(
    "SC203",
    "einsum-axes-disagree",
    Severity.WARNING,
    "two matrices of pairs meet, and the rows of one are the columns of the other",
)


@META.on(Broadcasted)
def check(fact: Broadcasted, facts: Facts) -> Iterator[Finding]:
    matrices = [t for t in fact.operands if t.rank is not None and t.rank >= 2]
    if len(matrices) != 2:
        return
    names = facts.once(names_of)
    one, two = (pairs_of(t, names) for t in matrices)
    if one is None or two is None or not exchanged(one, two):
        return
    first, second = sorted((one, two), key=lambda p: _order(p.made.site.node, facts))
    yield META.finding(
        first.made.site,
        f"this pairs {first.rows} (rows) with {first.columns} (columns), but it meets a matrix that has {second.rows} "
        f"along its rows and {second.columns} along its columns: one of them is transposed",
        notes=(
            Note(f"{second.rows} stands along the rows here", second.made.site),
            Note("they meet here, element by element", fact.site),
        ),
        condition="both sides hold the same rows, so that the matrix is symmetric",
        help="exchange `[:, None]` and `[None, :]` of the two operands, or transpose one of the matrices",
    )


def _order(node: object, facts: Facts) -> int:
    for i, fact in enumerate(facts.items):
        if fact.site.node is node:
            return i
    return len(facts.items)
