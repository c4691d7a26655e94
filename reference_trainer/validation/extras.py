"""What sizes alone don't show: gradients of parameters, other precisions, autocast, another device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from .binding import Binding
from .case import Case, Kind
from .finding import Check, Grade
from .names import guess
from .roles import make
from .sizes import size_name
from .subject import Subject
from .target import CannotCall

_ROUNDS = {torch.float32: 2.0**-22, torch.bfloat16: 2.0**-7, torch.float16: 2.0**-10}


def parameters(subject: Subject, how: Binding, case: Case, dtype: torch.dtype) -> Iterator[Check]:
    """Each parameter's gradient against differences of the value."""
    built = subject.build(case.batch)
    if not isinstance(built, nn.Module):
        return
    named = {n: p for n, p in built.named_parameters() if p.requires_grad}
    if not named:
        return
    before = subject.run(case, how, dtype)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in list(named.items())[:12]:
        way = (
            torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
            if parameter.numel() > 1
            else torch.ones(parameter.shape, dtype=torch.float64)
        )
        step = 1e-4 if dtype == torch.float64 else 1e-2

        def moved(by: float, name: str = name, way: torch.Tensor = way) -> float:
            def alter(function: object) -> None:
                with torch.no_grad():
                    there = dict(function.named_parameters())[name]  # type: ignore[attr-defined]
                    there.add_((by * way).to(there.dtype))

            return subject.run(case, how, dtype, alter=alter).value

        slope = (moved(step) - moved(-step)) / (2 * step)
        seen = before.parameters.get(name)
        given = 0.0 if seen is None else float((seen * way).sum())
        floor = 1e-6 * max(abs(before.value), 1.0) if dtype == torch.float64 else 1e-3 * max(abs(before.value), 1.0)
        if abs(slope) <= floor and abs(given) <= floor:
            scale = (
                guess(name.rpartition(".")[2]) in ("temperature", "scale", "log scale")
                or "scale" in name
                or "temp" in name
            )
            if scale:
                yield Check(
                    f"parameter {name}",
                    Grade.WRONG,
                    f"the learned {name} has no effect on the loss: its gradient is zero",
                )
            continue
        loose = 1e-3 if dtype == torch.float64 else 5e-2
        ok = abs(slope - given) <= loose * max(abs(slope), abs(given))
        dead = " (it never gets a gradient)" if given == 0.0 else ""
        yield Check(
            f"parameter {name}",
            Grade.OK if ok else Grade.WRONG,
            "" if ok else f"the gradient of {name} is {given:.4g}, but the loss changes by {slope:.4g} with it{dead}",
        )


def _large(how: Binding) -> Case:
    if how.kind is Kind.CLASSES:
        return how.draw(64, 1, seed=9, spread=1.0)
    group = how.group or (7 if how.kind is Kind.GROUPS else 2)  # 7: i*G above 256 needs more bits than bfloat16 has
    return how.draw(64, group, seed=9, spread=1.0, positive=1.0)


def precisions(subject: Subject, how: Binding, scale: float | None) -> Iterator[Check]:
    """float32, bfloat16, float16 and autocast against float64 or float32, at B=64.

    Scores are rounded before they are scaled, so what rounding may do grows with the scale; None where it is unknown.
    """
    case = _large(how)
    try:
        exact = subject.run(case, how, torch.float64)
    except CannotCall:
        try:
            exact = subject.run(case, how, torch.float32)
        except CannotCall:
            return
    for dtype, autocast in (
        (torch.float32, False),
        (torch.bfloat16, False),
        (torch.float16, False),
        (torch.float32, True),
    ):
        name = "autocast to bfloat16" if autocast else str(dtype).removeprefix("torch.")
        rounded = case.with_rows(case.rows.to(dtype).double())
        try:
            base = exact if dtype == torch.float32 else subject.run(rounded, how, torch.float64)
            seen = subject.run(case, how, dtype, autocast=autocast)
        except CannotCall as error:
            yield Check(name, Grade.NOTE, f"it can't be called in {name}: {error}")
            continue
        rounds = _ROUNDS[torch.bfloat16 if autocast else dtype]
        loose = 4 * rounds * max(abs(scale or 20.0), 5.0)
        if seen.value != seen.value or abs(seen.value) == float("inf"):
            yield Check(
                name,
                Grade.WRONG if dtype == torch.float32 and not autocast else Grade.NOTE,
                f"it gives {seen.value} in {name} at {size_name(case)}",
            )
            continue
        near = abs(seen.value - base.value) <= loose + 20 * rounds * abs(base.value)
        along = float(torch.nn.functional.cosine_similarity(seen.gradient.flatten(), base.gradient.flatten(), dim=0))
        straight = along > 0.8 or scale is None or loose > 0.7 or float(base.gradient.norm()) < 1e-12
        sentence = f"in {name} the loss is {seen.value:.4g} where it must be {base.value:.4g} at {size_name(case)}"
        if near and not straight:
            sentence = f"in {name} the gradient points elsewhere (cosine {along:.2f}) at {size_name(case)}"
        yield Check(name, Grade.OK if near and straight else Grade.WRONG, "" if near and straight else sentence)


def devices(subject: Subject, how: Binding) -> Iterator[Check]:
    """The same on a GPU where there is one; `meta`-free, so that nothing is only pretended."""
    if not torch.cuda.is_available():
        yield Check(
            "another device", Grade.NOTE, "there is no GPU here: tensors made on the wrong device would not be seen"
        )
        return
    case = _large(how)
    rows = case.rows.float().cuda().requires_grad_()
    subject.tape.lay(rows)
    function = subject.build(case.batch)
    function = function.cuda() if isinstance(function, nn.Module) else function
    positional, named = how.arguments(case.with_rows(rows), lambda role, c: _moved(make(role, c)))
    try:
        function(*positional, **{**subject.given, **named})
    except Exception as error:  # whatever a loss of the user's raises is the finding
        yield Check("another device", Grade.WRONG, f"it raises on a GPU: {error}")
    else:
        yield Check("another device", Grade.OK)


def _moved(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.cuda()
    if isinstance(value, list):
        return [_moved(item) for item in value]
    if isinstance(value, dict):
        return type(value)({k: _moved(v) for k, v in value.items()})
    return value
