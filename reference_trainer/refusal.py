"""How the trainer says no: one sentence that names the setting, the row or the path, and an exit code."""

from __future__ import annotations

import os
import re
from typing import ClassVar

# what moves a terminal's cursor, changes its colours, or shows text in another order than it is read in
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Refusal(ValueError):
    """Something outside the trainer has to change: a setting, a row, a file, a disk. The message is one sentence."""

    code: ClassVar[int] = 2
    told = False  # another process of this run has said it already


class Unusable(Refusal):
    """A path can't be written, read, or used just now; the message names it and the system's reason."""


def reason_of(error: BaseException) -> str:
    """The system's own word for an error ("No space left on device"), or the first line of its text."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        number = re.search(r"\(os error (\d+)\)", str(cause))  # how errors of Rust libraries end
        if number:
            return os.strerror(int(number[1]))
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def visible(text: object) -> str:
    """A sentence for a terminal: characters that command it are escaped."""
    return _UNSEEN.sub(lambda c: c[0].encode("unicode_escape").decode(), str(text))


def printable(name: str | os.PathLike[str]) -> str:
    """A path as text of one line that any terminal and any json takes: bytes that are no UTF-8 are escaped, too."""
    return visible(os.fsencode(name).decode("utf-8", "backslashreplace")).replace("\n", "\\n")


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found
