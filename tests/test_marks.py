"""Comments that speak to shapecheck."""

from __future__ import annotations

import sys

import pytest

from shapecheck.findings.marks import Expect, Ignore, Malformed, ShapeMark, SkipFile, matches, read


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\n", ()),
        ("x = 1  # a remark on shapecheck\n", ()),
        ("x = 1  # shapecheck: ignore\n", (Ignore(1, 8, (), 1, 1),)),
        ("x = 1  # shapecheck: ignore[SC101]\n", (Ignore(1, 8, ("SC101",), 1, 1),)),
        ("x = 1  #shapecheck:ignore[ SC101 , SC7 ]\n", (Ignore(1, 8, ("SC101", "SC7"), 1, 1),)),
        ("x = 1  # shapecheck: ignore[bare-squeeze] -- B is never 1\n", (Ignore(1, 8, ("bare-squeeze",), 1, 1),)),
        ("# shapecheck: skip-file\n", (SkipFile(1),)),
        ("x = 1  # noqa: SC101\n", (Ignore(1, 8, ("SC101",), 1, 1, shared=True),)),
        ("x = (\n  1)  # B G  # NoQA:E501,SC1 SC7 -- so\n", (Ignore(2, 7, ("E501", "SC1", "SC7"), 1, 2, shared=True),)),
        ("x = 1  # noqa\n", ()),
        ("x = 1  # noqa: S\n", ()),
        ("x = 1  # noqa: sc101\n", ()),
        ("x = 1  # noqa: SC101x\n", ()),
        ("x = 1  # noqa SC101\n", ()),
        ("x = 1\n# shapecheck: ignore-file[SC1, SC7] -- old\n", (Ignore(2, 1, ("SC1", "SC7"), 1, sys.maxsize),)),
        ("# shapecheck: ignore-file\n", (Malformed(1, 1, "# shapecheck: ignore-file"),)),
        ("# shapecheck: ignore-file[]\n", (Malformed(1, 1, "# shapecheck: ignore-file[]"),)),
        ("# shapecheck ignore-file[SC1]\n", (Malformed(1, 1, "# shapecheck ignore-file[SC1]"),)),
        ("x = 1  # shapecheck: ignroe\n", (Malformed(1, 8, "# shapecheck: ignroe"),)),
        ("x = 1  # Shapecheck: Ignore[SC1]\n", (Malformed(1, 8, "# Shapecheck: Ignore[SC1]"),)),
        ("x = 1  # shapecheck ignore[SC1]\n", (Malformed(1, 8, "# shapecheck ignore[SC1]"),)),
        ("x = 1  # shape-check: ignore\n", (Malformed(1, 8, "# shape-check: ignore"),)),
        ("x = 1  # Shape-Check: ignore\r\ny = 2\r\n", (Malformed(1, 8, "# Shape-Check: ignore"),)),
        ("x = 1  # B G  # shapecheck ignore SC101\n", (Malformed(1, 15, "# shapecheck ignore SC101"),)),
        ("x = 1  # shapecheck disable=SC101\n", (Malformed(1, 8, "# shapecheck disable=SC101"),)),
        ("x = 1  # shapecheck ignores this line\n", ()),
        ("x = 1  # what Shapecheck says of it\n", ()),
        ("x = 1  # shapecheck: ignore[]\n", (Malformed(1, 8, "# shapecheck: ignore[]"),)),
        ("x = 1  # expect: SC101\n", (Expect(1, ("SC101",)),)),
        ("x = 1  # expect: SC101, SC105\n", (Expect(1, ("SC101", "SC105")),)),
        ("x = 1  # B G  # expect: SC101\n", (Expect(1, ("SC101",)),)),
        ("x = f()  # shape: B B*G\n", (ShapeMark(1, "B B*G"),)),
        ("x = 1  # expect: SC1\n", (Expect(1, ("SC1",)),)),
    ],
)
def test_one_mark(source: str, expected: tuple[object, ...]) -> None:
    assert read(source) == expected


def test_text_in_a_string_is_no_mark() -> None:
    assert read('x = "# shapecheck: ignore"\ny = """\n# shapecheck: skip-file\n"""\n') == ()


def test_a_mark_holds_for_its_whole_logical_line() -> None:
    source = "a = 1\nb = f(\n    x,  # shapecheck: ignore[SC101]\n    y,\n)\nc = 2\n"
    (mark,) = read(source)
    assert isinstance(mark, Ignore)
    assert (mark.first, mark.last) == (2, 5)
    assert [row for row in range(1, 7) if mark.silences(row, "SC101", "x")] == [2, 3, 4, 5]
    assert not mark.silences(2, "SC102", "x")


def test_a_mark_behind_the_closing_bracket_holds_for_the_statement() -> None:
    (mark,) = read("b = f(\n    x,\n)  # shapecheck: ignore\n")
    assert isinstance(mark, Ignore)
    assert mark.silences(1, "SC999", "anything")


def test_the_columns_of_noqa() -> None:
    text = "x = 1  # B G  # noqa: E501, SC101\n"
    (mark,) = read(text)
    assert isinstance(mark, Ignore)
    assert [text[c - 1 :].split(",")[0].strip() for c in mark.columns] == ["E501", "SC101"]


def test_the_columns_of_codes() -> None:
    source = "x = 1  # B G  # shapecheck: ignore[ SC101 ,bare-squeeze]\n"
    (mark,) = read(source)
    assert isinstance(mark, Ignore)
    assert [source[c - 1 :][: len(code)] for c, code in zip(mark.columns, mark.codes)] == ["SC101", "bare-squeeze"]


def test_a_mark_that_stands_alone_holds_for_no_code() -> None:
    (mark,) = read("x = 1\n# shapecheck: ignore\ny = 2\n")
    assert isinstance(mark, Ignore)
    assert (mark.first, mark.last) == (2, 2)


def test_marks_before_a_syntax_error_are_still_read() -> None:
    assert read("x = 1  # shapecheck: ignore\ny = (\n") == (Ignore(1, 8, (), 1, 1),)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [(["SC101"], True), (["SC1"], True), (["SC"], True), (["ALL"], True), (["batch-crossed"], False),
     (["batch-crossed-similarity"], True), (["SC102"], False), ([], False), ([""], False)],
)  # fmt: skip
def test_patterns(patterns: list[str], expected: bool) -> None:
    assert matches("SC101", "batch-crossed-similarity", patterns) is expected
