"""What one function declares: the contract of each argument, of its result, of what it yields."""

from __future__ import annotations

import builtins
import collections.abc
import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shapecheck.dims.spec import Named, Variadic
from shapecheck.runtime.body import Body
from shapecheck.runtime.build import Builder
from shapecheck.runtime.contract import Contract, Free, Items, OneOf, Plain, Record, TensorOf, Values, hold, tensors
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.expressions import braces_in
from shapecheck.runtime.resolve import annotations_of, holds_axes, own_classes, resolve
from shapecheck.runtime.scope import Scope
from shapecheck.runtime.source import NoSource

__all__ = ["Plan", "plan_of"]

KINDS = ("plain", "coroutine", "generator", "asyncgen")
_YIELDING = {
    collections.abc.Generator: 2,
    collections.abc.AsyncGenerator: None,
    collections.abc.Iterator: None,
    collections.abc.Iterable: None,
    collections.abc.AsyncIterator: None,
    collections.abc.AsyncIterable: None,
}  # where the type of the generator's own result stands


@dataclass(frozen=True, slots=True)
class Plan:
    """`hints` are the resolved types, which jaxtyping and beartype read; `contracts` are what the guards read."""

    fn: types.FunctionType
    signature: inspect.Signature
    kind: str
    hints: Mapping[str, Any]
    contracts: Mapping[str, Contract]
    returns: Contract
    yields: Contract
    builder: Builder
    names: Mapping[str, Any]  # what annotations in the body may name
    late: bool = False  # the program has loaded: every name exists by now
    body: Body | NoSource | None = None  # the source as it was at decoration
    lent: bool = False  # a decorator returns what the coroutine or generator function gave, as a plain function

    @property
    def name(self) -> str:
        return self.fn.__qualname__.replace("<locals>.", "")

    @property
    def where(self) -> str:
        return f"{self.fn.__module__}.{self.fn.__qualname__}"

    def whole_hint(self, name: str) -> Any:
        """The type of what an argument holds: of `*args: X` a tuple; None where it is no type."""
        hint, parameter = self.hints.get(name), self.signature.parameters[name]
        if hint is None or parameter.kind is parameter.VAR_KEYWORD:
            return None
        return types.GenericAlias(tuple, (hint, ...)) if parameter.kind is parameter.VAR_POSITIONAL else hint

    @property
    def speaks(self) -> bool:
        """Whether the signature asks anything."""
        return any(not isinstance(c, Free) for c in (*self.contracts.values(), self.returns, self.yields))

    @property
    def bound(self) -> set[str]:
        """The axis names to which the arguments give sizes."""
        return {name for c in self.contracts.values() for t in tensors(c) for name in t.spec.binds}


def plan_of(
    fn: types.FunctionType,
    builder: Builder,
    names: Mapping[str, Any],
    axes: Mapping[str, Any] | None = None,
    late: bool = False,
    only: Mapping[str, Any] | None = None,
    body: Body | NoSource | None = None,
) -> Plan:
    """Read what a function declares.

    `axes` declares what the function's own annotations leave out: `{"q": "B D", "return": "B N"}`.
    `only` replaces the annotations altogether (an overload's). Raises ContractError, and NameError for
    a name that does not exist yet.
    """
    home = inspect.unwrap(fn)  # where the names of the annotations live
    signature = inspect.signature(fn)
    written = dict(annotations_of(fn) if only is None else only)
    written.update({name: _declared(axis) for name, axis in (axes or {}).items()})
    if unknown := sorted(set(written) - set(signature.parameters) - {"return"}):
        raise ContractError(f"{fn.__qualname__} has no argument {', '.join(unknown)}")

    hints: dict[str, Any] = {}
    own = own_classes(home)
    for name, annotation in written.items():
        missing: list[str] | None = [] if late else None
        try:
            hints[name] = resolve(annotation, home.__globals__, names, late, missing, own)
        except NameError:
            raise
        except Exception as error:  # a malformed annotation raises whatever its parts raise
            if builder.strict and holds_axes(annotation, home.__globals__, names):
                raise ContractError(f"the annotation of {name} in {fn.__qualname__} is malformed: {error}") from error
            builder.notes.append(f"the annotation of {name} is malformed: {error}")

    contracts = {}
    for name, parameter in signature.parameters.items():
        if name in hints:
            contract = _defaulted(_named(builder, hints[name], f"argument {name}"), parameter, builder)
            if parameter.kind is parameter.VAR_POSITIONAL:
                contract = Items(tuple, contract) if not isinstance(contract, Free) else contract
            elif parameter.kind is parameter.VAR_KEYWORD and _is_unpacked(hints[name]):
                # each field is an argument of the call
                contract = dataclasses.replace(contract, shared=True) if isinstance(contract, Record) else Free()
            elif parameter.kind is parameter.VAR_KEYWORD:
                contract = Values(dict, contract) if not isinstance(contract, Free) else contract
            contracts[name] = contract

    kind = _kind(fn)
    changed = _kind(home) not in ("plain", kind)
    lent = changed and kind == "plain"
    kind = _kind(home) if lent else kind
    if changed:
        said = f"the result, where a decorator makes something else of the {_kind(home)}: put @shaped below it"
        builder.notes.append(said)
    returns: Contract = Free()
    yields: Contract = Free()
    if "return" in hints and (lent or not changed):
        if kind in ("generator", "asyncgen"):
            returns, yields = _yielding(builder, hints["return"])
        else:
            returns = _named(builder, hints["return"], "the return value")
    plan = Plan(fn, signature, kind, hints, contracts, returns, yields, builder, names, late, body, lent)
    _check_braces(plan)
    return plan


