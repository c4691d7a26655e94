"""A bug of ours costs one value: what lies around it is checked, and the report names file, row and op once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shapecheck.engine import machine
from shapecheck.findings.diagnostic import Location
from shapecheck.ops.kit import REGISTRY
from shapecheck.service.check import Options, Result
from shapecheck.service.run import make_check

HEAD = "import torch\nfrom elsewhere import cos\n\n"
CRASH = "torch.zeros(2, 3) @ torch.zeros(4, 5)"


def lint(tmp_path: Path, body: str) -> Result:
    path = tmp_path / "a.py"
    path.write_text(HEAD + body)
    return make_check(Options(tmp_path))(str(path), path.read_bytes())


def rows(result: Result) -> list[tuple[int, str]]:
    return [(d.location.row, d.code) for d in result.diagnostics]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes an op raise."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise IndexError("ours")

    def break_op(public: str) -> None:
        spec = REGISTRY[public]
        monkeypatch.setitem(REGISTRY, public, replace(spec, function=fail, given=spec.parameters))

    return break_op


def test_an_op_that_raises_costs_its_result(tmp_path: Path, broken: Callable[[str], None]) -> None:
    broken("torch.flip")
    body = f"def f(x):\n    y = torch.flip(x, [0])\n    z = torch.flip(y, [0])\n    return {CRASH}\n\ndef g():\n    return {CRASH}\n"
    result = lint(tmp_path, body)
    assert rows(result) == [(7, "SC901"), (10, "SC901")]
    (problem,) = result.problems
    assert problem.location == Location(5, 9)
    assert "internal error in op flip: IndexError: ours (test_faults.py:" in problem.message


def test_two_faults_are_two_problems(tmp_path: Path, broken: Callable[[str], None]) -> None:
    broken("torch.flip")
    broken("torch.tril")
    result = lint(tmp_path, "def f(x):\n    return torch.flip(x, [0]) + torch.tril(x)\n")
    assert [p.message.split(":")[0] for p in result.problems] == [
        "internal error in op flip",
        "internal error in op tril",
    ]


def test_a_fault_in_an_imported_module_names_it(tmp_path: Path, broken: Callable[[str], None]) -> None:
    broken("torch.flip")
    (tmp_path / "elsewhere.py").write_text("import torch\n\ndef cos(x):\n    return torch.flip(x, [0])\n")
    result = lint(tmp_path, f"def f(x):\n    cos(x)\n    return {CRASH}\n")
    assert rows(result) == [(6, "SC901")]
    (problem,) = result.problems
    assert (problem.path, problem.location) == (str(tmp_path / "a.py"), None)
    assert "in op flip, met in " in problem.message
    assert "elsewhere.py: IndexError: ours" in problem.message


@pytest.mark.parametrize(
    ("module", "name", "body"),
    [
        ("shapecheck.engine.branching", "decide", "    y = x if x else 1\n    y.view(2)\n"),
        ("shapecheck.engine.statements", "loop", "    for y in x:\n        z = y\n    z.view(2)\n"),
        ("shapecheck.engine.statements", "with_", "    with x as (y, *z):\n        pass\n    y.view(2)\n"),
        ("shapecheck.engine.calls", "call_closure", "    f(x).view(2)\n"),
    ],
)
def test_an_evaluator_that_raises_costs_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, body: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(f"{module}.{name}", fail)
    result = lint(tmp_path, f"def f(x):\n    y = z = torch.zeros(3)\n{body}    {CRASH}\n")
    assert [code for _, code in rows(result)] == ["SC901"], "y and z are unknown, the rest goes on"
    (problem,) = result.problems
    assert problem.location is not None
    assert "internal error in a" in problem.message
    assert ": AssertionError (test_faults.py:" in problem.message


def test_control_flow_of_the_engine_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "STEPS_PER_ENTRY", 40)
    result = lint(tmp_path, "def f(x):\n    None.shape\n" + "    x = x + torch.flip(x, [0])\n" * 40)
    assert result.problems == ()


def test_a_finding_stands_in_any_of_many_modules(tmp_path: Path) -> None:
    count = 320
    for number in range(count):
        (tmp_path / f"m{number}.py").write_text(f"import torch\ndef f{number}(x):\n    return torch.zeros(4, 5) @ x\n")
    imports = "".join(f"from m{number} import f{number}\n" for number in range(count))
    callers = "".join(f"def g{number}():\n    f{number}(torch.zeros(2, 3))\n" for number in range(count))
    result = lint(tmp_path, imports + callers)
    assert result.problems == ()
    assert [code for _, code in rows(result)] == ["SC901"] * count


@pytest.mark.parametrize(
    "link",
    [
        "from m{next} import v as w\nv = w + 1\n",
        "from m{next} import *\n",
        "from m{next} import C as B\nclass C(B):\n    pass\n",
        "import m{next} as n\nv = n.v.view(2)\nC = n.C\n",
        "from m{next} import f as g\ndef f(x):\n    return g(x)\n",
    ],
)
def test_a_long_chain_of_modules_ends_in_no_fault(tmp_path: Path, link: str) -> None:
    count = 1200
    for number in range(count):
        (tmp_path / f"m{number}.py").write_text("import torch\n" + link.format(next=number + 1))
    (tmp_path / f"m{count}.py").write_text(
        "import torch\nv = torch.zeros(2)\nclass C:\n    pass\ndef f(x):\n    return x\n"
    )
    body = f"import m0\ndef g(x):\n    m0.v + m0.C(x)\n    m0.f(x)\n    return {CRASH}\n"
    result = lint(tmp_path, body)
    assert result.problems == ()
    assert rows(result) == [(8, "SC901")]


BASES = """
import torch
from torch import nn


class Base(nn.Module):
    def forward(self, x):
        return self.head(x) @ x.T


class Middle(Base):
    def head(self, x):
        return torch.cat([x, x], dim=1)


class Last(Middle):
    def pooled(self, x):
        return self.forward(x).sum(dim=1)
"""


@pytest.mark.parametrize("steps", range(0, 240, 8))
def test_a_file_whose_budget_is_spent_is_no_fault(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setattr("shapecheck.engine.machine.STEPS_PER_FILE", steps)
    assert make_check(Options(Path.cwd()))("case.py", BASES.encode()).problems == ()
