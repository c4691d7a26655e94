"""Ops whose axes are positional, written as a line of the axis-string language.

`"b n k, b k m -> b n m"` has inputs, an arrow and outputs; `|` separates overloads, of which the first that fits the
ranks is taken (so that an error never speaks of the wrong one). One name is one size; `#` and `*` mean what they mean
in jaxtyping: `*#b` are batch axes that broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shapecheck.dims import Size, spec
from shapecheck.engine.values import Axis, Partial, Shape, Tensor
from shapecheck.ops.axes import as_tensor, rank_crash, require, same_axis
from shapecheck.ops.demands import Demand
from shapecheck.ops.kit import Kit


@dataclass(frozen=True, slots=True)
class Overload:
    inputs: tuple[spec.Spec, ...]
    outputs: tuple[spec.Spec, ...]
    ranks: tuple[tuple[int | None, int], ...]  # of the inputs: (rank, least rank)


@lru_cache(maxsize=1024)
def overloads(line: str) -> tuple[Overload, ...]:
    """Read a line. `k, k -> ` has an output of no axes."""
    found = []
    for text in line.split("|"):
        left, arrow, right = text.partition("->")
        if not arrow:
            raise ValueError(f"no arrow in {text!r}")
        given = [part.strip() for part in left.split(",")]
        inputs = tuple(spec.parse(part) for part in given)
        outputs = tuple(spec.parse(part.strip()) for part in right.split(","))
        found.append(Overload(inputs, outputs, tuple((s.rank, s.min_rank) for s in inputs)))
    return tuple(found)


def _fits(shape: Shape, rank: int | None, least: int) -> bool:
    if isinstance(shape, tuple):
        return len(shape) == rank if rank is not None else len(shape) >= least
    return rank is None or shape.min_rank <= rank


def apply(kit: Kit, name: str, line: str, values: Sequence[Any], demand: Demand = "inner") -> tuple[Shape, ...]:
    """The output shapes of a line for these inputs. Unknown ones learn the rank that the only fitting overload has."""
    rows = overloads(line)
    tensors = [as_tensor(v) for v in values]
    fitting = [row for row in rows if all(_fits(t.shape, *r) for t, r in zip(tensors, row.ranks))]
    if not fitting:
        wanted = " or ".join(", ".join(str(s.rank or f"{s.min_rank}+") for s in row.inputs) for row in rows)
        left = next((t.rank for t in tensors if t.rank is not None), 0)
        rank_crash(kit, name, tensors, left or 0, rows[0].inputs[0].min_rank, f"{name} needs ranks {wanted}")
        return (Partial(),) * len(rows[0].outputs)
    if len(fitting) > 1 and any(isinstance(t.shape, Partial) for t in tensors):
        return tuple(_common(kit, fitting, tensors, n) for n in range(len(rows[0].outputs)))
    return Binding(kit, name, demand, tensors).run(fitting[0], tensors)


def _common(kit: Kit, rows: Sequence[Overload], tensors: Sequence[Tensor], output: int) -> Shape:
    """What all overloads that still fit say of an output: its rank, and the axes that come from known inputs."""
    outputs = [row.outputs[output] for row in rows]
    ranks = {o.rank for o in outputs}
    rank = ranks.pop() if len(ranks) == 1 else None
    if rank is None:
        return Partial()
    result: list[Axis] = []
    for at in range(rank):
        found = {_source(row, tensors, row.outputs[output].axes[at]) for row in rows}
        place = found.pop() if len(found) == 1 else None
        axes = None if place is None else tensors[place[0]].axes
        result.append(Axis(kit.fresh("n")) if place is None or axes is None else axes[place[1]])
    return tuple(result)


def _source(row: Overload, tensors: Sequence[Tensor], want: spec.Axis) -> tuple[int, int] | None:
    """The (input, axis) of known rank that gives an output axis its size."""
    for n, (tensor, wanted) in enumerate(zip(tensors, row.inputs)):
        if tensor.rank is not None and wanted.rank is not None and want in wanted.axes:
            return n, wanted.axes.index(want)
    return None


class Binding:
    """The names of one overload and what they are bound to, while one call is looked at."""

    def __init__(self, kit: Kit, name: str, demand: Demand, tensors: Sequence[Tensor]) -> None:
        self.kit, self.name, self.demand, self.tensors = kit, name, demand, tensors
        self.axes: dict[str, Axis] = {}
        self.many: dict[str, Shape] = {}

    def run(self, row: Overload, given: Sequence[Tensor]) -> tuple[Shape, ...]:
        for tensor, wanted in zip(given, row.inputs):
            self._input(tensor, wanted)
        return tuple(self._output(wanted) for wanted in row.outputs)

    def _input(self, tensor: Tensor, wanted: spec.Spec) -> None:
        if wanted.rank is not None:
            tensor = self.kit.rank(tensor, wanted.rank)
        at = wanted.variadic
        shape = tensor.shape
        if isinstance(shape, Partial):
            after = len(wanted.axes) - at - 1 if at is not None else 0
            sure = max(shape.min_rank - after - (at or 0), 0)  # so many axes are certainly among the many
            inner = shape.tail[: max(len(shape.tail) - after, 0)]
            middle = Partial(shape.head[at or 0 :][:sure], inner[max(len(inner) - sure, 0) :])
            front = shape.head[:at] if at else ()
            back = shape.tail[len(shape.tail) - after :] if after and len(shape.tail) >= after else ()
            names = [*wanted.axes[: len(front)], *(wanted.axes[len(wanted.axes) - len(back) :] if back else ())]
            axes: tuple[Axis, ...] = (*front, *back)
            if at is not None:
                self._bind_many(wanted.axes[at], middle)
        elif at is not None:
            after = len(wanted.axes) - at - 1
            self._bind_many(wanted.axes[at], shape[at : len(shape) - after])
            axes = (*shape[:at], *shape[len(shape) - after :])
            names = [*wanted.axes[:at], *wanted.axes[at + 1 :]]
        else:
            axes, names = shape, list(wanted.axes)
        for axis, want in zip(axes, names):
            self._bind(axis, want)

    def _bind(self, axis: Axis, want: spec.Axis) -> None:
        match want:
            case spec.Named(label, broadcast):
                known = self.axes.get(label)
                if known is None or (broadcast and known.size == 1):
                    self.axes[label] = axis
                elif not (broadcast and axis.size == 1):
                    require(self.kit, self.demand, self.name, self.tensors, known.size, axis.size)
                    self.axes[label] = same_axis(self.kit, known, axis)
            case spec.Fixed(value):
                require(self.kit, self.demand, self.name, self.tensors, axis.size, value)

    def _bind_many(self, want: spec.Axis, shape: Shape) -> None:
        if not isinstance(want, spec.Variadic):
            return
        known = self.many.get(want.name)
        if known is None:
            self.many[want.name] = shape
        elif want.broadcast:
            self.many[want.name] = self.kit.broadcast(self.name, Tensor(known), Tensor(shape))
        elif isinstance(known, tuple) and isinstance(shape, tuple):
            if len(known) != len(shape):
                rank_crash(self.kit, self.name, self.tensors, len(known), len(shape))
                return
            for a, b in zip(known, shape):
                require(self.kit, self.demand, self.name, self.tensors, a.size, b.size)
            self.many[want.name] = tuple(same_axis(self.kit, a, b) for a, b in zip(known, shape))
        elif isinstance(known, Partial):
            self.many[want.name] = shape

    def _output(self, wanted: spec.Spec) -> Shape:
        before: list[Axis] = []
        after: list[Axis] = []
        middle: Partial | None = None
        for want in wanted.axes:
            here = before if middle is None else after
            match want:
                case spec.Named(label):
                    here.append(self.axes.get(label) or Axis(self.kit.fresh(label)))
                case spec.Fixed(value):
                    here.append(self.kit.axis(value, self.name))
                case spec.Variadic(label):
                    shape = self.many.get(label, ())
                    if isinstance(shape, tuple):
                        here.extend(shape)
                    else:
                        middle = shape
                case spec.Expr():
                    here.append(self.kit.axis(self._evaluate(want.tree), self.name))
        if middle is None:
            return tuple(before)
        return Partial((*before, *middle.head), (*middle.tail, *after))

    def _evaluate(self, tree: spec.Tree) -> Size:
        match tree:
            case spec.Num(int() as value):
                return value
            case spec.Var(label):
                axis = self.axes.get(label)
                return axis.size if axis is not None else self.kit.fresh(label)
            case spec.BinOp(sign, left, right):
                a, b = self._evaluate(left), self._evaluate(right)
                match sign:
                    case "+":
                        return a + b
                    case "-":
                        return a - b
                    case "*":
                        return a * b
                    case "//":
                        return a // b
        return self.kit.fresh("n")
