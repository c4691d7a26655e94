"""Carets under operands: which words of the blamed code stand for which tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shapecheck.analysis.origin import NEUTRAL, operands
from shapecheck.engine.facts import Assigned, Called, Facts
from shapecheck.engine.naming import Names
from shapecheck.engine.values import Made, Site, Tensor
from shapecheck.findings.rule import Label
from shapecheck.source.program import Attr, Call, Expr, Name, Node, Op, Star

_MODULES = frozenset({"self", "torch", "F"})  # what a function is called on, and no operand


def operand_labels(site: Site, tensors: Sequence[Tensor], facts: Facts, names: Names) -> tuple[Label, ...]:
    """A label with its shape for each tensor that can be told in `site`'s call or operator: as the place where it was
    made, or as a name that was given to it; views that keep its rows count as it. A lone rest is told by elimination.
    """
    found = operand_sites(site, tensors, facts)
    return tuple(Label(place, names.shape(meant)) for place, meant in filter(None, found))


def labels_of(site: Site, tensors: Sequence[Tensor], texts: Sequence[str], facts: Facts) -> tuple[Label, ...]:
    """A label of one's own words for each tensor that can be told in `site`'s call or operator."""
    found = operand_sites(site, tensors, facts)
    return tuple(Label(place[0], text) for place, text in zip(found, texts) if place is not None)


def operand_sites(site: Site, tensors: Sequence[Tensor], facts: Facts) -> list[tuple[Site, Tensor] | None]:
    """For each tensor the expression in `site`'s call or operator that stands for it, and the form of the tensor that
    it stands for; None where that can't be told. Operands of an operator stand in order where none can be told."""
    written = list(written_operands(site.node))
    passed = _passed(site.node, written, facts)
    given = facts.once(_given_to)
    found: list[tuple[Site, Tensor] | None] = []
    for tensor in tensors:
        found.append(None)
        for expr in written:
            meant = next((t for t in _history(tensor) if _stands_for(expr, t, given)), None)
            if meant is not None:
                written.remove(expr)
                found[-1] = (Site(site.path, expr), meant)
                break
    if found.count(None) == 1 and len(written) == 1:
        at = found.index(None)
        found[at] = (Site(site.path, written[0]), passed.get(id(written[0]), tensors[at]))
    elif isinstance(site.node, Op) and not any(found) and len(written) == len(tensors):
        return [(Site(site.path, expr), passed.get(id(expr), tensor)) for expr, tensor in zip(written, tensors)]
    return found


def _passed(node: Node, written: Sequence[Expr], facts: Facts) -> dict[int, Tensor]:
    """What each operand was when the op ran here, as the code has it; none where runs differ."""
    found: dict[int, Tensor] = {}
    for fact in facts.once(_called_at).get(id(node), ()):
        tensors = [v for v in fact.args.values() if isinstance(v, Tensor)]
        if len(tensors) != len(written):
            return {}
        for expr, tensor in zip(written, tensors):
            if found.setdefault(id(expr), tensor).sizes != tensor.sizes:
                return {}
    return found


def _called_at(facts: Facts) -> dict[int, list[Called]]:
    at: dict[int, list[Called]] = {}
    for fact in facts.of(Called):
        at.setdefault(id(fact.site.node), []).append(fact)
    return at


def _given_to(facts: Facts) -> dict[str, list[Made]]:
    """What each name was given."""
    given: dict[str, list[Made]] = {}
    for fact in facts.of(Assigned):
        if isinstance(fact.value, Tensor) and fact.value.made is not None:
            given.setdefault(fact.name, []).append(fact.value.made)
    return given


def written_operands(node: Node) -> Iterator[Expr]:
    """The operands as the code writes them."""
    match node:
        case Call(func=func, args=args):
            if isinstance(func, Attr) and not (isinstance(func.value, Name) and func.value.id in _MODULES):
                yield func.value
            for arg in args:
                yield arg.value.value if isinstance(arg.value, Star) else arg.value
        case Op(operands=parts):
            yield from parts


def _history(tensor: Tensor) -> Iterator[Tensor]:
    """The tensor, then what it was before casts, scalings and transpositions."""
    for _ in range(50):
        yield tensor
        if tensor.made is None or not tensor.made.kind & NEUTRAL:
            return
        before = operands(tensor.made)
        if len([t for t in before if t.rank is None or t.rank > 0]) != 1:
            return
        tensor = before[0]


def _stands_for(expr: Expr, tensor: Tensor, given: dict[str, list[Made]]) -> bool:
    if tensor.made is None:
        return False
    if tensor.made.site.node is expr:
        return True
    name = _spelled(expr)
    return name is not None and any(made is tensor.made for made in given.get(name, ()))


def _spelled(expr: Expr) -> str | None:
    match expr:
        case Name(id=name):
            return name
        case Attr(value=value, name=name):
            owner = _spelled(value)
            return None if owner is None else f"{owner}.{name}"
    return None