def _is_unpacked(hint: Any) -> bool:
    return getattr(typing.get_origin(hint), "_name", None) == "Unpack"


def _named(builder: Builder, hint: Any, who: str) -> Contract:
    try:
        return builder.build(hint)
    except ContractError as error:
        raise ContractError(f"{who}: {error}") from error


def _declared(axis: Any) -> Any:
    if not isinstance(axis, str):
        return axis
    import torch
    from jaxtyping import Shaped

    try:
        return Shaped[torch.Tensor, axis]
    except ValueError as error:
        raise ContractError(f"{axis!r} is no axis string: {error}") from error


def _kind(fn: types.FunctionType) -> str:
    if inspect.iscoroutinefunction(fn):
        return "coroutine"
    if inspect.isasyncgenfunction(fn):
        return "asyncgen"
    return "generator" if inspect.isgeneratorfunction(fn) else "plain"


def _yielding(builder: Builder, hint: Any) -> tuple[Contract, Contract]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin not in _YIELDING or not args:
        return Free(), Free()
    place = _YIELDING[origin]
    result = _named(builder, args[place], "the generator's result") if place and len(args) > place else Free()
    return result, _named(builder, args[0], "what is yielded")


def _defaulted(contract: Contract, parameter: inspect.Parameter, builder: Builder) -> Contract:
    """A default is right by definition: `p: Float[Tensor, "B D"] = None` also takes None."""
    default = parameter.default
    if default is parameter.empty or isinstance(contract, Free):
        return contract
    if hold(contract, default, Scope(), "default", wait=True) is None:
        return contract
    kind = type(default)
    builder.notes.append(f"argument {parameter.name} also takes its default's type, {kind.__name__}")
    return OneOf((Plain(kind, kind, lambda value: isinstance(value, kind)), contract))


def _check_braces(plan: Plan) -> None:
    every = [*plan.contracts.values(), plan.returns, plan.yields]
    unknown = sorted(n for n in braces_in(every) if n not in plan.signature.parameters and not hasattr(builtins, n))
    if unknown:
        raise ContractError(f"{{...}} in {plan.fn.__qualname__} reads {', '.join(unknown)}, which is not an argument")
    for name, contract in [*plan.contracts.items(), ("the result", plan.returns)]:
        options = contract.options if isinstance(contract, OneOf) else (contract,)
        for axis in (a for option in options if isinstance(option, TensorOf) for a in option.spec.axes):
            if isinstance(axis, Named | Variadic) and axis.treepath:
                raise ContractError(f"{axis} of {name} asks for one size per leaf, but {name} is no container")
    free = {n for c in (plan.returns, plan.yields) for t in tensors(c) for n in t.spec.binds} - plan.bound
    if free:
        plan.builder.notes.append(f"{', '.join(sorted(free))} of the result is bound by no argument: any size passes")
