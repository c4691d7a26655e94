"""SC101: a similarity of ranks r and r+1 leaves the batch axis in its result twice."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.crossing import (
    Crossing,
    confirmed,
    contradicted,
    laundering,
    pairs_on_purpose,
    product_crossing,
    unmoved,
)
from shapecheck.analysis.labels import operand_sites
from shapecheck.analysis.origin import blame
from shapecheck.engine.facts import Called, Contract, Facts
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Site
from shapecheck.findings.rule import Edit, Finding, Fix, Label, Note, Rule, Severity, when_one
from shapecheck.ops.kinds import DISTANCE, MATMUL
from shapecheck.source.program import Call, walk

META = Rule(
    "SC101",
    "batch-crossed-similarity",
    Severity.ERROR,
    "a similarity of tensors of different rank puts the batch axis in its result twice",
)

COVERS = ("SC701", "SC702", "SC105", "SC301", "SC302")


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    crossing = product_crossing(fact)
    if crossing is None:
        return
    contract = contradicted(crossing.result, facts) or _comment_on(fact, facts)
    if contract is None and (
        not crossing.implicit or confirmed(crossing.result, facts) or pairs_on_purpose(crossing, facts)
    ):
        return
    yield _finding(crossing, contract, facts)


def _finding(crossing: Crossing, contract: Contract | None, facts: Facts) -> Finding:
    fact, flat, grouped = crossing.fact, unmoved(crossing.flat), unmoved(crossing.grouped)
    site = blame(fact, [crossing.flat, crossing.grouped], facts.path)
    names = facts.names()
    batch = names.axis(crossing.batch)
    low, high, result = names.shape(flat), names.shape(grouped), names.shape(crossing.result)
    meant = _meant(crossing, names)
    hidden = laundering(crossing.result, facts)
    notes = [
        Note(f"here every row of {low} meets every one of the {batch} groups in {high}", fact.site),
    ]
    if grouped.made is not None:
        notes.append(Note(f"{high} is made here", grouped.made.site))
    written = ""
    if contract is not None:
        written = f'the {contract.declared.source} says "{contract.declared.text}"'
        notes.append(Note(f"{written}, which has no second {batch}", contract.declared.site))
        if contract.site.node is not contract.declared.site.node:
            notes.append(Note("the result is compared with that here", contract.site))
    if hidden is not None:
        notes.append(Note(f"this {hidden.op} hides the third axis: no later line will complain", hidden.site))
    message = f"this similarity of {low} and {high} computes {result}: {batch} stands in it twice"
    message += f", where {written}" if written else f", where each row's own group would give {meant}"
    places = operand_sites(site, [crossing.flat, crossing.grouped], facts)
    labels = tuple(Label(place, names.shape(meant)) for place, meant in filter(None, places))
    left, right = (None if found is None else found[0] for found in places)
    chance = isinstance(crossing.batch.size, int) and contract is None  # two axes of 4 may be two things
    return META.finding(
        site,
        message,
        Severity.WARNING if chance else None,
        labels=labels,
        notes=tuple(notes),
        condition=when_one(batch),
        help=_help(crossing, meant),
        fix=_fix(crossing, site, left, right, certain=contract is not None or hidden is not None),
        covers=COVERS,
    )


def _meant(crossing: Crossing, names: Names) -> str:
    wanted = [a for a in crossing.result.axes or () if a.size != crossing.batch.size]
    return "[" + ", ".join([names.axis(crossing.batch), *map(names.axis, wanted)]) + "]"


def _help(crossing: Crossing, meant: str) -> str:
    if _unsqueezable(crossing):
        return (
            f"to get {meant}, give the smaller operand an axis of its own with `.unsqueeze(1)` and take it off the "
            f"result with `.squeeze(1)`, or write `torch.einsum('bd,bgd->bg', ...)`"
        )
    return f"to get {meant}, write `torch.einsum('bd,bgd->bg', ...)`: one letter for the batch, kept in the result"


def _unsqueezable(crossing: Crossing) -> bool:
    """`[B, 1, D]` in the place of `[B, D]` makes the same op compute `[B, 1, G]`."""
    flat_rank = unmoved(crossing.flat).rank
    return not _by_parameter(crossing) and crossing.flat_first and flat_rank == 2


def _by_parameter(crossing: Crossing) -> bool:
    """`inner`, `linear`: the second operand has no axes in front that would meet those of the first."""
    return not crossing.fact.kind & (MATMUL | DISTANCE)


def _fix(crossing: Crossing, site: Site, flat: Site | None, grouped: Site | None, certain: bool) -> Fix | None:
    if flat is None or grouped is None or unmoved(crossing.flat).rank != 2:
        return None
    if _unsqueezable(crossing):
        return _with_own_axis(site, flat, grouped, certain)
    if site.node is not crossing.fact.site.node or not _by_parameter(crossing):
        return None
    text = 'torch.einsum("bd,bgd->bg", {flat}, {grouped})'
    edit = Edit(site, text, (("flat", flat), ("grouped", grouped)))
    return Fix("contract each row with its own group", (edit,), safe=certain, imports=("import torch",))


def _with_own_axis(site: Site, flat: Site, grouped: Site, certain: bool) -> Fix:
    """`f(q, p)` becomes `f(q.unsqueeze(1), p).squeeze(1)`, `q @ p.mT` becomes `(q.unsqueeze(1) @ p.mT).squeeze(1)`."""
    message = "score each row against its own group"
    node = site.node
    if not isinstance(node, Call):
        text = "({flat}.unsqueeze(1) @ {grouped}).squeeze(1)"
        return Fix(message, (Edit(site, text, (("flat", flat), ("grouped", grouped))),), safe=certain)
    parts: list[tuple[str, Site]] = [("function", Site(site.path, node.func))]
    written: list[str] = []
    for i, arg in enumerate(node.args):
        quoted = f"{{a{i}}}"
        parts.append((f"a{i}", Site(site.path, arg.value)))
        quoted += ".unsqueeze(1)" if arg.value is flat.node else ""
        written.append(arg.star + (f"{arg.keyword}=" if arg.keyword else "") + quoted)
    function = "{function}"
    if not any(arg.value is flat.node for arg in node.args):  # q.matmul(p.mT)
        parts[0] = ("function", flat)
        function = "{function}.unsqueeze(1)." + getattr(node.func, "name", "matmul")
    text = f"{function}({', '.join(written)}).squeeze(1)"
    return Fix(message, (Edit(site, text, tuple(parts)),), safe=certain)


def _comment_on(fact: Called, facts: Facts) -> Contract | None:
    """A comment on the statement, in whose value the product stands, that names another rank."""
    for f in facts.of(Contract):
        if (
            f.declared.source == "comment"
            and f.verdict.never
            and f.axis is None
            and f.value.rank == getattr(fact.result, "rank", None)
            and _stands_in(fact.site, f.declared.site)
        ):
            return f
    return None


def _stands_in(site: Site, statement: Site) -> bool:
    return statement.path == site.path and any(n is site.node for n in walk(statement.node))
