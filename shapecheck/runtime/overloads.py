"""Overloads: an implementation without tensors of its own is held to the signatures that callers read."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from shapecheck.dims.mismatch import Mismatch
from shapecheck.runtime.contract import Free, hold, late_mismatch, tensors
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.failing import raise_for, shapes_of
from shapecheck.runtime.guards import Guards
from shapecheck.runtime.plan import Plan, plan_of
from shapecheck.runtime.report import Entry
from shapecheck.runtime.resolve import annotations_of
from shapecheck.runtime.scope import Scope
from shapecheck.runtime.tensor_lines import Crooked

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
    plans = [
        plan_of(plan.fn, plan.builder, plan.names, late=plan.late, only=annotations_of(s), body=plan.body)
        for s in signatures
    ]
    entry.checked, entry.how = ["one of its overloads"], "around the call"
    slow = _by_reference(plan, plans)
    try:
        return _straight(plan, plans, slow)
    except Crooked:
        entry.notes.append("checked, but slowly: overloads")
        return slow


def _by_reference(plan: Plan, plans: list[Plan]) -> types.FunctionType:
    @functools.wraps(plan.fn)
    def chosen(*args: Any, **kwargs: Any) -> Any:
        bound = plan.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        call = [pair for name, value in bound.arguments.items() for pair in shapes_of(name, value)]
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

    return chosen  # type: ignore[return-value]


def _arguments(plan: Plan, bound: inspect.BoundArguments, scope: Scope) -> Mismatch | None:
    for name, contract in plan.contracts.items():
        mismatch = hold(contract, bound.arguments[name], scope, f"argument {name}", wait=True)
        if mismatch is not None:
            return mismatch
    return late_mismatch(scope)


class _Other(Exception):
    """A guard of one overload refuses: another may take the call."""


def _straight(plan: Plan, plans: list[Plan], slow: Callable[..., Any]) -> types.FunctionType:
    """The candidates one after the other, as straight lines; when all refuse, the reference speaks."""
    from shapecheck.runtime.twin import _defaults, _signature_text

    parameters, call = _signature_text(plan)
    names = ", ".join(plan.signature.parameters)
    constants: dict[str, Any] = {"_sc_fn": plan.fn, "_sc_slow": slow, "_sc_Other": _Other}
    lines = [f"def _sc_around({parameters}):"]
    for number, candidate in enumerate(plans):
        guards = Guards("_sc_", tuple(plan.signature.parameters))
        guards.constants = constants
        for name, contract in candidate.contracts.items():
            if not isinstance(contract, Free):
                guards.check(contract, name, guards.site(name, contract, wait=True), name, name)
        guards.settle()
        head, guards.lines = guards.lines, []
        guards.inner = "y"
        guards.check(candidate.returns, "_sc_result", guards.site("", candidate.returns), "_sc_result", "")
        lines += ["    try:", *(f"        {line}" for line in head or ["pass"])]
        lines += ["    except _sc_Other: pass", "    else:", f"        _sc_result = _sc_fn({call})"]
        lines += ["        try:", *(f"            {line}" for line in guards.lines or ["pass"])]
        lines += [
            f"        except _sc_Other: return _sc_wrong({number}, ({names},), _sc_result)"
            if names
            else "        except _sc_Other: raise"
        ]
        lines += ["        return _sc_result"]
    lines.append(f"    return _sc_slow({call})")

    def wrong(number: int, values: tuple[Any, ...], result: Any) -> Any:
        arguments = dict(zip(plan.signature.parameters, values))
        scope = Scope(arguments=arguments)
        for name, contract in plans[number].contracts.items():
            hold(contract, arguments[name], scope, f"argument {name}", wait=True)
        mismatch = hold(plans[number].returns, result, scope, "return value")
        if mismatch is not None:
            raise_for(mismatch, [p for n, v in arguments.items() for p in shapes_of(n, v)], plan.name)
        return result

    def fail(*_: Any) -> None:
        raise _Other

    constants.update(_sc_wrong=wrong, _sc_fail=fail)
    text = "\n".join([f"def factory({', '.join(constants)}):", *(f"    {line}" for line in lines)])
    scope: dict[str, Any] = {}
    exec(f"{text}\n    return _sc_around", scope)
    function: types.FunctionType = scope["factory"](**constants)
    function.__defaults__, function.__kwdefaults__ = _defaults(plan.signature)
    functools.update_wrapper(function, plan.fn)
    return function
