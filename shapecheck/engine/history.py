"""What went into a value: a tensor's `made` holds the arguments of the op that produced it, and so on back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shapecheck.engine.values import Items, Many, OfOp, Tensor


def operands(made: OfOp) -> list[Tensor]:
    """The tensors among an op's arguments, in order."""
    found: list[Tensor] = []
    for value in made.args.values():
        found += tensors_in(value)
    return found


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors of an argument: itself, or the members of a tuple or list."""
    match value:
        case Tensor():
            yield value
        case Items(items=items):
            for i in items:
                yield from tensors_in(i)
        case Many(item=item):
            yield from tensors_in(item)
        case tuple():
            for i in value:
                yield from tensors_in(i)


def ancestors(tensor: Tensor, limit: int = 200) -> Iterator[Tensor]:
    """The tensor, and all that went into it, nearest first; each once."""
    seen: set[int] = set()
    queue = [tensor]
    while queue and len(seen) < limit:
        t = queue.pop(0)
        if id(t) in seen:
            continue
        seen.add(id(t))
        yield t
        if t.made is not None:
            queue += operands(t.made)


__all__ = ["ancestors", "operands", "tensors_in"]
