"""Equal sizes hide bugs: run the first call again on meta tensors whose sizes are all different."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any

import torch

from shapecheck.dims.spec import Anonymous, Anything, Expr, Fixed, Named, Variadic
from shapecheck.runtime.contract import TensorOf
from shapecheck.runtime.errors import ContractError, ShapeError
from shapecheck.runtime.plan import Plan
from shapecheck.runtime.report import Entry
from shapecheck.runtime.rerun import bind, call, forked, remap, transforming
from shapecheck.runtime.scope import Missing, Scope, evaluate
from shapecheck.runtime.state import kept, private, reached

__all__ = ["decoupled"]

PRIMES = (7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)


def decoupled(plan: Plan, guarded: types.FunctionType, entry: Entry) -> types.FunctionType:
    """The function, whose first eager call is also made with sizes that cannot be confused."""
    if plan.kind != "plain":
        raise ContractError(f"{plan.where}: the sizes of a {plan.kind} cannot be decoupled")
    waiting = [True]

    @functools.wraps(plan.fn)
    def around(*args: Any, **kwargs: Any) -> Any:
        if waiting and not transforming():
            found = bind(plan, args, kwargs)
            if found is not None:
                waiting.clear()
                _try_sizes(plan, guarded, *found, entry)
        return guarded(*args, **kwargs)

    return around  # type: ignore[return-value]


def _try_sizes(plan: Plan, guarded: Any, arguments: dict[str, Any], scope: Scope, entry: Entry) -> None:
    """All axes at once; where the body cannot run so (weights fix a size), the axes that coincide, one by one."""
    free = [p for p in PRIMES if p not in scope.sizes.values()]
    every = dict(zip(scope.sizes, free))
    if _ran(plan, guarded, arguments, every, scope):
        return
    coincide = [n for n, s in scope.sizes.items() if s == 1 or list(scope.sizes.values()).count(s) > 1]
    ran = [name for name in coincide if _ran(plan, guarded, arguments, {**scope.sizes, name: every[name]}, scope)]
    if stuck := sorted(set(coincide) - set(ran)):
        entry.notes.append(f"decouple: the body does not run with other sizes of {', '.join(stuck)}")


def _ran(plan: Plan, guarded: Any, arguments: Mapping[str, Any], sizes: Mapping[str, int], scope: Scope) -> bool:
    """Whether the body ran on meta tensors of these sizes. A disagreement with its annotations is raised."""
    other = Scope(dict(sizes), dict(scope.groups), arguments=scope.arguments)

    def change(contract: TensorOf, value: torch.Tensor, path: str) -> torch.Tensor:
        return torch.empty(_shape(contract, value, other), dtype=value.dtype, device="meta")

    try:
        new = {
            name: remap(plan.contracts[name], value, change, name)
            if name in plan.contracts and not isinstance(value, torch.nn.Module)
            else private(value, "meta")
            for name, value in arguments.items()
        }
        outside = reached({plan.name: inspect.unwrap(plan.fn)})
        given = [reached({name: value}) for name, value in arguments.items()]
        with kept([outside, *given]), forked(outside.generators.values()), torch.no_grad():
            call(plan, guarded, new)
    except ShapeError as error:
        shown = ", ".join(f"{name} = {size}" for name, size in sizes.items())
        raised = ShapeError(f"{error} (found by decoupling the sizes of this call: {shown})")
        raised.mismatch, raised.judge = error.mismatch, error.judge
        raise raised from None
    except Exception:  # the body's own demands on sizes, values or devices: it says nothing about its annotations
        return False
    return True


def _shape(contract: TensorOf, value: torch.Tensor, scope: Scope) -> list[int]:
    axes, shape, many = contract.spec.axes, list(value.shape), contract.spec.variadic
    sizes: list[int] = []
    for index, axis in enumerate(axes):
        column = index if many is None or index < many else index - len(axes)
        match axis:
            case Named(name, broadcast, treepath):
                keep = treepath or (broadcast and shape[column] == 1)
                sizes.append(shape[column] if keep else scope.sizes[name])
            case Expr(tree=tree, broadcast=broadcast):
                sizes.append(1 if broadcast and shape[column] == 1 else _integer(tree, scope))
            case Fixed() | Anonymous():
                sizes.append(shape[column])
            case Anything() | Variadic():
                sizes += shape[index : len(shape) - (len(axes) - index - 1)]
    return sizes


def _integer(tree: Any, scope: Scope) -> int:
    size = evaluate(tree, scope)
    if size != int(size):
        raise Missing((str(tree),))
    return int(size)
