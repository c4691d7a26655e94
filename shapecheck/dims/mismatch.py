"""What disagreed, and the one sentence that says so.

The linter and the runtime layer report the same facts: whose axis, which sizes, who bound them,
when they would agree. Sizes are numbers at run time and symbols (`B*G`) in the linter; shapes and
dtypes are printed, values of tensors never are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "Binding",
    "Mismatch",
    "NotATensor",
    "Problem",
    "RowsLeak",
    "Size",
    "Unbound",
    "WrongDevice",
    "WrongDtype",
    "WrongRank",
    "WrongSize",
    "WrongSizes",
    "bound",
    "sentence",
    "shape_text",
]

Size: TypeAlias = int | str


@dataclass(frozen=True, slots=True)
class Binding:
    """The axis `name` has this size because of `by`: "argument q, axis 0"."""

    name: str
    size: Size | tuple[Size, ...]
    by: str


@dataclass(frozen=True, slots=True)
class WrongRank:
    expected: int
    got: int
    at_least: bool = False  # the spec is variadic


@dataclass(frozen=True, slots=True)
class WrongSize:
    """Axis `axis`, written `declared`, should be `expected`; `bindings` are the sizes that say so."""

    axis: int
    declared: str
    expected: Size
    got: Size
    bindings: tuple[Binding, ...] = ()
    when: str = ""  # the condition under which both agree: "G = 1"


@dataclass(frozen=True, slots=True)
class WrongSizes:
    """The axes taken by a variadic `declared` (`*batch`) differ from those bound before."""

    declared: str
    expected: tuple[Size, ...]
    got: tuple[Size, ...]
    by: str
    broadcast: bool = False


@dataclass(frozen=True, slots=True)
class Unbound:
    """Axis `axis` is an expression over names that nothing in the call has bound."""

    axis: int
    declared: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrongDtype:
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class WrongDevice:
    expected: str
    got: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class NotATensor:
    expected: str  # the name of the type
    got: str


@dataclass(frozen=True, slots=True)
class RowsLeak:
    """Row `row` of the subject, counted along `axis`, depends on row `other` of `source`: "argument p"."""

    axis: str
    row: int
    source: str
    other: int
    how: str = ""  # what showed it


Problem: TypeAlias = WrongRank | WrongSize | WrongSizes | Unbound | WrongDtype | WrongDevice | NotATensor | RowsLeak


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One disagreement between a value and what was declared of it."""

    subject: str  # "argument p", "line 12: s", "return value"
    problem: Problem
    spec: str = ""  # the declaration as written: "B G"
    shape: tuple[Size, ...] | None = None  # what the subject has
    call: tuple[tuple[str, tuple[Size, ...]], ...] = ()  # the shapes that the function was called with
    where: str = ""  # the function's name

    def __str__(self) -> str:
        return sentence(self)


def shape_text(shape: Sequence[Size]) -> str:
    """`(4, 8)`, `(4,)`, `()`, as torch prints a shape."""
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"


def bound(binding: Binding) -> str:
    """`B = 4 by argument q, axis 0`."""
    size = shape_text(binding.size) if isinstance(binding.size, tuple) else binding.size
    name = f"*{binding.name}" if isinstance(binding.size, tuple) else binding.name
    return f"{name} = {size} by {binding.by}"


def sentence(mismatch: Mismatch) -> str:
    """Say the mismatch in one sentence, on one line."""
    m = mismatch
    parts = [f"{m.subject}: {_clause(m)}"]
    if m.shape is not None:
        parts.append(f"its shape is {shape_text(m.shape)}")
    if m.call:
        shapes = ", ".join(f"{name} {shape_text(shape)}" for name, shape in m.call)
        parts.append(f"{m.where or 'the function'} was called with {shapes}")
    elif m.where:
        parts.append(f"in {m.where}")
    return "; ".join(parts)


def _clause(mismatch: Mismatch) -> str:
    spec = f' of "{mismatch.spec}"' if mismatch.spec else ""
    asked = f' "{mismatch.spec}"' if mismatch.spec else ""
    match mismatch.problem:
        case WrongRank(expected, got, at_least):
            wanted = f"{'at least ' * at_least}{_axes(expected)}"
            return f'"{mismatch.spec}" has {wanted}, the value has {got}' if spec else f"{wanted} expected, got {got}"
        case WrongSize(axis, declared, expected, got, bindings, when):
            because = ", ".join(map(bound, bindings))
            if len(bindings) == 1 and bindings[0].name == declared:
                wanted = f", but {because}"
            elif bindings:
                wanted = f", but {declared} = {expected} with {because}"
            elif str(expected) == declared:
                wanted = f", not {expected}"
            else:
                wanted = f", but {declared} = {expected}"
            return f"axis {axis}{spec} is {got}{wanted}" + (f" (equal only when {when})" if when else "")
        case WrongSizes(declared, expected, got, by, broadcast):
            verb = "does not broadcast with" if broadcast else "is not"
            return f"{declared}{spec} is {shape_text(got)}, which {verb} {shape_text(expected)} by {by}"
        case Unbound(axis, declared, missing):
            return f"axis {axis}{spec} needs {' and '.join(missing)}, which nothing in the call has bound"
        case WrongDtype(expected, got):
            return f"dtype is {got}, {expected}{asked} was declared"
        case WrongDevice(expected, got, by):
            return f"device is {got}, not {expected}" + (f" like {by}" if by else "")
        case RowsLeak(axis, row, source, other, how):
            shown = f" ({how})" if how else ""
            return (
                f"row {row} along {axis} depends on row {other} of {source}, and rows were declared independent{shown}"
            )
        case NotATensor(expected, got):
            return f"{got} where {expected}{asked} was declared"


def _axes(count: int) -> str:
    return f"{count} {'axis' if count == 1 else 'axes'}"
