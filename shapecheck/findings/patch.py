"""From a rule's new text for a place to the smallest edits that make it: only tokens come and go.

Comments, blanks and line breaks of the old text stay where they are, also between tokens that go. A part that the new
text quotes is one token, so it stays, or moves, as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

_BLANK = re.compile(r"(?:[ \t\f\r\n]|\\\r?\n|\#[^\r\n]*)+")
_TOKEN = re.compile(
    r"""
    [rRbBuUfFtT]{0,2}(?: \"\"\"(?:[^\\]|\\.)*?\"\"\" | '''(?:[^\\]|\\.)*?'''
                       | "(?:[^"\\\r\n]|\\(?:\r\n|.))*" | '(?:[^'\\\r\n]|\\(?:\r\n|.))*' )
  | \d[\w.]*(?:(?<=[eE])[-+]\d+)? | \.\d\w* | \w+
  | \*\*=? | //=? | >>=? | <<=? | [-+*/%@&|^=!<>:]= | -> | \.\.\.
  | .
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"\#[^\r\n]*")
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Part:
    """A quoted place: `start` and `end` are offsets in the file."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """Put `text` in the place of the file's characters from `start` up to `end`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Token:
    key: object  # equal keys are the same token: its text, the place of a part, a bracket with what it belongs to
    text: str
    lead: str = ""  # the blanks before it
    start: int = 0
    end: int = 0


def smallest(place: Part, pieces: Sequence[str | Part]) -> tuple[Change, ...]:
    """The edits of `place` that make it the new text, which `pieces` spell: text of the rule's own and quoted parts."""
    inside = sorted(
        {p for p in pieces if isinstance(p, Part) and place.start <= p.start <= p.end <= place.end},
        key=lambda p: (p.start, -p.end),
    )
    atoms: list[Part] = []
    for part in inside:
        if part.start < part.end and (not atoms or part.start >= atoms[-1].end):
            atoms.append(part)
    old = _paired(_old_tokens(place, atoms))
    new = _paired(_new_tokens(pieces, atoms))
    return tuple(_changes(place, old, new, _kept(old, new)))


def comments(text: str) -> list[str]:
    """The comments of a piece of code."""
    return [c for blank in _blanks(text) for c in _COMMENT.findall(blank)]


# ------------------------------------------------------------------------ tokens


def _lex(text: str, at: int = 0) -> Iterator[_Token]:
    here = 0
    while True:
        blank = _BLANK.match(text, here)
        lead = blank[0] if blank else ""
        here += len(lead)
        token = _TOKEN.match(text, here)
        if token is None:
            return
        yield _Token(token[0], token[0], lead, at + here, at + token.end())
        here = token.end()


def _blanks(text: str) -> Iterator[str]:
    end = 0
    for token in _lex(text):
        yield token.lead
        end = token.end
    yield text[end:]


def _old_tokens(place: Part, atoms: Sequence[Part]) -> Iterator[_Token]:
    here = place.start
    for atom in atoms:
        yield from _lex(place.text[here - place.start : atom.start - place.start], here)
        yield _Token((atom.start, atom.end), atom.text, "", atom.start, atom.end)
        here = atom.end
    yield from _lex(place.text[here - place.start :], here)


def _new_tokens(pieces: Sequence[str | Part], atoms: Sequence[Part]) -> Iterator[_Token]:
    lead = ""  # blanks at the end of one piece stand before the next token
    said: set[Part] = set()
    for piece in pieces:
        if isinstance(piece, Part):
            text = piece.text if piece in atoms and piece not in said else _without_comments(piece.text)
            said.add(piece)
            yield _Token((piece.start, piece.end), text, lead)
            lead = ""
            continue
        rest = 0
        for token in _lex(piece):
            yield replace(token, lead=lead + token.lead)
            lead, rest = "", token.end
        lead += piece[rest:]


def _without_comments(text: str) -> str:
    """A second copy of a part must not double what its author said."""
    if not comments(text):
        return text
    return "".join(re.sub(r"\s+", " ", _COMMENT.sub("", t.lead)) + t.text for t in _lex(text))


