"""Eight threads, different shapes, a million calls, one in eight wrong: every verdict must be its own call's.

python benchmarks/runtime_threads.py --calls 1000000
"""

from __future__ import annotations

import argparse
import threading
import time

import torch
from jaxtyping import Float
from torch import Tensor

from shapecheck import ShapeError, shaped

THREADS = 8


@shaped
def score(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    s: Float[Tensor, "B G"] = p.select(2, 0)
    return s


def work(number: int, calls: int, wrong: list[str], start: threading.Barrier) -> None:
    b, g, d = number + 2, number % 3 + 2, number + 3
    q = torch.randn(b, d)
    good = torch.randn(b, g, d)
    # the other threads' sizes: right for them, wrong here
    bad = [torch.randn(b + 1, g, d), torch.randn(b, g, d + 1), torch.randn(b - 1, g, d)]
    start.wait()
    for turn in range(calls):
        if turn % 8:  # a refusal is slow, so one in eight
            try:
                score(q, good)
            except ShapeError as error:
                wrong.append(f"thread {number} refused a right call: {error}")
            continue
        try:
            score(q, bad[turn % 3])
            wrong.append(f"thread {number} took a wrong call")
        except ShapeError as error:
            if f"= {b} by argument q" not in str(error) and f"= {d} by argument q" not in str(error):
                wrong.append(f"thread {number} was told of another's sizes: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    calls = parser.parse_args().calls
    torch.set_num_threads(1)
    wrong: list[str] = []
    start = threading.Barrier(THREADS)
    threads = [threading.Thread(target=work, args=(n, calls // THREADS, wrong, start)) for n in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    print(f"{calls} calls on {THREADS} threads, one in eight wrong: {len(wrong)} wrong verdicts [{seconds:.0f} s]")
    for text in wrong[:5]:
        print("   ", text)


if __name__ == "__main__":
    main()
