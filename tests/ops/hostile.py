"""Calls of every op and layer with what nobody would give them: 0, -1, huge numbers, None, texts, floats, nested lists.

A program is a function of a few such calls; many stand in one file. torch would refuse most: the linter has to read on.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator

from shapecheck.ops import LAYERS, REGISTRY

HEAD = (
    "import operator\nimport einops\nimport torch\nimport transformers\nimport accelerate\nimport lightning\n"
    "import pytorch_lightning\nimport sentence_transformers\nfrom einops.layers.torch import Rearrange, Reduce\n"
    "from jaxtyping import Float, Int\nfrom torch import Tensor\n"
)
NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "3",
    "-2",
    "-7",
    "64",
    "10**30",
    "-(10**30)",
    "1 << 63",
    "True",
    "False",
    "n",
    "-n",
    "n // 2",
)
LITERALS = (
    *NUMBERS, "None", "''", "'mean'", "'b d -> d b'", "'bd,dc->bc'", "'->'", "'...'", "'b (h w'", "'None'", "b'x'",
    "0.0", "-0.5", "1e400", "float('nan')", "1j", "...", "()", "[]", "{}", "[[]]", "[[0], [1, 2]]", "[None, 's', 0.5]",
    "(0, 0)", "(-1, -1)", "(2, -3)", "(0, 1, 2)", "(1, 1, 1, 1)", "[2, 2]", "(n, n)", "(None,)", "((1, 2), (3,))",
    "[[[1]]]", "slice(0, 0)", "slice(None, None, 0)", "slice(-1, 10**30, -1)", "range(0)", "range(5, 0, 0)", "lambda: 0",
    "torch.float32", "torch.int64", "torch.bool", "torch.Size([])", "torch.Size([0, 3])", "x.shape", "w.shape[:-1]",
    "w.shape", "len(x)", "x.dim()", "{'a': x}", "{1, 2}", "'dim'", "set()", "print", "torch", "int", "NotImplemented",
)  # fmt: skip
TENSORS = (
    "x", "y", "w", "z", "i", "torch.zeros(())", "torch.zeros(0)", "torch.zeros(0, 3)", "torch.zeros(2, 0, 4)",
    "torch.zeros(1)", "torch.zeros(2, 3)", "torch.zeros(2, 3, 4)", "torch.zeros(1, 2, 3, 4, 5, 6)", "torch.tensor(3)",
    "torch.tensor([])", "torch.arange(4)", "torch.zeros(n, n)", "torch.zeros(1, n)", "torch.ones(3, dtype=torch.bool)",
    "torch.zeros(10**12, 10**12)", "[x, y]", "(x, w)", "[]", "[x, None]", "torch.empty(n)", "x > 0", "x.T", "w.mT",
)  # fmt: skip
TENSOR_NAMES = frozenset(
    [
        "input",
        "other",
        "tensor",
        "tensors",
        "mat1",
        "mat2",
        "vec",
        "mat",
        "x1",
        "x2",
        "target",
        "weight",
        "query",
        "key",
        "value",
        "index",
        "mask",
        "condition",
        "src",
        "source",
        "values",
        "indices",
        "batch1",
        "batch2",
        "self",
        "a",
        "b",
        "boundaries",
        "anchor",
        "positive",
        "negative",
    ]
)


def programs(seed: int, count: int) -> list[str]:
    """That many functions, drawn with the seed."""
    draw = random.Random(seed)
    names = [n for n in REGISTRY if not n.startswith("transformers.") or draw.random() < 0.02]
    layers = [n for n in LAYERS if not n.startswith("transformers.") or draw.random() < 0.02]
    return [_program(draw, number, names, layers) for number in range(count)]


def file_of(functions: list[str]) -> str:
    return HEAD + "\n".join(functions)


def _program(draw: random.Random, number: int, names: list[str], layers: list[str]) -> str:
    annotated = draw.random() < 0.7
    head = (
        f'def f{number}(x: Float[Tensor, "3 4"], y: Float[Tensor, "B D"], w, z: Float[Tensor, ""], i: Int[Tensor, "0 D"], n: int):'
        if annotated
        else f"def f{number}(x, y, w, z, i, n=4):"
    )
    lines = [
        f"    {draw.choice(('x', 'y', 'w', 'q'))} = {_call(draw, names, layers)}" for _ in range(draw.randint(1, 3))
    ]
    return "\n".join([head, *lines, f"    return {_use(draw)}", ""])


def _use(draw: random.Random) -> str:
    return draw.choice(("x", "x + y", "x @ y.T", "x[0]", "x.view(-1)", "x, y", "x[..., 1:]", "x.sum(-1)", "x == w"))


def _call(draw: random.Random, names: list[str], layers: list[str]) -> str:
    if draw.random() < 0.12:
        return _operator(draw)
    if draw.random() < 0.2:
        name = draw.choice(layers)
        spec = LAYERS[name]
        called = name.rsplit(".", 1)[-1] if name.startswith("einops") else name
        made = f"{called}({', '.join(_arguments(draw, spec.constructor))})"
        return f"{made}({', '.join(_arguments(draw, spec.parameters))})"
    name = draw.choice(names)
    parameters = REGISTRY[name].parameters
    if name.startswith("Tensor."):
        method = name.removeprefix("Tensor.")
        owner = draw.choice(TENSORS)
        return f"({owner}).{method}({', '.join(_arguments(draw, parameters[1:]))})"
    return f"{name}({', '.join(_arguments(draw, parameters))})"


def _operator(draw: random.Random) -> str:
    a, b = _any(draw), _any(draw)
    sign = draw.choice(("+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "^", "<<", ">>", "==", "<", "in", "and"))
    return draw.choice(
        (
            f"({a}) {sign} ({b})",
            f"({a})[{b}]",
            f"({a})[{b}, {_any(draw)}]",
            f"({a})[..., {b}:{_any(draw)}:{_any(draw)}]",
            f"-({a})",
        )
    )


def _any(draw: random.Random) -> str:
    return draw.choice(TENSORS if draw.random() < 0.5 else LITERALS)


def _arguments(draw: random.Random, parameters: tuple[inspect.Parameter, ...]) -> Iterator[str]:
    """A call's arguments: mostly as many as there are, sometimes too few, too many or starred."""
    named = False
    for parameter in parameters:
        kind = parameter.kind
        if kind is parameter.VAR_POSITIONAL:
            if not named:
                yield from (_value(draw, parameter.name) for _ in range(draw.randint(0, 3)))
            continue
        if kind is parameter.VAR_KEYWORD:
            continue
        if parameter.default is not parameter.empty and draw.random() < 0.45:
            named = True
            continue
        if draw.random() < 0.03:
            return
        named = (
            named or kind is parameter.KEYWORD_ONLY or (kind is not parameter.POSITIONAL_ONLY and draw.random() < 0.1)
        )
        value = _value(draw, parameter.name)
        yield f"{parameter.name}={value}" if named else value
    if draw.random() < 0.03:
        yield draw.choice(("**{'a': 1}", "**w", "spam=0")) if named else draw.choice(("*w", "*(1, 2)", "0"))


def _value(draw: random.Random, parameter: str) -> str:
    likely = parameter in TENSOR_NAMES
    if draw.random() < (0.85 if likely else 0.15):
        return draw.choice(TENSORS)
    return draw.choice(NUMBERS if draw.random() < 0.5 else LITERALS)