def _paired(tokens: Iterator[_Token]) -> list[_Token]:
    """Each bracket known by what stands before it, so that a call's brackets are not taken for another's."""
    found: list[_Token] = []
    opened: list[object] = []
    for token in tokens:
        if token.text in _OPEN and isinstance(token.key, str):
            owner = found[-1].key if found and _calls(found[-1]) else None
            opened.append(owner)
            token = replace(token, key=(token.text, owner))
        elif token.text in _CLOSE and isinstance(token.key, str):
            token = replace(token, key=(token.text, opened.pop() if opened else None))
        found.append(token)
    return found


def _calls(token: _Token) -> bool:
    """Whether a bracket behind this token calls or indexes it."""
    return (isinstance(token.key, tuple) and token.text not in _OPEN) or token.text.isidentifier()


# ----------------------------------------------------------------------- changes


def _kept(old: Sequence[_Token], new: Sequence[_Token]) -> list[tuple[int, int]]:
    """The heaviest common subsequence: pairs of indices. Parts weigh most, as they hold what the author wrote."""
    weight = [1 + 3 * isinstance(t.key, tuple) + len(t.text) * (type(t.key) is tuple and t.start != t.end) for t in old]
    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1])
            if old[i].key == new[j].key:
                best[i][j] = max(best[i][j], best[i + 1][j + 1] + weight[i])
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        if old[i].key == new[j].key and best[i][j] == best[i + 1][j + 1] + weight[i]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _changes(
    place: Part, old: Sequence[_Token], new: Sequence[_Token], kept: Sequence[tuple[int, int]]
) -> Iterator[Change]:
    i = j = 0
    before = place.start
    for stop, until in [*kept, (len(old), len(new))]:
        after = old[stop].start if stop < len(old) else place.end
        lead = new[until].lead if until < len(new) else ""
        text = "".join(t.lead + t.text for t in new[j:until])
        gone = old[i:stop]
        if text or not _trailing_comma(gone, old, stop):
            if runs := _runs(place, gone):
                yield from _replaced(place, before, runs, after, text, lead)
            elif text and i:
                yield Change(before, before, text + lead * (before == after))
            elif text:
                yield Change(after, after, text.lstrip() + lead)
        if stop < len(old):
            before = old[stop].end
        i, j = stop + 1, until + 1


def _replaced(
    place: Part, before: int, runs: Sequence[tuple[int, int]], after: int, text: str, lead: str
) -> Iterator[Change]:
    """Runs that go between two places that stay, the new text in the place of the first. `lead` are the blanks that the
    new text has after it."""
    (start, end), *others = runs
    if not text:
        start, end = _tidy(place, before, start, end)
    else:
        text = text.lstrip() if before < start else text
        if not others and not place.text[end - place.start : after - place.start].strip(" \t"):
            text, end = text + lead, after
    yield Change(start, end, text)
    yield from (Change(*_tidy(place, before, *run), "") for run in others)


def _trailing_comma(gone: Sequence[_Token], old: Sequence[_Token], stop: int) -> bool:
    """A comma behind a call's last argument may stay."""
    return (
        len(gone) == 1
        and gone[0].text == ","
        and stop < len(old)
        and isinstance(key := old[stop].key, tuple)
        and key[0] == ")"
        and key[1] is not None
    )


def _runs(place: Part, gone: Sequence[_Token]) -> list[tuple[int, int]]:
    """Tokens that go, those with only blanks of one line between them together."""
    runs: list[tuple[int, int]] = []
    for token in gone:
        if runs and not place.text[runs[-1][1] - place.start : token.start - place.start].strip(" \t"):
            runs[-1] = runs[-1][0], token.end
        else:
            runs.append((token.start, token.end))
    return runs


def _tidy(place: Part, floor: int, start: int, end: int) -> tuple[int, int]:
    """The run that goes, with the blanks that would be left dangling on one side of it."""
    text = place.text
    before, after = text[: start - place.start], text[end - place.start :]
    if not before or before[-1] in "([{":
        return start, end + len(after) - len(after.lstrip(" \t"))
    if not after or after[0] in " \t\r\n,)]}":
        return max(floor, start - len(before) + len(before.rstrip(" \t"))), end
    return start, end
