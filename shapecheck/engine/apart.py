"""The axes of one tensor are axes of their own: what needs two of them to be of one size says something.

`z @ z` needs as many rows as columns; so does `text @ image` of two arguments of one width. Sizes of different
tensors may well turn out to be one, those of one tensor hardly ever do, so they are not learned to be equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shapecheck.dims import Size, as_symbol, symbol
from shapecheck.engine.state import State
from shapecheck.engine.values import Axis


@dataclass(slots=True)
class Apart:
    """Which symbols were born as axes of which tensor: symbol -> (the tensor's key, the place of the axis)."""

    born: dict[str, tuple[str, int]] = field(default_factory=dict)
    of: dict[str, list[str]] = field(default_factory=dict)  # a tensor's key -> its axes

    def know(self, key: str, axes: tuple[Axis, ...]) -> None:
        """These are the axes of one tensor of which nothing but its rank was known."""
        if len(axes) < 2 or key in self.of:
            return
        names = [as_symbol(axis.size) for axis in axes]
        plain = [name for name in names if name is not None and name not in self.born]
        self.of[key] = plain
        for place, name in enumerate(names):
            if name in plain:
                self.born[name] = (key, place)

    def clash(self, name: str, size: Size, state: State) -> tuple[str, int, int] | None:
        """The tensor of which two axes would become one size if `name` were `size`, and the places of both."""
        other = as_symbol(size)
        if other is None or not self.born:
            return None
        left, right = self._axes(name, state), self._axes(other, state)
        for key, place in left:
            for same, at in right:
                if key == same and place != at:
                    return key, place, at
        return None

    def _axes(self, name: str, state: State) -> list[tuple[str, int]]:
        """All axes that are this symbol by now."""
        found = state.size(symbol(name))
        return [axis for born, axis in self.born.items() if born == name or state.size(symbol(born)) == found]
