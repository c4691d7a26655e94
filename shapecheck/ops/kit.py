"""What an op may ask of the interpreter, and how ops enter the registry.

An op is a plain function over values:

    @op("torch.softmax", "torch.nn.functional.softmax", "Tensor.softmax")
    def softmax(kit: Kit, input: Tensor, dim: int | None = None, dtype: Value = NONE) -> Value: ...

Its parameters after `kit` are torch's own names and defaults: the interpreter binds the call's arguments to them, the
receiver of a method call to the first. Every argument arrives as a `Value` (a parameter's default stays what it is).
The function's name is the op's canonical name in facts, unless `name=` says otherwise.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shapecheck.dims import Size, Verdict
from shapecheck.values import Axis, Shape, Tensor, Value


class Kit(Protocol):
    """The interpreter as an op sees it. Tensors handed to ops are already resolved (all that was learned applied)."""

    def resolve(self, size: Size) -> Size:
        """The size with everything learned so far put in."""

    def agree(self, a: Size, b: Size) -> Verdict:
        """torch needs a == b here. A free symbol (a parameter's unknown size) is thereby learned to be equal (verdict
        ALWAYS); named sizes are compared."""

    def compare(self, a: Size, b: Size) -> Verdict:
        """Are they equal? Learns nothing."""

    def fresh(self, hint: str) -> Size:
        """A new free size (>= 1) that nothing is known of; `hint` is a short letter or word for messages."""

    def is_free(self, size: Size) -> bool:
        """Is this a bare free symbol, of which nothing is known yet?"""

    def refine(self, tensor: Tensor, shape: Shape) -> Tensor:
        """torch needs this unknown-shaped tensor to have that shape (learned when it has a key)."""

    def rank(self, tensor: Tensor, rank: int) -> Tensor:
        """torch needs this rank: a tensor of unknown rank gets that many fresh axes (keeping its known head and
        tail); others come back as they are."""

    def size(self, value: Any) -> Size | None:
        """The size that a Num, an int, or an integer literal stands for; None for everything else."""

    def integer(self, value: Any) -> int | None:
        """A plain Python int, or None."""

    def sizes(self, values: Sequence[Value]) -> tuple[Size | None, ...] | None:
        """Sizes of `view(a, b)`, `view((a, b))`, `view(x.shape)`: flattens one tuple; None when the count is unknown."""

    def broadcast(self, op: str, *tensors: Tensor) -> Shape:
        """The broadcast shape; states `Broadcasted`, and `Crashed("broadcast")` where it can't be done."""

    def crash(self, kind: str, op: str, operands: Sequence[Tensor], left: Size | None, right: Size | None,
              verdict: Verdict, detail: str = "") -> None:
        """State that torch raises here."""

    def axis(self, size: Size, why: str = "") -> Axis:
        """An axis of that size that came into being at the present call."""

    def call(self, func: Value, args: Sequence[Value]) -> Value:
        """Call a callable value (of `map`, `functools.partial`, `vmap`, a module's forward)."""


OpFunction = Callable[..., Value]


@dataclass(frozen=True, slots=True)
class OpSpec:
    """A registered op: canonical name, the function, and its parameters after `kit`."""

    name: str
    function: OpFunction
    parameters: tuple[inspect.Parameter, ...]


REGISTRY: dict[str, OpSpec] = {}


def op(*names: str, name: str | None = None) -> Callable[[OpFunction], OpFunction]:
    """Register a function under every public name it serves: "torch.x", "Tensor.x", "torch.nn.X" (the call of a layer
    instance; its constructor arguments come first, by name), "einops.rearrange"."""

    def register(function: OpFunction) -> OpFunction:
        canonical = name or function.__name__.rstrip("_")
        parameters = tuple(inspect.signature(function).parameters.values())[1:]
        for public in names:
            if public in REGISTRY:
                raise ValueError(f"op {public!r} is registered twice")
            REGISTRY[public] = OpSpec(canonical, function, parameters)
        return function

    return register
