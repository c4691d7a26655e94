"""SC603: a collective that returns its result, called as if it worked in place; a gather that stops all gradients."""

from __future__ import annotations

from collections.abc import Iterator

from shapecheck.analysis.enclosing import function_of
from shapecheck.analysis.expected import proves_nothing
from shapecheck.analysis.gradients import flow, wants_none
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Site, Tensor
from shapecheck.findings.rule import Edit, Finding, Fix, Note, Rule, Severity
from shapecheck.ops.kinds import ALL_PAIRS, COLLECTIVE, LOSS
from shapecheck.source.program import Arg, Call, Eval, Name, walk

META = Rule(
    "SC603",
    "discarded-collective",
    Severity.ERROR,
    "the result of a collective is thrown away, or a loss gets only tensors that came without gradient",
)


@META.on(Called)
def check(fact: Called, facts: Facts) -> Iterator[Finding]:
    if not fact.kind & COLLECTIVE or fact.spec.inplace or fact.site.path != facts.path:
        return
    if not isinstance(fact.site.node, Call) or not _is_statement(fact, facts) or proves_nothing(fact, facts):
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


@META.on(Called)
def check_gradient(fact: Called, facts: Facts) -> Iterator[Finding]:
    """A loss of nothing but what `torch.distributed.all_gather` filled in: no gradient reaches any embedding."""
    if fact.kind & LOSS and fact.site.path == facts.path:
        yield from _cut_off(fact, fact, facts)


@META.on(Called)
def check_pairs(fact: Called, facts: Facts) -> Iterator[Finding]:
    """Likewise all pairs of gathered tensors, in a function that goes on to a loss."""
    if not fact.kind & ALL_PAIRS:
        return
    own = function_of(_in_this_file(fact, facts).node, facts)
    if own is None:
        return
    for f in facts.of(Called):
        if f.kind & LOSS and f.site.path == facts.path and function_of(f.site.node, facts) is own:
            yield from _cut_off(fact, f, facts)
            return


def _cut_off(fact: Called, loss: Called, facts: Facts) -> Iterator[Finding]:
    compared = [v for v in fact.args.values() if isinstance(v, Tensor)]
    reached = flow(compared, facts)
    if reached.open or not reached.cut or wants_none(loss.site.node, facts):
        return
    for gather in reached.cut:
        yield META.finding(
            _in_this_file(gather, facts),
            "this gather passes no gradient on, and all that the loss compares went through it: no embedding learns "
            "from this loss",
            Severity.WARNING,
            notes=(Note("the loss that gets only gathered tensors", loss.site),),
            condition="no gradient is wanted",
            help="put this process's own tensor back (`gathered[rank] = x`), or gather with "
            "`torch.distributed.nn.functional.all_gather`",
        )


def _in_this_file(gather: Called, facts: Facts) -> Site:
    """The call itself, or the call of this file that led to it."""
    calls = (frame.site for frame in reversed(gather.stack))
    return next((s for s in (gather.site, *calls) if s.path == facts.path), gather.site)


def _is_statement(fact: Called, facts: Facts) -> bool:
    if facts.program is None:
        return False
    return any(isinstance(n, Eval) and n.value is fact.site.node for n in walk(facts.program))


def _first(call: Call) -> Arg | None:
    return call.args[0] if call.args and not call.args[0].star else None


def _fix(fact: Called, given: Arg | None) -> Fix | None:
    """`x = all_reduce(x)` where the result has the shape of x."""
    if fact.key != "all_reduce" or given is None or not isinstance(given.value, Name):
        return None
    parts = (("x", Site(fact.site.path, given.value)), ("call", fact.site))
    return Fix("keep the result", (Edit(fact.site, "{x} = {call}", parts),))
