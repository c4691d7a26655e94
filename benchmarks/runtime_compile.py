"""Inside torch.compile (inductor, CPU): frames, graph breaks, and the time of a compiled step, guarded against plain.

python benchmarks/runtime_compile.py
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
import warnings

import torch
import torch._dynamo.testing
from beartype import beartype
from jaxtyping import Float, jaxtyped
from torch import Tensor

from shapecheck import ShapeError, shaped


def plain(q, p):
    s = torch.einsum("bd,bgd->bg", q, p)
    return s.softmax(-1)


def by_hand(q, p):
    assert q.dim() == 2
    assert p.dim() == 3
    assert p.shape[0] == q.shape[0]
    assert p.shape[2] == q.shape[1]
    s = torch.einsum("bd,bgd->bg", q, p)
    assert s.shape == p.shape[:2]
    return s.softmax(-1)


def annotated(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    s: Float[Tensor, "B G"] = torch.einsum("bd,bgd->bg", q, p)
    return s.softmax(-1)


class Tower(torch.nn.Module):
    """Two linear layers and a score: one training step is worth timing."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.first = torch.nn.Linear(width, width)
        self.second = torch.nn.Linear(width, width)

    def forward(self, q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
        return torch.einsum("bd,bgd->bg", self.second(self.first(q).relu()), self.second(self.first(p).relu()))


class CheckedTower(Tower):
    forward = shaped(Tower.forward)


def call(b: int) -> tuple[Tensor, Tensor]:
    return torch.randn(b, 16), torch.randn(b, 8, 16)


def behaviour(function) -> str:
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("eager")
    compiled = torch.compile(function, backend=counter)
    good = True
    for b in (2, 3, 4, 5, 7, 11):
        try:
            compiled(*call(b))
        except Exception:
            good = False
    frames = counter.frame_count
    try:
        compiled(torch.randn(4, 16), torch.randn(1, 8, 16))
        refused = "passes"
    except ShapeError:
        refused = "ShapeError"
    except Exception as error:
        refused = type(error).__name__
    torch._dynamo.reset()
    try:
        torch.compile(function, backend="eager", fullgraph=True)(*call(4))
        full = "ok"
    except Exception as error:
        full = type(error).__name__
    torch._dynamo.reset()
    try:
        breaks = str(torch._dynamo.explain(function)(*call(4)).graph_break_count)
    except Exception as error:
        breaks = type(error).__name__
    right = "taken" if good else "REFUSED"
    return f"frames {frames}, breaks {breaks}, fullgraph {full}, right calls {right}, a wrong one: {refused}"


def interleaved(functions, rounds: int, number: int) -> dict[str, list[float]]:
    times = {name: [] for name in functions}
    for function in functions.values():
        for _ in range(3):
            function()
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(number):
                function()
            times[name].append((time.perf_counter() - start) / number * 1e6)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name, function in {
        "plain": plain,
        "asserts": by_hand,
        "shaped": shaped(annotated),
        "jaxtyped(beartype)": jaxtyped(typechecker=beartype)(annotated),
    }.items():
        print(f"{name:>20}: {behaviour(function)}")

    torch._dynamo.reset()
    q, p = torch.randn(8, 128), torch.randn(8, 8, 128)
    tower = Tower()
    checked = CheckedTower()
    checked.load_state_dict(copy.deepcopy(tower.state_dict()))
    compiled = {"plain": torch.compile(tower), "again": torch.compile(tower), "shaped": torch.compile(checked)}

    def step(module):
        def run():
            module(q, p).sum().backward()

        return run

    for what, functions, number in (
        ("forward", {n: (lambda m=m: m(q, p)) for n, m in compiled.items()}, 200),
        ("step", {n: step(m) for n, m in compiled.items()}, 60),
    ):
        times = interleaved(functions, rounds, number)
        ratios = [a / b for a, b in zip(times["shaped"], times["plain"])]
        noise = [a / b for a, b in zip(times["again"], times["plain"])]
        print(
            f"compiled {what}: plain {min(times['plain']):.1f} us, shaped {min(times['shaped']):.1f} us, "
            f"ratio {statistics.median(ratios):.3f}; plain against itself {statistics.median(noise):.3f} "
            f"(from {sorted(noise)[len(noise) // 10]:.3f} to {sorted(noise)[-len(noise) // 10 - 1]:.3f})"
        )


if __name__ == "__main__":
    main()
