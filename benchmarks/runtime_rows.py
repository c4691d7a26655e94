"""Row independence over the zoo: how many leaks are found, how many correct scorers are blamed, and what it costs.

    python benchmarks/runtime_rows.py

The cost is one proof of one call, as a multiple of the scorer's own forward and of its forward with backward: the
median over the correct scorers at training sizes (B=32, G=8, D=768), interleaved in one run.
"""

from __future__ import annotations

import statistics
import time

import torch
from runtime_zoo import AXES, correct, inputs, leaky, wanted

from shapecheck import ShapeError, shaped


def blamed(scorer, b: int, g: int, d: int, dtype: torch.dtype) -> str:
    """The sentence of the leak, or nothing."""
    axes = {name: AXES[name] for name in [*wanted(scorer), "return"] if name in AXES}
    values = {
        n: v.to(dtype) if isinstance(v, torch.Tensor) and v.is_floating_point() else v
        for n, v in inputs(b, g, d).items()
    }
    checked = shaped(scorer, axes=axes, independent="B", first_k=1)
    try:
        checked(**{name: values[name] for name in wanted(scorer)})
    except ShapeError as error:
        return str(error)
    return ""


def verdicts(b: int, g: int, d: int, dtype: torch.dtype) -> tuple[list[str], list[str], list[str], int, int]:
    """The leaks that were missed, the correct scorers that were blamed, what does not run, and how many there are."""
    missed, wronged, stuck, counts = [], [], [], [0, 0]
    torch.set_default_dtype(dtype)
    try:
        for kind, scorers in enumerate((leaky(d), correct(d))):
            for name, scorer in scorers.items():
                try:
                    text = blamed(scorer, b, g, d, dtype)
                except (RuntimeError, NotImplementedError) as error:  # an op that this dtype has not on this device
                    stuck.append(f"{name}: {str(error).splitlines()[0][:80]}")
                    continue
                counts[kind] += 1
                if kind == 0 and not text:
                    missed.append(name)
                elif kind == 1 and text:
                    wronged.append(f"{name}: {text}")
    finally:
        torch.set_default_dtype(torch.float32)
    return missed, wronged, stuck, *counts


def cost(b: int = 32, g: int = 8, d: int = 768, rounds: int = 3) -> tuple[float, float, float]:
    """Median over scorers of: a proof over a forward, a proof over a step, a proof in milliseconds."""
    forward, step, milliseconds = [], [], []
    values = inputs(b, g, d)
    for scorer in correct(d).values():
        names = wanted(scorer)
        axes = {name: AXES[name] for name in [*names, "return"] if name in AXES}
        checked = shaped(scorer, axes=axes, independent="B", first_k=rounds)
        times: dict[str, list[float]] = {"proof": [], "forward": [], "step": []}
        for _ in range(rounds):
            for kind in times:
                given = {n: v.clone() if isinstance(v := values[n], torch.Tensor) else v for n in names}
                start = time.process_time()
                if kind == "proof":
                    checked(**given)
                elif kind == "forward":
                    scorer(**given)
                else:
                    leaves = [
                        t.requires_grad_()
                        for t in given.values()
                        if isinstance(t, torch.Tensor) and t.is_floating_point()
                    ]
                    try:
                        out = scorer(**given)
                        if out.requires_grad and leaves:
                            out.sum().backward()
                    except RuntimeError:  # in place on a leaf: a step that training would not take either
                        pass
                times[kind].append(time.process_time() - start)
        best = {kind: min(found) for kind, found in times.items()}
        forward.append((best["proof"] - best["forward"]) / best["forward"])
        step.append((best["proof"] - best["forward"]) / best["step"])
        milliseconds.append((best["proof"] - best["forward"]) * 1e3)
    return tuple(map(statistics.median, (forward, step, milliseconds)))


def main() -> None:
    torch.set_num_threads(1)
    forward, step, milliseconds = cost()
    print(f"one proof at B=32 G=8 D=768: {forward:.0f} x forward, {step:.1f} x step, {milliseconds:.1f} ms (medians)")
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        for b, g, d in ((4, 4, 8), (4, 8, 16), (7, 3, 33), (32, 8, 64)):
            missed, wronged, stuck, bad, good = verdicts(b, g, d, dtype)
            found = f"{bad - len(missed)} of {bad} leaks found, {len(wronged)} of {good} correct blamed"
            print(f"{str(dtype)[6:]} B={b} G={g} D={d}: {found}, {len(stuck)} do not run", flush=True)
            for text in [*(f"missed: {name}" for name in missed), *wronged, *(f"stuck: {name}" for name in stuck)]:
                print("   ", text)


if __name__ == "__main__":
    main()
