"""The text of a file as its bytes spell it: encoding, byte-order mark and newlines are kept for the way back."""

from __future__ import annotations

import io
import re
import tokenize
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

# what moves a terminal's cursor, changes its colours, or shows text in another order than it is read in
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NEWLINE = re.compile(r"\r\n|\r|\n")  # what Python counts as the end of a line; str.splitlines knows more


def visible(text: str, keep: str = "") -> str:
    """Text for a terminal: characters that command it are shown as Python would escape them, save those to `keep`."""
    return _UNSEEN.sub(lambda c: c[0] if c[0] in keep else c[0].encode("unicode_escape").decode(), text)


@dataclass(frozen=True, slots=True, order=True)
class Location:
    row: int
    column: int


@dataclass(frozen=True)
class Source:
    """Text and the encoding that turns it back into the same bytes."""

    text: str
    encoding: str

    @cached_property
    def lines(self) -> list[str]:
        return _NEWLINE.split(self.text)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _NEWLINE.finditer(self.text))]

    @cached_property
    def newline(self) -> str:
        """The newline of the first line; "\\n" where there is none."""
        match = _NEWLINE.search(self.text)
        return match[0] if match else "\n"

    def offset(self, at: Location) -> int:
        return self._starts[at.row - 1] + at.column - 1

    def location(self, offset: int) -> Location:
        row = bisect_right(self._starts, offset)
        return Location(row, offset - self._starts[row - 1] + 1)

    def between(self, start: Location, end: Location) -> str:
        return self.text[self.offset(start) : self.offset(end)]

    def with_text(self, text: str) -> Source:
        return Source(text, self.encoding)

    def encode(self) -> bytes:
        """Raises UnicodeEncodeError where new text does not fit the file's encoding."""
        return self.text.encode(self.encoding)


def decode(data: bytes) -> Source:
    """Raises SyntaxError or UnicodeDecodeError for bytes that are no Python text."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return Source(data.decode(encoding), encoding)
