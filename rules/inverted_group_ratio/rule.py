"""SC304: the group size as rows // columns, upside down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shapecheck.analysis.origin import ancestors, base, operands
from shapecheck.analysis.targets import Labelled, labelled, multiple, product_behind
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Items, Num, Partial, Site, Tensor
from shapecheck.findings.rule import Edit, Finding, Fix, Note, Rule, Severity, when_one
from shapecheck.ops.axes import take
from shapecheck.source.program import Op

META = Rule(
    "SC304",
    "inverted-group-ratio",
    Severity.ERROR,
    "the group size is computed as rows // columns, which is 0 as soon as there are groups",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    loss = labelled(fact)
    if loss is not None:
        yield from _labels(fact, loss, facts)
    else:
        yield from _proven(fact, facts)


def _labels(fact: Called, loss: Labelled, facts: Facts) -> Iterator[Finding]:
    """Labels strided by rows // columns of the very product that they label."""
    for tensor in ancestors(loss.target):
        for number in _numbers(tensor.made.args if tensor.made else {}):
            left, right, site = number.ratio  # type: ignore[misc]
            if not _upside_down(left, right, loss):
                continue
            names = facts.names()
            rows, columns = names.size(left.size), names.size(right.size)
            same = left.size == right.size
            latent = " (both have that many now, so it is 1 for as long as there are no groups)" if same else ""
            yield META.finding(
                site,
                f"the labels are strided by {rows} // {columns}, rows over columns of the scores: "
                f"with G columns for each row that is 0 and every label is column 0{latent}",
                Severity.WARNING if same else None,
                notes=(Note(f"labels of the scores {names.shape(loss.scores)}", fact.site),),
                condition="as many columns as rows" if same else f"{rows} = {columns}",
                help="the group size is columns // rows: exchange the two sides of `//`",
                fix=_fix(site),
            )


def _proven(fact: Called, facts: Facts) -> Iterator[Finding]:
    """A size divided by a known multiple of itself."""
    for number in _numbers(fact.args):
        left, right, site = number.ratio  # type: ignore[misc]
        group = None if isinstance(left.size, int) else multiple(right.size, left.size)
        if group is None or isinstance(group, int) or left.of is None or right.of is None:
            continue
        names = facts.names()
        rows, columns, g = names.size(left.size), names.size(right.size), names.size(group)
        yield META.finding(
            site,
            f"{rows} // {columns} divides the smaller size by the larger one: it is 0 unless {g} = 1",
            notes=(Note("used here as a size", fact.site),),
            condition=when_one(g),
            help="the group size is the larger size // the smaller: exchange the two sides of `//`",
            fix=_fix(site),
        )


def _numbers(args: dict[str, Any]) -> Iterator[Num]:
    for value in args.values():
        for v in value.items if isinstance(value, Items) else value if isinstance(value, tuple) else (value,):
            if isinstance(v, Num) and v.ratio is not None:
                yield v


def _upside_down(left: Num, right: Num, loss: Labelled) -> bool:
    product = product_behind(loss.scores)
    if product is None or product.made is None:
        return False
    if left.size != right.size and left.size == loss.rows.size and right.size == loss.columns.size:
        return True
    factors = [base(t) for t in operands(product.made)[:2]]
    if len(factors) < 2 or left.of is None or right.of is None:
        return False
    return _same(left.of, factors[0]) and _same(right.of, factors[1]) and not _same(left.of, right.of)


def _same(a: Tensor, b: Tensor) -> bool:
    """Is this one tensor, whatever was learned of its shape in between?"""
    a, b = base(a), base(b)
    if a.made is not None or b.made is not None:
        return a.made is b.made
    match a.shape, b.shape:
        case Partial(key=str(one)), Partial(key=str(two)) if one == two:
            return True
    first, second = take(a.shape, 0), take(b.shape, 0)
    return first is not None and second is not None and first.size == second.size


def _fix(site: Site) -> Fix | None:
    node = site.node
    if not isinstance(node, Op) or node.op != "//":
        return None
    left, right = (Site(site.path, operand) for operand in node.operands)
    edit = Edit(site, "{right} // {left}", (("left", left), ("right", right)))
    return Fix("exchange the two sides of `//`", (edit,), safe=True)
