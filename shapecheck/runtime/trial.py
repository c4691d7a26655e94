"""One call to be made again and again with other rows: what `independent` asks its questions of."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from shapecheck.dims.spec import BinOp, Expr, Named, Tree, Var
from shapecheck.runtime.contract import TensorOf
from shapecheck.runtime.plan import Plan
from shapecheck.runtime.rerun import call, leaves, remap
from shapecheck.runtime.scope import Missing, Scope, evaluate
from shapecheck.runtime.state import private

__all__ = ["Output", "Poison", "Trial", "drawn", "highest", "lowest", "masks", "nan", "row_axis"]

Poison = Callable[[torch.Tensor], torch.Tensor]  # other values for a whole tensor
Output = tuple[torch.Tensor, int, torch.Tensor, str]  # the value, its row axis, the row of each index, its name


@functools.cache
def masks(rows: int) -> tuple[torch.Tensor, ...]:
    """Sets of rows, as bool vectors `[rows]`: for every ordered pair some set holds the one and not the other.

    Row r is in the sets that the r-th choice of k/2 out of k names; no choice is within another. Sperner, 1928.
    """
    count = next(k for k in itertools.count(1) if math.comb(k, k // 2) >= rows)
    chosen = torch.zeros(count, rows, dtype=torch.bool, device="cpu")
    for row, sets in zip(range(rows), itertools.combinations(range(count), count // 2)):
        chosen[list(sets), row] = True
    return tuple(chosen)


def nan(value: torch.Tensor) -> torch.Tensor:
    """NaN where it exists, else other values of the same tensor."""
    if value.is_floating_point() or value.is_complex():
        return torch.full_like(value, float("nan"))
    return drawn(1.0)(value)


@functools.cache
def drawn(scale: float) -> Poison:
    """Other values in the manner of the tensor's own: floats drawn around them, integers and bools taken from them."""

    def draw(value: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator("cpu").manual_seed(value.numel())
        if value.is_floating_point() or value.is_complex():
            finite = value[torch.isfinite(value)]
            spread = float(finite.float().abs().mean().clamp(min=1e-3)) if finite.numel() else 1.0
            noise = torch.randn(value.shape, generator=generator, device="cpu").to(value.device)
            return (noise * (spread * scale)).to(value.dtype)
        if value.dtype is torch.bool:
            return ~value
        pick = torch.randint(value.numel(), value.shape, generator=generator, device="cpu").to(value.device)
        return value.flatten()[pick]

    return draw


def lowest(value: torch.Tensor) -> torch.Tensor:
    """Integers all alike, the least of the tensor: what several rows share at the top is gone. Floats stay."""
    return value.amin().expand_as(value) if _counts(value) else value


def highest(value: torch.Tensor) -> torch.Tensor:
    return value.amax().expand_as(value) if _counts(value) else value


def _counts(value: torch.Tensor) -> bool:
    return not (value.is_floating_point() or value.is_complex() or value.dtype is torch.bool)


def row_axis(contract: TensorOf, axis: str) -> tuple[int, Tree | None] | None:
    """The column whose index tells the row, and what is counted faster than it: `G` in `B*G`."""
    axes, many = contract.spec.axes, contract.spec.variadic
    for index, part in enumerate(axes):
        column = index if many is None or index < many else index - len(axes)
        match part:
            case Named(name) if name == axis:
                return column, None
            case Expr(tree=tree) if (inner := _faster(tree, axis)) is not False:
                return column, inner  # type: ignore[return-value]
    return None


def _faster(tree: Tree, axis: str) -> Tree | bool | None:
    """Of a product that holds `axis` once: the factors behind it, None where it is last. False for anything else."""
    match tree:
        case Var(name) if name == axis:
            return None
        case BinOp("*", left, right):
            in_left, in_right = axis in Expr("", left).names, axis in Expr("", right).names
            if in_left == in_right:
                return False
            inner = _faster(left if in_left else right, axis)
            if inner is False or in_right:
                return inner
            return right if inner is None else BinOp("*", inner, right)  # type: ignore[arg-type]
        case _:
            return False


@dataclass(frozen=True, slots=True)
class Trial:
    """`rows` rows along `axis`, the arguments by name, and the sizes that they bind."""

    plan: Plan
    axis: str
    rows: int
    arguments: Mapping[str, Any]
    scope: Scope
    spare: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # copies that the last run has left as they were
    both: dict[tuple[str, Poison], torch.Tensor] = field(default_factory=dict)  # a tensor, and behind it its poison
    found: dict[Any, tuple[int, torch.Tensor] | None] = field(default_factory=dict)  # what `places` has said

    @property
    def nobody(self) -> torch.Tensor:
        return torch.zeros(self.rows, dtype=torch.bool, device="cpu")

    def tensors(self) -> list[tuple[TensorOf, torch.Tensor, str]]:
        """The tensors among the arguments, each with its name."""
        contracts = self.plan.contracts
        return [leaf for name, c in contracts.items() for leaf in leaves(c, self.arguments[name], name)]

    def places(self, contract: TensorOf, value: torch.Tensor) -> tuple[int, torch.Tensor] | None:
        """The column of the row axis and, for each index along it, the row."""
        key = (id(contract), value.shape)
        if key not in self.found:
            self.found[key] = self._places(contract, value)
        return self.found[key]

    def _places(self, contract: TensorOf, value: torch.Tensor) -> tuple[int, torch.Tensor] | None:
        found = row_axis(contract, self.axis)
        if found is None:
            return None
        column, faster = found
        try:
            inner = 1 if faster is None else int(evaluate(faster, self.scope))
        except Missing:
            return None
        size = value.shape[column]
        if size == 1 and self.rows > 1:  # broadcast: shared by all rows
            return None
        return column % value.dim(), (torch.arange(size, device="cpu") // inner) % self.rows

    def changed(self, poisoned: torch.Tensor, poison: Poison, only: str | None = None) -> dict[str, Any]:
        """The arguments with the poisoned rows replaced; `only` keeps all but one tensor clean."""

        def change(contract: TensorOf, value: torch.Tensor, path: str) -> torch.Tensor:
            place = self.places(contract, value) if value.layout is torch.strided else None
            if place is None or only not in (None, path):
                return value.detach().clone()
            column, row = place
            key = (path, poison)
            if key not in self.both:
                self.both[key] = torch.cat([value.detach(), poison(value.detach())], column)
            size = value.shape[column]
            index = torch.arange(size, device="cpu") + size * poisoned[row]
            return self.both[key].index_select(column, index.to(value.device))

        return self.copies(change)

    def copies(self, change: Callable[..., torch.Tensor]) -> dict[str, Any]:
        contracts = self.plan.contracts
        return {
            name: remap(contracts[name], value, change, name)
            if name in contracts and leaves(contracts[name], value, name)
            else self._private(name, value)
            for name, value in self.arguments.items()
        }

    def _private(self, name: str, value: Any) -> Any:
        """A copy of an argument; that of the last run where the run has changed nothing of it."""
        if isinstance(value, torch.Tensor):
            return private(value)
        if name in self.spare:
            old, print_ = self.spare[name]
            if _fingerprint(old) == print_:
                return old
        new = private(value)
        self.spare[name] = (new, _fingerprint(new))
        return new

    def outputs(self, arguments: Mapping[str, Any], again: Any) -> list[Output]:
        """The tensors of the result that have rows: value, column, row of each index, name."""
        again()
        result = call(self.plan, self.plan.fn, arguments)
        found = []
        for contract, value, path in leaves(self.plan.returns, result, "return value"):
            place = self.places(contract, value)
            if place is not None:
                found.append((value, *place, path))
        return found

    def clean(self, again: Any) -> list[Output]:
        return self.outputs(self.changed(self.nobody, nan), again)


def _fingerprint(value: Any) -> Any:
    """What changes when a run changes something: versions of tensors, identities of what attributes hold."""
    seen: dict[int, Any] = {}
    stack = [value]
    while stack:
        one = stack.pop()
        if id(one) in seen or isinstance(one, str | int | float | type(None) | type):
            continue
        if isinstance(one, torch.Tensor):
            seen[id(one)] = one._version
            continue
        if isinstance(one, dict):
            parts = list(one.values())
        elif isinstance(one, list | tuple | set | frozenset):
            parts = list(one)
        else:
            own = getattr(one, "__dict__", None)
            parts = [own] if isinstance(own, dict) else []
        seen[id(one)] = tuple(map(id, parts))
        stack += parts
    return seen
