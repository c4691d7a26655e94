"""Layouts against torch: random chains of ops over tensors whose elements say where they came from.

For every axis of the first tensor a real tensor of coordinates goes through the same ops. Where the layout at the end
says "this factor is axis B", the coordinates of B must count along that factor, whatever the other factors do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

import einops
import torch

from ops.judge import SIZES, Disagreement, JudgeKit, Matcher, number, size_of
from shapecheck.dims import Size, evaluate
from shapecheck.engine.values import Axis, Items, Joined, Lit, Merged, Num, Origin, SliceVal, Tensor, Value
from shapecheck.ops import REGISTRY, bind, index


@dataclass
class State:
    """The symbolic tensor, and its coordinates: one real tensor for each name."""

    tensor: Tensor
    coordinates: dict[str, torch.Tensor]
    steps: list[str]


def start(rng: Random) -> State:
    names = rng.sample(["B", "G", "D", "K"], rng.randint(2, 3))
    shape = [SIZES[n] for n in names]
    coordinates = {}
    for at, name in enumerate(names):
        line = torch.arange(SIZES[name]).view(*(-1 if i == at else 1 for i in range(len(names))))
        coordinates[name] = line.expand(shape).clone()
    axes = tuple(Axis(size_of(n), origin=Origin(n, None)) for n in names)
    return State(Tensor(axes, "int"), coordinates, [" ".join(names)])


def value(size: Size) -> int:
    return evaluate(size, SIZES)


def symbolic(raw: Any) -> Any:
    match raw:
        case None | str() | bool():
            return Lit(raw)
        case list() | tuple():
            return Items("list" if isinstance(raw, list) else "tuple", tuple(map(symbolic, raw)))
        case slice():
            return SliceVal(symbolic(raw.start), symbolic(raw.stop), symbolic(raw.step))
        case Tensor():
            return raw
    return Num(raw)


def concrete(raw: Any) -> Any:
    match raw:
        case None | str() | bool():
            return raw
        case list() | tuple():
            return type(raw)(map(concrete, raw))
        case slice():
            return slice(concrete(raw.start), concrete(raw.stop), concrete(raw.step))
    return value(raw)


def apply(
    kit: JudgeKit, state: State, name: str, args: tuple[Any, ...], choose: int | None = None, **kwargs: Any
) -> State:
    """One op on the symbolic tensor and on all coordinates. `choose` takes one of several results."""
    spec = REGISTRY[name]
    bound = bind(spec.parameters, (state.tensor, *map(symbolic, args)), {k: symbolic(v) for k, v in kwargs.items()})
    assert bound is not None
    ours = spec.function(kit, *bound.args, **bound.kwargs)
    function = {"Tensor": torch.Tensor, "torch": torch, "einops": einops}[name.split(".")[0]]
    given, settings = concrete(args), {k: concrete(v) for k, v in kwargs.items()}
    real = {n: getattr(function, name.split(".")[-1])(x, *given, **settings) for n, x in state.coordinates.items()}
    if choose is not None:
        ours = ours.items[choose] if isinstance(ours, Items) else ours
        real = {n: x[choose] for n, x in real.items()}
    return _after(state, ours, real, f"{name.split('.')[-1]}{args}{kwargs or ''}")


def _after(state: State, ours: Value, real: dict[str, torch.Tensor], step: str) -> State:
    assert isinstance(ours, Tensor), step
    return State(ours, real, [*state.steps, step])


def joined(kit: JudgeKit, state: State, name: str, dim: int, copies: int) -> State:
    function = getattr(torch, name)
    ours = REGISTRY[f"torch.{name}"].function(kit, Items("list", (state.tensor,) * copies), Num(dim))
    return _after(
        state, ours, {n: function([x] * copies, dim) for n, x in state.coordinates.items()}, f"{name}*{copies}@{dim}"
    )


def indexed(kit: JudgeKit, state: State, items: tuple[Any, ...]) -> State:
    ours = index.index(kit, state.tensor, tuple(map(symbolic, items)))
    return _after(state, ours, {n: x[concrete(items)] for n, x in state.coordinates.items()}, f"[{items}]")


def step(rng: Random, kit: JudgeKit, state: State) -> State:
    axes = state.tensor.axes or ()
    rank = len(axes)
    at = rng.randrange(rank) if rank else 0
    if rank == 0 or rank > 5:
        return apply(kit, state, "Tensor.flatten", ())
    match rng.randrange(12):
        case 0:
            return apply(kit, state, "Tensor.transpose", (rng.randrange(rank), at))
        case 1:
            order = list(range(rank))
            rng.shuffle(order)
            return apply(kit, state, "Tensor.permute", tuple(order))
        case 2 | 3:
            stop = rng.randrange(at, rank)
            return apply(kit, state, "Tensor.flatten", (at, stop))
        case 4 | 5:
            return _split(rng, kit, state, at)
        case 6:
            counts = [rng.choice([1, 2]) for _ in range(rank)]
            return apply(kit, state, "Tensor.repeat", tuple(counts)) if rank < 4 else state
        case 7:
            return apply(kit, state, "Tensor.repeat_interleave", (2,), dim=at)
        case 8:
            return joined(kit, state, rng.choice(["cat", "stack"]), at, 2)
        case 9:
            if _length(state, at) % 2 == 0 and isinstance(axes[at].layout, Joined | Merged):
                return apply(kit, state, "torch.chunk", (2,), choose=rng.randrange(2), dim=at)
            return state
        case 10:
            name = rng.choice(["B", "G", "K"])
            cut = slice(None, size_of(name)) if rng.random() < 0.5 else slice(None, None, size_of(name))
            return indexed(kit, state, (*[slice(None)] * at, cut))
    return _cut_anew(rng, kit, state)


def _length(state: State, at: int) -> int:
    return next(iter(state.coordinates.values())).shape[at]


def _split(rng: Random, kit: JudgeKit, state: State, at: int) -> State:
    """Unflatten an axis by one of the names, in one of the two orders."""
    name = size_of(rng.choice(["B", "G", "D", "K", "2"]))
    if _length(state, at) % value(name) or _length(state, at) == value(name):
        return state
    return apply(kit, state, "Tensor.unflatten", (at, (name, -1) if rng.random() < 0.5 else (-1, name)))


def _cut_anew(rng: Random, kit: JudgeKit, state: State) -> State:
    """`x.reshape(-1, n)` with the size of a name."""
    name = size_of(rng.choice(["B", "G", "D", "K"]))
    total = next(iter(state.coordinates.values())).numel()
    if total % value(name):
        return state
    return apply(kit, state, "Tensor.reshape", (-1, name) if rng.random() < 0.5 else (name, -1))


# ------------------------------------------------------------------- the check


def check(kit: JudgeKit, state: State) -> int:
    """How many factors of known origin there are; Disagreement where one is somewhere else in memory."""
    matcher = Matcher(kit)
    for real in state.coordinates.values():
        matcher.shape(state.tensor.shape, real.shape)
    axes = state.tensor.axes
    return 0 if axes is None else _check(kit, axes, state.coordinates, " ; ".join(state.steps))


def _check(kit: JudgeKit, axes: tuple[Axis, ...], real: dict[str, torch.Tensor], story: str) -> int:
    for at, axis in enumerate(axes):
        match axis.layout:
            case Merged(factors):
                sizes = [number_of(kit, f) for f in factors]
                if None in sizes:
                    return 0
                split = {n: x.unflatten(at, sizes) for n, x in real.items()}
                return _check(kit, (*axes[:at], *factors, *axes[at + 1 :]), split, story)
            case Joined(parts):
                found, begin = 0, 0
                for part in parts:
                    size = number_of(kit, part)
                    if size is None:
                        return 0
                    window = {n: x.narrow(at, begin, size) for n, x in real.items()}
                    found += _check(kit, (*axes[:at], part, *axes[at + 1 :]), window, story)
                    begin += size
                return found
    known = 0
    for at, axis in enumerate(axes):
        if axis.origin is None or axis.origin.text not in real:
            continue
        x = real[axis.origin.text].movedim(at, -1)
        if not torch.equal(x, torch.arange(number(axis.origin.text)).expand(x.shape)):
            raise Disagreement(f"axis {at} is not {axis.origin.text}: {story}")
        known += 1
    return known


def number_of(kit: JudgeKit, axis: Axis) -> int | None:
    try:
        return evaluate(kit.resolve(axis.size), SIZES)
    except KeyError:  # a size that is not known
        return None


def run(rng: Random, length: int = 5) -> int:
    """One chain; the number of factors whose place in memory was confirmed."""
    kit, state = JudgeKit(), start(rng)
    for _ in range(rng.randint(1, length)):
        if next(iter(state.coordinates.values())).numel() > 20000:
            break
        state = step(rng, kit, state)
        state = replace(state, tensor=state.tensor.with_(made=None))
    return check(kit, state)
