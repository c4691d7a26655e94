"""No literal makes an op raise: a slice of `benchmarks/ops_hostile.py`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ops.hostile import file_of, programs
from shapecheck.engine.entry import analyze
from shapecheck.engine.facts import Called
from shapecheck.service.check import Options
from shapecheck.service.run import make_check
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse

FILE = 40  # programs in one file


@pytest.mark.parametrize("seed", range(8))
def test_hostile_literals(seed: int, tmp_path: Path) -> None:
    text = file_of(programs(seed, FILE))
    ast.parse(text)
    result = make_check(Options(tmp_path, limit=120))(str(tmp_path / "hostile.py"), text.encode())
    assert [str(p) for p in result.problems] == []


def test_the_programs_reach_the_ops() -> None:
    """A fuzz that only ever made what no op takes would prove nothing."""
    reached: set[str] = set()
    for seed in range(8):
        program = parse(file_of(programs(seed, FILE)).encode(), "hostile.py")
        reached |= {f.name for f in analyze(program, Project(parse, (Unreadable,))).of(Called)}
    assert len(reached) > 150
