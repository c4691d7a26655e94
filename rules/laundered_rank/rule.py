"""SC105: a view or a mean right after a product of different ranks hides that it has an axis too many."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crossing import confirmed, contradicted, launders, product_operands, unmoved
from shapecheck.analysis.labels import operand_sites
from shapecheck.analysis.origin import IN_PLACE_ORDER, base, blame, call_of
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Tensor
from shapecheck.findings.rule import Finding, Label, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import ALL_PAIRS

META = Rule(
    "SC105",
    "laundered-rank",
    Severity.WARNING,
    "a view after a product of different ranks takes the rows of one operand for those of the other",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`(q @ p.mT).view(q.size(0), -1)` with `[B, D]` and `[N, G, D]`: the product's leading axis is N, not B."""
    given = fact.args.get("input")
    if not isinstance(given, Tensor) or given.rank is None or not launders(fact, given):
        return
    product = _product(given, facts)
    if product is None:
        return
    pair = product_operands(product)
    if pair is None or not isinstance(product.result, Tensor):
        return
    low, high = sorted((unmoved(t) for t in pair), key=lambda t: t.rank or 0)
    wrong = _wrong_rows(low, high, product.result, fact)
    if not wrong or confirmed(product.result, facts):
        return
    names = facts.names()
    flat, grouped, crossed = names.shape(low), names.shape(high), names.shape(product.result)
    assert low.axes is not None
    assert high.axes is not None
    rows, slices = names.axis(low.axes[0]), names.axis(high.axes[0])
    site = fact.site if fact.site.path == facts.path else blame(fact, [given], facts.path)
    notes = [Note(f"{flat} and {grouped} make {crossed} here", product.site)]
    contract = contradicted(product.result, facts)
    if contract is not None:
        notes.append(Note(f'the {contract.declared.source} says "{contract.declared.text}"', contract.declared.site))
    places = operand_sites(site, [given], facts)
    yield META.finding(
        site,
        f"{fact.op} takes {crossed} for {rows} rows, but its rows are the {slices} groups of {grouped}: each row "
        f"of the view mixes scores of several of the {rows} rows",
        labels=tuple(Label(p[0], crossed) for p in places if p is not None),
        notes=tuple(notes),
        condition=when_one(rows) if contract is None else "",
        help=f"for each row's own group, give {flat} an axis of its own with `.unsqueeze(1)` before the product; for "
        f"all pairs, move the {rows} axis to the front before the view: `.transpose(0, 1)`",
        covers=("SC701", "SC201"),
    )


def _product(given: Tensor, facts: Facts) -> Called | None:
    made = base(given, IN_PLACE_ORDER).made
    if made is None or not made.kind & ALL_PAIRS:
        return None
    return call_of(made, facts)


def _wrong_rows(low: Tensor, high: Tensor, result: Tensor, view: Called) -> bool:
    """Ranks 2 and 3, a result led by the groups' axis, and a view whose rows are those of the smaller operand."""
    out = view.result
    if low.rank != 2 or high.rank != 3 or result.rank != 3 or not isinstance(out, Tensor) or not out.axes:
        return False
    assert low.axes is not None
    assert high.axes is not None
    assert result.axes is not None
    rows, slices = low.axes[0].size, high.axes[0].size
    if isinstance(rows, int) or isinstance(slices, int) or rows == slices or view.key != "view":
        return False
    leads = result.axes[0].size == slices and rows in [a.size for a in result.axes[1:]]
    return leads and out.axes[0].size == rows
