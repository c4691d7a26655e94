"""Every number that the loss holds is moved a little: how does the scale of the scores follow?

A temperature that is applied once has the exponent -1 (a scale 1), one applied twice -2, one left out 0. The numbers
are attributes, parameters, default arguments, globals that the code reads, and literals in the code itself.
"""

from __future__ import annotations

import copy
import inspect
import math
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from .finding import Check, Grade
from .matching import Fit, Sample, matches
from .names import guess
from .subject import Subject
from .target import CannotCall

STEP = 1.07


@dataclass(frozen=True)
class Number:
    """A number of the user's, where it is held, and the loss with it moved by a factor."""

    name: str
    value: float
    moved: Callable[[float], Subject]


def numbers(subject: Subject) -> list[Number]:
    """What can be moved: attributes first, then arguments, globals, literals."""
    built = subject.build(8)
    found = list(_attributes(subject, built))
    function = _called(built)
    plain = inspect.unwrap(function)
    plain = getattr(plain, "__func__", plain)
    if isinstance(plain, types.FunctionType):
        found += _arguments(subject, plain)
        found += _globals(subject, plain)
        if not isinstance(built, nn.Module) and plain is subject.target.found:
            found += _literals(subject, plain)
    return found[:24]


def _called(built: Any) -> Any:
    if isinstance(built, nn.Module):
        return built.forward
    return built if inspect.isroutine(built) else type(built).__call__


def _real(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and value not in (0, 1, -1)
        and math.isfinite(value)
    )


def _attributes(subject: Subject, built: Any) -> Iterator[Number]:
    for name, value in list(getattr(built, "__dict__", {}).items()):
        if _real(value) and not name.startswith("__"):
            yield Number(name, float(value), _setter(subject, name))
    if isinstance(built, nn.Module):
        for name, parameter in built.named_parameters():
            if parameter.numel() == 1:
                yield Number(name, float(parameter.detach()), _scaler(subject, name))


def _setter(subject: Subject, name: str) -> Callable[[float], Subject]:
    def moved(factor: float) -> Subject:
        def build(batch: int) -> Any:
            built = subject.build(batch)
            setattr(built, name, getattr(built, name) * factor)
            return built

        return replace(subject, build=build)

    return moved


def _scaler(subject: Subject, name: str) -> Callable[[float], Subject]:
    def moved(factor: float) -> Subject:
        def build(batch: int) -> Any:
            built = subject.build(batch)
            with torch.no_grad():
                dict(built.named_parameters())[name].mul_(factor)
            return built

        return replace(subject, build=build)

    return moved


def _arguments(subject: Subject, function: types.FunctionType) -> list[Number]:
    found = []
    for parameter in inspect.signature(function).parameters.values():
        value = subject.given.get(parameter.name, parameter.default)
        if _real(value):

            def moved(factor: float, name: str = parameter.name, value: float = value) -> Subject:
                return replace(subject, given={**subject.given, name: value * factor})

            found.append(Number(parameter.name, float(value), moved))
    return found


def _globals(subject: Subject, function: types.FunctionType) -> list[Number]:
    found = []
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if _real(value):
            found.append(Number(name, float(value), _rewritten(subject, function, {name: value})))  # type: ignore[arg-type, dict-item]
    return found


def _rewritten(subject: Subject, function: types.FunctionType, names: dict[str, float]) -> Callable[[float], Subject]:
    def moved(factor: float) -> Subject:
        world = {**function.__globals__, **{name: value * factor for name, value in names.items()}}
        changed = _copy(function, function.__code__, world)
        if isinstance(subject.build(8), types.FunctionType):
            return replace(subject, build=lambda batch: changed)

        def build(batch: int) -> Any:
            built = subject.build(batch)
            place = "forward" if isinstance(built, nn.Module) else "__call__"
            kind = type(built)
            built = copy.copy(built)
            built.__class__ = type(kind.__name__, (kind,), {place: changed})
            return built

        return replace(subject, build=build)

    return moved


def _literals(subject: Subject, function: types.FunctionType) -> list[Number]:
    found = []
    for k, value in enumerate(function.__code__.co_consts):
        if isinstance(value, float) and _real(value) and 1e-4 < abs(value) < 1e4:

            def moved(factor: float, k: int = k, value: float = value) -> Subject:
                constants = list(function.__code__.co_consts)
                constants[k] = value * factor
                changed = _copy(function, function.__code__.replace(co_consts=tuple(constants)), function.__globals__)
                return replace(subject, build=lambda batch: changed)

            found.append(Number(f"{value:g}", value, moved))
    return found


