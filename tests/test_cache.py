"""The cache by content, without a checker behind it; tests/test_cli.py has whole runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from shapecheck.findings.diagnostic import (
    Caret,
    Diagnostic,
    Location,
    Remark,
    Span,
    TextEdit,
    TextFix,
    diagnostic_from,
    to_plain,
)
from shapecheck.findings.rule import Severity
from shapecheck.service.cache import KEEP_DAYS, Cache

SPAN = Span("/p/a.py", Location(3, 5), Location(3, 9))
FULL = Diagnostic(
    "SC101",
    "batch-crossed-similarity",
    Severity.ERROR,
    "said",
    SPAN,
    (Caret(SPAN, "[B, D]"),),
    (Remark("learned", SPAN), Remark("known")),
    "G = 1",
    "write this",
    TextFix("fix it", False, (TextEdit(SPAN, "new"),), ("import torch",)),
)
PLAIN = Diagnostic("SC102", "column-against-row", Severity.INFO, "said", SPAN)


@pytest.mark.parametrize("diagnostic", [FULL, PLAIN])
def test_plain_data_and_back(diagnostic: Diagnostic) -> None:
    assert diagnostic_from(to_plain(diagnostic)) == diagnostic


def test_an_entry_comes_back(tmp_path: Path) -> None:
    Cache(tmp_path, "s").put("/p/a.py", b"x", [FULL, PLAIN], [])
    assert Cache(tmp_path, "s").get("/p/a.py", b"x") == (FULL, PLAIN)


def test_bytes_path_and_setting_are_all_part_of_the_key(tmp_path: Path) -> None:
    Cache(tmp_path, "s").put("/p/a.py", b"x", [FULL], [])
    assert Cache(tmp_path, "s").get("/p/a.py", b"y") is None
    assert Cache(tmp_path, "s").get("/p/b.py", b"x") is None
    assert Cache(tmp_path, "t").get("/p/a.py", b"x") is None


def test_a_changed_import_makes_the_entry_stale(tmp_path: Path) -> None:
    other, absent = tmp_path / "other.py", tmp_path / "absent.py"
    other.write_text("1")
    folder = tmp_path / "cache"

    def put() -> None:
        Cache(folder, "s").put("/p/a.py", b"x", [PLAIN], [str(other), str(absent), "/p/a.py"])

    put()
    assert Cache(folder, "s").get("/p/a.py", b"x") == (PLAIN,)
    other.write_text("2")
    assert Cache(folder, "s").get("/p/a.py", b"x") is None
    put()
    absent.write_text("now it is here")
    assert Cache(folder, "s").get("/p/a.py", b"x") is None


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"[]", b"null", b'{"reads": {}}', b'{"reads": 1, "diagnostics": []}', b"\xff\xfe",
             b'{"reads": {}, "diagnostics": [{"code": 1}]}']
)  # fmt: skip
def test_corrupt_entries_are_ignored(tmp_path: Path, junk: bytes) -> None:
    Cache(tmp_path, "s").put("/p/a.py", b"x", [FULL], [])
    (entry,) = tmp_path.glob("??/*.json")
    entry.write_bytes(junk)
    assert Cache(tmp_path, "s").get("/p/a.py", b"x") is None


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    cache = Cache(blocked, "s")
    cache.put("/p/a.py", b"x", [FULL], [])
    assert cache.get("/p/a.py", b"x") is None
    cache.forget_old()


def test_old_entries_are_forgotten_once_a_day(tmp_path: Path) -> None:
    cache = Cache(tmp_path, "s")
    cache.put("/p/old.py", b"x", [FULL], [])
    (old,) = tmp_path.glob("??/*.json")
    long_ago = time.time() - (KEEP_DAYS + 1) * 86_400
    os.utime(old, (long_ago, long_ago))
    cache.put("/p/new.py", b"x", [FULL], [])
    cache.forget_old()
    assert not old.exists()
    assert cache.get("/p/new.py", b"x") == (FULL,)
    (new,) = tmp_path.glob("??/*.json")
    os.utime(new, (long_ago, long_ago))
    cache.forget_old()
    assert new.exists(), "today's sweep is over"
