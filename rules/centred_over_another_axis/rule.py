"""SC404: numbers are centred over one axis, and their products or deviations run over another."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.centred import divided_by_rows, examples_first, gram, uneven
from shapecheck.engine.facts import Called, Facts
from shapecheck.findings.rule import Finding, Note, Rule, Severity

META = Rule(
    "SC404",
    "centred-over-another-axis",
    Severity.WARNING,
    "numbers are centred over one axis, but the covariance or deviation of them runs over another",
)

_PLACE = {-1: "the last axis", -2: "the last axis but one"}
_AXIS = {-1: "the last axis, the features of each example", -2: "axis 0, the examples"}


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`c = x - x.mean(1, keepdim=True)`, then `c.t() @ c` over the examples; `torch.cov` of rows that are examples."""
    found = gram(fact)
    if found is None:
        return
    x, made = found.of.x, found.of.made
    if fact.key != "cov" and found.over == -1:  # a kernel of centred examples
        return
    if not examples_first(x, facts) and not (fact.key != "cov" and divided_by_rows(fact, x, facts)):
        return
    site = made.site if made.site.path == facts.path else fact.site
    if site.path != facts.path:
        return
    names = facts.names()
    yield META.finding(
        site if found.over == -2 else fact.site,
        f"{names.shape(x)} is centred over {_AXIS[found.of.dim]}, but {fact.op} adds up its products over "
        f"{_AXIS[found.over]}: it is no covariance, the means of that axis are still in it",
        notes=(Note(f"{fact.op} here", fact.site), Note("centred here", made.site)),
        help="take the mean over the axis that is added up: `x.mean(0, keepdim=True)`"
        if found.over == -2
        else "torch.cov takes rows for variables: give it `x.T`",
    )


@META.on(Called)
def check_deviation(fact: Called, facts: Facts) -> Iterator[Finding]:
    """`(x - x.mean(0)) / x.std(1, keepdim=True)`."""
    found = uneven(fact) if fact.site.path == facts.path else None
    if found is None:
        return
    mean, spread = (_PLACE[dim] for dim in (found.centred.dim, found.dim))
    yield META.finding(
        fact.site,
        f"{facts.names().shape(found.centred.x)} is centred over {mean}, but divided by its {found.made.op} over "
        f"{spread}: the result has no unit deviation along either",
        notes=(Note("centred here", found.centred.made.site), Note(f"{found.made.op} here", found.made.site)),
        help="take mean and deviation over one axis",
    )
