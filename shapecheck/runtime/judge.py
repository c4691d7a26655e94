"""jaxtyping with beartype, asked where time does not matter: at first calls, and before an error is raised."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shapecheck.dims.spec import Named, Variadic
from shapecheck.runtime.contract import Contract, Free, Items, OneOf, Plain, Row, TensorOf, Values, mocked, tensors
from shapecheck.runtime.errors import ShapeError
from shapecheck.runtime.plan import Plan
from shapecheck.runtime.trees import Tree

__all__ = ["Judge", "opinion"]

_NO_DEFAULT = object()


class Judge:
    """Checks whole calls with `jaxtyped(typechecker=beartype)` on a stand-in that has the resolved types."""

    def __init__(self, plan: Plan) -> None:
        self.where = plan.where
        self.arguments = {n: h for n, h in plan.hints.items() if _asked(plan.contracts.get(n, Free()))}
        for name, parameter in plan.signature.parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                self.arguments.pop(name, None)  # many values under one annotation
        self.defaults = {n: p.default for n, p in plan.signature.parameters.items()}
        self.returns = plan.returns
        self.result = plan.hints.get("return") if plan.kind in ("plain", "coroutine") and _asked(plan.returns) else None

    def __call__(self, values: Sequence[tuple[str, Any]]) -> None:
        """Raise ShapeError if the judge refuses arguments that the guards took."""
        from beartype import beartype
        from beartype.roar import BeartypeCallHintViolation
        from jaxtyping import TypeCheckError, jaxtyped

        # a default is right by definition, whatever its type
        given = {n: v for n, v in values if n in self.arguments and v is not self.defaults.get(n, _NO_DEFAULT)}
        others = {n: v for n, v in values if n not in given}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                stand_in = _stand_in([*given, *others], {n: self.arguments[n] for n in given})
                jaxtyped(typechecker=beartype)(stand_in)(**given, **others)
            except (TypeCheckError, BeartypeCallHintViolation) as error:
                name = next((n for n in given if f"'{n}'" in str(error).split("\n")[0]), "the call")
                self._refuse(name, given)
            except Exception:
                # an expression before its names, a hint that beartype cannot read: no verdict
                return

    def of_result(self, sizes: Sequence[tuple[str, Any]], result: Any) -> None:
        """The same with the result and the sizes that the arguments had, whatever the function did to them."""
        if self.result is not None:
            known = {name: size for name, size in sizes if isinstance(size, int)}
            if opinion(self.result, self.returns, result, known) == "rejects":
                self._refuse("the result", {"the result": result})

    def _refuse(self, name: str, given: Mapping[str, Any]) -> None:
        if _with_mocks(list(given.values())):
            return
        refused = ShapeError(
            f"{self.where}: the guards take {name}, jaxtyping with beartype does not "
            f"(types {', '.join(f'{n}: {_kind(v)}' for n, v in given.items())}); please report this"
        )
        refused.judge = "rejects"
        raise refused from None


def _with_mocks(value: Any) -> bool:
    """Whether a test's stand-in, which beartype does not take, is among the values."""
    if isinstance(value, dict):
        value = list(value.values())
    return any(map(_with_mocks, value)) if isinstance(value, list | tuple) else mocked(value)


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" {tuple(shape)}" if isinstance(shape, tuple) else "")


def _stand_in(names: Sequence[str], hints: Mapping[str, Any]) -> Callable[..., None]:
    scope: dict[str, Any] = {}
    exec(f"def stand_in({', '.join(['*', *names]) if names else ''}): pass", scope)
    function: Callable[..., None] = scope["stand_in"]
    function.__annotations__ = dict(hints)
    return function


def _annotation(kind: Any, array: type, axes: str) -> Any:
    return kind[array, axes]


def _asked(contract: Contract) -> bool:
    return _speaks(contract) and _known(contract)


def _speaks(contract: Contract) -> bool:
    """Types without tensors are no question of shapes: beartype's own word on them is the guard's already."""
    return bool(tensors(contract))


def _known(contract: Contract) -> bool:
    """Whether the judge reads the contract as we do: no trees, no records, no device."""
    match contract:
        case Free() | Plain() | TensorOf():
            return not any(_treepath(t) for t in tensors(contract))
        case OneOf(parts) | Row(parts):
            return all(map(_known, parts))
        case Items(kind, part):
            return kind is not Tree and _known(part)
        case Values(_, part):
            return _known(part)
        case _:
            return False


def _treepath(tensor: TensorOf) -> bool:
    return tensor.autocast_ok or any(isinstance(a, Named | Variadic) and a.treepath for a in tensor.spec.axes)


def opinion(hint: Any, contract: Contract, value: Any, sizes: Mapping[str, Any]) -> str:
    """What jaxtyping and beartype make of one value where `sizes` are bound: "accepts", "rejects", "not asked"."""
    import torch
    from beartype.door import is_bearable
    from jaxtyping import Shaped, jaxtyped

    if hint is None or not _known(contract):
        return "not asked"
    try:
        with jaxtyped("context"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = [name for name in sizes if name.isidentifier()]
            bound = torch.empty([int(sizes[name]) for name in names], device="meta")
            if not is_bearable(bound, _annotation(Shaped, torch.Tensor, " ".join(names))):
                return "not asked"
            return "accepts" if is_bearable(value, hint) else "rejects"
    except Exception:  # `{...}` has no arguments here, and an expression raises what it likes
        return "not asked"
