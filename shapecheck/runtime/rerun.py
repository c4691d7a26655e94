"""Calling a function a second time without the first one noticing: copies of its state, other tensors, a forked RNG."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from shapecheck.runtime.contract import (
    Contract,
    Items,
    OneOf,
    Record,
    Row,
    TensorOf,
    Values,
    fields_of,
    hold,
    late_mismatch,
)
from shapecheck.runtime.plan import Plan
from shapecheck.runtime.scope import Scope

__all__ = ["bind", "call", "forked", "leaves", "remap", "transforming"]

Change = Callable[[TensorOf, torch.Tensor, str], torch.Tensor]


def bind(plan: Plan, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], Scope] | None:
    """The arguments by name and the sizes that they bind; None where they do not fit (the guards will say so)."""
    bound = plan.signature.bind(*args, **kwargs)
    bound.apply_defaults()
    scope = Scope(arguments=dict(bound.arguments))
    for name, contract in plan.contracts.items():
        if hold(contract, bound.arguments[name], scope, f"argument {name}", wait=True) is not None:
            return None
    return None if late_mismatch(scope) is not None else (dict(bound.arguments), scope)


def call(plan: Plan, fn: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call with arguments by name, as their kinds ask."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, parameter in plan.signature.parameters.items():
        value = arguments[name]
        match parameter.kind:
            case parameter.VAR_POSITIONAL:
                args.extend(value)
            case parameter.KEYWORD_ONLY:
                kwargs[name] = value
            case parameter.VAR_KEYWORD:
                kwargs.update(value)
            case _:
                args.append(value)
    return fn(*args, **kwargs)


def remap(contract: Contract, value: Any, change: Change, path: str) -> Any:
    """A copy of `value` with each tensor that the contract speaks of changed."""
    match contract:
        case TensorOf() if isinstance(value, torch.Tensor):
            return change(contract, value, path)
        case OneOf(options):
            for option in options:
                if hold(option, value, Scope(), path, wait=True) is None:
                    return remap(option, value, change, path)
            return value
        case Items(_, item):
            if not isinstance(value, list | tuple):
                return value
            return type(value)(remap(item, x, change, f"{path}[{n}]") for n, x in enumerate(value))
        case Row(items):
            return tuple(remap(c, x, change, f"{path}[{n}]") for n, (c, x) in enumerate(zip(items, value)))
        case Values(_, item):
            new = {key: remap(item, x, change, f"{path}[{key!r}]") for key, x in value.items()}
            return new if type(value) is dict else type(value)(new)
        case Record():
            return _record(contract, value, change, path)
        case _:
            return value


def _record(record: Record, value: Any, change: Change, path: str) -> Any:
    old = fields_of(record, value)
    new = {f.name: remap(f.contract, old[f.name], change, f"{path}.{f.name}") for f in record.fields if f.name in old}
    if record.keyed:
        return {**value, **new}
    if issubclass(record.cls, tuple):
        return value._replace(**new)
    return dataclasses.replace(value, **new) if dataclasses.is_dataclass(record.cls) else value


def leaves(contract: Contract, value: Any, path: str) -> list[tuple[TensorOf, torch.Tensor, str]]:
    """The tensors that the contract speaks of."""
    found: list[tuple[TensorOf, torch.Tensor, str]] = []

    def note(tensor: TensorOf, value: torch.Tensor, where: str) -> torch.Tensor:
        found.append((tensor, value, where))
        return value

    remap(contract, value, note, path)
    return found


_JIT: Any = torch.jit
_FUNCTORCH: Any = getattr(torch._C, "_functorch", None)


def transforming() -> bool:
    """Whether the call is traced, compiled or under `torch.func`: then it cannot be repeated with other values."""
    if torch.compiler.is_compiling() or _JIT.is_tracing():
        return True
    peek = getattr(_FUNCTORCH, "peek_interpreter_stack", None)
    return peek is not None and peek() is not None


@contextmanager
def forked(generators: Iterable[Any] = ()) -> Iterator[Callable[[], None]]:
    """Random numbers on the side; the function given starts them over, so that every run draws the same.

    torch's own, Python's, numpy's, and those of `generators`: all end where they began.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    numpy: Any = sys.modules.get("numpy")
    with torch.random.fork_rng(devices=devices):
        own = [(generator, _drawn_so_far(generator)) for generator in generators]
        sources: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
            (torch.get_rng_state, torch.set_rng_state),
            *((partial(torch.cuda.get_rng_state, d), partial(_set_cuda, d)) for d in devices),
            (random.getstate, random.setstate),
        ]
        if numpy is not None:
            sources.append((partial(numpy.random.get_state, legacy=False), numpy.random.set_state))
        states = [read() for read, _ in sources]
        used = [True] * len(sources)  # what the first run does not draw from is not wound back after each
        runs = itertools.count()

        def again() -> None:
            if next(runs) == 1:
                used[:] = [not _equal(read(), state) for (read, _), state in zip(sources, states)]
            for use, (_, write), state in zip(used, sources, states):
                if use:
                    write(state)
            for generator, saved in own:
                _wind(generator, saved)

        try:
            yield again
        finally:
            used[:] = [True] * len(sources)
            again()


def _set_cuda(device: int, state: torch.Tensor) -> None:
    torch.cuda.set_rng_state(state, device)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return all(_equal(a[key], b[key]) for key in a)
    same = a == b
    return bool(same.all()) if hasattr(same, "all") else bool(same)


def _drawn_so_far(generator: Any) -> Any:
    match generator:
        case torch.Generator():
            return generator.get_state()
        case random.Random():
            return generator.getstate()
    bits = getattr(generator, "bit_generator", None)  # numpy's new generators
    return copy.deepcopy(bits.state) if bits is not None else generator.get_state()


def _wind(generator: Any, state: Any) -> None:
    match generator:
        case torch.Generator():
            generator.set_state(state)
        case random.Random():
            generator.setstate(state)
        case _ if hasattr(generator, "bit_generator"):
            generator.bit_generator.state = state
        case _:
            generator.set_state(state)
