"""A bug is found whatever the ops are spelled like: every sample and fixture in other words has the same findings."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from samples import ROOT, check, checker, found, name_of
from spellings import WRITERS, files, rewritten

from shapecheck.source.imports import Project

# Two ways at once: what is written as operators, methods and by position is called by name, and the other way round.
MIXES = {
    "functions": ("operators as functions", "layers as functions", "methods as functions", "torch as F, F as torch"),
    "methods": ("operators as methods", "functions as methods", "x.T as x.t()", "synonyms"),
    "arguments": ("keywords", "by position", "torch as F, F as torch"),
}


def project() -> Project:
    """That of the check: what is imported is read once a process, so that its nodes are those of one project."""
    return checker()._project


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("path", list(files(ROOT)), ids=name_of)
def test_other_words_same_findings(path: Path, mix: str) -> None:
    writers = tuple(writer for name in MIXES[mix] for writer in WRITERS[name])
    text, changed = rewritten(path, path.read_bytes(), writers, project())
    if not changed:
        return
    ast.parse(text)
    rows: dict[int, list[str]] = {}
    for d in check(path, text):
        rows.setdefault(d.location.row, []).append(d.code)
    assert {row: sorted(codes) for row, codes in sorted(rows.items())} == found(path)


def test_the_writers_write() -> None:
    """Half of the files, at least, are changed by each mix: else nothing was asked."""
    for mix in MIXES.values():
        writers = tuple(writer for name in mix for writer in WRITERS[name])
        some = [p for i, p in enumerate(files(ROOT)) if i % 8 == 0]
        assert 2 * sum(bool(rewritten(p, p.read_bytes(), writers, project())[1]) for p in some) >= len(some)
