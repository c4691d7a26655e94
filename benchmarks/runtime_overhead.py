"""What a checked call costs: against hand-written asserts, and against jaxtyped(beartype).

    python benchmarks/runtime_overhead.py

Every case is one function written four times: plain, with the asserts that a careful person would write, under
`@shaped` (in the body, and around the call where the source is not at hand), under `jaxtyped(typechecker=beartype)`.
Rounds are interleaved; a figure is the best round's mean; the ratio is the median over rounds of the round's own
ratio, so that other load on the machine cancels.
"""

import argparse
import statistics
import timeit
from collections.abc import Callable
from typing import Any

import torch
from beartype import beartype
from jaxtyping import Float, jaxtyped
from torch import Tensor

from shapecheck import shaped

FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
OUT = torch.randn(4, 8)  # shapecheck: ignore[SC702]
FLAT = torch.randn(32)  # shapecheck: ignore[SC702]


# names: f(q [B, D], p [B, G, D]) -> [B, G], no work in the body


def names(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    return OUT


def names_by_hand(q, p):
    B, D = q.shape
    B2, G, D2 = p.shape
    assert B2 == B
    assert D2 == D
    assert q.dtype in FLOATS
    assert p.dtype in FLOATS
    out = OUT
    assert out.shape == (B, G)
    assert out.dtype in FLOATS
    return out


# an expression over names and an attribute in braces


class Config:
    group = 8


def braces(
    self: Config, q: Float[Tensor, "B D"], p: Float[Tensor, "B*{self.group} D"]
) -> Float[Tensor, "B {self.group}"]:
    return OUT


def braces_by_hand(self, q, p):
    B, D = q.shape
    assert p.shape == (B * self.group, D)
    assert q.dtype in FLOATS
    assert p.dtype in FLOATS
    out = OUT
    assert out.shape == (B, self.group)
    assert out.dtype in FLOATS
    return out


# any number of leading axes


def leading(q: Float[Tensor, "*b D"], p: Float[Tensor, "*b G D"]) -> Float[Tensor, "*b G"]:
    return OUT


def leading_by_hand(q, p):
    *b, D = q.shape
    *b2, G, D2 = p.shape
    assert b2 == b
    assert D2 == D
    assert q.dtype in FLOATS
    assert p.dtype in FLOATS
    out = OUT
    assert out.shape == (*b, G)
    assert out.dtype in FLOATS
    return out


# expressions


def expressions(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, " B*G"]:
    return FLAT


def expressions_by_hand(q, p):
    B, D = q.shape
    B2, G, D2 = p.shape
    assert B2 == B
    assert D2 == D
    assert q.dtype in FLOATS
    assert p.dtype in FLOATS
    out = FLAT
    assert out.shape == (B * G,)
    assert out.dtype in FLOATS
    return out


# a body that works


def body(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    s: Float[Tensor, "B G"] = torch.matmul(q.unsqueeze(1), p.transpose(1, 2)).squeeze(1)
    return s.softmax(-1)


def body_plain(q, p):
    s = torch.matmul(q.unsqueeze(1), p.transpose(1, 2)).squeeze(1)
    return s.softmax(-1)


def body_by_hand(q, p):
    B, D = q.shape
    B2, G, D2 = p.shape
    assert B2 == B
    assert D2 == D
    assert q.dtype in FLOATS
    assert p.dtype in FLOATS
    s = torch.matmul(q.unsqueeze(1), p.transpose(1, 2)).squeeze(1)
    assert s.shape == (B, G)
    assert s.dtype in FLOATS
    out = s.softmax(-1)
    assert out.shape == (B, G)
    assert out.dtype in FLOATS
    return out


# ten arguments


def ten(
    a: Float[Tensor, "B D"], b: Float[Tensor, "B D"], c: Float[Tensor, "B D"], d: Float[Tensor, "B G"],
    e: Float[Tensor, "B G"], f: Float[Tensor, " B"], g: Float[Tensor, "B G D"], h: Float[Tensor, "D D"],
    i: Float[Tensor, " D"], j: Float[Tensor, " G"],
) -> Float[Tensor, "B G"]:  # fmt: skip
    return OUT


def ten_by_hand(a, b, c, d, e, f, g, h, i, j):
    B, D = a.shape
    _, G = d.shape
    assert b.shape == (B, D)
    assert c.shape == (B, D)
    assert d.shape == (B, G)
    assert e.shape == (B, G)
    assert f.shape == (B,)
    assert g.shape == (B, G, D)
    assert h.shape == (D, D)
    assert i.shape == (D,)
    assert j.shape == (G,)
    assert a.dtype in FLOATS
    assert b.dtype in FLOATS
    assert c.dtype in FLOATS
    assert d.dtype in FLOATS
    assert e.dtype in FLOATS
    assert f.dtype in FLOATS
    assert g.dtype in FLOATS
    assert h.dtype in FLOATS
    assert i.dtype in FLOATS
    assert j.dtype in FLOATS
    out = OUT
    assert out.shape == (B, G)
    assert out.dtype in FLOATS
    return out


def null(*args):
    return OUT


B, G, D = 4, 8, 16
Q, P = torch.randn(B, D), torch.randn(B, G, D)
TEN = (Q, Q, Q, OUT, OUT, torch.randn(B), P, torch.randn(D, D), torch.randn(D), torch.randn(G))
CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = {
    "names": (names, names_by_hand, lambda q, p: OUT, (Q, P)),
    "braces": (braces, braces_by_hand, lambda self, q, p: OUT, (Config(), Q, P.flatten(0, 1))),
    "*name": (leading, leading_by_hand, lambda q, p: OUT, (Q, P)),
    "expressions": (expressions, expressions_by_hand, lambda q, p: FLAT, (Q, P)),
    "with a body": (body, body_by_hand, body_plain, (Q, P)),
    "ten arguments": (ten, ten_by_hand, lambda a, b, c, d, e, f, g, h, i, j: OUT, TEN),
}


def measure(functions: dict[str, Callable[..., Any]], args: tuple[Any, ...], rounds: int) -> dict[str, list[float]]:
    """Microseconds per call, one figure a round for each function; the functions take turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function(*args)
    for _ in range(rounds):
        for name, function in functions.items():
            number = 100 if name == "jaxtyped" else 2000
            times[name].append(timeit.timeit(lambda f=function: f(*args), number=number) / number * 1e6)
    return times


def ratio(times: dict[str, list[float]], one: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(times[one], times[other]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=61)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    kinds = ("plain", "asserts", "shaped", "around", "jaxtyped")
    print(f"{'case':>14} {' '.join(f'{kind:>8}' for kind in kinds)}   us per call, best round")
    for name, (function, by_hand, plain, args) in CASES.items():
        parameters = ", ".join(function.__code__.co_varnames[: len(args)])
        source_less = eval(f"lambda {parameters}: plain_({parameters})", {"plain_": plain})
        functions = {
            "plain": plain,
            "asserts": by_hand,
            "shaped": shaped(function),
            "around": shaped(source_less, axes=function.__annotations__),
            "jaxtyped": jaxtyped(typechecker=beartype)(function),
        }
        times = measure(functions, args, rounds)
        best = {kind: min(found) for kind, found in times.items()}
        print(
            f"{name:>14} {' '.join(f'{best[kind]:8.3f}' for kind in kinds)}"
            f"   shaped / asserts {ratio(times, 'shaped', 'asserts'):.2f}"
            f" (best rounds {best['shaped'] / best['asserts']:.2f})"
            f"   jaxtyped / shaped {ratio(times, 'jaxtyped', 'shaped'):.0f}"
            f" (without the body {(best['jaxtyped'] - best['plain']) / (best['shaped'] - best['plain']):.0f})"
        )


if __name__ == "__main__":
    main()
