"""Files that can't be read say why in a sentence, at once, and never end the process."""

import pickle
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from shapecheck.source.gate import MAX_BYTES, Unreadable, admit
from shapecheck.source.lower import parse

UNREADABLE = [
    (b"x = '\xff'\n", "The bytes are not utf-8.", 1, 6),
    (b"\n\n\nx = '\xff'\n", "The bytes are not utf-8.", 4, 6),
    (b"# coding: ascii\n\nx = '\xc3'\n", "The bytes are not ascii.", 3, None),
    (b"# coding: klingon\nx = 1\n", "The encoding that the file names is none, or not the one that it has.", 1, None),
    (b"# coding: rot13\nk = 1\n", "The encoding rot13 does not decode text.", 1, None),
    (b"x = 1\ny = \0\n", "The file contains a null byte.", 2, 5),
    ("x = 1\n".encode("utf-16"), "The file is UTF-16, which Python does not read as source.", 1, 1),
    (b"x = (1,\n", "Syntax error: '(' was never closed.", 1, 5),
    (b"def f(:\n    pass\n", "Syntax error: invalid syntax.", 1, None),
    (b"x = 1\n  y = 2\n", "Syntax error: unexpected indent.", 2, None),
    (b"x = 'abc\n", "Syntax error: unterminated string literal (detected at line 1).", 1, 5),
    (b"print 'hello'\n", "This looks like Python 2. Syntax error: Missing parentheses in call to 'print'.", 1, 1),
    (b"raise E, 'message'\n", "This looks like Python 2. Syntax error: invalid syntax.", 1, None),
    (b"x = 0777\n", "This looks like Python 2. Syntax error: leading zeros in decimal integer literals", 1, 5),
    (b"def f():\n    return (((x)): int) = 1\n", "Syntax error: ", 2, None),
    (b"((x)): int = 1\n", "The parser does not know this syntax: ", 1, None),
    (b"x = " + b"(" * 3000 + b")" * 3000, "Brackets are nested more than 100 deep.", 1, 1),
    (b"y = 1\nx = " + b"[" * 101 + b"]" * 101, "Brackets are nested more than 100 deep.", 2, 1),
    (b"x = f'{" + b"(" * 101 + b"1" + b")" * 101 + b"}'", "Brackets are nested more than 100 deep.", 1, 1),
    (b"x = 1" + b" + 1" * 5000, "An expression chains more than 1,000 operators and calls.", 1, 1),
    (b"x = f'{1" + b" + 1" * 5000 + b"}'", "An expression chains more than 1,000 operators and calls.", 1, 1),
    (b"x = 1" + b" \\\n + 1" * 5000, "An expression chains more than 1,000 operators and calls.", 1, 1),
    (b"x = not " + b"not " * 5000 + b"y", "An expression chains more than 1,000 operators and calls.", 1, 1),
    (b"x = " + b"-" * 5000 + b"y", "An expression chains more than 1,000 operators and calls.", 1, 1),
    (b"x = y" + b"()" * 5000, "An expression chains more than 1,000 operators and calls.", 1, 1),
    (b"x = y" + b".z" * 5000, "An expression chains more than 1,000 operators and calls.", 1, 1),
    (b"x = " + b"'a' " * 5000, "An expression chains more than 1,000 operators and calls.", 1, 1),
    (b"if a:\n  b\n" + b"elif c:\n  d\n" * 101, "One if has more than 100 elif branches.", None, None),
    (b"if a:\n  b\n" + b"elif c:\n  d\n" * 9000, "The file has 9,000 elif branches, more than the 2,000", None, None),
    (b"match x:\n  case " + b"{1: " * 12 + b"y" + b"}" * 12 + b": z", "A case pattern is nested more than 6", 2, 1),
    (b"".join(b" " * n + b"if x:\n" for n in range(120)) + b" " * 120 + b"y", "Syntax error: ", None, None),
    (b"#" * (MAX_BYTES + 1), "The file has 5,000,001 bytes, more than the 5,000,000 that are read.", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("source", "reason", "line", "column"), UNREADABLE)
def test_an_unreadable_file_says_why(source: bytes, reason: str, line: int | None, column: int | None) -> None:
    with pytest.raises(Unreadable) as caught:
        parse(source, "sample.py")
    assert caught.value.reason.startswith(reason)
    assert caught.value.reason.endswith(".")
    assert "\n" not in caught.value.reason
    assert line is None or caught.value.line == line
    assert column is None or caught.value.column == column


def test_unreadable_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(Unreadable("Why.", 3, 4)))
    assert (error.reason, error.line, error.column, str(error)) == ("Why.", 3, 4, "Why.")


