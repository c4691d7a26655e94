"""The modes that can be asserted, by the trainer's names."""

from __future__ import annotations

from .target import CannotCall

_ALIASES = {"preset": "in-group"}  # what it was called before


def of_mode(said: str | None) -> str | None:
    """The mode by its name. CannotCall for an unknown one."""
    mode = _ALIASES.get(said or "", said)
    if mode not in (None, "in-batch", "in-group"):
        raise CannotCall(f"--mode must be in-batch or in-group, not {said}")
    return mode
