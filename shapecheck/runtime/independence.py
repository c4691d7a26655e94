"""Rows that must not see each other: `@shaped(independent="B")`.

No shape can show that row i of a result was computed from row j. Two questions can, asked of copies:
poison some rows of the inputs with NaN (other values, where NaN does not exist): do the clean rows of the
result change? And the gradient of some rows of the result: is it zero for the other rows of the inputs?
Each row is in another half of the poisoned sets, none of which holds another's: 4 sets separate every row of 6
from every other, 7 those of 35, 13 those of 1,716 (Sperner). A NaN that changes a clean row is evidence only when
finite values or the gradient agree, for 0 * NaN is NaN and yet no leak.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from shapecheck.dims.mismatch import Mismatch, RowsLeak
from shapecheck.dims.spec import BinOp, Expr, Named, Tree, Var
from shapecheck.runtime.contract import Contract, Record, TensorOf, tensors
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.failing import raise_for, shapes_of
from shapecheck.runtime.plan import Plan
from shapecheck.runtime.report import Entry
from shapecheck.runtime.rerun import bind, call, forked, leaves, remap, transforming
from shapecheck.runtime.scope import Missing, Scope, evaluate
from shapecheck.runtime.state import Uncopyable, kept, private, reached

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
    """Sets of rows, as bool vectors `[rows]`: for every ordered pair some set holds the one and not the other.

    Row r is in the sets that the r-th choice of k/2 out of k names; no choice is within another. Sperner, 1928.
    """
    count = next(k for k in itertools.count(1) if math.comb(k, k // 2) >= rows)
    chosen = torch.zeros(count, rows, dtype=torch.bool, device="cpu")
    for row, sets in zip(range(rows), itertools.combinations(range(count), count // 2)):
        chosen[list(sets), row] = True
    yield from chosen


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
    spare: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # copies that the last run has left as they were

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
        return column % value.dim(), (torch.arange(size, device="cpu") // inner) % self.rows

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

    def clean(self, again: Any) -> list[tuple[torch.Tensor, int, torch.Tensor, str]]:
        return self.outputs(self.copies(lambda c, v, p: v.detach().clone()), again)


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


def prove(plan: Plan, axis: str, arguments: Mapping[str, Any], scope: Scope, entry: Entry) -> None:
    """Raise ShapeError if some row of the result depends on another row of an argument.

    Nothing of the user's is touched: arguments are copied, what the function reaches otherwise is put back. Where
    that cannot be, the proof is refused with a warning.
    """
    trial = Trial(plan, axis, scope.sizes[axis], arguments, scope)
    home = inspect.unwrap(plan.fn)
    given, outside = reached(dict(arguments)), reached({plan.name: home})
    leak: Mismatch | None = None
    try:
        if not (given.complete and outside.complete):
            raise Uncopyable("it holds too many objects")
        generators = {**given.generators, **outside.generators}.values()
        with kept([given, outside]) as state, forked(generators) as wind, torch.inference_mode(False), torch.no_grad():

            def again() -> None:
                state.restore()
                wind()

            try:
                clean = trial.clean(again)
                state.restore(thorough=True)  # what a call of its own would change is known before anything is poisoned
            except Uncopyable:
                raise
            except Exception as error:  # if the call itself is at fault, it will say so when it is made
                entry.notes.append(f"rows along {axis}: a copy of the call failed ({type(error).__name__}: {error})")
                return
            leak = _find(trial, clean, again)
    except Uncopyable as error:
        _refuse(plan, entry, f"{error}: a second run might change it")
        return
    except _Unsteady:
        _refuse(
            plan, entry, "two runs of one call differ: it draws random numbers, or keeps state, that cannot be put back"
        )
        return
    if state.changed:
        entry.notes.append(f"rows along {axis}: the runs changed {', '.join(state.changed[:4])}, which was put back")
    if leak is not None:
        shapes = [pair for name, value in arguments.items() for pair in shapes_of(name, value)]
        raise_for(leak, shapes, plan.name)


class _Unsteady(Exception):
    """The same call gives other values when it is made again."""


def _refuse(plan: Plan, entry: Entry, why: str) -> None:
    said = f"rows are not proved independent: {why}"
    entry.notes.append(said)
    warnings.warn(f"{plan.where}: {said}", RuntimeWarning, stacklevel=4)


def _find(trial: Trial, clean: Any, again: Any) -> Mismatch | None:
    for poisoned in masks(trial.rows):
        if _moved(trial, clean, poisoned, _nan, again):
            for poison in (_drawn(1.0), _drawn(30.0)):
                if found := _moved(trial, clean, poisoned, poison, again):
                    if not all(bool(_same(a, b).all()) for (a, *_), (b, *_) in zip(clean, trial.clean(again))):
                        raise _Unsteady
                    return _named(trial, clean, poisoned, poison, found, again)
    return Gradients(trial, again).leak()


def _nan(value: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    if value.is_floating_point() or value.is_complex():
        return torch.full_like(old, float("nan"))
    return _drawn(1.0)(value, old)


def _drawn(scale: float) -> Change:
    """Other values in the manner of the tensor's own: floats drawn around them, integers and bools taken from them."""

    def draw(value: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator("cpu").manual_seed(value.numel())
        if value.is_floating_point() or value.is_complex():
            finite = value.detach()[torch.isfinite(value)]
            spread = float(finite.float().abs().mean().clamp(min=1e-3)) if finite.numel() else 1.0
            noise = torch.randn(old.shape, generator=generator, device="cpu").to(old.device)
            return (noise * (spread * scale)).to(old.dtype)
        if value.dtype is torch.bool:
            return ~old
        pick = torch.randint(value.numel(), old.shape, generator=generator, device="cpu").to(value.device)
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
            return path, int((~poisoned).nonzero().flatten()[0])
        keep = (~poisoned[row]).nonzero().flatten().to(before.device)
        a, b = before.index_select(column, keep), after.index_select(column, keep)
        if torch.equal(a, b):
            continue
        wrong = ~_same(a, b)
        if wrong.any():
            along = wrong.movedim(column, 0).flatten(1).any(1) if wrong.dim() > 1 else wrong
            return path, int(row[keep.cpu()][int(along.nonzero()[0])])
    return None


def _same(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Equal but for the order of sums: in halves a sum is rounded once more, by half a unit."""
    if not (a.is_floating_point() or a.is_complex()):
        return a == b
    eps = torch.finfo(a.dtype).eps
    relative, absolute = (100, 20) if eps < 1e-4 else (4, 1)
    scale = a.abs().nan_to_num(0, 0, 0).amax() if a.numel() else a.new_zeros(())
    return torch.isclose(a, b, rtol=relative * eps, atol=float(absolute * eps * scale), equal_nan=True)


def _named(
    trial: Trial, clean: Any, poisoned: torch.Tensor, poison: Change, found: tuple[str, int], again: Any
) -> Mismatch:
    """Narrow a leak down to one argument and one row of it."""
    paths = [p for name, c in trial.plan.contracts.items() for _, _, p in leaves(c, trial.arguments[name], name)]
    source = next((p for p in paths if _moved(trial, clean, poisoned, poison, again, p)), None)
    for other in itertools.islice(poisoned.nonzero().flatten().tolist(), 32):
        single = torch.zeros(trial.rows, dtype=torch.bool, device="cpu")
        single[other] = True
        if moved := _moved(trial, clean, single, poison, again, source):
            return _leak(trial, moved[0], moved[1], source, other, "other values there change it")
    return _leak(trial, found[0], found[1], source, int(poisoned.nonzero()[0]), "other values there change it")


def _leak(trial: Trial, path: str, row: int, source: str | None, other: int, how: str) -> Mismatch:
    name = f"argument {source}" if source else "the arguments"
    return Mismatch(path, RowsLeak(trial.axis, row, name, other, how))


class Gradients:
    """One differentiable run, and two ways back through it.

    The gradient is linear in its seeds. So if each row's seeds are scaled by a power of two of its own, which is exact,
    the row's gradient scales alike, unless another row's seeds reach it. A row that looks so is asked again alone:
    with seeds in all other rows its gradient must be zero.
    """

    def __init__(self, trial: Trial, again: Any) -> None:
        self.trial = trial
        self.inputs: list[tuple[torch.Tensor, int, torch.Tensor, str]] = []
        self.outputs: list[tuple[torch.Tensor, int, torch.Tensor, torch.Tensor]] = []
        generator = torch.Generator("cpu").manual_seed(trial.rows)
        with torch.enable_grad():
            try:
                outputs = trial.outputs(trial.copies(self._input), again)
            except RuntimeError:  # a body that autograd cannot follow: the poisoned runs speak alone
                return
        for value, column, row, _ in outputs:
            if value.is_floating_point() and value.requires_grad:
                # random weights: a plain sum of a softmax is constant and has no gradient
                weight = torch.randn(value.shape, generator=generator, device="cpu").to(value)
                self.outputs.append((value, column, row, weight))

    def _input(self, contract: TensorOf, value: torch.Tensor, path: str) -> torch.Tensor:
        new = value.detach().clone()
        place = self.trial.places(contract, value)
        if place is None or not new.is_floating_point():
            return new
        self.inputs.append((new.requires_grad_(), *place, path))
        return new.clone()  # no leaf: the body may write into it

    def leak(self) -> Mismatch | None:
        """Whether some row of the result has a gradient in another row of an argument."""
        if not self.outputs or not self.inputs:
            return None
        rows = self.trial.rows
        narrow = any(value.dtype is torch.float16 for value, *_ in self.outputs)
        powers = 2.0 ** ((torch.arange(rows, device="cpu") * 7) % (4 if narrow else 16))
        plain = self._back(torch.ones(rows, device="cpu"))
        scaled = self._back(powers)
        for number, (one, other) in enumerate(zip(plain, scaled)):
            if one is None or other is None:
                continue
            _, column, row, _ = self.inputs[number]
            factor = powers[row].to(one.device).view([-1 if d == column else 1 for d in range(one.dim())])
            apart = _by_row(other.float() / factor - one.float(), column)
            size = _by_row(one.float(), column)
            suspects = row[(apart > 1e-5 * size.amax()).nonzero().flatten().cpu()].tolist()
            for suspect in itertools.islice(dict.fromkeys(suspects), 4):
                if (leak := self._confirmed(number, int(suspect))) is not None:
                    return leak
        return None

    def _confirmed(self, number: int, suspect: int) -> Mismatch | None:
        """The row of the result that reaches the suspected row of one argument; None where none does."""
        trial = self.trial
        _, column, row, path = self.inputs[number]
        others = torch.arange(trial.rows, device="cpu") != suspect
        if not self._reaches(number, suspect, others, column, row):
            return None
        candidates = others.nonzero().flatten()
        while len(candidates) > 1:
            half = torch.zeros(trial.rows, dtype=torch.bool, device="cpu")
            half[candidates[: len(candidates) // 2]] = True
            split = len(candidates) // 2
            first = self._reaches(number, suspect, half, column, row)
            candidates = candidates[:split] if first else candidates[split:]
        return _leak(trial, "return value", int(candidates[0]), path, suspect, "its gradient reaches there")

    def _reaches(self, number: int, suspect: int, seeded: torch.Tensor, column: int, row: torch.Tensor) -> bool:
        gradient = self._back(seeded.float())[number]
        if gradient is None:
            return False
        size = _by_row(gradient.float(), column).nan_to_num(0, 0, 0)
        return bool(size[(row == suspect).to(size.device)].amax() > 1e-6 * size.amax())

    def _back(self, weights: torch.Tensor) -> list[torch.Tensor | None]:
        """The gradients of all inputs, with the seeds of each row of the result times its weight."""
        seeds = []
        for value, column, row, weight in self.outputs:
            factor = weights[row].to(value).view([-1 if d == column else 1 for d in range(value.dim())])
            seeds.append(weight * factor)
        found: Any = torch.autograd.grad(
            [value for value, *_ in self.outputs],
            [new for new, *_ in self.inputs],
            seeds,
            retain_graph=True,
            allow_unused=True,
        )
        return list(found)


def _by_row(gradient: torch.Tensor, column: int) -> torch.Tensor:
    """The largest entry at each index along the row axis."""
    others = [d for d in range(gradient.dim()) if d != column]
    return gradient.abs().amax(others) if others else gradient.abs()
