"""The interpreter as ops see it: learning sizes, broadcasting, stating what goes wrong. See `ops.kit.Kit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import lcm
from typing import TYPE_CHECKING, Any

from shapecheck.dims import (
    ALWAYS,
    Size,
    TooComplex,
    Verdict,
    as_quotient,
    as_symbol,
    compare,
    divisors,
    solve,
    substitute,
    symbol,
    symbols,
)
from shapecheck.engine import refused
from shapecheck.engine.facts import Broadcasted, Demanded, Learned, Squared
from shapecheck.engine.ranks import follows, operands_learn
from shapecheck.engine.told import as_it_was, stretches_neither
from shapecheck.engine.values import (
    Assumption,
    Axis,
    Items,
    Lit,
    Many,
    Num,
    Origin,
    Partial,
    Shape,
    ShapeOf,
    Site,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.ops.demands import Demand

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine


def is_free_name(name: str) -> bool:
    """Free symbols stand for sizes that nothing is known of; they begin with "?"."""
    return name.startswith("?")


def is_settable_name(name: str) -> bool:
    """Free symbols, and "$..." ones: Python ints of unknown value (configured sizes)."""
    return name.startswith(("?", "$"))


class Learner:
    """Implements `ops.kit.Kit` on the machine's present state."""

    def __init__(self, machine: Machine) -> None:
        self.m = machine

    def assume(self, custom: str) -> Assumption | None:
        return self.m.supposing.take(Assumption(custom, self.m.site))

    # ------------------------------------------------------------------ sizes

    def resolve(self, size: Size) -> Size:
        return self.m.state.size(size)

    def fresh(self, hint: str) -> Size:
        return symbol(self.m.fresh(hint))

    def is_free(self, size: Size) -> bool:
        name = as_symbol(self.resolve(size))
        return name is not None and is_free_name(name)

    def compare(self, a: Size, b: Size) -> Verdict:
        return self._compared(self.resolve(a), self.resolve(b))

    def _compared(self, a: Size, b: Size) -> Verdict:
        """`2*(D//2)` is D where an earlier op has raised for an odd D."""
        verdict = compare(a, b)
        multiples = self.m.state.multiples
        if verdict.sometimes and multiples:
            known = {n: symbol(n) * multiples[n] for n in symbols(a) | symbols(b) if n in multiples}
            if known and compare(substitute(a, known), substitute(b, known)).always:
                return ALWAYS
        return verdict

    def agree(self, a: Size, b: Size) -> Verdict:
        a, b = self.resolve(a), self.resolve(b)
        if a == b:
            return ALWAYS
        verdict = self._compared(a, b)
        if self.m.here.ran is not None:
            refused.needs(self.m, a, b)
        if not verdict.sometimes or (self.m.observed and refused.differ(self.m, a, b)):
            return verdict
        settled = self.m.facts.settled
        bare = as_symbol(a) is not None and as_symbol(b) is not None
        accepted: list[Callable[[str], bool]] = [is_free_name, is_settable_name]
        if settled and not bare:  # `dim` may be `heads * head_dim` for all that their names say
            accepted.append(settled.__contains__)
        for accept in accepted:
            try:
                found = solve(a, b, prefer=accept, only_preferred=True)
            except TooComplex:
                found = None
            if found is not None:
                name, size = self._keep_name(*found)
                clash = self.m.apart.clash(name, size, self.m.state) if accept is is_free_name else None
                if clash is not None:
                    self.m.state_fact(Squared(site=self.m.site, op=self.m.op_name, key=clash[0], sizes=(a, b)))
                    return verdict
                self.m.state.sizes[name] = size
                self.m.state_fact(Learned(site=self.m.site, symbol=name, size=size, op=self.m.op_name))
                return ALWAYS
        names = symbols(a) | symbols(b)
        for divisor in divisors(a) | divisors(b) if len(names) == 1 else ():
            (name,) = names
            known = {name: symbol(name) * divisor}
            if compare(substitute(a, known), substitute(b, known)).always:
                self._is_multiple(symbol(name), divisor)  # from here on: torch raises elsewhere
                break
        return verdict

    def _is_multiple(self, size: Size, divisor: int) -> None:
        name = as_symbol(size)
        if name is not None and divisor > 0:
            self.m.state.multiples[name] = lcm(divisor, self.m.state.multiples.get(name, 1))

    def _keep_name(self, name: str, size: Size) -> tuple[str, Size]:
        """Of two free symbols that are one, the one that the author named stays, else the older one."""
        other = as_symbol(size)
        if other is None or not is_free_name(other) or not is_free_name(name):
            return name, size
        named, other_named = name in self.m.authored, other in self.m.authored
        swap = named if named != other_named else name < other
        return (other, symbol(name)) if swap else (name, size)

    def divides(self, size: Size) -> Size:
        size = self.resolve(size)
        parts = as_quotient(size)
        if parts is None:
            return size
        n, b = self.resolve(parts[0]), self.resolve(parts[1])
        name = as_symbol(n)
        if name is None or name in symbols(b):
            return size
        if not is_free_name(name):
            if isinstance(b, int):
                self._is_multiple(n, b)
            return size
        quotient = symbol(self.m.fresh(self.m.spoken.get(size, "G")))
        self.m.state.sizes[name] = b * quotient
        return quotient

    def size(self, value: Any) -> Size | None:
        match value:
            case bool():
                return int(value)
            case int():
                return value
            case Num():
                return self.resolve(value.size)
            case Lit(value=bool(b)):
                return int(b)
            case Unknown(hint="" | "int", key=str(key)):
                narrowed = self.m.state.narrowed.get(key)
                if narrowed is not None:
                    return self.size(narrowed)
                if key in self.m.computed:
                    return self.resolve(self.m.computed[key])
                return self.resolve(symbol("$" + key))
            case Tensor(shape=(), content=content) if content is not None and content.stride == 0:
                return self.resolve(content.offset)
            case _:
                return None

    def integer(self, value: Any) -> int | None:
        if isinstance(value, Unknown):
            return None if value.key is None or not self.m.observed else as_it_was(self.m, value.key)
        size = self.size(value)
        return size if isinstance(size, int) else None

    def sizes(self, values: Sequence[Value]) -> tuple[Size | None, ...] | None:
        values = list(values)
        if len(values) == 1:
            match values[0]:
                case Items():
                    values = list(values[0].items)
                case Many() | ShapeOf():
                    return None
                case Tensor() as maybe if self.m.state.tensor(maybe).rank != 0:
                    return None  # a tuple of sizes that was indexed as a tensor is
                case Unknown(hint=hint) if hint != "int":
                    return None
        out: list[Size | None] = []
        for v in values:
            if isinstance(v, (Many, ShapeOf)):
                return None
            out.append(self.size(v))
        return tuple(out)

    # ----------------------------------------------------------------- shapes

    def axis(self, size: Size, why: str = "") -> Axis:
        return Axis(size, origin=Origin(why or self.m.op_name, self.m.site, kind=self.m.op_kind))

    def refine(self, tensor: Tensor, shape: Shape) -> Tensor:
        s = tensor.shape
        if isinstance(s, Partial) and s.key is not None and self._is_open(s.key):
            self.m.state.shapes[s.key] = shape
            self.m.facts.shaped.add(s.key)
            if isinstance(shape, tuple):
                self.m.apart.know(s.key, shape)
                self._teach_operands(tensor, len(shape), assumed_of(shape))
        return tensor.with_(shape=shape)

    def _is_open(self, key: str) -> bool:
        """Is more to be learned under this key: nothing was yet, or only axes beside an open rank?"""
        known = self.m.state.shapes.get(key)
        return known is None or (isinstance(known, Partial) and known.key == key)

    def _teach_operands(self, tensor: Tensor, rank: int, assumption: Assumption | None) -> None:
        """What is learned of a result's rank holds for the operands that it was made of."""
        if tensor.made is not None:
            for operand, axes in operands_learn(tensor.made, rank, lambda t: self._recall(t, 3).rank):
                if _one_key(operand, tensor):
                    self._teach_operands(operand, axes, assumption)  # it is known by now, but not what made it
                else:
                    self.rank(operand, axes, assumption)

    def _recall(self, tensor: Tensor, depth: int = 6) -> Tensor:
        """The tensor, with the rank that follows from what was learned since of the operands that it was made of."""
        tensor = self.m.state.tensor(tensor)
        if isinstance(tensor.shape, Partial) and tensor.made is not None and depth:
            rank = follows(tensor.made, lambda operand: self._recall(operand, depth - 1).rank)
            if rank is not None:
                return self.rank(tensor, rank)
        return tensor

    def rank(self, tensor: Tensor, rank: int, assumption: Assumption | None = None) -> Tensor:
        tensor = self.m.state.tensor(tensor)
        s = tensor.shape
        if not isinstance(s, Partial):
            return tensor
        if rank < s.min_rank:
            # head and tail may overlap in a tensor of fewer axes than they count together
            if rank >= max(len(s.head), len(s.tail)):
                keep = s.head + s.tail[len(s.tail) - (rank - len(s.head)) :] if rank > len(s.head) else s.head[:rank]
                return self.refine(tensor, keep)
            return tensor
        origin = None if assumption is None else Origin("by custom", self.m.site, assumption)
        middle = tuple(
            Axis(self.fresh(""), origin=origin, role="" if i or s.head or rank < 2 else "batch")
            for i in range(rank - s.min_rank)
        )
        shape = s.head + middle + s.tail
        if origin is not None and not middle:
            shape = tuple(a if a.origin is not None else replace(a, origin=origin) for a in shape)
        return self.refine(tensor, shape)

    def broadcast(self, op: str, *tensors: Tensor) -> Shape:
        tensors = tuple(self._recall(t) for t in tensors)
        if not tensors:
            return ()
        if any(t.rank is None for t in tensors):
            return self._broadcast_partial(tensors)
        rank = max((t.rank or 0 for t in tensors), default=0)
        stretched: list[tuple[int, int]] = []
        absent: list[tuple[int, int]] = []
        out: list[Axis] = []
        failed: tuple[Size, Size, Verdict] | None = None
        for back in range(1, rank + 1):
            have = [(i, t.shape[-back]) for i, t in enumerate(tensors) if back <= len(t.shape)]  # type: ignore[index,arg-type]
            best, clash = self._widest([a for _, a in have])
            if clash is not None and failed is None:
                failed = clash
            out.append(best)
            if best.size != 1:
                stretched += [(i, -back) for i, a in have if a.size == 1]
                absent += [(i, -back) for i, t in enumerate(tensors) if back > len(t.shape)]  # type: ignore[arg-type]
        shape = tuple(reversed(out))
        if failed is not None:
            self.crash("broadcast", op, tensors, *failed)
        if len(tensors) > 1:
            self.m.state_fact(
                Broadcasted(
                    site=self.m.site,
                    op=op,
                    operands=tensors,
                    result=Tensor(shape),
                    stretched=tuple(stretched),
                    absent=tuple(absent),
                )
            )
        return shape

    def _widest(self, axes: list[Axis]) -> tuple[Axis, tuple[Size, Size, Verdict] | None]:
        """The axis that the others stretch to, and the first pair that can't meet."""
        best = axes[0]
        clash: tuple[Size, Size, Verdict] | None = None
        for a in axes[1:]:
            if a.size == best.size:
                if best.layout is None and a.layout is not None:
                    best = a
                continue
            if best.size == 1:
                best = a
                continue
            if a.size == 1:
                continue
            free_a, free_b = self._may_be_one(a.size), self._may_be_one(best.size)
            if free_a and free_b and self.m.observed and stretches_neither(self.m, a.size, best.size):
                self.agree(a.size, best.size)
            elif free_a and free_b:
                best = Axis(self.fresh(""))
            elif free_b:
                best = a
            elif not free_a:
                verdict = self.compare(a.size, best.size)
                open_ = any(map(is_settable_name, symbols(a.size) | symbols(best.size)))
                if (verdict.never or (verdict.sometimes and not open_)) and clash is None:
                    clash = (best.size, a.size, verdict)
                elif best.layout is None and a.layout is not None:
                    best = a
        return best, clash

    def _may_be_one(self, size: Size) -> bool:
        """Could this size be 1 as far as anything tells: a bare symbol that the author did not name."""
        name = as_symbol(size)
        return name is not None and is_settable_name(name) and name not in self.m.authored

    def _broadcast_partial(self, tensors: tuple[Tensor, ...]) -> Shape:
        """Operands of unknown rank: what the trailing axes of all of them tell."""
        shapes = [t.shape for t in tensors]
        distinct = {s.key for s in shapes if isinstance(s, Partial)}
        if all(isinstance(s, Partial) or s == () for s in shapes) and len(distinct) == 1 and None not in distinct:
            return next(s for s in shapes if isinstance(s, Partial))
        if len(tensors) == 2 and any(s == () for s in shapes):
            return shapes[0] if shapes[1] == () else shapes[1]
        tails = [s if isinstance(s, tuple) else s.tail for s in shapes]
        told = min(len(t) if isinstance(s, Partial) else 99 for s, t in zip(shapes, tails))
        out: list[Axis] = []
        for back in range(1, max(map(len, tails)) + 1):
            best, _ = self._widest([t[-back] for t in tails if back <= len(t)])
            # an operand of which nothing is known there fits, or it stretches an axis of size 1
            out.append(best if back <= told or best.size != 1 else Axis(self.fresh("")))
        return Partial((), tuple(reversed(out)))

    # ----------------------------------------------------------------- stating

    def crash(
        self,
        demand: Demand,
        op: str,
        operands: Sequence[Tensor],
        left: Size | None,
        right: Size | None,
        verdict: Verdict,
        detail: str = "",
        argument: str = "",
    ) -> None:
        if self.m.here.ran is not None:
            refused.refuses(self.m, left, right, detail)
        self.m.state_fact(
            Demanded(
                site=self.m.site,
                op=op,
                kind=self.m.op_kind,
                demand=demand,
                argument=argument,
                operands=tuple(operands),
                left=left,
                right=right,
                verdict=verdict,
                detail=detail,
            )
        )

    def call(self, func: Value, args: Sequence[Value]) -> Value:
        return self.m.call(func, list(args), {}, self.m.site.node)

    def site(self) -> Site:
        return self.m.site


def assumed_of(shape: Shape) -> Assumption | None:
    """What the number of these axes rests on."""
    origins = (axis.origin for axis in shape) if isinstance(shape, tuple) else ()
    return next((o.assumption for o in origins if o is not None and o.assumption is not None), None)


def _one_key(a: Tensor, b: Tensor) -> bool:
    """Have they one unknown shape?"""
    return isinstance(a.shape, Partial) and isinstance(b.shape, Partial) and a.shape.key == b.shape.key is not None
