"""SC603: a collective that returns its result, called as if it worked in place."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.facts import Called, Facts
from shapecheck.ops.kit import REGISTRY
from shapecheck.program import Arg, Call, Eval, Name, walk
from shapecheck.rule import Edit, Finding, Fix, Note, Rule, Severity
from shapecheck.values import Site

META = Rule(
    "SC603",
    "discarded-collective",
    Severity.ERROR,
    "a collective returns the other processes' values, and nothing takes them",
)

RETURNING = frozenset({"all_gather", "all_reduce", "all_gather_tensor", "reduce_scatter_tensor", "uneven_gather",
                       "all_gather_module", "accelerator_gather"})  # fmt: skip


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    spec = REGISTRY.get(fact.name)
    if fact.op not in RETURNING or fact.site.path != facts.path or (spec is not None and spec.inplace):
        return
    if not isinstance(fact.site.node, Call) or not _is_statement(fact, facts):
        return
    short = fact.name.rpartition(".")[2]
    given = _first(fact.site.node)
    inside = f"`{given.value.id}` stays" if given and isinstance(given.value, Name) else "its argument stays"
    done = "reduced" if "reduce" in short else "gathered"
    yield META.finding(
        fact.site,
        f"`{short}` returns the {done} tensor, which is thrown away here: {inside} what this process alone computed",
        notes=(Note("unlike `torch.distributed.all_reduce`, this one does not write into its argument", fact.site),),
        condition="there is one process",
        help="bind the result to a name and use that",
        fix=_fix(fact, given),
    )


def _is_statement(fact: Called, facts: Facts) -> bool:
    if facts.program is None:
        return False
    return any(isinstance(n, Eval) and n.value is fact.site.node for n in walk(facts.program))


def _first(call: Call) -> Arg | None:
    return call.args[0] if call.args and not call.args[0].star else None


def _fix(fact: Called, given: Arg | None) -> Fix | None:
    """`x = all_reduce(x)` where the result has the shape of x."""
    if fact.op != "all_reduce" or given is None or not isinstance(given.value, Name):
        return None
    parts = (("x", Site(fact.site.path, given.value)), ("call", fact.site))
    return Fix("keep the result", (Edit(fact.site, "{x} = {call}", parts),))
