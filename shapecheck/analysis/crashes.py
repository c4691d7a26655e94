"""Calls that torch refuses: which rule speaks of which, whether it is proven, and what all of them say alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from shapecheck.analysis.expected import by_a_test, expected
from shapecheck.analysis.labels import operand_labels
from shapecheck.analysis.origin import ancestors, base, blame
from shapecheck.dims import Dim, Size, as_symbol, has_compound, symbols
from shapecheck.engine.facts import Called, Contract, Demanded, Facts
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Items, Num, Partial, Site, Tensor, Unknown
from shapecheck.findings.rule import Finding, Fix, Note, Rule
from shapecheck.ops.demands import Demand
from shapecheck.ops.kinds import ATTENTION, JOINS, LOSS, PRODUCT, RECURRENT, STACKS, SUBSCRIPT
from shapecheck.source.program import Node

# the rule's subject that each demand belongs to; a rank, a dim belong to what the op is
_SUBJECTS: dict[Demand, str] = {
    "inner": "product", "made for": "product", "window": "product", "broadcast": "broadcast", "stretch": "view",
    "elements": "view", "divides": "view", "open size": "view", "pattern": "view", "joined": "join", "letter": "einsum",
    "terms": "einsum", "target": "loss", "dim": "dim", "rank": "dim", "setting": "dim", "indices": "dim",
    "mask": "index", "within": "index", "fits": "index", "sum": "index", "count": "index",
}  # fmt: skip
_RANKED = ((PRODUCT | ATTENTION | RECURRENT, "product"), (LOSS, "loss"), (JOINS | STACKS, "join"))


def subject(fact: Demanded) -> str:
    """Whose matter a demand is: "product" "broadcast" "view" "join" "einsum" "loss" "dim" or "index"."""
    if fact.demand == "rank":
        return next((name for kind, name in _RANKED if fact.kind & kind), "dim")
    if fact.demand == "dim" and fact.kind & (JOINS | STACKS):
        return "join"
    return _SUBJECTS[fact.demand]


def proven(fact: Demanded, facts: Facts) -> bool:
    """Whether torch raises on every way through this place that we know of: for all sizes, or between sizes that the
    author named in annotations. A number that may be a tensor, and code that expects the error, prove nothing."""
    if not (fact.verdict.never or (fact.verdict.sometimes and _declared(fact, facts))):
        return False
    if any(t.rank == 0 and t.made is None for t in fact.operands) or _perhaps_no_tensor(fact, facts):
        return False
    return not (
        _supposed(fact, facts)
        or _may_be_squeezed(fact)
        or any(_rank_only_told(c) for c in facts.of(Demanded) if c.site.node is fact.site.node)
        or other_ways(fact, facts)
        or _chosen_by_data(fact, facts)
        or by_a_test(fact, facts)
        or expected(fact, facts)
        or _told_wrong(fact, facts)
        or _by_annotated_int(fact)
    )


def _perhaps_no_tensor(fact: Demanded, facts: Facts) -> bool:
    """Is it a method of something unknown, of whose shape nothing is known? Other objects have a `chunk` too."""
    open_ = (t.made is None and isinstance(t.shape, Partial) and not t.shape.min_rank for t in fact.operands)
    if fact.demand not in ("setting", "count") or not all(open_):
        return False
    return any(c.site.node is fact.site.node and c.name.startswith("Tensor.") for c in facts.of(Called))


def _declared(fact: Demanded, facts: Facts) -> bool:
    """Are both sizes made of names that an annotation gave them? (One may be 1.) A slice `x[:n]` has n or fewer rows:
    sizes with min, max or a quotient in them prove nothing."""
    sizes = [size for size in (fact.left, fact.right) if size is not None and size != 1]
    if any(isinstance(size, Dim) and has_compound(size) for size in sizes) or maybe_computed(sizes, facts):
        return False
    return bool(sizes) and all(symbols(s) and not any(n.startswith(("$", "?")) for n in symbols(s)) for s in sizes)


def maybe_computed(sizes: Sequence[Size], facts: Facts) -> bool:
    """Is one of the names an `int` of the code, and a size more than a name? `dim` may be `heads * head_dim`."""
    settled = any(not symbols(size).isdisjoint(facts.settled) for size in sizes)
    return settled and any(as_symbol(size) is None for size in sizes)


def other_ways(fact: Demanded, facts: Facts) -> bool:
    """Does another run through the same calls get past this place?"""
    calls = [frame.site.node for frame in fact.stack]

    def same(other: Called | Demanded) -> bool:
        return other.site.node is fact.site.node and [f.site.node for f in other.stack] == calls

    if fact.demand == "made for":  # the layers of a Sequential are all called at one place
        crashed = {(c.path, c.activation) for c in facts.of(Demanded) if same(c)}
        past = any((c.path, c.activation) not in crashed for c in facts.of(Called) if same(c))
        return past or _another_layer_fits(fact, facts, same)
    return any(not refused for _, refused in _runs(facts, same))


_OF_DATA = re.compile(r"(?:value |not )*\?\d+(?: |$)")


def _chosen_by_data(fact: Demanded, facts: Facts) -> bool:
    """Did a called function come here only by the one outcome of a test of a number that it computed, where the sizes
    are its caller's? Such a number may well go with the sizes: `if n_masked == 0` holds where nothing is left out."""
    if not fact.stack:
        return False
    taken = [choice for choice in fact.path if _OF_DATA.match(choice[0])]
    if not taken:
        return False
    paths = [c.path for c in facts.of(Demanded) if c.site.node is fact.site.node and c.verdict.never]
    return any(all((test, not outcome) not in path for path in paths) for test, outcome in taken)


