"""Implicit broadcasts, seen or refused: `with no_broadcast("rank"): loss = loss_fn(...)`.

Two views of one call are put together. `__torch_function__` tells which function of torch the code called, with what;
beneath it `__torch_dispatch__` tells what that came down to: operations that torch itself tags as pointwise, and
operands that it expanded to meet each other. So no name of a function is written here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from shapecheck.dims.mismatch import shape_text
from shapecheck.runtime.errors import ShapeError
from shapecheck.runtime.scope import broadcast_shapes

__all__ = ["Broadcast", "no_broadcast"]

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One elementwise operation that stretched an operand."""

    op: str
    shapes: tuple[tuple[int, ...], ...]
    where: str  # file:line

    def __str__(self) -> str:
        shapes = " with ".join(map(shape_text, self.shapes))
        result: tuple[int, ...] = ()
        for shape in self.shapes:
            result = _together(result, shape)
        return f"{self.where}: {self.op} of {shapes} broadcasts to {shape_text(result)}"


class no_broadcast(TorchFunctionMode):
    """Raise ShapeError at, or record, each elementwise operation that broadcasts without being told to.

    "rank": operands of different ranks where a batch axis meets another axis: `[B]` with `[B, 1]`, or with `[B, B]`;
    and any two ranks of what a loss or a similarity compares. `[S, D]` on `[B, S, D]`, weights of the classes, a
    scalar and a parameter such as a bias pass. "strict": also a size 1 that is stretched, and every two ranks.
    `action="record"` fills `found`.
    """

    def __init__(self, kind: Literal["rank", "strict"] = "rank", action: Literal["raise", "record"] = "raise") -> None:
        if kind not in ("rank", "strict") or action not in ("raise", "record"):
            raise ValueError(f"no_broadcast({kind!r}, action={action!r}): 'rank' or 'strict', 'raise' or 'record'")
        super().__init__()
        self.kind = kind
        self.action = action
        self.found: list[Broadcast] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        operands = list(_tensors((args, kwargs)))
        if len({o.shape for o in operands if o.dim()}) < 2 or torch.compiler.is_compiling():
            return func(*args, **kwargs)

        def in_place(pairs: list[tuple[int, int]]) -> None:
            # before anything is written
            if self.action == "raise" and (found := self._meeting(operands, pairs, compared=False)) is not None:
                self._say(func, found)

        watch = _Watch(operands, in_place)
        with watch:
            result = func(*args, **kwargs)
        if (found := self._seen(watch, operands, result)) is not None:
            self._say(func, found)
        return result

    def _say(self, func: Callable[..., Any], shapes: tuple[Sizes, ...]) -> None:
        found = Broadcast(getattr(func, "__name__", "call").strip("_"), shapes, _where())
        if self.action == "raise":
            raise ShapeError(f"{found}; say so with unsqueeze or expand, or check the shapes")
        self.found.append(found)

    def _seen(self, watch: _Watch, operands: list[torch.Tensor], result: Any) -> tuple[Sizes, ...] | None:
        """The shapes of the operands that met by being stretched, if that was not what the call is for."""
        alone = watch.pointwise == 1 and not watch.expanded
        pairs = watch.met if alone else [pair for pair in watch.met if max(pair) < 2]  # the rest are weights
        if not alone and (watch.products or watch.views & {_key(t) for t in _tensors(result)}):
            return None  # a product that lines its batches up; `expand` itself
        return self._meeting(operands, pairs, compared=not alone)

    def _meeting(
        self, operands: list[torch.Tensor], pairs: list[tuple[int, int]], compared: bool
    ) -> tuple[Sizes, ...] | None:
        for first, second in pairs:
            a, b = operands[first], operands[second]
            if self.kind == "rank" and (isinstance(a, torch.nn.Parameter) or isinstance(b, torch.nn.Parameter)):
                continue
            if a.dim() and b.dim() and a.shape != b.shape and self._refused(tuple(a.shape), tuple(b.shape), compared):
                met = sorted({index for pair in pairs for index in pair})
                return tuple(tuple(operands[index].shape) for index in met)
        return None

    def _refused(self, a: Sizes, b: Sizes, compared: bool) -> bool:
        if broadcast_shapes(a, b) is None:
            return False  # torch itself refuses
        if self.kind == "strict":
            return True
        if len(a) == len(b):
            return False
        low, high = sorted((a, b), key=len)
        return compared or _batch_meets_another(low, high)


