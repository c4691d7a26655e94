"""Memory order: how axes merge, split and survive when a contiguous block is cut anew (view, flatten, unflatten).

The input axes are taken apart into atoms, row-major: the factors of a `Merged`, the blocks of an even `Joined`, else
the axis itself. Every output axis that is a run of whole atoms knows what it is made of; an output that cuts through
an atom is a new axis of no known layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shapecheck.dims import Size
from shapecheck.engine.values import Axis, Joined, Merged
from shapecheck.ops.axes import product
from shapecheck.ops.kit import Kit


def equal(kit: Kit, a: Size, b: Size) -> bool:
    verdict = kit.compare(a, b)
    return verdict.always and verdict.proven


def factors(axis: Axis) -> tuple[Axis, ...]:
    """The factors of a merged axis, outermost first, nested ones opened; an axis that is not merged is its own."""
    if isinstance(axis.layout, Merged):
        return tuple(f for part in axis.layout.factors for f in factors(part))
    return (axis,)


def blocks(kit: Kit, axis: Axis) -> tuple[Axis, ...] | None:
    """A `cat` of equal parts read as (block, part), block-major; None for anything else."""
    if not isinstance(axis.layout, Joined) or len(axis.layout.parts) < 2:
        return None
    first, *rest = axis.layout.parts
    if not all(equal(kit, first.size, part.size) for part in rest):
        return None
    return (Axis(len(rest) + 1, origin=axis.origin, role="block"), first)


def merge(kit: Kit, axes: Sequence[Axis], why: str = "") -> Axis:
    """One flat axis of several, row-major. Axes of size 1 leave no trace; a lone axis stays itself."""
    real = [a for a in axes if a.size != 1]
    if not real:
        return axes[0] if axes else kit.axis(1, why)
    if len(real) == 1:
        return real[0]
    flat = tuple(f for axis in real for f in factors(axis))
    return replace(kit.axis(product([a.size for a in real]), why), layout=Merged(flat))


@dataclass(frozen=True, slots=True)
class Atom:
    axis: Axis
    owner: int  # the input axis it belongs to
    of: int  # how many atoms that one has


def atoms(kit: Kit, axes: Sequence[Axis]) -> list[Atom]:
    found: list[Atom] = []
    for index, axis in enumerate(axes):
        if axis.size == 1:
            continue
        parts = [p for f in factors(axis) for p in (blocks(kit, f) or (f,)) if p.size != 1] or [axis]
        found += [Atom(part, index, len(parts)) for part in parts]
    return found


def recut(kit: Kit, axes: Sequence[Axis], sizes: Sequence[Size], why: str) -> tuple[Axis, ...]:
    """The axes of `view(*sizes)` of a tensor with these axes. The totals are equal already."""
    left = atoms(kit, axes)
    result: list[Axis] = []
    at = done = 0
    while done < len(sizes):
        if sizes[done] == 1:
            result.append(kit.axis(1, why))
            done += 1
            continue
        run = _run(kit, [a.axis.size for a in left[at:]], [sizes[done]])
        if run:
            result.append(_join(kit, axes, left[at : at + run], why))
            at, done = at + run, done + 1
            continue
        step = next(
            (
                (n, run)
                for n in range(2, len(sizes) - done + 1)
                if (run := _run(kit, [a.axis.size for a in left[at:]], sizes[done : done + n]))
            ),
            None,
        )
        outputs, inputs = step or (len(sizes) - done, len(left) - at)
        result += _cut([kit.axis(size, why) for size in sizes[done : done + outputs]], left[at : at + inputs])
        at, done = at + inputs, done + outputs
    return tuple(result)


def _cut(made: list[Axis], cut: list[Atom]) -> list[Axis]:
    """Axes that cut through atoms: new, but what came from one axis alone keeps that one's origin."""
    if len(cut) == 1 and cut[0].axis.role:
        return [replace(axis, role=cut[0].axis.role) for axis in made[:1]] + made[1:]
    return made


def _run(kit: Kit, sizes: Sequence[Size], wanted: Sequence[Size]) -> int:
    """How many leading sizes multiply to the product wanted; 0 when no number of them does."""
    goal, total = product(wanted), 1
    for count, size in enumerate(sizes, 1):
        total = total * size  # type: ignore[assignment]
        if equal(kit, total, goal):
            return count
    return 0


def _join(kit: Kit, axes: Sequence[Axis], run: Sequence[Atom], why: str) -> Axis:
    if len(run) == run[0].of and len({a.owner for a in run}) == 1:
        return axes[run[0].owner]  # the whole of one input axis: it survives
    whole: list[Axis] = []
    index = 0
    while index < len(run):  # owners that are whole keep their own layout inside the merge
        atom = run[index]
        if all(a.owner == atom.owner for a in run[index : index + atom.of]) and len(run) - index >= atom.of:
            whole.append(axes[atom.owner])
            index += atom.of
        else:
            whole.append(atom.axis)
            index += 1
    return merge(kit, whole, why)
