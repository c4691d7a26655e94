"""Fixes applied to text: what they change, and everything that they leave as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shapecheck.findings.diagnostic import Diagnostic, Location, Span, TextEdit, TextFix
from shapecheck.findings.fixes import apply, choose, fix_text, import_edits
from shapecheck.findings.rule import Severity
from shapecheck.service import files
from shapecheck.service.files import Unusable, read_file, replace_file
from shapecheck.source.text import decode


def fixing(
    row: int, start: int, end: int, content: str, safe: bool = True, imports: tuple[str, ...] = ()
) -> Diagnostic:
    span = Span("/a.py", Location(row, start), Location(row, end))
    return Diagnostic(
        "SC1", "one", Severity.ERROR, f"said of row {row}, column {start}", span,
        fix=TextFix("fix", safe, (TextEdit(span, content),), imports),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"x = old  # stays\n", b"x = new()  # stays\n"),
        (b"\xef\xbb\xbfx = old\r\ny = 1\r\n", b"\xef\xbb\xbfx = new()\r\ny = 1\r\n"),
        (b"x = old", b"x = new()"),
        ("x = old  # é\u2028\x0c\n".encode(), "x = new()  # é\u2028\x0c\n".encode()),
        (b"x = old;\ty = [\n1 ]\r\n\r\n\n", b"x = new();\ty = [\n1 ]\r\n\r\n\n"),
    ],
)
def test_only_the_span_changes(before: bytes, after: bytes) -> None:
    assert apply(before, [fixing(1, 5, 8, "new()")]) == after


def test_another_encoding_is_kept() -> None:
    before, after = (b"# coding: latin-1\ny = '\xe9'; x = %s\n" % text for text in (b"old", b"new()"))
    assert apply(before, [fixing(2, 14, 17, "new()")]) == after


def test_new_lines_are_spelled_like_the_file() -> None:
    assert apply(b"x = old\r\n", [fixing(1, 5, 8, "f(\n    1\n)")]) == b"x = f(\r\n    1\r\n)\r\n"


def test_text_that_the_encoding_cannot_say_is_not_written() -> None:
    assert apply(b"# coding: ascii\nx = old\n", [fixing(2, 5, 8, "'\N{EURO SIGN}'")]) is None


def test_several_fixes_in_one_line() -> None:
    assert apply(b"f(aa, bb)\n", [fixing(1, 3, 5, "AAAA"), fixing(1, 7, 9, "")]) == b"f(AAAA, )\n"


def test_overlapping_and_unsafe_fixes_wait() -> None:
    first, inner, apart = fixing(1, 1, 9, "x"), fixing(1, 3, 5, "y"), fixing(1, 9, 12, "z")
    unsafe = fixing(1, 20, 25, "u", safe=False)
    assert choose([first, inner, apart, unsafe], unsafe=False) == [first, apart]
    assert choose([first, inner, apart, unsafe], unsafe=True) == [first, apart, unsafe]
    edge = fixing(1, 9, 9, ".t()")
    assert choose([first, edge], unsafe=False) == [first], "it was meant for what stood there"
    elsewhere = replace(first, fix=TextFix("fix", True, (TextEdit(replace(first.span, path="/b.py"), ""),)))
    assert choose([first, elsewhere], unsafe=False) == [first, elsewhere]


F = "import torch.nn.functional as F"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import torch\nx = 1\n", f"import torch\n{F}\nx = 1\n"),
        (
            "import torch\nfrom a import (\n    b,\n)\n\nx = 1\n",
            f"import torch\nfrom a import (\n    b,\n)\n{F}\n\nx = 1\n",
        ),
        ('"""Doc."""\nx = 1\n', f'"""Doc."""\n{F}\nx = 1\n'),
        ("#!/usr/bin/env python\n# licence\nx = 1\n", f"#!/usr/bin/env python\n# licence\n{F}\nx = 1\n"),
        ("x = 1\n", f"{F}\nx = 1\n"),
        ("import torch", f"import torch\n{F}\n"),
        ("import torch\r\nx = 1\r\n", f"import torch\r\n{F}\r\nx = 1\r\n"),
        (f"{F}\nx = 1\n", f"{F}\nx = 1\n"),
        ("from torch.nn import functional as F\nx = 1\n", "from torch.nn import functional as F\nx = 1\n"),
        ("if x:\n    import torch\ny = 1\n", f"{F}\nif x:\n    import torch\ny = 1\n"),
    ],
)
def test_a_missing_import_is_added(before: str, after: str) -> None:
    row = before.count("\n", 0, before.rfind("=")) + 1 if "=" in before else 1
    line = before.split("\n")[row - 1]
    edit = fixing(row, len(line.rstrip("\r")) + 1, len(line.rstrip("\r")) + 1, "", imports=(F,))
    result = apply(before.encode(), [edit, edit])
    assert result is not None
    assert result.decode() == after


@pytest.mark.parametrize(
    "text", ["import numpy as F\n", "F = 3\n", "def f(F):\n    pass\n", "def F():\n    pass\n", "x = (\n"]
)
def test_a_name_with_another_meaning_forbids_the_fix(text: str) -> None:
    assert import_edits(decode(text.encode()), "/a.py", (F,)) is None


def test_fixes_are_made_until_nothing_changes() -> None:
    def check(text: bytes) -> Sequence[Diagnostic]:
        at = text.find(b"a")
        return [fixing(1, at + 1, at + 2, "b")] if at >= 0 else []

    fixed = fix_text(b"aaa\n", check(b"aaa\n"), False, check)
    assert (fixed.source, len(fixed.applied), fixed.left, fixed.restless) == (b"bbb\n", 3, (), frozenset())


def test_fixes_that_never_come_to_rest_are_told_apart() -> None:
    def check(text: bytes) -> Sequence[Diagnostic]:
        return [fixing(1, 1, 1, "a")]

    assert fix_text(b"x\n", check(b"x\n"), False, check).restless == {"SC1"}


def test_a_fix_that_breaks_the_file_is_dropped_and_the_others_made() -> None:
    def check(text: bytes) -> Sequence[Diagnostic] | None:
        if b"(" in text:
            return None
        return [d for d in (breaking, helping) if text[d.location.column - 1 : d.location.column] == b"a"]

    breaking, helping = fixing(1, 1, 2, "("), fixing(1, 2, 3, "b")
    fixed = fix_text(b"aa\n", [breaking, helping], False, check)
    assert (fixed.source, fixed.applied, fixed.left) == (b"ab\n", (helping,), (breaking,))


def test_one_fix_that_breaks_the_file_does_not_cost_the_rounds_of_others() -> None:
    def check(text: bytes) -> Sequence[Diagnostic] | None:
        if b"(" in text:
            return None
        return [fixing(1, 1, 2, "(")] + [
            fixing(1, at + 1, at + 2, "b") for at in range(1, 31) if text[at : at + 1] == b"a"
        ]

    fixed = fix_text(b"a" * 31, check(b"a" * 31) or [], False, check)
    assert (fixed.source, fixed.restless) == (b"a" + b"b" * 30, frozenset())


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    file, link = tmp_path / "a.py", tmp_path / "link.py"
    file.write_bytes(b"old")
    file.chmod(0o750)
    link.symlink_to(file)
    replace_file(link, b"old", b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o750
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["a.py", "link.py"]


def test_a_file_that_was_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"edited")
    with pytest.raises(Unusable, match="it was changed while this ran"):
        replace_file(file, b"old", b"new")
    assert file.read_bytes() == b"edited"
    assert os.listdir(tmp_path) == ["a.py"]


def test_a_file_that_may_not_be_written_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"old")
    file.chmod(0o444)
    with pytest.raises(Unusable, match="permission to write is denied"):
        replace_file(file, b"old", b"new")
    assert file.read_bytes() == b"old"


@pytest.mark.parametrize("how", ["in place", "by renaming"])
def test_an_edit_at_the_last_moment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """After the file was looked at, and before it is exchanged; on Linux, by two names exchanged in one step."""
    file = tmp_path / "a.py"
    file.write_bytes(b"old")
    exchange = files._exchange
    if not exchange(file, file):
        pytest.skip("this system cannot exchange two names")
    edits = iter([b"edited", b"edited again"])

    def late(a: str, b: Path) -> bool:
        if (edit := next(edits, None)) is not None:
            if how == "in place":
                file.write_bytes(edit)
            else:
                (tmp_path / "new").write_bytes(edit)
                os.replace(tmp_path / "new", file)
        return exchange(a, b)

    monkeypatch.setattr(files, "_exchange", late)
    with pytest.raises(Unusable, match="it was changed while this ran"):
        replace_file(file, b"old", b"new")
    assert file.read_bytes() == b"edited again"


def test_where_two_names_cannot_be_exchanged_a_file_is_still_replaced_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_renameat2", lambda: None)
    file = tmp_path / "a.py"
    file.write_bytes(b"old")
    replace_file(file, b"old", b"new")
    assert (file.read_bytes(), os.listdir(tmp_path)) == (b"new", ["a.py"])


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices with names")
def test_only_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    for path, said in [
        (tmp_path / "pipe.py", "it is a pipe"),
        (Path("/dev/zero"), "it is a device"),
        (tmp_path, "it is a folder"),
        (tmp_path / "loop.py", "its links lead in a circle"),
        (tmp_path / "none.py", "there is no such file or folder"),
        (tmp_path / "a\0b", "the name holds a null byte"),
        (tmp_path / ("a" * 5000), "the name is too long"),
    ]:
        with pytest.raises(Unusable, match=said):
            read_file(path)
    (tmp_path / "large.py").write_bytes(b"x" * 101)
    with pytest.raises(Unusable, match="it has more than 100 bytes"):
        read_file(tmp_path / "large.py", limit=100)
