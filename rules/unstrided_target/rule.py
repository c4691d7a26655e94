"""SC302: `arange(B)` as labels where each row owns a block of G neighbouring columns."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.origin import blame
from shapecheck.analysis.targets import Labelled, factors, grouped_by, labelled, multiple, product_behind
from shapecheck.dims import Dim, Size
from shapecheck.engine.facts import Assigned, Called, Facts
from shapecheck.engine.values import Affine, Joined, Num, Site, Tensor
from shapecheck.findings.rule import Edit, Finding, Fix, Note, Rule, Severity, when_one
from shapecheck.source.program import Attr, Call, Expr, Name

META = Rule(
    "SC302",
    "unstrided-target",
    Severity.ERROR,
    "labels count 0, 1, 2, ... over columns that come in one block for each row",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    loss = labelled(fact)
    if loss is None or loss.content != Affine(0, 1) or (isinstance(loss.rows.size, int) and not grouped_by(loss)):
        return
    product = product_behind(loss.scores)
    if product is None or product.made is None:
        return
    group, why = _group(loss, facts)
    counted = None if group is not None else _counted(fact, loss, facts)
    if counted is not None:
        yield _of_a_quotient(fact, loss, counted, facts)
    if group is None:
        return
    names = facts.names()
    b, g = names.size(loss.rows.size), names.size(group)
    notes = [Note(f"{names.shape(loss.scores)}: all pairs, {g} columns for each row", product.made.site)]
    if why is not None:
        notes.append(Note(f"here the columns come in blocks of {g}, one block for each of the {b} rows", why))
    if loss.target.made is not None:
        notes.append(Note("the labels are made here", loss.target.made.site))
    yield META.finding(
        blame(fact, [loss.scores, loss.target], facts.path),
        f"the labels are 0, 1, ..., {b} - 1, but in these scores {names.shape(loss.scores)} row i owns the columns "
        f"from i * {g} on: the label i names a column of row i // {g}",
        notes=tuple(notes),
        condition=when_one(g),
        help=f"multiply the labels by the group size: `torch.arange({b}) * {g}`",
        fix=_fix(fact),
    )


def _group(loss: Labelled, facts: Facts) -> tuple[Size | None, Site | None]:
    """How many neighbouring columns each row owns, and where that is seen."""
    parts = factors(loss.columns)
    total: Size = 1
    for i, part in enumerate(parts[:-1]):
        if part.role in ("block", "rank"):
            return None, None
        total = total * part.size
        if total == loss.rows.size:
            inner: Size = 1
            for rest in parts[i + 1 :]:
                inner = inner * rest.size
            return inner, loss.columns.origin.site if loss.columns.origin else None
    if len(parts) > 1 or isinstance(loss.columns.layout, Joined):
        return None, None
    group = multiple(loss.columns.size, loss.rows.size)
    if group is None or group == 1:
        return None, None
    for f in facts.of(Called):
        if f.key == "view" and isinstance(f.result, Tensor) and isinstance(given := f.args.get("input"), Tensor):
            cut = f.result.sizes or ()
            if cut[:2] == (loss.rows.size, group) and given.rank == len(cut) - 1:
                return group, f.site
    return None, None


def _counted(fact: Called, loss: Labelled, facts: Facts) -> Num | None:
    """The number that the function found by dividing the columns by the rows, `p.size(0) // q.size(0)`."""
    if isinstance(loss.columns.layout, Joined) or len(factors(loss.columns)) > 1:
        return None
    for f in facts.of(Assigned):
        if isinstance(f.value, Num) and f.value.ratio is not None and f.activation == fact.activation:
            columns, rows, _ = f.value.ratio
            if (columns.size, rows.size) == (loss.columns.size, loss.rows.size) and isinstance(f.value.size, Dim):
                return f.value
    return None


def _of_a_quotient(fact: Called, loss: Labelled, counted: Num, facts: Facts) -> Finding:
    names = facts.names()
    b, g = names.size(loss.rows.size), names.size(counted.size)
    site = counted.ratio[2] if counted.ratio is not None else fact.site
    return META.finding(
        blame(fact, [loss.scores, loss.target], facts.path),
        f"the labels are 0, 1, ..., {b} - 1, but this function counts {g} columns for each row of the scores "
        f"{names.shape(loss.scores)}: where they are neighbours, row i owns the columns from i * ({g}) on",
        Severity.WARNING,
        notes=(Note(f"here the columns for each row are counted, {g}", site),),
        condition=f"{g} = 1, or the columns of all rows' own positives come first",
        help=f"multiply the labels by that count: `torch.arange({b}) * ({g})`",
    )


def _fix(fact: Called) -> Fix | None:
    node = fact.site.node
    if not isinstance(node, Call):
        return None
    plain = [a.value for a in node.args if a.keyword is None and not a.star]
    named = {a.keyword: a.value for a in node.args if a.keyword}
    scores = named.get("input", plain[0] if plain else None)
    target = named.get("target", plain[1] if len(plain) > 1 else None)
    if not _plain(scores) or target is None:
        return None
    path = fact.site.path
    edit = Edit(
        Site(path, target),
        "{target} * ({scores}.size(1) // {scores}.size(0))",
        (("target", Site(path, target)), ("scores", Site(path, scores))),  # type: ignore[arg-type]
    )
    return Fix("stride the labels by the group size", (edit,), safe=True)


def _plain(expr: Expr | None) -> bool:
    return isinstance(expr, Name) or (isinstance(expr, Attr) and _plain(expr.value))
