"""A shape that an author wrote down."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RETURN", "Written"]

RETURN = "return"


@dataclass(frozen=True, slots=True)
class Written:
    """One shape found in text.

    `subject`: the name it speaks of ("q_reps"); None is the statement's own target, "return" a function's result.
    `axes`: one axis text of the spec language for each axis, outermost first ("B", "2*N-1", "...", "_").
    `text`: the piece as written, at `column` of the text that was read.
    `certain`: False for a form that may mean something else; a hint for names, no ground for a finding.
    `beside`: a shape for sure, on a line of its own: whether of the statement below, nobody knows.
    """

    subject: str | None
    axes: tuple[str, ...]
    text: str
    certain: bool = True
    dtype: str | None = None
    column: int = 0
    beside: bool = False

    @property
    def variadic(self) -> bool:
        """Whether one axis stands for many, so that the rank is only a lower bound."""
        return any(axis.startswith(("...", "*", "#*")) for axis in self.axes)
