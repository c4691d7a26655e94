"""What annotations, callers and code say together: whole functions, the shape that is revealed or the finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from shapecheck.engine import reveal
from shapecheck.service.check import Options
from shapecheck.service.run import make_check
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse

HEAD = """\
import torch
import torch.nn as nn
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
"""


def codes(tmp_path: Path, body: str) -> list[str]:
    result = make_check(Options(tmp_path))(str(tmp_path / "a.py"), (HEAD + body).encode())
    assert result.problems == ()
    return [d.code for d in result.diagnostics]


def shape_of(body: str, name: str) -> str:
    """What is revealed of the last line that gives `name` a value."""
    shapes = reveal(parse((HEAD + body).encode(), "a.py"), Project(parse, (Unreadable,)))
    return next(shape for row in sorted(shapes, reverse=True) for n, shape, _ in shapes[row] if n == name)


def layer(init: str, forward: str, takes: str = "b d_in", gives: str = "b d_out") -> str:
    return (
        "class M(nn.Module):\n    def __init__(self, d_in: int, d_out: int, heads: int = 4):\n        super().__init__()\n"
        f"        {init}\n    def forward(self, x: Float[Tensor, '{takes}']) -> Float[Tensor, '{gives}']:\n"
        f"        return {forward}\n"
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # int parameters and axes of one name are one size; two names are two
        (layer("self.w = nn.Parameter(torch.empty(d_out, d_in))", "x @ self.w"), {"SC901", "SC702"}),
        (layer("self.w = nn.Parameter(torch.empty(d_out, d_in))", "x @ self.w.T"), set()),
        (layer("self.w = nn.Parameter(torch.empty(d_in, d_out))", "x @ self.w"), set()),
        (layer("self.l = nn.Linear(d_in, d_out)", "self.l(x)"), set()),
        (layer("self.l = nn.Linear(d_out, d_in)", "self.l(x)"), {"SC901", "SC702"}),
        (layer("self.l = nn.Linear(d_in, d_out)", "self.l(x)", gives="b d_in"), {"SC702"}),
        (layer("self.l = nn.Linear(d_in, heads)", "self.l(x)", gives="b n"), set()),
        (layer("self.heads = heads", "x.view(x.shape[0], self.heads, -1).flatten(1)", gives="b d_in"), set()),
        (layer("self.h, self.d = heads, d_out", "x.view(-1, self.h, self.d)", gives="b heads d_out"), set()),
        (layer("self.w: Float[nn.Parameter, 'd_out d_in'] = nn.Parameter(torch.empty(d_in, d_out))", "x @ self.w"), {"SC702"}),
        (layer("self.w: Float[nn.Parameter, 'd_in d_out'] = nn.Parameter(torch.empty(d_in, d_out))", "x @ self.w"), set()),
        ("def f(x: Float[Tensor, 'n k'], k: int, m: int):\n    return x @ torch.zeros(m, k)\n", {"SC901"}),
        ("def f(x: Float[Tensor, 'n k'], k: int, m: int):\n    return x @ torch.zeros(k, m)\n", set()),
        # what stands beside "..." is compared
        ("def f(x: Float[Tensor, '... i'], w: Float[Tensor, 'o i']) -> Float[Tensor, '... i']:\n    return x @ w.T\n", {"SC702"}),
        ("def f(x: Float[Tensor, '... i'], w: Float[Tensor, 'o i']) -> Float[Tensor, '... o']:\n    return x @ w.T\n", set()),
        ("def f(x: Float[Tensor, 'b t d']) -> Float[Tensor, '... t']:\n    return x\n", {"SC702"}),
        ("def f(x: Float[Tensor, 'b t d']) -> Float[Tensor, 'b ...']:\n    return x.transpose(0, 1)\n", {"SC702"}),
        ("def f(x: Float[Tensor, 'b t d']) -> Float[Tensor, 'b ... d']:\n    return x.unsqueeze(1)\n", set()),
        # one call binds a name once
        ("def g(x: Float[Tensor, 'B D'], y: Float[Tensor, 'B E']):\n    return x\n"
         "def f(a: Float[Tensor, '8 64'], b: Float[Tensor, '16 32']):\n    return g(a, b)\n", {"SC702"}),
        ("def g(x: Float[Tensor, 'B D'], y: Float[Tensor, 'B E']):\n    return x\n"
         "def f(a: Float[Tensor, '8 64'], b: Float[Tensor, '16 32']):\n    return g(a, a), g(b, b)\n", set()),
        # whoever writes T-2 says that T is 2 or more
        ("def f(x: Float[Tensor, 'B T']) -> Float[Tensor, 'B T-2']:\n    return x[:, 1:-1]\n", set()),
        ("def f(x: Float[Tensor, 'B T']) -> Float[Tensor, 'B T-3']:\n    return x[:, 3:]\n", set()),
        ("def f(x: Float[Tensor, 'B T']) -> Float[Tensor, 'B T-2']:\n    return x[:, 1:-2]\n", {"SC702"}),
        ("def f(x: Float[Tensor, 'B T']) -> Float[Tensor, 'B T-2']:\n    return x[:, 1:]\n", {"SC702"}),
        # torch has raised for an odd D
        ("def f(x: Float[Tensor, 'B D']) -> Float[Tensor, 'B D']:\n    y = x.reshape(-1, x.shape[1] // 2, 2)\n    return y.flatten(1)\n", set()),
        ("def f(x: Float[Tensor, 'B D']) -> Float[Tensor, 'B D']:\n    return torch.stack([x[:, ::2], x[:, 1::2]], -1).flatten(1)\n", set()),
        ("def f(x: Float[Tensor, 'B D']) -> Float[Tensor, 'B D']:\n    a, b = x.chunk(2, -1)\n    return torch.cat([b, a], -1)\n", set()),
        ("def f(x: Float[Tensor, 'B D']) -> Float[Tensor, 'B D']:\n    a, b = x.chunk(2, -1)\n    return a * b\n", {"SC702"}),
        # a callee's axis names are its own
        ("class R(nn.Module):\n    def go(self, x: Float[Tensor, 'B C T'], n: int) -> Float[Tensor, 'B C T']:\n"
         "        return x if n == 0 else self.up(x, self.go(self.enc(x), n - 1))\n"
         "    def up(self, s: Float[Tensor, 'B C T'], d: Float[Tensor, 'B 2*C T//2']) -> Float[Tensor, 'B C T']:\n        return s\n", set()),
        # what Python asks of a tensor with one element
        ("def f():\n    return torch.zeros(10).item()\n", {"SC907"}),
        ("def f():\n    return float(torch.zeros(2, 3))\n", {"SC907"}),
        ("def f():\n    return float(torch.zeros(1, 1)), int(torch.zeros(())), torch.zeros(1).item()\n", set()),
        # settings
        ("def f():\n    return torch.arange(0, 3, 0)\n", {"SC907"}),
        ("def f():\n    return F.max_pool2d(torch.zeros(20, 28, 28), 2, 4, 3)\n", {"SC907"}),
        ("def f():\n    return F.max_pool2d(torch.zeros(10, 28, 28), 29)\n", {"SC901"}),
        ("def f():\n    return F.max_pool2d(torch.zeros(10, 28, 28), 29, ceil_mode=True)\n", set()),
        ("def f():\n    return torch.zeros(0, 3).view(0, -1)\n", {"SC903"}),
        ("def f():\n    return torch.zeros(4, 0).unflatten(1, (2, 0, 0, 0))\n", set()),
        # a slice of an unknown shape has an unknown length
        ("def f(x, shape):\n    return x.broadcast_to(shape[:-2] + (3, 4)).transpose(-2, -1), x.view(shape[:-1]).transpose(-2, -1)\n", set()),
    ],
)  # fmt: skip
def test_findings(tmp_path: Path, body: str, expected: set[str]) -> None:
    assert set(codes(tmp_path, body)) == expected


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        ("x.std(True)", "[]"), ("torch.var(x, False)", "[]"), ("x.std(1, True, True)", "[5, 1]"), ("x.std(0)", "[7]"),
        ("torch.cov(x[:1])", "[]"), ("torch.corrcoef(x[0])", "[]"), ("torch.cov(x)", "[5, 5]"),
        ("F.adaptive_max_pool1d(x, 3, True)", "([5, 3], [5, 3])"), ("F.adaptive_avg_pool1d(x, 3)", "[5, 3]"),
        ("F.max_pool1d(x, 2, 2, 0, 1, True, True)", "([5, 4], [5, 4])"), ("F.max_pool1d(x, 2, 2, 0, 1, True)", "[5, 4]"),
        ("F.avg_pool1d(x, 2, 2, 0, True)", "[5, 4]"), ("torch.gather(x, 0, torch.zeros(0, 2, 3).long())", "[0, 2, 3]"),
        ("torch.unique_consecutive(x, True)[1]", "[5, 7]"), ("torch.unique(x, True, True)[1]", "[5, 7]"),
    ],
)  # fmt: skip
def test_shapes(line: str, shape: str) -> None:
    assert shape_of(f"def f(x: Float[Tensor, '5 7']):\n    y = {line}\n", "y") == shape


def test_a_callee_does_not_name_the_sizes_of_its_caller() -> None:
    body = (
        "class Fire(nn.Module):\n    def forward(self, x: Float[Tensor, 'B 3 H W']) -> Float[Tensor, 'B 3 H W']:\n"
        "        return x * 2\n"
        "class Net(nn.Module):\n    def __init__(self):\n        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)\n"
        "        self.fire = Fire()\n    def forward(self, x: Float[Tensor, 'B 3 H W']):\n"
        "        y = self.fire(self.pool(x))\n        z = x * 2\n"
    )
    assert shape_of(body, "z") == "[B, 3, H, W]"
    assert "H" not in shape_of(body, "y")
