"""Shapes that assertions state: `assert x.shape == (B, D)`, `x.ndim == 2`, `len(x.shape) == 3`, `x.size(0) == n`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shapecheck.intent.python import read_expression
from shapecheck.source.program import Arg, Attr, Call, Const, Expr, Index, Name, Op, Seq, Slice, Star

__all__ = ["Asserted", "from_assert", "from_commented_assert"]


@dataclass(frozen=True, slots=True, eq=False)
class Asserted:
    """What one comparison says of the tensor `subject`.

    `sizes`: the expressions of its sizes; None for a size that is not told. `first`: the axis that `sizes[0]` speaks
    of (negative: counted from the end), None when `sizes` are all its axes. `like`: its shape is that of this tensor.
    """

    subject: Expr
    sizes: tuple[Expr | None, ...] = ()
    first: int | None = None
    like: Expr | None = None


def from_assert(test: Expr) -> list[Asserted]:
    """What must hold of shapes when `test` is true; comparisons that are not understood say nothing."""
    return list(_read(test))


def from_commented_assert(text: str) -> list[Asserted]:
    """The same of assertions that a comment holds: `# assert scores.shape == (B, G)`."""
    found: list[Asserted] = []
    for line in text.split("\n"):
        code = line.strip().lstrip("#").strip()
        if code.startswith("assert "):
            test = read_expression(_without_message(code.removeprefix("assert ")))
            found += _read(test) if test is not None else ()
    return found


def _without_message(code: str) -> str:
    """`a == b, "message"` without the message."""
    depth, quote = 0, ""
    for index, char in enumerate(code):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif depth == 0 and char in ",#":
            return code[:index]
    return code


def _read(test: Expr) -> Iterator[Asserted]:
    match test:
        case Op("and", operands):
            for operand in operands:
                yield from _read(operand)
        case Op("==", (left, right)):
            found = _equal(left, right) or _equal(right, left)
            if found is not None:
                yield found


def _equal(left: Expr, right: Expr) -> Asserted | None:
    subject = _ranked(left)
    if subject is not None:
        match right:
            case Const(int() as rank) if not isinstance(rank, bool) and 0 <= rank <= 16:
                return Asserted(subject, (None,) * rank)
        return None
    match _shape(left):
        case None:
            return _one_axis(left, right)
        case subject, None:
            other = _shape(right)
            if other is not None and other[1] is None:
                return Asserted(subject, like=other[0])
            sizes = _sizes(right)
            return None if sizes is None else _all(subject, sizes)
        case subject, Slice(lower, upper, None):
            sizes = _sizes(right)
            return None if sizes is None else _some(subject, sizes, lower, upper)
    return None


def _ranked(expr: Expr) -> Expr | None:
    """x of `x.ndim`, `x.dim()`, `x.ndimension()`, `len(x.shape)`, `len(x.size())`."""
    match expr:
        case Attr(subject, "ndim") | Call(Attr(subject, "dim" | "ndimension"), ()):
            return subject
        case Call(Name("len"), (Arg(value=inner, star=""),)):
            found = _shape(inner)
            return found[0] if found is not None and found[1] is None else None
    return None


def _shape(expr: Expr) -> tuple[Expr, Slice | None] | None:
    """x of `x.shape`, `x.size()`, `list(x.shape)`, with the slice that was taken of it."""
    match expr:
        case Attr(subject, "shape") | Call(Attr(subject, "size"), ()):
            return subject, None
        case Call(Name("list" | "tuple") | Attr(Name("torch"), "Size"), (Arg(value=inner, star=""),)):
            return _shape(inner)
        case Index(value=inner, items=(Slice() as part,)):
            found = _shape(inner)
            return (found[0], part) if found is not None and found[1] is None else None
    return None


def _one_axis(left: Expr, right: Expr) -> Asserted | None:
    """`x.shape[0] == n`, `x.size(-1) == n`."""
    match left:
        case Index(value=inner, items=(item,)) if not isinstance(item, Slice):
            axis, found = _integer(item), _shape(inner)
            if axis is not None and found is not None and found[1] is None:
                return Asserted(found[0], (right,), axis)
        case Call(Attr(subject, "size"), (Arg(value=item, star=""),)):
            axis = _integer(item)
            if axis is not None:
                return Asserted(subject, (right,), axis)
    return None


def _sizes(expr: Expr) -> tuple[Expr, ...] | None:
    match expr:
        case Seq("tuple" | "list", items):
            return items
        case Call(Name("tuple" | "list" | "Size") | Attr(_, "Size"), (Arg(value=inner, star=""),)):
            return _sizes(inner)
    return None


def _all(subject: Expr, sizes: tuple[Expr, ...]) -> Asserted | None:
    """All sizes; after a starred item (`(*batch, D)`) only the last ones, before it only the first ones."""
    stars = [i for i, size in enumerate(sizes) if isinstance(size, Star)]
    if not stars:
        return Asserted(subject, sizes)
    after, before = sizes[stars[-1] + 1 :], sizes[: stars[0]]
    if after:
        return Asserted(subject, after, -len(after))
    return Asserted(subject, before, 0) if before else None


def _some(subject: Expr, sizes: tuple[Expr, ...], lower: Expr | None, upper: Expr | None) -> Asserted | None:
    """`x.shape[:2] == (B, S)`, `x.shape[-2:] == (H, W)`: where the slice is as long as what it is compared with."""
    if not sizes or any(isinstance(size, Star) for size in sizes):
        return None
    start = 0 if lower is None else _integer(lower)
    stop = None if upper is None else _integer(upper)
    if start is None or (upper is not None and stop is None):
        return None
    if stop is None:  # to the end
        return Asserted(subject, sizes, -len(sizes)) if start == -len(sizes) or start >= 0 else None
    return Asserted(subject, sizes, start) if stop - start == len(sizes) and (start < 0) == (stop < 0) else None


def _integer(expr: Expr | Slice) -> int | None:
    match expr:
        case Const(int() as value) if not isinstance(value, bool):
            return value
        case Op("u-", (Const(int() as value),)):
            return -value
    return None
