"""An entry once more, in the world that its names suggest: embeddings have two axes, labels one, views one shape.

Nothing learned there reaches the facts of the plain run. What rules find in that world alone rests on a custom and is
said so. A world that torch would refuse is no world: its customs go one by one, and it is run again without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from shapecheck.engine.assumptions import behind
from shapecheck.engine.control import Ranked, Told
from shapecheck.engine.facts import Called, Contract, Demanded, Fact
from shapecheck.engine.values import Assumption, Axis, ClassVal, Partial, Site, Tensor, Unknown, Value, only_told
from shapecheck.ops import customs
from shapecheck.ops.kinds import COLLECTIVE, LOSS, UNIT
from shapecheck.ops.kit import REGISTRY
from shapecheck.source.program import Attr, Bind, Const, Function, Index, Name, Node, Param, walk

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

RUNS = 4  # of one world: each drops the customs that the one before refuted
MOST_STEPS = 6_000  # of the plain run: what cost more is not run again

_ITEM = re.compile(r"\[-?\d+\]$")

Attempt = Callable[["Machine", Function, "ClassVal | None", Told], bool]


def run_customary(m: Machine, function: Function, cls: ClassVal | None, told: Told, attempt: Attempt) -> None:
    """Run the entry in its customary world, where it has one, and keep the facts of it apart."""
    if not m.supposing.active or m.entry_steps > MOST_STEPS or m.spent or function.name == "__init__":
        return
    about = customs.about(function.name, cls.node.name if cls is not None else "", m.path)
    if not about and _takes_losses(function):
        about = "loss"
    names = [p.name for p in function.params if (p.name in m.entry.keys or p.name in told) and tensorish(p)]
    if any(map(_OF_PROCESSES.search, _mentioned(function))):
        return  # any of them may hold what other processes gave
    if not any(customs.rank(name, about) is not None for name in (*names, *_bound(function))):
        return
    base, facts, steps = m.state, m.facts, m.steps
    mark, believed = len(facts.items), m.supposing.taken
    try:
        for _ in range(RUNS):
            m.supposing.taken = {}
            m.entry_about = about
            attempt(m, function, cls, told | _customary(m, function, names, about, told))
            m.state = base
            found = [*facts.items[mark:], *m.of_calls]
            facts.forget(mark)
            lies = _refuted(m, found)
            if not m.supposing.refute(lies):
                if m.supposing.taken and not any(isinstance(f, Called) and f.kind & COLLECTIVE for f in found):
                    facts.worlds.append((found, m.supposing.taken))
                break
    finally:
        m.state, m.entry_about, m.supposing.taken = base, None, believed
        m.steps = steps
        m.of_calls.clear()
        facts.forget(mark)


def _takes_losses(function: Function) -> bool:
    """Does its own text call a loss of torch's, or compare directions?"""
    found = (REGISTRY.get(f"torch.nn.functional.{name}") for name in _mentioned(function))
    return any(spec is not None and spec.kind & (LOSS | UNIT) for spec in found)


def _mentioned(function: Function) -> frozenset[str]:
    return frozenset(n.name if isinstance(n, Attr) else n.id for n in walk(function) if isinstance(n, (Attr, Name)))


_OF_PROCESSES = re.compile(r"gather_|_gather|Gather|get_rank|world_size|^(?:local_)?rank$")


def tensorish(p: Param) -> bool:
    """May the parameter be a tensor, for all that its annotation says?"""
    if p.annotation is None:
        return p.kind not in ("*", "**")
    if isinstance(p.annotation, Index) and not _CONTAINERS.isdisjoint(_words(p.annotation.value)):
        return False
    return any("Tensor" in w or w in ("Float", "Int", "Bool", "Shaped", "Any") for w in _words(p.annotation))


_CONTAINERS = frozenset(
    (
        "list",
        "List",
        "tuple",
        "Tuple",
        "dict",
        "Dict",
        "Iterable",
        "Sequence",
        "Mapping",
        "Iterator",
        "Collection",
        "set",
    )
)


