# ruff: noqa: E501 - one case a line
"""The sixteen silent or false cases: what the plain combinations say, and what `@shaped` says.

    python benchmarks/runtime_silence.py

Every case holds one wrong use ("silent" is the failure) or one right use ("refused" is the failure). The first column is
jaxtyping with the checker that the case names (beartype unless it says otherwise). typeguard is asked when it is installed.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import textwrap
import types
import warnings
from typing import Any

HEADER = """
import asyncio, warnings
import torch
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypedDict, TYPE_CHECKING
from beartype import beartype
from jaxtyping import Float, jaxtyped
from torch import Tensor
R = torch.randn
if TYPE_CHECKING:
    from jaxtyping import Float as Hidden
"""
PLAIN = "import beartype as _b\ndecorate = jaxtyped(typechecker=_b.beartype)\n"
OURS = "from shapecheck import shaped as decorate\n"
FUTURE = "from __future__ import annotations\n"

F = """
@decorate
def f(x: Float[Tensor, "B D"], y: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
    return (x * y).sum(-1)
def use(): f(R(4, 3), R(1, 3))
"""

# name, the code of the case, what stands in for `decorate` in the plain run, whether the use is right
CASES: list[tuple[str, str, str, bool]] = [
    ("typeguard 3 or newer", F.replace('"B D"', '"B"').replace(", 3)", ")"), "import typeguard\ndecorate = jaxtyped(typechecker=typeguard.typechecked)\n", False),
    ("bare @beartype", F, "decorate = beartype\n", False),
    ("bare @jaxtyped", F, "decorate = jaxtyped\n", False),
    ("a name under TYPE_CHECKING", FUTURE + F.replace("Float[Tensor, \"B D\"]", "Hidden[Tensor, \"B D\"]"), PLAIN, False),
    ("a local alias", FUTURE + "def make():\n    M = Float[Tensor, 'B D']\n    @decorate\n    def f(x: M, y: M): return x * y\n    return f\ndef use(): make()(R(4, 3), R(1, 3))\n", PLAIN, False),
    ("a malformed string", FUTURE + F.replace('"B D"', '"B, D"'), PLAIN, False),
    ("dataclass fields, future annotations", FUTURE + "@decorate\n@dataclass\nclass C:\n    x: Float[Tensor, 'B D']\n    y: Float[Tensor, 'B D']\ndef use(): C(R(4, 3), R(1, 3))\n", PLAIN, False),
    ("dataclass mutation", "@decorate\n@dataclass\nclass C:\n    x: Float[Tensor, 'B D']\n    y: Float[Tensor, 'B D']\ndef use():\n    c = C(R(4, 3), R(4, 3))\n    c.y = R(1, 3)\n", PLAIN, False),
    ("local annotations", "@decorate\ndef f(x: Float[Tensor, 'B D']):\n    y: Float[Tensor, 'B D'] = x.T\n    return y\ndef use(): f(R(4, 3))\n", PLAIN, False),
    ("generator yields", "@decorate\ndef f(x: Float[Tensor, 'B D']) -> Iterator[Float[Tensor, 'B D']]:\n    yield x.T\ndef use(): next(f(R(4, 3)))\n", PLAIN, False),
    ("bindings after a first yield", "@decorate\ndef f(x: Float[Tensor, 'B D']) -> Iterator[int]:\n    yield 1\n    y: Float[Tensor, 'B D'] = R(9, 3)\n    assert isinstance(y, Float[Tensor, 'B D'])\n    yield 2\ndef use(): list(f(R(4, 3)))\n", PLAIN, False),
    ("TypedDict", "class T(TypedDict):\n    x: Float[Tensor, 'B D']\n    y: Float[Tensor, 'B D']\n@decorate\ndef f(t: T): return t\ndef use(): f({'x': R(4, 3), 'y': R(1, 3)})\n", PLAIN, False),
    ("NamedTuple", "class T(NamedTuple):\n    x: Float[Tensor, 'B D']\n    y: Float[Tensor, 'B D']\n@decorate\ndef f(t: T): return t\ndef use(): f(T(R(4, 3), R(1, 3)))\n", PLAIN, False),
    ("one wrong item of fifty", "@decorate\ndef f(xs: list[Float[Tensor, 'B D']]): return xs\ndef use(): f([R(4, 3)] * 49 + [R(4, 2)])\n", PLAIN, False),
    ("async returns", "@decorate\nasync def f(x: Float[Tensor, 'B D']) -> Float[Tensor, 'B D']: return x\ndef use(): asyncio.run(f(R(4, 3)))\n", PLAIN, True),
    ("torch.compile", F + "def use():\n    torch._dynamo.reset()\n    torch.compile(f, backend='eager')(R(4, 3), R(4, 3))\n", PLAIN, True),
]  # fmt: skip


def outcome(decorate: str, code: str, right: bool) -> str:
    future = FUTURE if code.startswith(FUTURE) else ""
    text = future + textwrap.dedent(HEADER) + decorate + code.removeprefix(FUTURE)
    name = f"silence_case_{random.randrange(1 << 30)}"
    module = types.ModuleType(name)
    sys.modules[name] = module
    import linecache

    linecache.cache[f"<{name}>"] = (len(text), None, text.splitlines(keepends=True), f"<{name}>")
    module.__spec__ = importlib.util.spec_from_loader(name, loader=_Source(text))
    try:
        exec(compile(text, f"<{name}>", "exec", dont_inherit=True), vars(module))
        module.use()
    except Exception as error:
        return ("refused" if right else "loud") + f" ({type(error).__name__})"
    return "taken" if right else "silent"


class _Source:
    """inspect.getsource asks the loader of a module that has no file."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_source(self, name: str) -> str:
        return self.text

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        return None


def main() -> None:
    warnings.simplefilter("ignore")
    random.seed(0)
    good = 0
    for name, code, plain, right in CASES:
        if "typeguard" in plain and importlib.util.find_spec("typeguard") is None:
            theirs = "not installed"
        else:
            theirs = outcome(plain, code, right)
        ours = outcome(OURS, code, right)
        good += ours.startswith("taken" if right else "loud")
        print(f"{name:>38}: {theirs:<34} @shaped: {ours}")
    print(f"{'loud or right':>38}: {good} of {len(CASES)}")


if __name__ == "__main__":
    main()
