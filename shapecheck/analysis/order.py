"""Memory order of flat axes: what a flat axis counts through, and whether two of one length count alike."""

from __future__ import annotations

from dataclasses import dataclass

from shapecheck.dims import Size
from shapecheck.engine.values import Axis, Joined, Merged


@dataclass(frozen=True, slots=True)
class Clash:
    """Two flat axes of the same parts in different order. `sure`: the parts are the same sizes; else only the batch
    is known to be outermost in one and not in the other."""

    left: tuple[Axis, ...]
    right: tuple[Axis, ...]
    swapped: tuple[Size, ...]
    sure: bool


def parts(axis: Axis) -> tuple[Axis, ...]:
    """The parts of a flat axis, outermost first; a `cat` of equal parts is (which part, place in it)."""
    match axis.layout:
        case Merged(factors):
            found = tuple(p for f in factors for p in parts(f))
        case Joined((first, *rest)) if rest and all(p.size == first.size for p in rest):
            found = (Axis(len(rest) + 1, origin=axis.origin, role="block"), *parts(first))
        case _:
            found = (axis,)
    return tuple(p for p in found if p.size != 1) or (axis,)


def clash(a: Axis, b: Axis) -> Clash | None:
    """How the orders of two axes that meet contradict each other; None where they agree or it is not known."""
    left, right = parts(a), parts(b)
    if len(left) < 2 or len(right) < 2:
        return None
    if _grid(left, right) or _grid(right, left):
        return None
    ours, theirs = [p.size for p in left], [p.size for p in right]
    if len(ours) == len(theirs) and sorted(map(str, ours)) == sorted(map(str, theirs)):
        swapped = tuple(dict.fromkeys(x for x, y in zip(ours, theirs) if x != y))
        return Clash(left, right, swapped, True) if swapped else None
    first = [p.role == "batch" for p in left]
    second = [p.role == "batch" for p in right]
    if sum(first) == sum(second) == 1 and first[0] != second[0]:
        inner, outer = (left, right) if second[0] else (right, left)
        if inner[-1].role == "batch" and not any(p.role == "rank" for p in (*left, *right)):
            return Clash(left, right, (outer[0].size,), False)
    return None


def _grid(left: tuple[Axis, ...], right: tuple[Axis, ...]) -> bool:
    """All pairs written flat: one repeats as a whole as often as the other has elements, and the other way round."""
    if left[0].role != "copy" or right[-1].role != "copy":
        return False
    return left[0].size == _product(right[:-1]) and right[-1].size == _product(left[1:])


def _product(axes: tuple[Axis, ...]) -> Size:
    total: Size = 1
    for axis in axes:
        total = total * axis.size
    return total


__all__ = ["Clash", "clash", "parts"]
