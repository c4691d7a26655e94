"""One process or several: what the conditions on the way to a place say of it."""

from __future__ import annotations

from shapecheck.analysis.enclosing import function_of, guards_of, share
from shapecheck.analysis.targets import (
    rank_names,
)
from shapecheck.engine.facts import Assigned, Called, Fact, Facts
from shapecheck.engine.values import Num, Site


def alone(fact: Fact) -> bool:
    """Did this way through the code find that there is only one process?"""
    return any(not outcome and about_processes(test) for test, outcome in fact.path)


def about_processes(test: str) -> bool:
    return all("is_initialized" in part or "world_size" in part for part in test.split(" and "))


def told_apart(without: Fact, gathered: Fact) -> bool:
    """Did any test lead to the gather but whether there are other processes? If none did, the way without the gather
    may be that of one process alone."""
    return any(item not in without.path and not about_processes(item[0]) for item in gathered.path)


def only_where_gathered(fact: Called, gather: Site, facts: Facts) -> bool:
    """Does every `if` around the call that gathers also stand around the place where a number gets the rank in it?"""
    program = facts.program
    if program is None:
        return False
    calls = [frame.site for f in facts.of(Called) if f.site.node is gather.node for frame in f.stack] or [gather]
    around = [
        (function_of(call.node, facts), {(g.branch, g.arm) for g in guards_of(program, call.node)})
        for call in {id(c.node): c for c in calls}.values()
    ]
    for f in facts.of(Assigned):
        if isinstance(f.value, Num) and rank_names(f.value.size) and f.site.path == facts.path:
            function, own = function_of(f.site.node, facts), guards_of(program, f.site.node)
            stands = {(g.branch, g.arm) for g in own}
            if any(needed and needed <= stands for place, needed in around if place is function and place is not None):
                return True
    return False


def guarded_alike(offset: Site, gather: Site, facts: Facts) -> bool:
    """Do the offset and the gather stand under conditions that have a part in common?"""
    program = facts.program
    if program is None:
        return False
    own = guards_of(program, offset.node)
    calls = [gather, *(frame.site for f in facts.of(Called) if f.site.node is gather.node for frame in f.stack)]
    return any(share(own, guards_of(program, call.node)) for call in {id(c.node): c for c in calls}.values())


__all__ = ["alone", "guarded_alike", "only_where_gathered", "told_apart"]