DEEP: list[Callable[[int], str]] = [
    lambda n: "x = " + "(" * n + "1" + ")" * n,
    lambda n: "x = " + "[" * n + "]" * n,
    lambda n: "x = " + "f(" * n + ")" * n,
    lambda n: "x = " + "f(lambda a=" * n + "1" + ": 1)" * n,
    lambda n: "x = " + "{1: " * n + "1" + "}" * n,
    lambda n: "x = " + "[y for y in " * n + "z" + "]" * n,
    lambda n: "x = " + "(y := " * n + "z" + ")" * n,
    lambda n: "x = " + "not " * n + "z",
    lambda n: "x = " + "lambda: " * n + "z",
    lambda n: "x = " + "lambda a=" * n + "1" + ": a" * n,
    lambda n: "with " + "(" * n + "x" + ")" * n + ": y",
    lambda n: "for " + "(" * n + "x" + ")" * n + " in y: z",
    lambda n: "(" * n + "x" + ",)" * n + " = y",
    lambda n: "def f(x: " + "a[" * n + "b" + "]" * n + "): y",
    lambda n: "@" + "f(" * n + ")" * n + "\nclass A: x",
    lambda n: "".join(" " * k + "if x:\n" for k in range(n)) + " " * n + "y",
    lambda n: "if a: b\n" + "elif c: d\n" * n,
]


@pytest.mark.parametrize("make", DEEP)
def test_what_passes_the_gate_is_survived(make: Callable[[int], str]) -> None:
    assert len(parse(make(90).encode(), "sample.py").body) == 1


NOT_DEEP = [
    "x = '" + "(" * 500 + "'",
    "x = '''\n" + "(" * 500 + "\n'''",
    "x = 1  # " + "(" * 500,
    'x = "it\'s" ' + " + (1)" * 200,
    "x = [" + "(1, 2), " * 5000 + "]",
    "x = [" + "1 + 2 * 3,\n" * 5000 + "]",
    "x = {" + "'key': f(a, b)['c'].d,\n" * 2000 + "}",
    "f(\n" + "    a_rather_long_argument_name=another_long_name.attribute,\n" * 200 + ")",
    "x = '" + "a + " * 5000 + "'",
    "x = (" + ") + (".join(["'" + "text " * 40 + "'"] * 50) + ")",
    "x = 1; " * 5000,
    "case = f(f(f(f(f(f(f(f(1))))))))",
    "match = 1\ncase[f(f(f(f(f(f(f(f(1))))))))] = 2",
]


@pytest.mark.parametrize("source", NOT_DEEP)
def test_strings_comments_and_wide_code_are_not_deep(source: str) -> None:
    admit(source.encode())


@pytest.mark.parametrize(
    "source", ["'" * 200_000, "\\\n" * 200_000, '"' * 200_001, "f'{" * 50_000, "(" * 200_000, "'''" + "\\" * 200_000]
)
def test_the_gate_itself_is_quick(source: str) -> None:
    started = time.process_time()
    with suppress(Unreadable):
        admit(source.encode())
    assert time.process_time() - started < 5  # quadratic scanning takes minutes
