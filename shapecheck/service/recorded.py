"""Shapes that an earlier run recorded, as evidence for reading the same files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shapecheck.engine.evidence import Evidence

PLACE = Path(".shapecheck", "recorded.json")


class NoRecord(Exception):
    """The record that was asked for cannot be read."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """`evidence` is what holds of the files as they stand, `digest` tells one record from another, `stale` are the
    functions that changed since, each by its file."""

    evidence: Evidence
    digest: str
    stale: tuple[tuple[str, str], ...] = ()


def recorded(given: Path | None) -> Recorded | None:
    """The record in that file; of None, in the usual place below the working directory, if there is one. Raises
    NoRecord."""
    file = PLACE if given is None else given
    if given is None and not file.is_file():
        return None
    from shapecheck.engine.evidence import Evidence
    from shapecheck.recording.file import Unreadable, read
    from shapecheck.service.cache import digest

    def text_of(path: str) -> bytes | None:
        return Path(path).read_bytes() if os.path.isfile(path) else None

    try:
        kept = read(file, text_of)
        mark = digest(file.read_bytes())
    except OSError as error:
        raise NoRecord(f"{file}: cannot be read: {error.strerror or error}") from error
    except Unreadable as error:
        raise NoRecord(str(error)) from error
    return Recorded(
        Evidence({path: one.ways for path, one in kept.items() if one.ways}),
        mark,
        tuple((path, name) for path, one in kept.items() for name in one.stale),
    )
