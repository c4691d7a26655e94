"""No literal makes an op raise: a slice of `benchmarks/ops_hostile.py`."""

from __future__ import annotations

import ast
import re
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


MET = (942, 1016, 1119)  # an axis of a place in the millions; two rules that read past what their tensor has


@pytest.mark.parametrize("seed", [*range(8), *MET])
def test_hostile_literals(seed: int, tmp_path: Path) -> None:
    text = file_of(programs(seed, FILE))
    ast.parse(text)
    result = make_check(Options(tmp_path, limit=120))(str(tmp_path / "hostile.py"), text.encode())
    assert [str(p) for p in result.problems] == []
    assert [d.message for d in result.diagnostics if contradicts_nothing(d.message)] == []


def contradicts_nothing(message: str) -> bool:
    """A refusal that names two equal things as what does not fit together."""
    return re.search(r"\b(rank \d+) against \1\b|\b(\S+) meets \2(?=$|[ ,])", message) is not None


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("F.conv1d(x.view(1, b, d), x)", "the weight needs rank 3"),
        ("F.conv2d(x.view(1, 1, b, d), x.view(1, b, d))", "the weight needs rank 4"),
        ("F.conv_transpose1d(x.view(1, b, d), x)", "the weight needs rank 3"),
        ("F.conv1d(x.view(1, 1, 1, b, d), x.view(b, d, 1))", "the input needs rank 2 or 3"),
        ("torch.block_diag(x.view(b, d, 1), x.view(b, d, 1))", "at most two axes each"),
    ],
)
def test_a_refusal_of_ranks_says_what_is_needed(call: str, why: str, tmp_path: Path) -> None:
    text = f"import torch\nimport torch.nn.functional as F\n\n\ndef f(x):\n    b, d = x.shape\n    return {call}\n"
    result = make_check(Options(tmp_path))(str(tmp_path / "a.py"), text.encode())
    assert [d.message.rpartition(": ")[2] for d in result.diagnostics] == [why]


def test_the_programs_reach_the_ops() -> None:
    """A fuzz that only ever made what no op takes would prove nothing."""
    reached: set[str] = set()
    for seed in range(8):
        program = parse(file_of(programs(seed, FILE)).encode(), "hostile.py")
        reached |= {f.name for f in analyze(program, Project(parse, (Unreadable,))).of(Called)}
    assert len(reached) > 150
