"""What Python's own code objects tell: which names a row sets, and where in the text an instruction stands."""

from __future__ import annotations

import dis
import sys
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from shapecheck.engine.evidence import Place, Ran

_STORES = frozenset({"STORE_FAST", "STORE_DEREF", "STORE_NAME", "STORE_GLOBAL", "STORE_FAST_STORE_FAST",
                     "STORE_FAST_LOAD_FAST"})  # fmt: skip
INLINED = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
WAYS = 12  # of running one function that are told apart


@dataclass(slots=True, eq=False)
class Code:
    """A watched function, and how it has run so far, by what it was given."""

    code: CodeType
    stores: dict[int, tuple[str, ...]]
    names: frozenset[str]
    params: tuple[str, ...]
    ways: dict[Any, Ran] = field(default_factory=dict)
    places: list[Place | None] | None = None

    @property
    def name(self) -> str:
        """The function's name; "<module>" also for a cell of a notebook."""
        name = self.code.co_name
        return "<module>" if name.startswith("<cell") else name

    def place(self, at: int) -> Place | None:
        """Where the instruction at this offset stands, as Python counts; None where it does not say."""
        if self.places is None:
            self.places = _places(self.code)
        index = at // 2
        return self.places[index] if 0 <= index < len(self.places) else None


def read(code: CodeType) -> Code:
    """What there is to know of a function before it runs."""
    stores: dict[int, list[str]] = {}
    row = code.co_firstlineno
    for step in dis.get_instructions(code):
        positions = getattr(step, "positions", None)
        if positions is not None and positions.lineno is not None:
            row = positions.lineno
        elif isinstance(step.starts_line, int) and not isinstance(step.starts_line, bool):
            row = step.starts_line
        if step.opname in _STORES:
            found = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            stores.setdefault(row, []).extend(n for n in found if isinstance(n, str) and not n.startswith("."))
    count = code.co_argcount + code.co_kwonlyargcount
    extra = bool(code.co_flags & 4) + bool(code.co_flags & 8)  # *args, **kwargs
    return Code(
        code,
        {row: tuple(dict.fromkeys(names)) for row, names in stores.items()},
        frozenset(code.co_names),
        code.co_varnames[: count + extra],
    )


def _places(code: CodeType) -> list[Place | None]:
    if sys.version_info < (3, 11):
        return []
    return [
        (row, column, end_row, end_column)
        if row is not None and end_row is not None and column is not None and end_column is not None
        else None
        for row, end_row, column, end_column in code.co_positions()
    ]
