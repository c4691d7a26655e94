"""Rows that must not see each other: `@shaped(independent="B")`.

No shape can show that row i of a result was computed from row j. Two questions can, asked of copies:
poison some rows of the inputs with NaN (other values, where NaN does not exist): do the clean rows of the
result change? And the gradient of some rows of the result: is it zero for the other rows of the inputs?
The poisoned sets are the rows whose i-th bit is set, and the rows where it is not: 2*ceil(log2 B) sets
separate every row from every other. A NaN that changes a clean row is evidence only when finite values or
the gradient agree, for 0 * NaN is NaN and yet no leak.
"""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from shapecheck.dims.mismatch import Mismatch, RowsLeak
from shapecheck.dims.spec import BinOp, Expr, Named, Tree, Var
from shapecheck.runtime.contract import Contract, Record, TensorOf, tensors
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.failing import raise_for
from shapecheck.runtime.plan import Plan
from shapecheck.runtime.report import Entry
from shapecheck.runtime.rerun import bind, call, forked, leaves, private, remap, transforming
from shapecheck.runtime.scope import Missing, Scope, evaluate

__all__ = ["independent", "masks"]

Change = Callable[..., torch.Tensor]


def independent(plan: Plan, guarded: types.FunctionType, axis: str, first_k: int, entry: Entry) -> types.FunctionType:
    """The function, whose first `first_k` calls with at least two rows prove that rows do not mix.

    Raises ContractError when the axis is in no argument or not in the result.
    """
    if plan.kind != "plain":
        raise ContractError(f"{plan.where}: rows of a {plan.kind} cannot be proved independent")
    if not any(_has_rows(c, axis) for c in plan.contracts.values()):
        raise ContractError(f"{plan.where}: independent={axis!r}, but no argument has an axis {axis}")
    if not _has_rows(plan.returns, axis):
        raise ContractError(f"{plan.where}: independent={axis!r}, but the result has no axis {axis}")
    entry.checked.append(f"rows along {axis}")
    left = [None] * first_k

    @functools.wraps(plan.fn)
    def around(*args: Any, **kwargs: Any) -> Any:
        if left and not transforming():
            found = bind(plan, args, kwargs)
            if found is not None and found[1].sizes.get(axis, 0) > 1:
                left.pop()
                prove(plan, axis, *found, entry)
        return guarded(*args, **kwargs)

    return around  # type: ignore[return-value]


def masks(rows: int) -> Iterator[torch.Tensor]:
    """2*ceil(log2 rows) sets of rows, as bool vectors `[rows]`: every ordered pair is separated by one."""
    index = torch.arange(rows)
    for bit in range((rows - 1).bit_length()):
        chosen = (index >> bit) & 1 == 1
        yield chosen
        yield ~chosen


def _has_rows(contract: Contract, axis: str) -> bool:
    if isinstance(contract, Record):
        return any(_has_rows(part.contract, axis) for part in contract.fields)
    return any(_axis_of(t, axis) is not None for t in tensors(contract))