def _runs(facts: Facts, same: Callable[[Called | Demanded], bool]) -> Iterator[tuple[Called, bool]]:
    """The calls at one place, each with whether torch refuses it. A call states its crash before itself."""
    refused = False
    for other in facts.items:
        if isinstance(other, Demanded) and same(other):
            refused = True
        elif isinstance(other, Called) and same(other):
            yield other, refused
            refused = False


def _another_layer_fits(fact: Demanded, facts: Facts, same: Callable[[Called | Demanded], bool]) -> bool:
    """`self.head` is one layer or another, as the constructor was told: does one of them take what it is given here?"""
    made = _made_at(fact.operands[0])
    return made is not fact.site.node and any(
        not refused and _made_at(called.args.get("input")) is made for called, refused in _runs(facts, same)
    )


def _made_at(value: object) -> Node | None:
    return value.made.site.node if isinstance(value, Tensor) and value.made is not None else None


def _entered(facts: Facts) -> frozenset[int]:
    """The runs that no call led to: of the file's own functions, and of its top level."""
    return frozenset(f.activation for f in facts.items if not f.stack)


def _supposed(fact: Demanded, facts: Facts) -> bool:
    """Has a helper made the operand on a way of its own, `if x.ndim == 4:`, that nobody says is ever taken?"""
    if not (isinstance(fact.left, int) and isinstance(fact.right, int)):
        return False
    made = [t.made for t in map(base, fact.operands) if t.made is not None]
    here = {fact.activation, *(frame.activation for frame in fact.stack), *facts.once(_entered)}
    within = any(m.activation not in here for m in made)
    given = {f"== {t.rank}" for t in fact.operands if t.made is None}  # its rank is what the test supposed it to be
    supposed = [test for test, outcome in fact.path if outcome and test.startswith("rank ")]
    return any(within or test.endswith(tuple(given)) for test in supposed)


def _may_be_squeezed(fact: Demanded) -> bool:
    """`x.squeeze(0)` of a size that may be 1: whoever writes that knows it to be 1, and the rank to be one less."""
    return isinstance(fact.left, int) and isinstance(fact.right, int) and any(map(kept_an_axis, fact.operands))