def _copy(function: types.FunctionType, code: types.CodeType, world: dict[str, Any]) -> types.FunctionType:
    made = types.FunctionType(code, world, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def exponents(
    subject: Subject, how: Any, fit: Fit, sample: Sample, dtype: torch.dtype
) -> list[tuple[Number, float | None]]:
    """For each number the power in which the scale follows it; None where the loss is no longer of the same form."""
    found: list[tuple[Number, float | None]] = []
    for number in numbers(subject):
        try:
            moved = number.moved(STEP)
            outcomes = tuple(moved.run(case, how, dtype) for case in sample.cases)
        except (CannotCall, TypeError, ValueError):
            found.append((number, None))
            continue
        if all(
            abs(a.value - b.value) <= sample.loose * max(abs(b.value), 1e-6) for a, b in zip(outcomes, sample.outcomes)
        ):
            found.append((number, 0.0))
            continue
        again = next(matches(Sample(sample.cases, outcomes, sample.loose), [fit.candidate]), None)
        if again is None or again.parameter <= 0 or fit.parameter <= 0:
            found.append((number, None))
        else:
            found.append((number, round(math.log(again.parameter / fit.parameter) / math.log(STEP), 3)))
    return found


def _of_logarithm(value: float, power: float) -> float | None:
    """How often exp(value) is applied, where a step of the value by STEP moved the scale by STEP**power."""
    times = power * math.log(STEP) / (value * (STEP - 1))
    return times if abs(times - round(times)) < 0.02 and round(times) else None


def judge_scale(found: list[tuple[Number, float | None]], scale: float, normalises: bool) -> Iterator[Check]:
    """Is a temperature left out, applied twice, or upside down?"""
    named = [(n, e) for n, e in found if guess(n.name.rpartition(".")[2]) in ("temperature", "scale", "log scale")]
    followed = [(n, e) for n, e in found if e is not None and abs(e) > 0.05]
    for number, power in followed:
        if abs(abs(power) - 2) < 0.05:
            divides = "divides" if power < 0 else "multiplies"
            yield Check(
                "temperature",
                Grade.WRONG,
                f"the temperature is applied twice: {number.name} = {number.value:g} {divides} the scores two times, "
                f"so they are multiplied by {scale:.5g}",
            )
            return
    for number, power in followed:
        times = _of_logarithm(number.value, power)
        logarithm = abs(power - round(power)) > 0.05 and times is not None
        if logarithm and times is not None and round(times) == 2 and abs(math.log(scale) / number.value - 2) < 1e-2:
            yield Check(
                "temperature",
                Grade.WRONG,
                f"the temperature is applied twice: exp({number.name}) = {math.exp(number.value):.5g} multiplies the "
                f"scores two times, so they are multiplied by {scale:.5g}",
            )
            return
    pair = _cancelling(followed, scale)
    if pair:
        yield Check("temperature", Grade.WRONG, pair)
        return
    for number, power in followed:
        if abs(power - 1) < 0.05 and 0 < number.value < 1 and normalises and scale < 1:
            yield Check(
                "temperature",
                Grade.WRONG,
                f"the scores are multiplied by {number.name} = {number.value:g}, not divided: "
                "at this scale all candidates weigh nearly the same",
            )
            return
    dead = [n for n, e in named if e == 0.0]
    if dead and not followed and abs(scale - 1) < 1e-3:
        yield Check(
            "temperature",
            Grade.WRONG,
            f"the temperature is left out: {dead[0].name} = {dead[0].value:g} has no effect on the scores",
        )


def _cancelling(followed: list[tuple[Number, float]], scale: float) -> str:
    """Two numbers that say the same temperature, both applied."""
    once = [(n, e) for n, e in followed if abs(abs(e) - 1) < 0.05]
    for k, (one, power) in enumerate(once):
        for other, second in once[k + 1 :]:
            first_scale = one.value ** round(power)
            other_scale = other.value ** round(second)
            if abs(first_scale / other_scale - 1) < 1e-3 and abs(first_scale - 1) > 1e-3:
                return (
                    f"the temperature is applied twice, as {one.name} = {one.value:g} and as "
                    f"{other.name} = {other.value:g}: scores are multiplied by {scale:.5g}"
                )
    return ""
