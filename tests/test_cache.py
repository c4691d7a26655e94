"""The cache by content, without a checker behind it; tests/test_cli.py has whole runs."""

from __future__ import annotations

import os
import shutil
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
from shapecheck.service import cache
from shapecheck.service.cache import KEEP_DAYS, Answer, Cache

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


def said(cache: Cache, path: str, source: bytes, setting: str) -> tuple[Diagnostic, ...] | None:
    answer = cache.get(path, source, setting)
    return None if answer is None else answer.diagnostics


@pytest.mark.parametrize("diagnostic", [FULL, PLAIN])
def test_plain_data_and_back(diagnostic: Diagnostic) -> None:
    assert diagnostic_from(to_plain(diagnostic)) == diagnostic


def test_an_entry_comes_back(tmp_path: Path) -> None:
    Cache(tmp_path).put("/p/a.py", b"x", "s", Answer((FULL, PLAIN), rests_on=()))
    assert said(Cache(tmp_path), "/p/a.py", b"x", "s") == (FULL, PLAIN)


def test_bytes_path_and_setting_are_all_part_of_the_key(tmp_path: Path) -> None:
    Cache(tmp_path).put("/p/a.py", b"x", "s", Answer((FULL,), rests_on=()))
    assert said(Cache(tmp_path), "/p/a.py", b"y", "s") is None
    assert said(Cache(tmp_path), "/p/b.py", b"x", "s") is None
    assert said(Cache(tmp_path), "/p/a.py", b"x", "t") is None


def test_a_changed_import_makes_the_entry_stale(tmp_path: Path) -> None:
    other, absent = tmp_path / "other.py", tmp_path / "absent.py"
    other.write_text("1")
    folder = tmp_path / "cache"

    def put() -> None:
        Cache(folder).put("/p/a.py", b"x", "s", Answer((PLAIN,), rests_on=(str(other), str(absent), "/p/a.py")))

    put()
    assert said(Cache(folder), "/p/a.py", b"x", "s") == (PLAIN,)
    other.write_text("2")
    assert said(Cache(folder), "/p/a.py", b"x", "s") is None
    put()
    absent.write_text("now it is here")
    assert said(Cache(folder), "/p/a.py", b"x", "s") is None


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"[]", b"null", b'{"reads": {}}', b'{"reads": 1, "diagnostics": []}', b"\xff\xfe",
             b'{"reads": {}, "diagnostics": [{"code": 1}]}']
)  # fmt: skip
def test_corrupt_entries_are_ignored(tmp_path: Path, junk: bytes) -> None:
    Cache(tmp_path).put("/p/a.py", b"x", "s", Answer((FULL,), rests_on=()))
    (entry,) = tmp_path.glob("??/*.json")
    entry.write_bytes(junk)
    assert said(Cache(tmp_path), "/p/a.py", b"x", "s") is None


def test_an_answer_comes_back_whole(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("1")
    answer = Answer((FULL,), (("/p/other.py", 3, 7),), (str(tmp_path / "other.py"), str(tmp_path / "absent.py")))
    Cache(tmp_path / "c").put("/p/a.py", b"x", "s", answer)
    assert Cache(tmp_path / "c").get("/p/a.py", b"x", "s") == answer


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    cache = Cache(blocked)
    cache.put("/p/a.py", b"x", "s", Answer((FULL,)))
    assert said(cache, "/p/a.py", b"x", "s") is None
    assert cache.fault, "a run tells of it once"
    cache.forget_old()


def test_old_entries_are_forgotten_once_a_day(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("/p/old.py", b"x", "s", Answer((FULL,)))
    (old,) = tmp_path.glob("??/*.json")
    long_ago = time.time() - (KEEP_DAYS + 1) * 86_400
    os.utime(old, (long_ago, long_ago))
    cache.put("/p/new.py", b"x", "s", Answer((FULL,)))
    cache.forget_old()
    assert not old.exists()
    assert said(cache, "/p/new.py", b"x", "s") == (FULL,)
    (new,) = tmp_path.glob("??/*.json")
    os.utime(new, (long_ago, long_ago))
    cache.forget_old()
    assert new.exists(), "today's sweep is over"


def test_a_change_of_any_module_of_ours_makes_old_answers_void(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"engine", "ops", "findings", "service"} <= {folder.name for folder in cache.PACKAGE.iterdir()}
    package = tmp_path / "shapecheck"
    shutil.copytree(cache.PACKAGE / "engine", package / "engine")
    monkeypatch.setattr(cache, "PACKAGE", package)
    before = cache.own_state()
    with (package / "engine" / "values.py").open("a") as module:
        module.write("# changed")
    assert cache.own_state() != before
