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
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from shapecheck.dims.mismatch import Mismatch
from shapecheck.runtime.contract import Contract, Record, tensors
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.failing import raise_for, shapes_of
from shapecheck.runtime.gradients import Gradients, leak_between
from shapecheck.runtime.plan import Plan
from shapecheck.runtime.report import Entry
from shapecheck.runtime.rerun import bind, forked, transforming
from shapecheck.runtime.scope import Scope
from shapecheck.runtime.state import Uncopyable, kept, reached
from shapecheck.runtime.trial import Output, Poison, Trial, drawn, highest, lowest, masks, nan, row_axis

__all__ = ["independent"]


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


def _has_rows(contract: Contract, axis: str) -> bool:
    if isinstance(contract, Record):
        return any(_has_rows(part.contract, axis) for part in contract.fields)
    return any(row_axis(t, axis) is not None for t in tensors(contract))


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


def _find(trial: Trial, clean: list[Output], again: Any) -> Mismatch | None:
    for poisoned in masks(trial.rows):
        if _moved(trial, clean, poisoned, nan, again):
            for poison in (drawn(1.0), drawn(30.0)):
                if found := _moved(trial, clean, poisoned, poison, again):
                    return _named(trial, clean, poisoned, poison, found, again)
    for poisoned, poison in _extremes(trial):
        if found := _moved(trial, clean, poisoned, poison, again):
            return _named(trial, clean, poisoned, poison, found, again)
    return Gradients(trial, again).leak()


def _extremes(trial: Trial) -> Iterator[tuple[torch.Tensor, Poison]]:
    """For integers, which have no NaN and no gradient: all rows but one made alike, so that no maximum stays shared."""
    for contract, value, _ in trial.tensors():
        place = trial.places(contract, value)
        if place is None or value.is_floating_point() or value.is_complex() or value.dtype is torch.bool:
            continue
        column, row = place
        each = value.detach().movedim(column, 0).reshape(len(row), -1).cpu()
        if each.numel() and int(each.amin()) < int(each.amax()):
            for clean, poison in ((each.amax(1).argmin(), lowest), (each.amin(1).argmax(), highest)):
                yield torch.arange(trial.rows, device="cpu") != row[int(clean)], poison
            return


def _moved(
    trial: Trial, clean: list[Output], poisoned: torch.Tensor, poison: Poison, again: Any, only: str | None = None
) -> tuple[str, int] | None:
    """The first clean row of the result that is not what it was: where, and which."""
    try:
        outputs = trial.outputs(trial.changed(poisoned, poison, only), again)
    except Exception:  # NaN may be refused by the body itself; finite values and the gradient still speak
        return ("return value", -1) if poison is nan else None
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
    trial: Trial, clean: list[Output], poisoned: torch.Tensor, poison: Poison, found: tuple[str, int], again: Any
) -> Mismatch:
    """Narrow a leak down to one argument and one row of it. Raises _Unsteady where the call gives others anyway."""
    if not all(bool(_same(a, b).all()) for (a, *_), (b, *_) in zip(clean, trial.clean(again))):
        raise _Unsteady
    source = next((p for _, _, p in trial.tensors() if _moved(trial, clean, poisoned, poison, again, p)), None)
    for other in itertools.islice(poisoned.nonzero().flatten().tolist(), 32):
        single = torch.zeros(trial.rows, dtype=torch.bool, device="cpu")
        single[other] = True
        if moved := _moved(trial, clean, single, poison, again, source):
            return leak_between(trial, moved[0], moved[1], source, other, "other values there change it")
    return leak_between(trial, found[0], found[1], source, int(poisoned.nonzero()[0]), "other values there change it")
