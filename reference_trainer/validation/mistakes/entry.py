"""One known mistake, as an entry of the tables of mistakes."""

from __future__ import annotations

from collections.abc import Callable

from ..case import Case
from ..cells import Table
from ..structures import Structure


def bug(name: str, says: str, build: Callable[[Case], Table], code: str, fix: str, **more: object) -> Structure:
    """A table that is wrong: whom each query really meets, which rule finds the line, what to write instead."""
    return Structure(name, says, (build,), code=code, fix=fix, **more)  # type: ignore[arg-type]


def pairs(case: Case) -> bool:
    return case.group == 1


def negatives(case: Case) -> bool:
    return case.group > 1
