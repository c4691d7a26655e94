"""What records, containers, overloads, `check` and decoration cost, over asserts written by hand for the same.

    python benchmarks/runtime_shapes_of_use.py

Processor time, the best of several rounds taken in turn within one run; the hand-written side asserts what the
annotations say: class, rank, dtype, sizes.
"""

from __future__ import annotations

import sys
import tempfile
import time
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from shapecheck import check, shaped

FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})


def is_float(x: Tensor, rank: int) -> tuple[int, ...]:
    assert isinstance(x, Tensor)
    shape = x.shape
    assert len(shape) == rank
    assert x.dtype in FLOATS
    return shape


def best(calls: dict[str, Callable[[], object]], number: int = 2000, rounds: int = 9) -> dict[str, float]:
    """Seconds a call, the best round of each."""
    found = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        for _ in range(50):
            call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(number):
                call()
            found[name] = min(found[name], (time.process_time() - start) / number)
    return found


@shaped
@dataclass
class Batch:
    q: Float[Tensor, "B D"]
    p: Float[Tensor, "B G D"]


@dataclass
class ByHand:
    q: Tensor
    p: Tensor

    def __post_init__(self) -> None:
        b, d = is_float(self.q, 2)
        shape = is_float(self.p, 3)
        assert shape[0] == b
        assert shape[2] == d

    def __setattr__(self, name: str, value: object) -> None:
        if name == "q":
            is_float(value, 2)
        elif name == "p":
            is_float(value, 3)
        object.__setattr__(self, name, value)


class ByHandMade:
    def __init__(self, q: Tensor, p: Tensor) -> None:
        b, d = is_float(q, 2)
        shape = is_float(p, 3)
        assert shape[0] == b
        assert shape[2] == d
        self.q, self.p = q, p


@shaped
def listed(xs: list[Float[Tensor, "B D"]]) -> int:
    return 1


def listed_by_hand(xs: list) -> int:
    assert isinstance(xs, list)
    b, d = is_float(xs[0], 2)
    for x in xs[1:]:
        assert is_float(x, 2) == (b, d)
    return 1


@shaped
def mapped(named: dict[str, Float[Tensor, "B D"]]) -> int:
    return 1


def mapped_by_hand(named: dict) -> int:
    assert isinstance(named, dict)
    sizes = None
    for key, x in named.items():
        assert isinstance(key, str)
        shape = is_float(x, 2)
        assert sizes is None or shape == sizes
        sizes = shape
    return 1


@shaped
def ragged(xs: list[Float[Tensor, "?n D"]], ys: list[Float[Tensor, "?n D"]]) -> int:
    return 1


def ragged_by_hand(xs: list, ys: list) -> int:
    assert isinstance(xs, list)
    assert isinstance(ys, list)
    d = xs[0].shape[1]
    for x, y in zip(xs, ys):
        shape = is_float(x, 2)
        assert shape[1] == d
        assert is_float(y, 2) == shape
    return 1


@shaped
def computed(q: Float[Tensor, "B D"], xs: list[Float[Tensor, "2*B D"]]) -> int:
    return 1


def computed_by_hand(q: Tensor, xs: list) -> int:
    b, d = is_float(q, 2)
    assert isinstance(xs, list)
    for x in xs:
        assert is_float(x, 2) == (2 * b, d)
    return 1


@typing.overload
def either(x: Float[Tensor, "B D"], index: None = None) -> Float[Tensor, " B"]: ...
@typing.overload
def either(x: Float[Tensor, "B D"], index: Float[Tensor, " B"]) -> Float[Tensor, " B"]: ...


@shaped
def either(x, index=None):
    return index


def either_by_hand(x: Tensor, index: Tensor | None = None) -> Tensor | None:
    b, _ = is_float(x, 2)
    if index is not None:
        assert is_float(index, 1) == (b,)
    result = index
    assert is_float(result, 1) == (b,)
    return result


def checked_by_hand(x: Tensor) -> Tensor:
    is_float(x, 2)
    return x


def main() -> None:
    torch.set_num_threads(1)
    q, p, b = torch.zeros(4, 8), torch.zeros(4, 3, 8), torch.zeros(4)
    ours, theirs = Batch(q, p), ByHand(q, p)
    ten, named = [q] * 10, {f"k{n}": q for n in range(10)}
    double = [torch.zeros(8, 8)] * 10
    ragged_items = [torch.zeros(n + 1, 8) for n in range(10)]
    pairs = {
        "dataclass, made": (lambda: Batch(q, p), lambda: ByHandMade(q, p)),
        "dataclass, a field assigned": (lambda: setattr(ours, "q", q), lambda: setattr(theirs, "q", q)),
        "list of ten": (lambda: listed(ten), lambda: listed_by_hand(ten)),
        "dict of ten": (lambda: mapped(named), lambda: mapped_by_hand(named)),
        "?n in two lists of ten": (
            lambda: ragged(ragged_items, ragged_items),
            lambda: ragged_by_hand(ragged_items, ragged_items),
        ),
        "expressions in a list of ten": (lambda: computed(q, double), lambda: computed_by_hand(q, double)),
        "overloads, the second": (lambda: either(q, b), lambda: either_by_hand(q, b)),
        "check alone": (lambda: check(q, Float[Tensor, "B D"]), lambda: checked_by_hand(q)),
    }
    annotation = Float[Tensor, "B D"]
    pairs["check alone"] = (lambda: check(q, annotation), lambda: checked_by_hand(q))
    for name, (mine, hand) in pairs.items():
        found = best({"mine": mine, "hand": hand})
        print(f"{name:>32}: {found['mine'] / found['hand']:5.2f} x hand ({found['mine'] * 1e6:.2f} us)", flush=True)
    decoration()


FUNCTION = '''
def f{n}(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"], scale: float = 1.0) -> Float[Tensor, "B G"]:
    """One of many."""
    scores: Float[Tensor, "B G"] = torch.einsum("bd,bgd->bg", q, p)
    if scale != 1.0:
        scores = scores * scale
    total = 0.0
    for row in scores:
        total += float(row.sum())
    return scores if total else scores.clone()
'''


def decoration(count: int = 200) -> None:
    """Milliseconds a function, in a module of many."""
    with tempfile.TemporaryDirectory() as folder:
        head = "import torch\nfrom jaxtyping import Float\nfrom torch import Tensor\n"
        Path(folder, "many_functions.py").write_text(head + "".join(FUNCTION.format(n=n) for n in range(count)))
        sys.path.insert(0, folder)
        import many_functions
        from beartype import beartype
        from jaxtyping import jaxtyped

        functions = [getattr(many_functions, f"f{n}") for n in range(count)]
        ways = {"shaped": shaped, "jaxtyped(beartype)": jaxtyped(typechecker=beartype)}
        for name, way in ways.items():
            start = time.process_time()
            made = [way(function) for function in functions]
            print(f"{name:>32}: {(time.process_time() - start) / len(made) * 1e3:.2f} ms a decoration", flush=True)


if __name__ == "__main__":
    main()
