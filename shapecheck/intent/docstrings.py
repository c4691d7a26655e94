"""Shapes in docstrings: Google, NumPy and Sphinx sections, torch's `Shape:` lists, and plain `name: (B, D)` lines.

An entry says a shape when one piece of it does and nothing beside it takes that back: alternatives ("(N, C) or
(N, C, H)"), containers ("list of tensors of shape ...") and conditions make the entry say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from shapecheck.intent.comments import written
from shapecheck.intent.likely import likely
from shapecheck.intent.pieces import Piece, bare_at, bracket_at, chain_at
from shapecheck.intent.vocabulary import DTYPES
from shapecheck.intent.written import RETURN, Written

__all__ = ["from_docstring"]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a docstring says of one name. `told`: it stands where only such entries do, in a section or field list."""

    name: str
    text: str
    column: int
    told: bool


def from_docstring(text: str) -> dict[str, Written]:
    """The shapes of parameters (by name) and of the result (under "return"). `text` is as `inspect.cleandoc` leaves it;
    `column` counts in it."""
    found: dict[str, Written | None] = {}
    for entry in _entries(text):
        record = _shape(entry)
        if record is None:
            continue
        before = found.get(entry.name, record)
        found[entry.name] = before if before is not None and before.axes == record.axes else None
    return {name: record for name, record in found.items() if record is not None}


# ------------------------------------------------------------------- entries

_PARAMETERS = (
    r"args|arguments|parameters|params|inputs?|keyword args|keyword arguments|other parameters|attributes|shapes?"
)
_RETURNS = r"returns?|outputs?|yields?"
_OTHER = (
    r"raises|warns|examples?|notes?|warnings?|references?|see also|todo|usage|methods|properties|details|description|"
    r"citation|hints?|tips?"
)
_HEADER = re.compile(rf"(?P<parameters>{_PARAMETERS})|(?P<returns>{_RETURNS})|(?P<other>{_OTHER})", re.IGNORECASE)
_FIELD = re.compile(
    r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*?\s)?\\?\*{0,2}(\w+)\s*:|:(returns?)\s*:|:\w+[^:]*:"
)
_PARENTHESES = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"  # two more deep
_NAMED = re.compile(
    rf"(?:[-*•]\s+)?[`*]{{0,3}}(?P<name>[A-Za-z_]\w*)[`*]{{0,3}}\s*(?P<type>{_PARENTHESES})?"
    r"\s*(?::|--|–|—)(?!:)\s*(?P<rest>.*)"
)


def _entries(text: str) -> Iterator[_Entry]:
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    section, indent, index = "", 0, 0
    while index < len(lines):
        line = lines[index]
        stripped = line.strip()
        own = len(line) - len(line.lstrip())
        if not stripped or stripped.startswith(">>>"):
            index += 1
            continue
        header = _header(lines, index)
        if header is not None:
            section, indent = header, own
            index += 2 if _underlined(lines, index) else 1
            if section == RETURN:
                end = _block_end(lines, index, indent)
                yield from _result(lines, starts, index, end)
                index = max(index, end)
            continue
        if section and own <= indent and not _underlined_section(lines, index, own, indent):
            section = ""
        end = _entry_end(lines, index, own)
        body, column = "\n".join(lines[index:end])[own:], starts[index] + own
        entry = _field(body, column) or _named(body, column, section)
        if entry is not None:
            yield entry
            index = end
        else:
            index += 1


def _header(lines: list[str], index: int) -> str | None:
    """ "parameters", "return" or "other" where a section begins."""
    stripped = lines[index].strip()
    underlined = _underlined(lines, index)
    if not (stripped.endswith(":") or underlined) or len(stripped) > 30:
        return None
    match = _HEADER.fullmatch(stripped.rstrip(":").strip())
    if match is None:
        return "other" if underlined else None
    return "parameters" if match["parameters"] else RETURN if match["returns"] else "other"


def _underlined(lines: list[str], index: int) -> bool:
    return index + 1 < len(lines) and re.fullmatch(r"\s*[-=~]{3,}\s*", lines[index + 1]) is not None


def _underlined_section(lines: list[str], index: int, own: int, indent: int) -> bool:
    """Entries of a NumPy section stand as far left as its header."""
    return own == indent and any(_underlined(lines, at) for at in range(max(0, index - 60), index))


