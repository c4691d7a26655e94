"""SC502: a mask whose offsets or counts fit another matrix than the one it is made for."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.axes import STILL
from shapecheck.analysis.origin import ancestors, base
from shapecheck.dims import Size, compare, symbol, symbols
from shapecheck.engine.facts import Called, Facts, Stored
from shapecheck.engine.values import Items, Num, Tensor, Unknown
from shapecheck.findings.rule import Finding, Note, Rule, Severity
from shapecheck.ops.kinds import CREATES, EQUALS, INDEXES, RANDOM

META = Rule(
    "SC502",
    "mask-size-algebra",
    Severity.ERROR,
    "a mask is built for another size than the matrix, or leaves rows of different length",
)


@META.on(Stored)
def check_pairs(fact: Stored, facts: Facts) -> Iterator[Finding]:
    """`mask[i, k + i] = 0` for i in range(n) on [2n, 2n]: the partner of row i is n + i, so k must be n."""
    axes = fact.tensor.axes
    if axes is None or len(axes) != 2 or len(fact.items) != 2 or axes[0].size != axes[1].size:
        return
    if fact.site.path != facts.path:
        return
    row, column = fact.items
    offset = _offset(row, column)
    if offset is None:
        return
    key, k = offset
    first, count = facts.counters.get(key, (None, None))
    if first != 0 or count is None or k == 0:
        return
    halves, shifted = compare(axes[0].size, 2 * count), compare(k, count)
    if not halves.always or not shifted.sometimes:
        return
    names = facts.names()
    size, n, by = names.size(axes[0].size), names.size(count), names.size(k)
    yield META.finding(
        fact.site,
        f"of {size} rows, two halves of {n}, row i is paired with row {by} + i, but its partner is row {n} + i",
        condition=shifted.when(names.symbol),
        help=f"pair row i with row {n} + i, the offset by which the halves lie apart",
    )


def _offset(row: object, column: object) -> tuple[str, Size] | None:
    """The counter i and the k of an entry (i, k + i)."""
    if isinstance(row, Unknown) and row.key is not None and isinstance(column, Num):
        k = column.size - symbol("$" + row.key)
        if "$" + row.key not in symbols(k):
            return row.key, k
    return None


@META.on(Called)
def check_rows(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`sim[labels == labels.T].view(n, -1)`: rows of one length only if every label occurs equally often."""
    if fact.key != "view" or fact.site.path != facts.path:
        return
    x, wanted = fact.args.get("input"), fact.args.get("shape")
    if not isinstance(x, Tensor) or not isinstance(wanted, tuple):
        return
    x = base(x, STILL)
    if x.made is None:
        return
    if not x.made.kind & INDEXES or len(wanted) != 2 or wanted[1] != Num(-1):
        return
    mask = x.made.arg("index")
    if isinstance(mask, Items) and len(mask.items) == 1:
        mask = mask.items[0]
    if not isinstance(mask, Tensor) or mask.dtype != "bool" or mask.rank not in (2, None):
        return
    equal = next((t for t in ancestors(mask) if t.made is not None and t.made.kind & EQUALS), None)
    if equal is None or equal.made is None or not _of_data(equal):
        return
    yield META.finding(
        fact.site,
        "how many entries the mask keeps in a row depends on the labels: the rows of this view are of one length only "
        "by chance",
        Severity.INFO,
        notes=(Note("the mask compares labels here", equal.made.site),),
        condition="every label occurs equally often in every batch",
        help="keep the matrix and `masked_fill` the entries that don't count",
    )


def _of_data(equal: Tensor) -> bool:
    """Both sides of the comparison come from a value that the code did not make itself."""
    assert equal.made is not None
    sides = [v for v in equal.made.args.values() if isinstance(v, Tensor)]
    if len(sides) != 2:
        return False
    return all(
        all(t.made is None or not t.made.kind & CREATES or t.made.kind & RANDOM for t in ancestors(side))
        for side in sides
    )
