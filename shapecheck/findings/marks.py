"""Comments that speak to shapecheck.

`# shapecheck: ignore[SC101]`   no finding of these codes or names on this logical line (a prefix means a family)
`# shapecheck: ignore`          no finding at all on this logical line
`# noqa: SC101, E501`           no finding of these codes on this logical line; other linters read it too
`# shapecheck: ignore-file[SC101]`  no finding of these codes or names in this file
`# shapecheck: skip-file`       nothing in this file is checked
`# expect: SC101`               in samples: this line has exactly these findings
`# shape: B B*G`                in fixtures of the engine: what this line binds has this shape
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

_TALK = re.compile(r"#\s*(shapecheck|expect|shape):\s*(.*)", re.DOTALL)
_NEARLY = re.compile(
    r"#[ \t]*shape[-_ ]?check\b[ \t:=,-]*([a-z]+(?:-[a-z]+)?)[ \t]*(?=\r?$|[\[(:=#]|--|[A-Z]{2}\d)", re.I | re.M
)
_MEANT = ("ignore", "ignore-file", "skip-file", "skip", "disable", "noqa", "off")
_IGNORE = re.compile(r"ignore(-file(?=\s*\[))?(?:\s*\[([^\]]*)\])?\s*(?:$|#|--|:)")
_NOQA = re.compile(r"#\s*noqa\s*:\s*((?:[A-Z]+\d+(?:\s*,\s*|\s+)?)+)(?!\w)", re.I)
_WHOLE_FILE = 1, sys.maxsize


@dataclass(frozen=True, slots=True)
class Ignore:
    """`codes` empty: every finding. It holds for the rows `first` to `last`, those of its logical line or of the file.
    `columns` say where each code stands. `shared`: codes that no rule here has may be another linter's."""

    row: int
    column: int
    codes: tuple[str, ...]
    first: int
    last: int
    columns: tuple[int, ...] = field(default=(), compare=False)
    shared: bool = False

    def silences(self, row: int, code: str, name: str) -> bool:
        return self.first <= row <= self.last and (not self.codes or matches(code, name, self.codes))


@dataclass(frozen=True, slots=True)
class SkipFile:
    row: int


@dataclass(frozen=True, slots=True)
class Expect:
    row: int
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShapeMark:
    row: int
    text: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A comment that begins like a mark and then is none: `# shapecheck: ignroe`."""

    row: int
    column: int
    text: str


Mark: TypeAlias = Ignore | SkipFile | Expect | ShapeMark | Malformed


def matches(code: str, name: str, patterns: Collection[str]) -> bool:
    """Whether one of the patterns is the rule's name, its code, the beginning of its code, or "ALL"."""
    return any(p in ("ALL", name) or (p != "" and code.startswith(p)) for p in patterns)


def read(source: str) -> tuple[Mark, ...]:
    """All marks of a file, in order. Costs three regular expressions where there is none."""
    return tuple(_marks(source)) if any(words.search(source) for words in (_TALK, _NEARLY, _NOQA)) else ()


def _marks(source: str) -> Iterator[Mark]:
    for row, column, comment, first, last in _comments(source):
        start = column
        for talk in re.split(r"(?=#)", comment):
            match = _TALK.match(talk)
            if (noqa := _NOQA.match(talk)) is not None:
                codes = [code for code in re.finditer(r"\w+", noqa[1]) if code[0].isupper()]
                columns = tuple(start + noqa.start(1) + code.start() for code in codes)
                if codes:
                    yield Ignore(row, column, tuple(code[0] for code in codes), first, last, columns, shared=True)
            elif match is None:
                if _is_nearly_a_mark(talk):
                    yield Malformed(row, start, talk.strip())
            elif match[1] == "expect":
                yield Expect(row, tuple(re.findall(r"[A-Z]+\d+", match[2])))
            elif match[1] == "shape":
                yield ShapeMark(row, match[2].strip())
            elif re.match(r"skip-file\b", match[2]):
                yield SkipFile(row)
            elif (ignore := _IGNORE.match(match[2])) is not None:
                found = list(re.finditer(r"[^,\s](?:[^,]*[^,\s])?", ignore[2] or ""))
                if ignore[2] is not None and not found:
                    yield Malformed(row, start, talk.strip())
                else:
                    offset = start + match.start(2) + ignore.start(2)
                    columns = tuple(offset + code.start() for code in found)
                    rows = _WHOLE_FILE if ignore[1] else (first, last)
                    yield Ignore(row, column, tuple(code[0] for code in found), *rows, columns)
            else:
                yield Malformed(row, start, talk.strip())
            start += len(talk)


def _is_nearly_a_mark(comment: str) -> bool:
    """`# Shapecheck: Ignore[..]`, `# shapecheck ignore[..]`: meant as a mark, and none."""
    match = _NEARLY.match(comment)
    if match is None:
        return False
    from difflib import get_close_matches

    return bool(get_close_matches(match[1].lower(), _MEANT, 1, 0.75))


def _comments(source: str) -> Iterator[tuple[int, int, str, int, int]]:
    """Row, column (from 1) and text of each comment, and the first and last row of its logical line."""
    found: list[tuple[int, int, str]] = []
    first: int | None = None
    try:
        for token in tokenize.generate_tokens(io.StringIO(source, newline=None).readline):
            row, column = token.start
            match token.type:
                case tokenize.COMMENT:
                    found.append((row, column + 1, token.string))
                case tokenize.NEWLINE:
                    yield from ((r, c, t, min(first or r, r), row) for r, c, t in found)
                    found, first = [], None
                case tokenize.NL | tokenize.INDENT | tokenize.DEDENT | tokenize.ENCODING:
                    if token.type == tokenize.NL and first is None:  # a comment that stands alone
                        yield from ((r, c, t, r, r) for r, c, t in found)
                        found = []
                case _:
                    first = row if first is None else first
    except (tokenize.TokenError, SyntaxError):  # syntax newer than this Python: what was read so far has to do
        pass
    yield from ((r, c, t, min(first or r, r), r) for r, c, t in found)