def _batch_meets_another(low: Sizes, high: Sizes) -> bool:
    """Whether the first axis of the lower rank has the size of the other's first, and is laid on another of its axes.

    A vector is laid on any: `[B]` on `[B, 1]`, on `[B, B]`. A matrix only on an axis that is stretched to meet it:
    `[B, D]` on `[B, 1, D]`, for `[S, D]` on `[B, S, D]` is what positions do.
    """
    against = high[len(high) - len(low)]
    return low[0] != 1 and low[0] == high[0] and (len(low) == 1 or against == 1)


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What one call of torch comes down to. Tensors carry which of the operands they were made from, elementwise."""

    def __init__(self, operands: list[torch.Tensor], in_place: Callable[[list[tuple[int, int]]], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operands = operands
        self.in_place = in_place
        self.origin: dict[Any, frozenset[int]] = {}
        self.alive: list[Any] = []  # tensors are told apart only while they live
        for number, operand in enumerate(operands):
            for key in (id(operand), _key(operand)):
                self.origin[key] = self.origin.get(key, frozenset()) | {number}
        self.met: list[tuple[int, int]] = []
        self.pointwise = 0
        self.products = False
        self.expanded = False
        self.views: set[Any] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = list(_tensors((args, kwargs or {})))
        origins = [self.origin.get(id(t)) or self.origin.get(_key(t)) or frozenset() for t in given]
        pointwise = torch.Tag.pointwise in func.tags
        if pointwise and any(origins):
            pairs = _pairs(given, origins)
            if pairs and func._schema.is_mutable:
                self.in_place(pairs)
            self.met += pairs
            self.pointwise += 1
        result = func(*args, **(kwargs or {}))
        if pointwise:
            self._carry(result, frozenset().union(*origins))
        elif func.overloadpacket is torch.ops.aten.expand and origins and origins[0]:
            self._expand(given[0], result, origins[0])
        else:
            names = {argument.name for argument in func._schema.arguments}
            self.products = self.products or bool(names & _FACTORS or {"query", "key"} <= names)
            if {"self", "other"} <= names and func.overloadpacket is not torch.ops.aten.equal:
                self.met += _pairs(given[:2], origins[:2])  # undivided, and torch's word for a second operand
            copies = func.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.detach, torch.ops.aten.alias)
            if copies and origins and origins[0]:
                self._carry(result, origins[0])
        return result

    def _carry(self, result: Any, origin: frozenset[int]) -> None:
        for tensor in _tensors(result):
            self.alive.append(tensor)
            self.origin[id(tensor)] = self.origin[_key(tensor)] = origin

    def _expand(self, before: torch.Tensor, after: torch.Tensor, origin: frozenset[int]) -> None:
        """An operand expanded to the shape that it and another have together."""
        self._carry(after, origin)
        self.views.add(_key(after))
        if before.shape == after.shape:
            return
        for number, other in enumerate(self.operands):
            together = broadcast_shapes(tuple(before.shape), tuple(other.shape)) if other.dim() else None
            if together == tuple(after.shape):
                self.met += [(min(own, number), max(own, number)) for own in origin if own != number]
                self.expanded = True


_FACTORS = {"batch1", "batch2", "mat1", "mat2", "vec"}  # torch's words for what a product sums over


def _pairs(given: list[torch.Tensor], origins: list[frozenset[int]]) -> list[tuple[int, int]]:
    """The operands that meet in one operation with different shapes."""
    return [
        (min(a, b), max(a, b))
        for number, one in enumerate(given)
        for other, theirs in zip(given[number + 1 :], origins[number + 1 :])
        if one.dim() and other.dim() and one.shape != other.shape
        for a in origins[number]
        for b in theirs
        if a != b
    ]


def _key(tensor: torch.Tensor) -> Any:
    """A tensor and what autograd makes of it are one: the memory and the shape tell."""
    try:
        return tensor.untyped_storage()._cdata, tuple(tensor.shape), tensor.storage_offset()
    except (RuntimeError, NotImplementedError):  # a kind of tensor without memory of its own
        return id(tensor)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)


def _together(a: Sizes, b: Sizes) -> Sizes:
    both = broadcast_shapes(a, b)
    return a if both is None else both  # torch itself is about to refuse


def _where() -> str:
    """The nearest line outside torch and this module."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        name = frame.f_globals.get("__name__", "")
        if name != __name__ and name.partition(".")[0] != "torch":
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