def _words(expr: Node) -> Iterator[str]:
    for node in (expr, *walk(expr)):
        match node:
            case Name(id=word) | Attr(name=word) | Const(value=str(word)):
                yield word


def _bound(function: Function) -> Iterator[str]:
    for node in walk(function):
        if isinstance(node, Bind):
            yield from (t.id for target in node.targets for t in (target, *walk(target)) if isinstance(t, Name))


def _customary(m: Machine, function: Function, names: list[str], about: str, learned: Told) -> Told:
    """What the names of the parameters suggest, those of one kind in one shape."""
    told: Told = {}
    site = Site(m.path, function)
    for family in customs.families(names, about):
        letters = customs.rank(family[0], about) or ()
        first = ""
        for name in family:
            if name in learned and len(learned[name].hints) != len(letters):
                continue
            alike = m.supposing.take(Assumption(customs.alike(first, name), site)) if first else None
            if alike is not None:
                told[name] = Ranked(letters, alike, first)
            elif name not in learned and (own := m.supposing.take(Assumption(customs.of_name(name, letters), site))):
                told[name] = Ranked(letters, own)
            first = first or name
    return told


def _refuted(m: Machine, found: list[Fact]) -> set[Assumption]:
    """The customs that torch refuses always, or that an author contradicts: rather they are wrong than the code."""
    lies: set[Assumption] = set()
    for fact in found:
        match fact:
            case Demanded(verdict=verdict, operands=operands) if verdict.never:
                pass
            case Contract(verdict=verdict, value=value) if verdict.never:
                operands = (value,)
            case Called(key="view", result=Tensor(axes=after)) if after and (taken := _cut(fact, after)) is not None:
                operands = (taken,)
            case _:
                continue
        lies |= {a for a in behind(operands, m.facts) if a in m.supposing.taken and not a.source}
    return lies


def _cut(fact: Called, after: tuple[Axis, ...]) -> Tensor | None:
    """What a view makes more axes of, and not of its rows alone: the view tells its shape, and no name does."""
    given = fact.tensor("input")
    if given is None or not given.axes or given.made is not None or not only_told(given, "by custom"):
        return None
    return given if len(after) > len(given.axes) and after[-1].size != given.axes[-1].size else None


def named(m: Machine, name: str, value: Value, node: Node) -> None:
    """Something of which nothing is known gets a name: in the customary world it has the axes that the name tells."""
    if m.entry_about is None or m.stack:
        return
    if isinstance(value, Tensor):
        _named_tensor(m, name, value, node)
    if not isinstance(value, Unknown) or value.hint or value.key is None:
        return
    key = value.key
    if key in m.state.shapes or key in m.state.narrowed or key in m.optional or _ITEM.search(key):
        return  # `model(x)[0]` may be the first example
    letters = customs.rank(name, m.entry_about)
    if not letters:
        return
    site = Site(m.here.path, node)
    like = next((n for n in m.entry.axes if customs.are_alike(n, name) and len(m.entry.axes[n]) == len(letters)), None)
    same = None if like is None else m.supposing.take(Assumption(customs.alike(like, name), site))
    assumption = same or m.supposing.take(Assumption(customs.of_name(name, letters), site))
    if assumption is not None:
        axes = m.entry.axes[like] if same is not None and like is not None else None
        m.entry.axes[name] = m.give_rank(key, Ranked(letters, assumption), axes)


def _named_tensor(m: Machine, name: str, value: Tensor, node: Node) -> None:
    """What was computed from what is not known has as many axes as its name tells."""
    value = m.state.tensor(value)
    letters = customs.rank(name, m.entry_about or "")
    if not letters or not isinstance(value.shape, Partial) or value.made is None or value.shape.min_rank > len(letters):
        return
    assumption = m.supposing.take(Assumption(customs.of_name(name, letters), Site(m.here.path, node)))
    if assumption is not None:
        m.kit.rank(value, len(letters), assumption)


__all__ = ["named", "run_customary", "tensorish"]
