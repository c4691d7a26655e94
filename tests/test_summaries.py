"""A call that was run before is not run again, and nobody can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from shapecheck.engine import entry
from shapecheck.engine.facts import Called, Facts, Returned
from shapecheck.engine.machine import Machine
from shapecheck.engine.summaries import Summaries
from shapecheck.engine.values import Tensor
from shapecheck.findings.packs import choose, find, load
from shapecheck.service.check import Check, Options
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse

ROOT = Path(__file__).parents[1]
SAMPLES = [
    p
    for folder in ("fixtures", "rules", "shapecheck/examples")
    for p in sorted((ROOT / folder).rglob("*.py"))
    if p.name not in ("rule.py", "__init__.py")
]
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


def run(tmp_path: Path, text: str) -> Machine:
    path = tmp_path / "a.py"
    path.write_text(HEAD + text)
    return entry.run(parse(path.read_bytes(), str(path)), Project(parse, (Unreadable,)))


def never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Summaries, "given", lambda *_: None)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: str(p.relative_to(ROOT)))
def test_findings_are_the_same_as_without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = choose(load(find()), (), ())
    source = path.read_bytes()
    known = Check(rules, Options(ROOT))(str(path), source)
    never(monkeypatch)
    assert Check(rules, Options(ROOT))(str(path), source) == known


TWO_CALLERS = """
def score(a, b):
    return a @ b.mT

def first(x, n: int):
    q = x.view(4, n)
    return score(q, q)

def second(x, n: int):
    p = x.view(4, n)
    return score(p, p)
"""


def shapes(facts: Facts, name: str) -> list[str]:
    returned = [f.value for f in facts.of(Returned) if f.name == name]
    return [facts.names().shape(v) for v in returned if isinstance(v, Tensor)]


def test_one_run_serves_two_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TWO_CALLERS + "def third(x, n: int):\n    p = x.view(4, n)\n" + "    x = score(p, p)\n" * 20
    with_ = run(tmp_path, text)
    never(monkeypatch)
    without = run(tmp_path, text)
    assert with_.steps < without.steps
    assert shapes(with_.facts, "second") == shapes(without.facts, "second") == ["[4, 4]"]
    assert [type(f) for f in with_.facts.items] == [type(f) for f in without.facts.items]


def test_each_caller_gets_its_own_history(tmp_path: Path) -> None:
    facts = run(tmp_path, TWO_CALLERS).facts
    products = [f for f in facts.of(Called) if f.op == "matmul" and f.stack]
    assert len(products) == 2
    for product, caller in zip(products, ("q", "p")):
        (frame,) = product.stack
        operand = product.args["input"]
        assert operand.made.op == "view"
        assert operand.made.activation < frame.activation == product.activation
        assert frame.site.node is not operand.made.site.node
        given = frame.site.node.args[0].value.id  # type: ignore[attr-defined]
        assert given == caller
        assert product.result.made.activation == frame.activation
    assert products[0].activation != products[1].activation


CASES = {
    "another rank": (
        "def f(x):\n    if x.dim() == 2:\n        return x.sum(1)\n    return x.sum(2)\n"
        "def g(n: int):\n    return f(torch.zeros(n, 5)), f(torch.zeros(n, 5, 7))\n",
        "g", "([n], [n, 5])",
    ),
    "another flag": (
        "def f(x, flat):\n    return x.view(-1) if flat else x\n"
        "def g(n: int):\n    x = torch.zeros(n, 5)\n    return f(x, True), f(x, False)\n",
        "g", "([5*n], [n, 5])",
    ),
    "what was learned of the argument": (
        "def f(x):\n    return x.sum(-1)\n"
        "def g(cfg):\n    x = cfg.x\n    a = f(x)\n    b, s, d = x.shape\n    return f(x), a\n",
        "g", "([b, s], [...])",
    ),
    "what was decided": (
        "def f(x, cfg):\n    return x.sum(1) if cfg.brief else x\n"
        "def g(cfg, n: int):\n    x = torch.zeros(n, 5)\n    f(x, cfg)\n"
        "    if cfg.brief:\n        return f(x, cfg), 1\n    return f(x, cfg), 2\n",
        "g", "([n], ...) ([n, 5], ...)",
    ),
    "another state of the object": (
        "class M(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.w = torch.zeros(3, 4)\n"
        "    def get(self):\n        return self.w\n"
        "    def forward(self):\n        a = self.get()\n        self.w = torch.zeros(5)\n        return a, self.get()\n",
        "forward", "([3, 4], [5])",
    ),
    "a change to the object": (
        "class M(nn.Module):\n    def put(self, n):\n        self.w = torch.zeros(n, 4)\n"
        "    def forward(self):\n        self.put(3)\n        a = self.w\n        self.put(5)\n        return a, self.w\n",
        "forward", "([3, 4], [5, 4])",
    ),
    "a name of the function around": (
        "def g():\n    k = 3\n    def f():\n        return torch.zeros(k)\n    a = f()\n    k = 4\n    return a, f()\n",
        "g", "([3], [4])",
    ),
    "the same again": (
        "class Block(nn.Module):\n    def __init__(self, d):\n        super().__init__()\n        self.up = nn.Linear(d, 2 * d)\n"
        "    def forward(self, x):\n        return self.up(x)\n"
        "def g(x, d: int):\n    return Block(3)(torch.zeros(2, 3)), Block(3)(torch.zeros(2, 3)), Block(4)(torch.zeros(2, 4))\n",
        "g", "([2, 6], [2, 6], [2, 8])",
    ),
    "one object for two": (
        "class Box:\n    def __init__(self):\n        self.n = 1\n"
        "def f(a, b):\n    a.n = 2\n    return torch.zeros(b.n)\n"
        "def g():\n    x, y, z = Box(), Box(), Box()\n    return f(x, y), f(z, z)\n",
        "g", "([1], [2])",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_makes_a_call_another_one(case: str, tmp_path: Path) -> None:
    text, name, expected = CASES[case]
    facts = run(tmp_path, text).facts
    names = facts.names()
    told = []
    for fact in facts.of(Returned):
        if fact.name == name and not fact.stack:
            items = getattr(fact.value, "items", ())
            told.append("(" + ", ".join(names.shape(i) if isinstance(i, Tensor) else "..." for i in items) + ")")
    assert " ".join(told) == expected