def _axis_of(contract: TensorOf, axis: str) -> tuple[int, Tree | None] | None:
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
    """One call, to be made again and again with other rows."""

    plan: Plan
    axis: str
    rows: int
    arguments: Mapping[str, Any]
    scope: Scope

    def places(self, contract: TensorOf, value: torch.Tensor) -> tuple[int, torch.Tensor] | None:
        """The column of the row axis and, for each index along it, the row."""
        found = _axis_of(contract, self.axis)
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
        return column % value.dim(), (torch.arange(size) // inner) % self.rows

    def changed(self, poisoned: torch.Tensor, poison: Change, only: str | None = None) -> dict[str, Any]:
        """The arguments with the poisoned rows replaced; `only` keeps all but one tensor clean."""

        def change(contract: TensorOf, value: torch.Tensor, path: str) -> torch.Tensor:
            new = value.detach().clone()
            place = self.places(contract, value)
            if place is not None and only in (None, path):
                column, row = place
                index = poisoned[row].nonzero().flatten().to(value.device)
                if index.numel():
                    old = new.index_select(column, index)
                    new.index_copy_(column, index, poison(value, old))
            return new

        return self.copies(change)

    def copies(self, change: Change) -> dict[str, Any]:
        contracts = self.plan.contracts
        return {
            name: remap(contracts[name], value, change, name)
            if name in contracts and leaves(contracts[name], value, name)
            else private(value)
            for name, value in self.arguments.items()
        }

    def outputs(self, arguments: Mapping[str, Any], again: Any) -> list[tuple[torch.Tensor, int, torch.Tensor, str]]:
        """The tensors of the result that have rows: value, column, row of each index, name."""
        again()
        result = call(self.plan, self.plan.fn, arguments)
        found = []
        for contract, value, path in leaves(self.plan.returns, result, "return value"):
            place = self.places(contract, value)
            if place is not None:
                found.append((value, *place, path))
        return found


def prove(plan: Plan, axis: str, arguments: Mapping[str, Any], scope: Scope, entry: Entry) -> None:
    """Raise ShapeError if some row of the result depends on another row of an argument."""
    trial = Trial(plan, axis, scope.sizes[axis], arguments, scope)
    with forked() as again, torch.inference_mode(False), torch.no_grad():
        try:
            clean = trial.outputs(trial.copies(lambda c, v, p: v.detach().clone()), again)
        except Exception as error:  # if the call itself is at fault, it will say so when it is made
            entry.notes.append(f"rows along {axis}: a copy of the call failed ({type(error).__name__}: {error})")
            return
        leak = _find(trial, clean, again)
    if leak is not None:
        call_shapes = [(n, v.shape) for n, v in arguments.items() if isinstance(v, torch.Tensor)]
        raise_for(leak, call_shapes, plan.name)


def _find(trial: Trial, clean: Any, again: Any) -> Mismatch | None:
    gradients = Gradients(trial, again)
    for poisoned in masks(trial.rows):
        if _moved(trial, clean, poisoned, _nan, again):
            for poison in (_drawn(1.0), _drawn(30.0)):
                if found := _moved(trial, clean, poisoned, poison, again):
                    return _named(trial, clean, poisoned, poison, found, again)
        if (leak := gradients.leak(poisoned)) is not None:
            return leak
    return None


def _nan(value: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    if value.is_floating_point() or value.is_complex():
        return torch.full_like(old, float("nan"))
    return _drawn(1.0)(value, old)


def _drawn(scale: float) -> Change:
    """Other values in the manner of the tensor's own: floats drawn around them, integers and bools taken from them."""

    def draw(value: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(value.numel())
        if value.is_floating_point() or value.is_complex():
            finite = value.detach()[torch.isfinite(value)]
            spread = finite.float().abs().mean().clamp(min=1e-3) if finite.numel() else torch.tensor(1.0)
            noise = torch.randn(old.shape, generator=generator).to(old.device)
            return (noise * (spread * scale)).to(old.dtype)
        if value.dtype is torch.bool:
            return ~old
        pick = torch.randint(value.numel(), old.shape, generator=generator).to(value.device)
        taken: torch.Tensor = value.detach().flatten()[pick]
        return taken

    return draw


def _moved(
    trial: Trial, clean: Any, poisoned: torch.Tensor, poison: Change, again: Any, only: str | None = None
) -> tuple[str, int] | None:
    """The first clean row of the result that is not what it was: where, and which."""
    try:
        outputs = trial.outputs(trial.changed(poisoned, poison, only), again)
    except Exception:  # NaN may be refused by the body itself; finite values and the gradient still speak
        return ("return value", -1) if poison is _nan else None
    for (before, column, row, path), (after, *_) in zip(clean, outputs):
        if before.shape != after.shape:
            return path, int((~poisoned).nonzero()[0])
        keep = (~poisoned[row]).nonzero().flatten().to(before.device)
        a, b = before.index_select(column, keep), after.index_select(column, keep)
        wrong = ~_same(a, b)
        if wrong.any():
            along = wrong.movedim(column, 0).flatten(1).any(1) if wrong.dim() > 1 else wrong
            return path, int(row[keep.cpu()][int(along.nonzero()[0])])
    return None


def _same(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    if not a.is_floating_point():
        return a == b
    tolerance = 20 * torch.finfo(a.dtype).eps  # the same sums over the same row, perhaps in another order
    scale = a.abs().nan_to_num(0, 0, 0).amax() if a.numel() else a.new_zeros(())
    return torch.isclose(a, b, rtol=1e3 * torch.finfo(a.dtype).eps, atol=float(tolerance * scale), equal_nan=True)


def _named(
    trial: Trial, clean: Any, poisoned: torch.Tensor, poison: Change, found: tuple[str, int], again: Any
) -> Mismatch:
    """Narrow a leak down to one argument and one row of it."""
    paths = [p for name, c in trial.plan.contracts.items() for _, _, p in leaves(c, trial.arguments[name], name)]
    source = next((p for p in paths if _moved(trial, clean, poisoned, poison, again, p)), None)
    for other in itertools.islice(poisoned.nonzero().flatten().tolist(), 32):
        single = torch.zeros(trial.rows, dtype=torch.bool)
        single[other] = True
        if moved := _moved(trial, clean, single, poison, again, source):
            return _leak(trial, moved[0], moved[1], source, other, "other values there change it")
    return _leak(trial, found[0], found[1], source, int(poisoned.nonzero()[0]), "other values there change it")


def _leak(trial: Trial, path: str, row: int, source: str | None, other: int, how: str) -> Mismatch:
    name = f"argument {source}" if source else "the arguments"
    return Mismatch(path, RowsLeak(trial.axis, row, name, other, how))


class Gradients:
    """One differentiable run, asked again for each set of rows."""

    def __init__(self, trial: Trial, again: Any) -> None:
        self.trial = trial
        self.inputs: list[tuple[torch.Tensor, int, torch.Tensor, str]] = []
        self.outputs: list[tuple[torch.Tensor, int, torch.Tensor, torch.Tensor]] = []
        generator = torch.Generator().manual_seed(trial.rows)
        with torch.enable_grad():
            try:
                outputs = trial.outputs(trial.copies(self._input), again)
            except RuntimeError:  # a body that autograd cannot follow: the poisoned runs speak alone
                return
        for value, column, row, _ in outputs:
            if value.is_floating_point() and value.requires_grad:
                # random weights: a plain sum of a softmax is constant and has no gradient
                weight = torch.randn(value.shape, generator=generator).to(value)
                self.outputs.append((value, column, row, weight))

    def _input(self, contract: TensorOf, value: torch.Tensor, path: str) -> torch.Tensor:
        new = value.detach().clone()
        place = self.trial.places(contract, value)
        if place is None or not new.is_floating_point():
            return new
        self.inputs.append((new.requires_grad_(), *place, path))
        return new.clone()  # no leaf: the body may write into it

    def leak(self, chosen: torch.Tensor) -> Mismatch | None:
        """Whether the chosen rows of the result have a gradient in other rows of an argument."""
        if not self.outputs or not self.inputs:
            return None
        seeds = []
        for value, column, row, weight in self.outputs:
            keep = chosen[row].to(value.device).view([-1 if d == column else 1 for d in range(value.dim())])
            seeds.append(weight * keep)
        found = torch.autograd.grad(
            [value for value, *_ in self.outputs],
            [new for new, *_ in self.inputs],
            seeds,
            retain_graph=True,
            allow_unused=True,
        )
        for (_, column, row, path), gradient in zip(self.inputs, found):
            if gradient is None:
                continue
            others = [d for d in range(gradient.dim()) if d != column]
            size = gradient.abs().amax(others) if others else gradient.abs()
            outside = size.masked_fill(chosen[row].to(size.device), 0)
            if outside.amax() > 1e-6 * size.nan_to_num(0, 0, 0).amax():
                other = int(row[int(outside.argmax())])
                row_index = int(chosen.nonzero()[0])
                return _leak(self.trial, "return value", row_index, path, other, "its gradient reaches there")
        return None
