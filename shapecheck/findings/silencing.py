"""Comments that silence what is found: `# shapecheck: ignore[SC101]`, put into a file that is to be clean."""

from __future__ import annotations

import io
import tokenize
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from shapecheck.findings.diagnostic import UNUSED, Diagnostic
from shapecheck.findings.marks import Ignore, read
from shapecheck.source.text import Location, Source


def silenced(source: Source, findings: Iterable[Diagnostic]) -> tuple[str, tuple[Diagnostic, ...]]:
    """The text with the code of each finding in a comment on its logical line, in the one that is there already if it
    names codes; and the findings that no comment can silence: those of comments, and of rows that hold no code."""
    ends = dict(_ends(source.text))
    marks = [mark for mark in read(source.text) if isinstance(mark, Ignore) and mark.codes and not mark.shared]
    wanted: dict[int, list[str]] = {}
    more: dict[Ignore, list[str]] = {}
    left: list[Diagnostic] = []
    for d in findings:
        row = d.location.row
        if d.code == UNUSED[0] or row not in ends:
            left.append(d)
            continue
        mark = next((mark for mark in marks if mark.first <= row <= mark.last and mark.last in ends), None)
        codes = wanted.setdefault(ends[row], []) if mark is None else more.setdefault(mark, [])
        if d.code not in codes:
            codes.append(d.code)
    edits = [
        (source.offset(Location(mark.row, mark.columns[-1])) + len(mark.codes[-1]), f", {', '.join(sorted(codes))}")
        for mark, codes in more.items()
    ]
    for row, codes in wanted.items():
        end = len(source.lines[row - 1].rstrip()) + 1
        edits.append((source.offset(Location(row, end)), f"  # shapecheck: ignore[{', '.join(sorted(codes))}]"))
    text = source.text
    for offset, added in sorted(edits, reverse=True):
        text = text[:offset] + added + text[offset:]
    return text, tuple(left)


def _ends(text: str) -> Iterator[tuple[int, int]]:
    """For each row of code the row at whose end a comment speaks of it: its own, or where it ends inside a string or
    with a backslash the next one that does not. Ends where Python cannot read on."""
    first: int | None = None
    open_rows: list[int] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline=None).readline):
            match token.type:
                case tokenize.NEWLINE:
                    open_rows.append(token.start[0])
                    yield from _to_next(first or token.start[0], open_rows)
                    first, open_rows = None, []
                case tokenize.NL:
                    if first is not None:
                        open_rows.append(token.start[0])
                case tokenize.COMMENT | tokenize.INDENT | tokenize.DEDENT | tokenize.ENCODING | tokenize.ENDMARKER:
                    pass
                case _:
                    first = token.start[0] if first is None else first
    except (tokenize.TokenError, SyntaxError):
        return


def _to_next(first: int, open_rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    for row in range(first, open_rows[-1] + 1):
        yield row, open_rows[bisect_left(open_rows, row)]
