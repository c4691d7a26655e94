"""What may reach the parser: readable text, of bounded size and nesting.

libcst's parser is native and recursive. Deep nesting overflows its stack (the process dies), long operator chains and
nested calls cost quadratic time, nested `case` patterns exponential time. So one pass over the text counts, before
anything is parsed; strings and comments don't count. Nothing here imports libcst.
"""

from __future__ import annotations

import codecs
import io
import re
import tokenize
from dataclasses import dataclass

MAX_BYTES = 5_000_000
MAX_BRACKETS = 100  # 100 nested calls parse in 0.05 s, 1,000 in 9 s, 3,000 end the process
MAX_CHAIN = 1_000  # operators in one expression: 1,000 parse in 0.1 s, 3,000 in 1.3 s, 10,000 end the process
MAX_ELIFS = 2_000  # in a file: 2,000 in one chain parse in 0.1 s, 10,000 end the process
MAX_PATTERN = 6  # nested mapping patterns: 6 parse at once, 12 never end


class Unreadable(Exception):
    """The file can't be linted. `reason` is one sentence; `line` and `column` are 1-based, None when unknown."""

    def __init__(self, reason: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column

    def __reduce__(self) -> tuple[type[Unreadable], tuple[str, int | None, int | None]]:
        return Unreadable, (self.reason, self.line, self.column)  # worker processes send it home


@dataclass(frozen=True, slots=True)
class Text:
    """Decoded source without its byte-order mark, and the name of its encoding."""

    text: str
    encoding: str


def admit(source: bytes) -> Text:
    """Decode `source` and check that libcst can parse it in bounded time and stack. Raises Unreadable."""
    if len(source) > MAX_BYTES:
        raise Unreadable(f"The file has {len(source):,} bytes, more than the {MAX_BYTES:,} that are read.")
    text = _decode(source)
    _check_bounds(text.text)
    return text


_COOKIE = re.compile(rb"(?:\xef\xbb\xbf)?(?:[^\n]*\n)?[ \t\f]*#[^\n]*coding[:=]")


def _decode(source: bytes) -> Text:
    if source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unreadable("The file is UTF-16, which Python does not read as source.", 1, 1)
    null = source.find(b"\0")
    if null >= 0:
        raise Unreadable("The file contains a null byte.", *_place(source[:null].decode("latin-1"), null))
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    except SyntaxError as error:
        if not _COOKIE.match(source):  # then the bytes of the first lines are wrong, and their place can be told
            encoding = "utf-8"
        else:
            raise Unreadable("The encoding that the file names is none, or not the one that it has.", 1) from error
    try:
        return Text(source.decode(encoding), encoding)
    except UnicodeDecodeError as error:
        line, column = source.count(b"\n", 0, error.start) + 1, error.start - source.rfind(b"\n", 0, error.start)
        raise Unreadable(f"The bytes are not {encoding}.", line, column) from error
    except (LookupError, UnicodeError) as error:  # `# coding: rot13` names a codec that makes no text from bytes
        raise Unreadable(f"The encoding {encoding} does not decode text.", 1) from error


_STRINGS = r"""
    [rRbBuUfFtT]{0,2}(?: \"\"\"[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"\"\" | '''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''
                       | "[^"\\\r\n]*(?:\\(?:\r\n|.)[^"\\\r\n]*)*"      | '[^'\\\r\n]*(?:\\(?:\r\n|.)[^'\\\r\n]*)*' )
  | \#[^\r\n]*
  | \\\r?\n
  | [(\[{)\]},;\r\n]
"""
_LINKS = r"[-+*/%@&|^~.<>] | \b(?:and|or|not|if|lambda|await|in)\b"
_COARSE = re.compile(_STRINGS, re.VERBOSE | re.DOTALL)
_EXACT = re.compile(f"{_STRINGS} | {_LINKS}", re.VERBOSE | re.DOTALL)
_LINK = re.compile(_LINKS, re.VERBOSE)
_ELIF = re.compile(r"^[ \t]*elif\b", re.MULTILINE)
_MATCH = re.compile(r"^[ \t]*match\b.*:", re.MULTILINE)
_CASE = re.compile(r"\s*case\b(?!\s*[=.:])")


def _check_bounds(text: str) -> None:
    if _longest_chain(text, _COARSE, limit=None) > 2 * MAX_CHAIN:  # two characters a link at least: worth counting
        _longest_chain(text, _EXACT, limit=MAX_CHAIN)
    elifs = len(_ELIF.findall(text))
    if elifs > MAX_ELIFS:
        raise Unreadable(f"The file has {elifs:,} elif branches, more than the {MAX_ELIFS:,} that are parsed safely.")


def _longest_chain(text: str, tokens: re.Pattern[str], limit: int | None) -> int:
    """The longest operator chain: in links when `limit` is given, else in characters. Checks brackets on the way.

    A chain ends at a comma or at the end of a statement; chains of enclosing brackets add up, as their stack frames do.
    """
    opened: list[int] = []  # what each enclosing bracket's chain had reached
    outer = chain = longest = last = 0
    statement = depth_here = 0
    for match in tokens.finditer(text):
        token = match[0]
        start = match.start()
        if limit is None:
            chain += start - last
            last = match.end()
        if len(token) > 1:
            if token[0] in "#\\":
                continue
            chain += 1
            if "{" in token and token[0] in "fFtTrR":  # the expressions of an f-string nest too
                depth_here = max(depth_here, len(opened) + _nesting(token))
                chain += len(token) if limit is None else len(_LINK.findall(token))
        elif token in "([{":
            opened.append(chain)
            outer += chain
            chain = 0
            if len(opened) > depth_here:
                depth_here = len(opened)
                if depth_here > MAX_BRACKETS:
                    break
        else:
            if outer + chain > longest:
                longest = outer + chain
                if limit is not None and longest > limit:
                    break
            if token in ")]}":
                if opened:
                    chain = opened.pop()
                    outer -= chain
                    chain += 2 if limit is None else 1
            elif token == ",":
                chain = 0
            elif token in ";\r\n":
                if not opened:
                    chain = 0
                    if depth_here > MAX_PATTERN:
                        _check_depth(text, statement, depth_here)
                    depth_here = 0
                    statement = start + 1
            else:
                chain += 1
    if depth_here > MAX_PATTERN:
        _check_depth(text, statement, depth_here)
    if limit is None:
        chain += len(text) - last
    longest = max(longest, outer + chain)
    if limit is not None and longest > limit:
        raise Unreadable(f"An expression chains more than {limit:,} operators and calls.", *_place(text, statement))
    return longest


def _check_depth(text: str, statement: int, depth: int) -> None:
    if depth > MAX_BRACKETS:
        raise Unreadable(f"Brackets are nested more than {MAX_BRACKETS} deep.", *_place(text, statement))
    if _CASE.match(text, statement) and _MATCH.search(text):
        raise Unreadable(f"A case pattern is nested more than {MAX_PATTERN} deep.", *_place(text, statement))


def _nesting(token: str) -> int:
    depth = deepest = 0
    for mark in re.findall(r"[(\[{)\]}]", token):
        depth = depth + 1 if mark in "([{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _place(text: str, offset: int) -> tuple[int, int]:
    """The 1-based line and column of an offset."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
