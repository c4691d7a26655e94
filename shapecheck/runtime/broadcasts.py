"""Implicit broadcasts, seen or refused: `with no_broadcast("rank"): loss = loss_fn(...)`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.overrides import TorchFunctionMode

from shapecheck.dims.mismatch import shape_text
from shapecheck.runtime.errors import ShapeError
from shapecheck.runtime.scope import broadcast_shapes

__all__ = ["Broadcast", "no_broadcast"]

_LOSSES = {
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "gaussian_nll_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
}  # elementwise up to their reduction, whatever aten calls them


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

    "rank": operands of different ranks (`[B]` with `[B, 1]`); a scalar, and a parameter such as a bias
    `[D]`, may meet any rank. "strict": also a size 1 that is stretched. `action="record"` fills `found`.
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
        if _elementwise(func):
            operands = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
            if len(operands) > 1 and self._stretches(operands):
                found = Broadcast(func.__name__.strip("_"), tuple(tuple(o.shape) for o in operands), _where())
                if self.action == "raise":
                    raise ShapeError(f"{found}; say so with unsqueeze or expand, or check the shapes")
                self.found.append(found)
        return func(*args, **kwargs)

    def _stretches(self, operands: list[torch.Tensor]) -> bool:
        operands = [o for o in operands if o.dim() and not (isinstance(o, torch.nn.Parameter) and self.kind == "rank")]
        if len({o.dim() for o in operands}) > 1:
            return True
        return self.kind == "strict" and len({o.shape for o in operands}) > 1


def _together(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    both = broadcast_shapes(a, b)
    return a if both is None else both  # torch itself is about to refuse


def _elementwise(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    return name in _LOSSES or _pointwise(name)


@functools.cache
def _pointwise(name: str) -> bool:
    """Whether torch tags the operation as pointwise; `__radd__`, `add_` and `add` are one."""
    plain = name.strip("_")
    candidates = {plain, plain[1:] if name.startswith("__r") else plain, *_ALIASES.get(plain, ())}
    if name.startswith("__i"):
        candidates.add(plain[1:])
    for candidate in candidates:
        packet = getattr(torch.ops.aten, candidate, None)
        if packet is not None:
            return any(torch.Tag.pointwise in getattr(packet, overload).tags for overload in packet.overloads())
    return False


_ALIASES = {
    "and": ("bitwise_and",),
    "or": ("bitwise_or",),
    "xor": ("bitwise_xor",),
    "truediv": ("div",),
    "rtruediv": ("div",),
    "floordiv": ("floor_divide",),
    "mod": ("remainder",),
    "greater": ("gt",),
    "less": ("lt",),
}


def _where() -> str:
    """The nearest line outside torch and this module."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        name = frame.f_globals.get("__name__", "")
        if name != __name__ and name.partition(".")[0] != "torch":
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
