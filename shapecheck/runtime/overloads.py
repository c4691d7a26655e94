"""Overloads: an implementation without tensors of its own is held to the signatures that callers read."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from typing import Any

import torch

from shapecheck.dims.mismatch import Mismatch
from shapecheck.runtime.contract import hold, late_mismatch, tensors
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.failing import raise_for
from shapecheck.runtime.plan import Plan, plan_of
from shapecheck.runtime.report import Entry
from shapecheck.runtime.resolve import annotations_of
from shapecheck.runtime.scope import Scope

__all__ = ["overloaded"]


def overloaded(plan: Plan, entry: Entry) -> types.FunctionType | None:
    """The implementation, checked against each of its overloads in turn; None where it speaks for itself."""
    if sys.version_info < (3, 11) or any(tensors(c) for c in (*plan.contracts.values(), plan.returns)):
        return None
    signatures = typing.get_overloads(plan.fn)
    if not signatures:
        return None
    if plan.kind != "plain":
        raise ContractError(f"{plan.where}: overloads of a {plan.kind} cannot be checked; annotate the implementation")
    plans = [plan_of(plan.fn, plan.builder, plan.names, only=annotations_of(s)) for s in signatures]
    entry.checked, entry.how = ["one of its overloads"], "around the call"

    @functools.wraps(plan.fn)
    def chosen(*args: Any, **kwargs: Any) -> Any:
        bound = plan.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        call = [(n, v.shape) for n, v in bound.arguments.items() if isinstance(v, torch.Tensor)]
        refused: list[Mismatch] = []
        for candidate in plans:
            scope = Scope(arguments=dict(bound.arguments))
            mismatch = _arguments(candidate, bound, scope)
            if mismatch is None:
                result = plan.fn(*args, **kwargs)
                mismatch = hold(candidate.returns, result, scope, "return value")
                if mismatch is not None:
                    raise_for(mismatch, call, plan.name)
                return result
            refused.append(mismatch)
        raise_for(min(refused, key=lambda m: type(m.problem).__name__ == "NotATensor"), call, plan.name)

    return chosen


def _arguments(plan: Plan, bound: inspect.BoundArguments, scope: Scope) -> Mismatch | None:
    for name, contract in plan.contracts.items():
        mismatch = hold(contract, bound.arguments[name], scope, f"argument {name}", wait=True)
        if mismatch is not None:
            return mismatch
    return late_mismatch(scope)