def _block_end(lines: list[str], index: int, indent: int) -> int:
    """The line after a block that stands deeper than `indent`, or, underlined, before the next header."""
    underlined = index >= 2 and _underlined(lines, index - 2)
    end = index
    while end < len(lines):
        line = lines[end]
        if line.strip():
            own = len(line) - len(line.lstrip())
            if own < indent or (own == indent and not underlined) or _header(lines, end) is not None:
                break
        end += 1
    return end


def _entry_end(lines: list[str], index: int, own: int) -> int:
    """An entry goes on while lines stand deeper than its first."""
    end = last = index + 1
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > own):
        end += 1
        if lines[end - 1].strip():
            last = end
    return last


def _field(body: str, column: int) -> _Entry | None:
    match = _FIELD.match(body)
    if match is None:
        return None
    name = match[1] or (RETURN if match[2] else None)
    return _Entry(name, body[match.end() :], column + match.end(), True) if name else None


def _named(body: str, column: int, section: str) -> _Entry | None:
    numpy = re.match(r"[`*]{0,2}([A-Za-z_]\w*)[`*]{0,2}\s+:\s", body)
    match = _NAMED.match(body)
    if match is None:
        return None
    name = match["name"]
    if name.lower() in ("shape", "size", "note", "example", "default"):
        return None
    if section == "parameters" and name in ("Input", "Output", "Target"):  # torch's `Shape:` lists
        name = RETURN if name == "Output" else name.lower()
    elif name.lower() in ("return", "returns", "output", "outputs"):
        name = RETURN
    start = match.start("type") if match["type"] else match.start("rest")
    return _Entry(name, body[start:], column + start, bool(section == "parameters" or numpy))


_RESULT = re.compile(r"\s*(?:[-*•]\s+)?[`*]{0,3}\w+[`*]{0,3}\s*(?:\(.*)?:(?:\s|$)")


def _result(lines: list[str], starts: list[int], index: int, end: int) -> Iterator[_Entry]:
    """The text of a `Returns` section, when it speaks of one thing."""
    body = "\n".join(lines[index:end])
    if not body.strip():
        return
    if sum(_RESULT.match(line) is not None for line in lines[index:end]) < 2:
        yield _Entry(RETURN, body, starts[index], True)


# ------------------------------------------------------------------ one entry

_SAID = re.compile(
    r"(?:\b(?:shapes?|Shapes?|Size|(?:of|with|has|have|in|a) size)\b(?:\s*(?:of|is|are|:|=|~|-))*|"
    r"\b(?:[A-Z][A-Za-z]*)?[Tt]ensors?`*(?:\s+of)?\s*[:,]?)"
    r"[\s`'\"]*(?::math:|:obj:|:code:)?[`\s]*\Z"
)
_START = re.compile(r"[\s`'\"]*(?::math:|:obj:|:code:)?[`\s]*\Z")
_ENDED = re.compile(r"[\s`.;]*\Z")
_TYPE = re.compile(rf"\s*{_PARENTHESES}\s*:")
_SCALAR = re.compile(r"\s*\(\s*(?:int|float|bool|str|tuple|list|dict|Tuple|List|Dict)\b")
_MANY = re.compile(
    r"\b(?:lists?|List|[Tt]uples?|dict\w*|Dict|[Ss]equences?|[Ii]terables?|Iterator|Mapping|namedtuple|Optional\[List)\b",
)
_UNSURE = re.compile(
    r"\b(?:or|either|if|unless|when|otherwise|broadcast\w*|e\.g|compatible|same|at least|any|each|every|one for|last|"
    r"first|optional(?:ly)? \(|depending|variable (?:length|size|number)\w*)\b",
    re.IGNORECASE,
)
_WORD_END = re.compile(r"[\w\]]\Z")
_NEXT = re.compile(r"[`'\"\s,;.]*(?:(?:or|if|when|and|otherwise|else|depending|for)\b|\||/|\()", re.IGNORECASE)


_TAKEN_BACK = re.compile(
    r"[^.;]{0,24}?\b(?:if|unless|depending|otherwise|instead|pairs|tuples)\b|"
    r".*?\bor\b(?: of| with)?(?: shape| size)?\W{0,9}[(\[\d]",
    re.DOTALL,
)


