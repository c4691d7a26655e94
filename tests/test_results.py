"""Plain calls have one result; what they bring makes them others, and nobody can tell that a body was not run again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from shapecheck.engine import entry
from shapecheck.engine.facts import Called, Returned
from shapecheck.engine.machine import Machine
from shapecheck.engine.values import Tensor
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
# long enough that the calls of it are not entered for the history of its tensors
LONG = "    for name in ('a', 'b', 'c', 'd'):\n" + "        k = len(name) + len(name) + len(name)\n" * 20


def run(tmp_path: Path, text: str, project: Project | None = None, name: str = "a.py") -> Machine:
    path = tmp_path / name
    path.write_text(HEAD + text)
    return entry.run(parse(path.read_bytes(), str(path)), project or Project(parse, (Unreadable,)))


def returned(m: Machine, name: str) -> str:
    """The shapes that the function's own run gives back."""
    names, told = m.facts.names(), []
    for fact in m.facts.of(Returned):
        if fact.name == name and not fact.stack:
            items = getattr(fact.value, "items", (fact.value,))
            told.append("(" + ", ".join(names.shape(i) if isinstance(i, Tensor) else "..." for i in items) + ")")
    return " ".join(told)


CASES = {
    "another rank": (
        "def f(x):\n    if x.dim() == 2:\n        return x.sum(1)\n    return x.sum(2)\n"
        "def g(n: int):\n    return f(torch.zeros(n, 5)), f(torch.zeros(n, 5, 7))\n",
        "([n], [n, 5])",
    ),
    "another flag": (
        "def f(x, flat):\n    return x.view(-1) if flat else x\n"
        "def g(n: int):\n    x = torch.zeros(n, 5)\n    return f(x, True), f(x, False)\n",
        "([5*n], [n, 5])",
    ),
    "another flag of something unknown": (
        f"def f(x, deep):\n{LONG}    return x.view(-1, 5, 2) if deep else x.view(-1, 5)\n"
        "def g(x):\n    return f(x, True), f(x, False)\n",
        "([n, 5, 2], [n', 5])",
    ),
    "two calls are of two things": (
        f"def f(x):\n{LONG}    return x.view(-1, 5)\ndef g(x, y):\n    return f(x), f(y)\n",
        "([n, 5], [n', 5])",
    ),
    "a word that the function knows": (
        f"def f(x, mode):\n{LONG}    if mode == 'cls':\n        return x.view(-1, 5)\n    assert mode == 'mean'\n    return x.view(-1, 5, 2)\n"
        "def g(x):\n    return f(x, 'cls'), f(x, 'mean')\n",
        "([n, 5], [n', 5, 2])",
    ),
    "what the call teaches of its argument": (
        f"def f(x):\n{LONG}    b, s, d = x.shape\n    return d\ndef g(x):\n    f(x)\n    return x.sum(-1), x\n",
        "([b, s], [b, s, d])",
    ),
    "another state of the object": (
        "class M(nn.Module):\n    def __init__(self, n: int):\n        super().__init__()\n        self.w = torch.zeros(n, 4)\n"
        "    def get(self):\n        return self.w\n"
        "    def g(self):\n        a = self.get()\n        self.w = torch.zeros(5)\n        return a, self.get()\n",
        "([n, 4], [5])",
    ),
    "a change to the object": (
        "class M(nn.Module):\n    def put(self, n):\n        self.w = torch.zeros(n, 4)\n"
        "    def g(self):\n        self.put(3)\n        a = self.w\n        self.put(5)\n        return a, self.w\n",
        "([3, 4], [5, 4])",
    ),
    "a flag that the object was given": (
        "class M(nn.Module):\n    def __init__(self, k: int):\n        super().__init__()\n        self.k = k\n"
        f"    def wide(self, x):\n{LONG.replace('    ', '        ', 1).replace(chr(10) + '    ', chr(10) + '        ')}"
        "        return x.view(-1, self.k)\n"
        "def g(x):\n    return M(3).wide(x), M(4).wide(x)\n",
        "([n, 3], [n', 4])",
    ),
    "a flag that was set since": (
        "class M(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.k = 5\n"
        "    def wide(self, x):\n        return x.view(-1, self.k)\n"
        "    def g(self, x):\n        self.k = 3\n        a = self.wide(x)\n        self.k = 4\n        return a, self.wide(x)\n",
        "([n, 3], [n', 4])",
    ),
    "a name of the function around": (
        "def g():\n    k = 3\n    def f():\n        return torch.zeros(k)\n    a = f()\n    k = 4\n    return a, f()\n",
        "([3], [4])",
    ),
    "one object for two": (
        "class Box:\n    def __init__(self):\n        self.n = 1\n"
        "def f(a, b):\n    a.n = 2\n    return torch.zeros(b.n)\n"
        "def g():\n    x, y, z = Box(), Box(), Box()\n    return f(x, y), f(z, z)\n",
        "([1], [2])",
    ),
    "a function that needs itself": (
        "def f(x, deep):\n    y = f(x, deep)\n    return x.view(-1, 5)\ndef g(x):\n    return f(x, True)\n",
        "([n, 5])",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_a_call_gives(case: str, tmp_path: Path) -> None:
    text, expected = CASES[case]
    assert returned(run(tmp_path, text), "g") == expected


def test_cost_grows_with_functions_and_not_with_calls(tmp_path: Path) -> None:
    text = f"def f(x):\n{LONG}    return x.view(-1, 5)\ndef g(x):\n"
    once = run(tmp_path, text + "    y = f(x)\n").steps
    often = run(tmp_path, text + "    y = f(x)\n" * 30).steps
    assert often < once * 2


def test_files_share_what_they_import(tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text(HEAD + f"def f(x):\n{LONG}    return x.view(-1, 5)\n")
    project = Project(parse, (Unreadable,))
    use = "from lib import f\ndef g(x):\n    return f(x)\n"
    assert returned(run(tmp_path, use, project, "one.py"), "g") == "([n, 5])"
    kept = len(project.kept[True].library.results)
    assert returned(run(tmp_path, use, project, "two.py"), "g") == "([n, 5])"
    assert len(project.kept[True].library.results) == kept == 1
    assert str(tmp_path / "lib.py") in project.read_for(str(tmp_path / "two.py"))


def test_a_flag_that_another_method_sets_is_open_where_a_method_begins(tmp_path: Path) -> None:
    text = (
        "class Queue(nn.Module):\n"
        "    def __init__(self, full=False):\n        super().__init__()\n        self.bank = None\n        self.kept = None\n"
        "    def fill(self, bank):\n        self.bank = bank\n"
        "    def forward(self, x):\n        assert self.kept is None\n"
        "        return x.view(-1, 5) if self.bank is None else x.view(-1, 5, 2)\n"
        "    def loss(self, x):\n        return x.view(-1, 5) if self.kept is None else x.view(-1, 5, 2)\n"
    )
    m = run(tmp_path, text)
    assert returned(m, "forward") == "([n, 5]) ([n', 5, 2])"
    assert returned(m, "loss") == "([n, 5])"


def test_a_test_is_run_once_for_both_of_its_ways(tmp_path: Path) -> None:
    text = "def f(x):\n    if x.norm() > 0 and x.sum(dim=1).max() > 1:\n        return x\n    return x + 1\n"
    called = [fact for fact in run(tmp_path, text).facts.of(Called) if not fact.stack]
    assert sorted(Counter(fact.key for fact in called).values()) == [1] * len(called)


def test_what_a_test_shows_is_known_in_its_second_part(tmp_path: Path) -> None:
    text = (
        "def f(x=None):\n    if x is not None and torch.is_tensor(x) and x.dim() == 2:\n        return x.sum(1)\n"
        "    return torch.zeros(2, 3)\n"
    )
    assert returned(run(tmp_path, text), "f") == "([N]) ([2, 3])"
