"""Which tensors a loss can send gradients to, and where a gather without gradient cuts them off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from shapecheck.engine.facts import Called, Facts, Frame
from shapecheck.engine.values import Items, Layer, Made, Many, Partial, Tensor, Unknown
from shapecheck.ops.kinds import CREATES, GATHERS_RANKS, SCALES
from shapecheck.source.program import Attr, Call, Function, Name, Node, With, children

_OFF = frozenset({"no_grad", "inference_mode"})
_JUDGES = ("eval", "valid", "test", "metric", "predict", "accuracy", "score")


@dataclass(slots=True)
class Flow:
    """`open`: some tensor behind the loss can get a gradient. `cut`: the gathers behind which nothing can."""

    open: bool = False
    cut: list[Called] = field(default_factory=list)


def flow(tensors: list[Tensor], facts: Facts) -> Flow:
    """Follows what went into the tensors until a gradient's way ends or a gather without gradient cuts it."""
    found = Flow()
    seen: set[int] = set()
    queue = list(tensors)
    while queue and not found.open and len(seen) < 2000:
        t = queue.pop()
        if t.dtype in ("int", "bool") or t.rank == 0:
            continue
        made = t.made
        if made is None:
            found.open = True
        elif id(made) not in seen:
            seen.add(id(made))
            gather = _gather(made, facts) if made.kind & GATHERS_RANKS else None
            if gather is not None:
                found.cut.append(gather)
            elif not made.kind & CREATES:
                queue += _behind(made, found)
    found.open = found.open or bool(queue)
    return found


def _behind(made: Made, found: Flow) -> Iterator[Tensor]:
    for name, value in made.args.items():
        for item in _members(value):
            match item:
                case Layer():
                    found.open = found.open or bool(item.arg("weight") or name == "self")
                case Unknown(hint=""):
                    found.open = True
                case Tensor(made=None, shape=Partial((), ())) if made.kind & SCALES:
                    pass  # a temperature
                case Tensor():
                    yield item


def _members(value: object) -> Iterator[object]:
    match value:
        case tuple():
            for v in value:
                yield from _members(v)
        case Items(items=items):
            yield from _members(items)
        case Many(item=item):
            yield from _members(item)
        case _:
            yield value


def _gather(made: Made, facts: Facts) -> Called | None:
    """The collective without gradient that made a tensor; None for one that passes gradients on."""
    for call in facts.once(_collectives).get(id(made.site.node), ()):
        if call.activation == made.activation and not any(map(_applies, call.stack)):
            return call
    return None


def _collectives(facts: Facts) -> dict[int, list[Called]]:
    found: dict[int, list[Called]] = {}
    for fact in facts.of(Called):
        if fact.kind & GATHERS_RANKS and fact.spec.inplace:  # into a list or a tensor that is at hand: no gradient
            found.setdefault(id(fact.site.node), []).append(fact)
    return found


def _applies(frame: Frame) -> bool:
    """`GatherLayer.apply(x)`, also by another name: an autograd function, which has a backward of its own."""
    node = frame.site.node
    return frame.name == "apply" or (
        isinstance(node, Call) and isinstance(node.func, Attr) and node.func.name == "apply"
    )


def wants_none(node: Node, facts: Facts) -> bool:
    """Does the place only judge: under no_grad, or in a function whose name says so?"""
    return facts.program is not None and any(_only_judges(n) for n in _around(facts.program.body, node))


def _only_judges(node: Node) -> bool:
    match node:
        case Function(name=name, decorators=decorators):
            return any(word in name.lower() for word in _JUDGES) or any(_name(d) in _OFF for d in decorators)
        case With(items=items):
            return any(_name(child) in _OFF for item in items for child in (item, *children(item)))
    return False


def _name(node: object) -> str:
    match node:
        case Call(func=func):
            return _name(func)
        case Attr(name=name) | Name(id=name):
            return name
    return ""


def _around(body: tuple[Node, ...], node: Node) -> list[Node]:
    for child in body:
        if child is node:
            return [child]
        below = _around(tuple(children(child)), node)
        if below:
            return [child, *below]
    return []


__all__ = ["Flow", "flow", "wants_none"]