def _shape(entry: _Entry) -> Written | None:
    text = _prepared(entry.text)
    pieces = [(p, said) for p in _pieces(text) if (said := _said(text, p)) is not None and likely(p, said) is not None]
    bare = bare_at(text, len(text) - len(text.lstrip())) if entry.told and not pieces else None
    if bare is not None and bare.form == "," and _ENDED.match(text, bare.end) and likely(bare, False):
        pieces = [(bare, False)]
    if not pieces or any(p.axes != pieces[0][0].axes for p, _ in pieces):
        return None
    piece, said = pieces[0]
    sure = likely(piece, trusted=said)
    if piece.axes == ("1",) or _SCALAR.match(text):  # "a loss of shape (1,)" is how people say a scalar
        return None
    if not sure or not (said or entry.told or piece.form in ("(", "[")):
        return None
    if _denied(text, piece):
        return None
    record = written(entry.name, piece, entry.text, True, _dtype(text, piece))
    return record and replace(record, column=record.column + entry.column)


def _prepared(text: str) -> str:
    """Without what only marks up; the same length, so that columns hold."""
    return re.sub(r":math:|:obj:|:code:|``?|\$", lambda m: " " * len(m[0]), text)


_TYPED = re.compile(  # `NxD tensor of queries`, `an N x D matrix`
    r"(?<![\w*])(?P<axes>(?:\d*[A-Za-z]\w?|\d+)(?:\s?[x×]\s?(?:\d*[A-Za-z]\w?|\d+))+)"
    r"(?:-dim\w*)?\s+`?(?:torch\.)?(?:[A-Za-z]*[Tt]ensor|matrix|array)\b"
)


def _pieces(text: str) -> Iterator[Piece]:
    """Bracketed pieces, within other brackets too, and a bare `B x D` after a shape word."""
    at = 0
    while at < len(text):
        before = text[max(0, at - 5) : at]
        glued = _WORD_END.search(before) is not None and not before.endswith(("ensor", "Size"))
        if text[at] in "([" and not glued:
            piece = bracket_at(text, at)
            if piece is not None:
                yield piece
                at = piece.end
                continue
        at += 1
    for match in re.finditer(r"\b(?:shape|size|(?:[A-Z][A-Za-z]*)?[Tt]ensor)\b(?:\s*(?:of|is|:|=))*\s+(?=[\w(])", text):
        chain = chain_at(text, match.end())
        if chain is not None:
            yield chain
    for match in _TYPED.finditer(text):
        chain = bare_at(match["axes"], 0)
        if chain is not None and chain.form == "x" and chain.end == len(match["axes"]):
            yield replace(chain, start=match.start("axes"), end=match.end("axes"))


def _said(text: str, piece: Piece) -> bool | None:
    """True after a shape word, False at the beginning of the description, None elsewhere."""
    before = text[: piece.start]
    if _SAID.search(before, max(0, len(before) - 120)) or piece.form == "x":
        return True
    head = _TYPE.match(before)
    begun = before[head.end() :] if head else before
    ends = len(piece.items) > 1 and _ENDED.match(text, piece.end)  # `embeddings of the anchors (b, h)`
    return False if ends or _START.match(begun) else None


def _denied(text: str, piece: Piece) -> bool:
    before, after = text[: piece.start], text[piece.end :]
    clause = re.split(r"[.;]\s|\n\s*\n", before)[-1]
    if _MANY.search(before) or _UNSURE.search(clause):
        return True
    if _NEXT.match(after) and not re.match(r"[`'\"\s,;.]*\((?!or\b|if\b)", after):
        return True
    tail = re.split(r"[.;:]\s|\n\s*\n", after)[0]
    return _TAKEN_BACK.match(tail) is not None


def _dtype(text: str, piece: Piece) -> str | None:
    for word in re.findall(r"[A-Za-z]+\d*", text[: piece.start])[-4:]:
        if word in DTYPES:
            return str(word)
        if (match := re.fullmatch(r"([A-Z][a-z]+)Tensor", word)) and match[1].lower() in DTYPES:
            return match[1].lower()
    return None
