"""What `@shaped` raises."""

from __future__ import annotations

from shapecheck.dims.mismatch import Mismatch, sentence

__all__ = ["ContractError", "ShapeError"]


class ShapeError(ValueError):
    """A value disagrees with what was declared of it.

    A ValueError, as torch's own complaints about shapes: operators take a TypeError for "not implemented".
    `mismatch` holds the facts, and is None for an error raised while `torch.compile` traces.
    `judge` says what jaxtyping with beartype made of the same value: "rejects", "accepts" or "not asked".
    """

    mismatch: Mismatch | None = None
    judge: str = "not asked"

    @classmethod
    def of(cls, mismatch: Mismatch, judge: str = "not asked") -> ShapeError:
        """The error of a mismatch. No `__init__` of its own: torch.compile could not trace that."""
        error = cls(sentence(mismatch))
        error.mismatch, error.judge = mismatch, judge
        return error


class ContractError(TypeError):
    """A declaration that cannot be checked; raised where the function is decorated."""
