"""Sizes and shapes in the author's words: `[batch_size, G, D]`.

A symbol shows the name that the code or a comment gave it, else the letter that an op suggested, else a free letter.
Two different symbols never show the same name within one `Names`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shapecheck.dims import Size, show
from shapecheck.engine.values import Axis, Partial, Shape, Tensor

LETTERS = "NMKPQRUVXYZ"


@dataclass(slots=True)
class Names:
    """Gives each symbol one name for as long as it lives: one for each message, or one for a whole file."""

    authored: Mapping[str, str]
    hints: Mapping[str, str]
    _given: dict[str, str] = field(default_factory=dict)

    def symbol(self, name: str) -> str:
        found = self._given.get(name)
        if found is None:
            found = self._given[name] = self._new(name)
        return found

    def _new(self, name: str) -> str:
        if name.startswith("$"):
            wanted = self.authored.get(name) or _configured(name)
        elif name.startswith("?"):
            wanted = self.authored.get(name) or self.hints.get(name, "")
        else:
            wanted = name
        taken = set(self._given.values())
        if not wanted:
            wanted = next((c for c in LETTERS if c not in taken), "N")
        while wanted in taken:
            wanted += "'"
        return wanted

    def size(self, size: Size) -> str:
        return show(size, self.symbol)

    def axis(self, axis: Axis) -> str:
        return self.size(axis.size)

    def shape(self, shape: Shape | Tensor) -> str:
        """`[B, B, G]`; `[..., D]` where the rank is not known."""
        if isinstance(shape, Tensor):
            shape = shape.shape
        if isinstance(shape, Partial):
            return "[" + ", ".join([*map(self.axis, shape.head), "...", *map(self.axis, shape.tail)]) + "]"
        return "[" + ", ".join(map(self.axis, shape)) + "]"


def _configured(name: str) -> str:
    """ "$__init__.batch_size@12" -> batch_size; "$Trainer#3.args.n_views" -> args.n_views."""
    text = re.sub(r"@\d+$", "", name[1:])
    text = re.sub(r"^[\w.]*#\d+\.", "", text) if "#" in text else text.split(".", 1)[-1]
    text = re.sub(r"@\d+", "", text)
    return text if re.fullmatch(r"[A-Za-z_][\w.\[\]']*", text) else "n"


__all__ = ["Names"]
