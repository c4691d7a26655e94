"""Fixes change what they must and nothing else: over made-up places, and over every fix of every sample."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ROOT, bundled, check, name_of

from shapecheck.findings.diagnostic import Diagnostic
from shapecheck.findings.fixes import apply, choose, fix_text
from shapecheck.findings.patch import Part, comments, smallest
from shapecheck.source.text import decode


def part(source: str, text: str) -> Part:
    at = source.index(text)
    return Part(at, at + len(text), text)


def edited(source: str, pieces: Sequence[str | Part]) -> str:
    for change in sorted(smallest(part(source, source), pieces), key=lambda c: (c.start, c.end), reverse=True):
        source = source[: change.start] + change.text + source[change.end :]
    return source


@pytest.mark.parametrize(
    ("source", "new", "expected"),
    [
        ("f(q, p)", "«f»(«q».unsqueeze(1), «p»).squeeze(1)", "f(q.unsqueeze(1), p).squeeze(1)"),
        (
            "f(  # B G\n    q,  # B D\n    p,  # type: ignore\n)",
            "«f»(«q».unsqueeze(1), «p»).squeeze(1)",
            "f(  # B G\n    q.unsqueeze(1),  # B D\n    p,  # type: ignore\n).squeeze(1)",
        ),
        ("x.sum(\n  1  # rows\n)", "«x.sum»(«1», keepdim=True)", "x.sum(\n  1, keepdim=True  # rows\n)"),
        ("x.sum(\n  1,  # rows\n)", "«x.sum»(«1», keepdim=True)", "x.sum(\n  1, keepdim=True  # rows\n)"),
        ("x.sum(1, keepdim=False)", "«x.sum»(«1», keepdim=True)", "x.sum(1, keepdim=True)"),
        ("x.mean()", "«x.mean»(keepdim=True)", "x.mean(keepdim=True)"),
        ("q @ (p.mT)", "(«q».unsqueeze(1) @ «p.mT»).squeeze(1)", "(q.unsqueeze(1) @ p.mT).squeeze(1)"),
        ("a // b", "«b» // «a»", "b // a"),
        ("all_gather(x)", "«x» = «all_gather(x)»", "x = all_gather(x)"),
        ("f(\n  b,  # b\n  a,  # a\n)", "«f»(«a»)", "f(\n  # b\n  a,  # a\n)"),
        ("f(a,  dim=1,  b=2)", "«f»(«a», b=«2»)", "f(a,  b=2)"),
        ("g(x  # one\n  + y)", "h(«x  # one\n  + y», «x  # one\n  + y»)", "h(x  # one\n  + y, x + y)"),
        ("torch.inner(q,p)", 'torch.einsum("bd,bgd->bg", «q», «p»)', 'torch.einsum("bd,bgd->bg", q,p)'),
    ],
)
def test_the_smallest_edit(source: str, new: str, expected: str) -> None:
    pieces: list[str | Part] = []
    for number, text in enumerate(re.split("«(.+?)»", new, flags=re.DOTALL)):
        pieces.append(part(source, text) if number % 2 else text)
    assert edited(source, pieces) == expected


WORDS = st.sampled_from(["a", "bb", "c.d", "e[0]", "f(1)", "'#'", '"""x\n#"""', "1.5e-3"])
BLANKS = st.sampled_from(["", " ", "  ", "\n    ", "  # one\n", " # type: ignore\r\n", " \\\n"])


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[str | Part]]:
    """A call spread over lines with comments, and a new text that keeps, moves, drops and adds arguments."""
    words = draw(st.lists(WORDS, min_size=1, max_size=4))
    source, places = "call(", []
    for number, word in enumerate(words):
        source += draw(BLANKS)
        places.append(Part(len(source), len(source) + len(word), word))
        last = number == len(words) - 1
        source += word + draw(BLANKS) + ("" if last and draw(st.booleans()) else ",")
    source += draw(BLANKS) + ")"
    kept = draw(st.permutations(places))[: draw(st.integers(0, len(places)))]
    pieces: list[str | Part] = [draw(st.sampled_from(["call(", "other(", "x.call("]))]
    for place in kept:
        pieces += [place, draw(st.sampled_from([", ", ".t(), ", ", dim=-1, "]))]
    return source, [*pieces, "last)", draw(st.sampled_from(["", ".squeeze(1)", " * 2"]))]


def significant(text: str) -> list[str]:
    kinds = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    found = [t.string for t in tokenize.generate_tokens(io.StringIO(f"({text}\n)").readline) if t.type not in kinds]
    return [t for t, after in zip(found, [*found[1:], ""]) if not (t == "," and after == ")")]


@settings(max_examples=400, deadline=None)
@given(calls())
def test_the_new_tokens_are_those_of_the_new_text_and_all_comments_stay(made: tuple[str, list[str | Part]]) -> None:
    source, pieces = made
    after = edited(source, pieces)
    assert significant(after) == significant("".join(p if isinstance(p, str) else p.text for p in pieces))
    assert Counter(comments(after)) == Counter(comments(source))


# ---------------------------------------------------------------------- the samples


def texts() -> Iterator[pytest.param]:  # type: ignore[valid-type]
    files = [item.folder / name for item in bundled() for name in ("bad.py", "good.py")]
    for file in [*files, *sorted((ROOT / "fixtures" / "trainers").glob("*.py"))]:
        yield pytest.param(file, False, id=name_of(file))
        yield pytest.param(file, True, id=f"{name_of(file)} with a comment in every bracket")


def spread(text: str) -> str:
    """The same code with a line break and a comment behind each bracket that opens and each comma inside one."""
    lines = text.splitlines(keepends=True)
    depth, cuts = 0, []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(token.string, 0) * (token.type == tokenize.OP)
        if token.type == tokenize.OP and token.string in ("(", ",") and depth:
            cuts.append(token.end)
    for number, (row, column) in enumerate(reversed(cuts)):
        line = lines[row - 1]
        if line[column:].strip() and not line[column:].lstrip().startswith("#"):
            lines[row - 1] = f"{line[:column]}  #!{number}\n    {line[column:].lstrip(' ')}"
    return "".join(lines)


@pytest.mark.parametrize(("file", "in_brackets"), list(texts()))
def test_fixes_keep_every_comment_and_every_other_line(file: Path, in_brackets: bool) -> None:
    text = file.read_text(encoding="utf-8")
    if in_brackets:
        spread_text = spread(text)
        assert ast.dump(ast.parse(spread_text)) == ast.dump(ast.parse(text))
        text = spread_text
    source = text.encode()
    found = check(file, source)
    for one in [d for d in found if d.fix is not None]:
        assert one.fix is not None
        after = apply(source, [one])
        assert after is not None
        ast.parse(after)
        assert Counter(comments(decode(after).text)) == Counter(comments(text))
        assert untouched(source, one) == [], f"{one.code} {one.location}"

    def recheck(new: bytes) -> Sequence[Diagnostic] | None:
        return check(file, new)

    fixed = fix_text(source, found, True, recheck)
    assert not fixed.restless
    assert choose(fixed.left, unsafe=True) == [], "what can be fixed is fixed in one run"
    assert Counter(comments(decode(fixed.source).text)) == Counter(comments(text))


def untouched(source: bytes, one: Diagnostic) -> list[str]:
    """Lines that no edit stands in, and that the fixed text does not have in the same order."""
    assert one.fix is not None
    rows = {r for edit in one.fix.edits for r in range(edit.span.start.row, edit.span.end.row + 1)}
    after = iter(decode(apply(source, [one]) or b"").lines)
    return [line for row, line in enumerate(decode(source).lines, 1) if row not in rows and line not in after]