def kept_an_axis(tensor: Tensor) -> bool:
    """Did a `squeeze(dim)` leave the axis where it was, for all that is known of its size?"""
    made = base(tensor).made
    if made is None or made.key != "squeeze" or not isinstance(source := made.args.get("input"), Tensor):
        return False
    dim = made.args.get("dim")
    if not isinstance(dim, Num) or not isinstance(dim.size, int) or source.axes is None or tensor.rank != source.rank:
        return False
    size = source.axes[dim.size].size if -len(source.axes) <= dim.size < len(source.axes) else 2
    return not isinstance(size, int)


def _rank_only_told(fact: Demanded) -> bool:
    """Would torch refuse a rank that only a comment or a docstring tells? Code that runs shows the text to be wrong."""
    if not (isinstance(fact.left, int) and isinstance(fact.right, int)):
        return False
    return any(
        axis.origin is not None and axis.origin.text in ("comment", "docstring")
        for operand in fact.operands
        for tensor in ancestors(operand)
        for axis in tensor.axes or ()
    )


_PARAMETER = re.compile(r"\.\w+@\d+\Z")


def _by_annotated_int(fact: Demanded) -> bool:
    """Is an axis gone by `x[idx]` with a parameter that only an annotation calls an int? It may be a tensor of them."""
    if not (isinstance(fact.left, int) and isinstance(fact.right, int)):
        return False
    made = (tensor.made for operand in fact.operands for tensor in ancestors(operand))
    picked = (m.args.get("index") for m in made if m is not None and m.kind & SUBSCRIPT)
    items = (item for index in picked if isinstance(index, Items) for item in index.items)
    return any(isinstance(i, Unknown) and i.hint == "int" and _PARAMETER.search(i.key or "") for i in items)


def _told_wrong(fact: Demanded, facts: Facts) -> bool:
    """Does the crash rest on a written shape that a caller in the file contradicts? That is told at the call."""
    lies = facts.once(_contradicted)
    return bool(lies) and any(
        id(axis.origin.site.node) in lies
        for operand in fact.operands
        for tensor in ancestors(operand)
        for axis in tensor.axes or ()
        if axis.origin is not None and axis.origin.site is not None
    )


def _contradicted(facts: Facts) -> frozenset[int]:
    return frozenset(id(c.declared.site.node) for c in facts.of(Contract) if c.stack and not c.verdict.always)


def finding(
    rule: Rule,
    fact: Demanded,
    facts: Facts,
    names: Names,
    message: str,
    *,
    help: str,
    fix: Fix | None = None,
    **more: Any,
) -> Finding:
    """The finding at the place that answers for the operands, with each operand's shape and the place it was made."""
    site = blame(fact, list(fact.operands), facts.path)
    notes = list(_notes(fact, site, names))
    return rule.finding(
        site,
        message,
        labels=operand_labels(site, fact.operands, facts, names),
        notes=tuple(notes),
        condition=fact.verdict.when(names.symbol),
        help=help,
        fix=fix,
        **more,
    )


def _notes(fact: Demanded, site: Site, names: Names) -> Iterator[Note]:
    if site.node is not fact.site.node:
        yield Note(f"torch refuses it here, in {fact.op}", fact.site)
    for tensor in fact.operands:
        source = base(tensor)
        if source.made is not None and source.made.site.node not in (site.node, fact.site.node):
            yield Note(f"{names.shape(source)} is made here", source.made.site)


def shapes(tensors: tuple[Tensor, ...], names: Names) -> str:
    """`[B, D] and [B, G, D]`."""
    told = [names.shape(t) for t in tensors]
    return " and ".join([", ".join(told[:-1]), told[-1]]) if len(told) > 1 else "".join(told)


__all__ = ["finding", "kept_an_axis", "other_ways", "proven", "shapes", "subject"]
