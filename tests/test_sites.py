"""Every place that a fact names carries the file that its node stands in, however the code of one file comes to run
that of another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from shapecheck.engine.entry import run
from shapecheck.engine.values import Site
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse
from shapecheck.source.program import Node, walk

OTHER = '''
import torch
from dataclasses import dataclass, field
from functools import cached_property
from torch import nn

WIDE = torch.zeros(3, 4)

def picked(rows, at):
    """Args:
        rows (Tensor): shape (num, dim)
    """
    return rows[at]

def checked(function):
    def inner(x):
        y = function(x).sum(0)  # (N, D)
        return y
    return inner

class Base:
    scale = torch.zeros(5).sum()
    @property
    def first(self):
        return picked(self.rows, 0)
    @cached_property
    def last(self):
        return picked(self.rows, self.first)
    @classmethod
    def made(cls, rows):
        return cls(rows)
    def __getitem__(self, at):
        return picked(self.rows, at)
    def __iter__(self):
        return iter([picked(self.rows, 0), self.first])
    def __len__(self):
        return picked(self.rows, 0).size(0)
    def __add__(self, other):
        return picked(self.rows, 1) + other
    def __call__(self, x, by=WIDE.sum(0)):
        return picked(self.rows, 0) + x + by

class Held(Base):
    def __init__(self, rows):
        self.rows = rows

@dataclass
class Kept(Base):
    rows: torch.Tensor
    more: torch.Tensor = torch.zeros(3, 3).sum(0)
    others: list = field(default_factory=list)

class Layer(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.rows = rows
        self.head = nn.Linear(4, 5)
    def forward(self, x):
        return self.head(picked(self.rows, 0)) + x
    @property
    def width(self):
        return picked(self.rows, 0).size(-1)
'''
MAIN = """
import torch
from other import *
from other import Base, Held, Kept, Layer, checked, picked, WIDE

class Mine(Held):
    @property
    def first(self):
        return super().first + 1
    def run(self):
        return self.last, self[0], self + WIDE, [*self], len(self)

class Wrapped(Layer):
    bias = WIDE.sum(0)
    def forward(self, x):
        return super().forward(x) + self.width + self.bias

@checked
def decorated(x):
    return torch.zeros(3).sum(0)

"""
USES = ["o.first", "o.last", "o[0]", "[r for r in o]", "o + WIDE", "len(o)", "o(WIDE)", "o.made(WIDE).first", "o.scale",
        "getattr(o, 'last')", "sum(r.sum() for r in o)", "decorated(WIDE)", "sorted(o, key=lambda r: r.sum())",
        "[p.first for p in (o, o)]", "o.run()", "[*map(o, [WIDE])]"]  # fmt: skip
MADE = ["Held", "Mine", "Kept", "Layer", "Wrapped"]


def _sites(value: object, seen: set[int]) -> Iterator[Site]:
    """The places in a value and all that it holds."""
    pending = [value]
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        match value:
            case Site():
                yield value
            case tuple() | list() | set() | frozenset():
                pending += value
            case dict():
                pending += [*value.keys(), *value.values()]
            case _ if is_dataclass(value) and not isinstance(value, Node):
                pending += [getattr(value, f.name, None) for f in fields(value)]


@pytest.mark.parametrize("rows", ["torch.tensor([0, 2, 3])", "torch.zeros(3, 4)", "x"])
@pytest.mark.parametrize("made", MADE)
def test_a_place_is_in_its_file(tmp_path: Path, made: str, rows: str) -> None:
    (tmp_path / "other.py").write_text(OTHER)
    path = tmp_path / "main.py"
    body = "".join(
        f"\ndef use_{n}(x):\n    o = {made}({rows})\n    y = {use}\n    return y\n" for n, use in enumerate(USES)
    )
    path.write_text(MAIN + body)
    project = Project(parse, (Unreadable,))
    facts = run(parse(path.read_bytes(), str(path)), project).facts
    assert not facts.faults
    held: dict[str, set[int]] = {}
    seen: set[int] = set()
    files = set()
    for fact in facts.items:
        for site in _sites(fact, seen):
            if site.path not in held:
                program = project.program(site.path)
                held[site.path] = set() if program is None else {id(n) for s in program.body for n in (s, *walk(s))}
            assert id(site.node) in held[site.path], (type(fact).__name__, site)
            files.add(Path(site.path).name)
    assert files == {"main.py", "other.py"}
