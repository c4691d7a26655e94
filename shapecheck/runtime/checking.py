"""`check(x, "B G")`: one tensor held against a spec, anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from shapecheck.runtime.build import Builder
from shapecheck.runtime.contract import Contract
from shapecheck.runtime.errors import ContractError
from shapecheck.runtime.modes import mode

__all__ = ["check", "contract_for"]

T = TypeVar("T")
_KEPT = 4096  # specs written in a program are few; those that a program makes up are not kept for ever
_straight: dict[Any, Callable[[Any], None]] = {}


def check(value: T, axes: Any) -> T:
    """Return `value` if it fits `axes`: an axis string, or an annotation such as `Float[Tensor, "B G"]`.

    As a statement or on the right of `=` within a function that `@shaped` checks, the names are that
    function's: `check(s, "B G")` compares with the `B` of its arguments. Elsewhere they live for this one
    check. Raises ShapeError.
    """
    try:
        straight = _straight[axes]
    except (KeyError, TypeError):  # met for the first time, or not to be kept
        straight = _make(axes)
    straight(value)
    return value


def _make(axes: Any) -> Callable[[Any], None]:
    from shapecheck.runtime.records import straight_check

    if mode() == "off":
        return _nothing
    made = straight_check(contract_for(axes, Builder()), "the value")
    if axes.__hash__ is not None and len(_straight) < _KEPT:
        _straight[axes] = made
    return made


def _nothing(value: Any) -> None:
    return None


def contract_for(axes: Any, builder: Builder) -> Contract:
    """The contract of an axis string or an annotation."""
    if not isinstance(axes, str):
        return builder.build(axes)
    import torch
    from jaxtyping import Shaped

    try:
        return builder.build(Shaped[torch.Tensor, axes])
    except ValueError as error:
        raise ContractError(f"{axes!r} is no axis string: {error}") from error
