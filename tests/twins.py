"""Runs of samples in torch. A comment above a function tells how:

`# run: f(q=[B, D], p=[B, G, D], target=ints(G, B)); differ: B=3, G=4, D=5; equal: B=1, G=4, D=5`

The call is Python, read in the sample's own module. A list of sizes is a float tensor of that shape, `ints(high, B)` a
tensor of random integers below `high`, `bools(B, N)` of random booleans. After it come the sizes to run at:

`differ`  the bad function's result differs from its fixed twin's, in shape or in value
`equal`   both give the same: the condition under which the finding's text calls the code right
`raises`  torch refuses the bad function, and runs its fixed twin
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import AnnotationError

_RUN = re.compile(r"^\s*# run:\s*(.+)$")
_SIZES = re.compile(r"\s*(differ|equal|raises):\s*(.*)")
REFUSALS = (RuntimeError, IndexError, ValueError, AssertionError, AnnotationError)


@dataclass(frozen=True)
class Case:
    """One runnable function of a sample: its name, the rows that it spans, the call, and the sizes to run at."""

    name: str
    rows: range
    call: str
    runs: tuple[tuple[str, Mapping[str, int]], ...]


def cases(text: str) -> list[Case]:
    """Every `# run:` of a sample. Raises ValueError for one that stands above no function or cannot be read."""
    lines = text.splitlines()
    functions = {
        min([node.lineno, *(d.lineno for d in node.decorator_list)]): node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    found: list[Case] = []
    for row, line in enumerate(lines, 1):
        match = _RUN.match(line)
        if match is None:
            continue
        below = row + 1
        while below <= len(lines) and _RUN.match(lines[below - 1]):
            below += 1
        function = functions.get(below)
        if function is None:
            raise ValueError(f"line {row}: a run comment above nothing")
        call, *sizes = match[1].split(";")
        assert function.end_lineno is not None
        rows = range(below, function.end_lineno + 1)
        found.append(Case(function.name, rows, call.strip(), tuple(_run(text, row) for text in sizes)))
    return found


def _run(text: str, row: int) -> tuple[str, Mapping[str, int]]:
    match = _SIZES.fullmatch(text)
    if match is None:
        raise ValueError(f"line {row}: {text!r} is neither differ, equal nor raises")
    return match[1], {name.strip(): int(value) for name, value in (pair.split("=") for pair in match[2].split(","))}


def load(path: Path, text: str) -> ModuleType:
    """The sample as a module of its own, run from `text`."""
    module = ModuleType(f"sample_{path.parent.name}_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


class _ListsAreTensors(ast.NodeTransformer):
    def visit_List(self, node: ast.List) -> ast.AST:
        return ast.copy_location(ast.Call(ast.Name("floats", ast.Load()), node.elts, []), node)


def run(module: ModuleType, call: str, sizes: Mapping[str, int]) -> Any:
    """What the call gives at these sizes; the same random numbers each time."""
    torch.manual_seed(0)
    tree = ast.fix_missing_locations(_ListsAreTensors().visit(ast.parse(call, mode="eval")))
    tools = {
        "floats": lambda *shape: torch.randn(*shape),
        "ints": lambda high, *shape: torch.randint(high, shape),
        "bools": lambda *shape: torch.rand(*shape) > 0.5,
    }
    return eval(compile(tree, call, "eval"), {**module.__dict__, **tools, **sizes})


def same(a: Any, b: Any) -> bool:
    """Whether two results have equal shapes and, up to rounding, equal values."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-5, equal_nan=True)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and bool(a == b)
