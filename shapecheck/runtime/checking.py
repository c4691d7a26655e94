"""`check(x, "B G")`: one tensor held against a spec, anywhere."""

from __future__ import annotations

from typing import Any, TypeVar

from shapecheck.runtime.build import Builder
from shapecheck.runtime.contract import Contract, hold, late_mismatch
from shapecheck.runtime.errors import ContractError, ShapeError
from shapecheck.runtime.modes import mode
from shapecheck.runtime.scope import Scope

__all__ = ["check", "contract_for"]

T = TypeVar("T")


def check(value: T, axes: Any) -> T:
    """Return `value` if it fits `axes`: an axis string, or an annotation such as `Float[Tensor, "B G"]`.

    As a statement or on the right of `=` within a function that `@shaped` checks, the names are that
    function's: `check(s, "B G")` compares with the `B` of its arguments. Elsewhere they live for this one
    check. Raises ShapeError.
    """
    if mode() == "off":
        return value
    scope = Scope()
    mismatch = hold(contract_for(axes, Builder()), value, scope, "the value", wait=True) or late_mismatch(scope)
    if mismatch is not None:
        raise ShapeError.of(mismatch)
    return value


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
