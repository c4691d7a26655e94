"""Which sizes count examples: an axis of the data, or a configured batch size."""

from __future__ import annotations

import re

from shapecheck.dims import Size, compare, symbols
from shapecheck.engine.facts import Called, Facts
from shapecheck.engine.values import Axis, Items, Many, Tensor

_BATCH_NAME = re.compile(r"(?:^|_)(?:bs|bsz|batch_?size|batchsize|n_?batch)$", re.IGNORECASE)
_PLAIN_PARAMETER = re.compile(r"^\$[A-Za-z_]\w*\.\w+@\d+$")


def may_be_one(size: Size) -> bool:
    """A size of the data that can happen to be 1: not a number, not a configured width, not a multiple of 2."""
    return not isinstance(size, int) and not _configured(size) and compare(size, 1).sometimes


def _configured(size: Size) -> bool:
    """Every name in it is a setting of the code, none counts data."""
    return all(name.startswith("$") and configured_batch(name) == "" for name in symbols(size))


def configured_batch(symbol: str) -> str:
    """`args.batch_size` for the symbol of a batch size that comes from a configuration or a constructor; "" for all
    other symbols. A function's own parameter is not configured: its caller may well pass the tensor's size."""
    if not symbol.startswith("$") or (_PLAIN_PARAMETER.match(symbol) and not symbol.startswith("$__init__.")):
        return ""
    text = re.sub(r"@\d+", "", symbol[1:])
    last = re.sub(r"\W+$", "", re.split(r"\.|\['", text)[-1])
    return text if _BATCH_NAME.search(last) else ""


def rows(tensor: Tensor) -> Axis | None:
    """The first axis, known or at the head of an unknown rank."""
    shape = tensor.shape
    known = shape if isinstance(shape, tuple) else shape.head
    return known[0] if known else None


def uses(facts: Facts, tensor: Tensor, through: int = 0) -> list[tuple[Called, str]]:
    """The calls that take the tensor, with the parameter it goes to; also what `through` (casts) hands on."""
    found: list[tuple[Called, str]] = []
    made = {id(tensor.made)} if tensor.made is not None else set()
    for fact in facts.of(Called):
        for parameter, value in fact.args.items():
            if any(id(t.made) in made for t in _inside(value)):
                found.append((fact, parameter))
                if fact.kind & through and isinstance(fact.result, Tensor) and fact.result.made is not None:
                    made.add(id(fact.result.made))
    return found


def _inside(value: object) -> list[Tensor]:
    match value:
        case Tensor():
            return [value]
        case Items(items=items) | tuple(items):
            return [t for i in items for t in _inside(i)]
        case Many(item=item):
            return _inside(item)
        case _:
            return []


__all__ = ["configured_batch", "may_be_one", "rows", "uses"]
