"""What torch refused while the program ran: why, in the sizes of the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shapecheck.dims import Size
from shapecheck.engine.told import evidence_of, file_of, number, tensors_of
from shapecheck.engine.values import (
    Items,
    Tensor,
)

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine
    from shapecheck.ops.kit import OpSpec


def differ(m: Machine, a: Size, b: Size) -> bool:
    """Were the two sizes different when the program ran, and torch had nothing against it? Then no op learns that they
    are one."""
    x, y = number(m, a), number(m, b)
    return x is not None and y is not None and x != y and not refused_here(m)


def needs(m: Machine, a: Size, b: Size) -> None:
    """An op needs two sizes to be one: where it was refused, and they were not, that is why."""
    x, y = number(m, a), number(m, b)
    if x is not None and y is not None and x != y and refused_here(m):
        names = m.facts.names()
        m.refused.append(f"{names.size(a)} is {x} and {names.size(b)} is {y}, but they have to be one")


def refuses(m: Machine, left: Size | None, right: Size | None, detail: str) -> None:
    """An op cannot be done: where it was refused, that is why."""
    if not refused_here(m):
        return
    names = m.facts.names()
    sizes = [f"{names.size(s)} is {x}" for s in (left, right) if s is not None and (x := number(m, s)) is not None]
    m.refused.append(detail or " and ".join(dict.fromkeys(sizes)) or "its operands do not fit")


def explain(m: Machine, spec: OpSpec, args: dict[str, Any]) -> None:
    """Say once why the op that has just been looked at was refused."""
    why, m.refused = m.refused, []
    evidence, of_file = evidence_of(m), file_of(m, m.here.path)
    if evidence is None or of_file is None:
        return
    try:
        place = of_file.place(m.site.node)
    except KeyError:
        return
    names = m.facts.names()
    given = [
        f"{role} {names.shape(tensor)} = {[number(m, a.size) for a in tensor.axes]}"
        for name, value in args.items()
        if isinstance(value, (Tensor, Items))
        for role, tensor in tensors_of(name, m.resolve(value))
        if tensor.axes is not None
    ]
    text = f"{spec.name} of {', '.join(given)}: {why[0]}"
    evidence.refusals.setdefault((m.here.path, place), text.replace("None", "?"))


def refused_here(m: Machine) -> bool:
    """Was something raised at the place where the run stands?"""
    for activation in reversed(m.activations):
        of_file = None if activation.ran is None or not activation.ran.raised else file_of(m, activation.path)
        if of_file is None or activation.ran is None:
            continue
        try:
            return of_file.place(m.site.node) in activation.ran.raised
        except KeyError:
            continue
    return False
