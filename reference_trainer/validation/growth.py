"""How time and memory of a loss grow with B and with G, against the law of its mode."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .case import Kind
from .engine import Working
from .subject import Subject
from .target import CannotCall

BATCHES, GROUPS = (32, 64, 128, 256), (2, 4, 8, 16)
LAWS = {"in-batch": (2, 1), "in-group": (1, 1)}  # powers of B and of G in the number of scores


@dataclass(frozen=True)
class Point:
    """Processor milliseconds, and the numbers in the largest tensor that was made on the way forward."""

    batch: int
    group: int
    milliseconds: float
    largest: int


@dataclass(frozen=True)
class Growth:
    """Points along B and along G, and the powers in which the largest tensor grows at the end of each."""

    along_batch: tuple[Point, ...]
    along_group: tuple[Point, ...]
    law: tuple[int, int] | None

    @property
    def sentence(self) -> str:
        """Seen beside the law."""
        seen = f"the largest tensor grows as B^{self.power(self.along_batch, 'batch'):.1f}"
        if len(self.along_group) > 1:
            seen += f" and G^{self.power(self.along_group, 'group'):.1f}"
        if self.law is None:
            return seen
        wanted = f"; the mode's scores grow as B^{self.law[0]}" + (
            f" and G^{self.law[1]}" if len(self.along_group) > 1 else ""
        )
        more = (
            ": it computes pairs that it does not use (SC801)"
            if self.law[0] == 1 and self.power(self.along_batch, "batch") > 1.5
            else ""
        )
        return seen + wanted + more

    @staticmethod
    def power(points: tuple[Point, ...], axis: str) -> float:
        first, last = points[-2], points[-1]
        return math.log(last.largest / first.largest) / math.log(getattr(last, axis) / getattr(first, axis))


class _Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(part, torch.Tensor):
                self.most = max(self.most, part.untyped_storage().nbytes() // part.element_size())
        return result


def measure(subject: Subject, working: Working, mode: str) -> Growth | None:
    """None for what is no loss over groups, or can't be called at these sizes."""
    if working.how.kind is not Kind.GROUPS:
        return None
    fixed = working.how.group
    try:
        along_batch = tuple(_point(subject, working, batch, fixed or 4) for batch in BATCHES)
        along_group = () if fixed else tuple(_point(subject, working, 64, group) for group in GROUPS)
    except CannotCall:
        return None
    return Growth(along_batch, along_group, LAWS.get(mode))


def _point(subject: Subject, working: Working, batch: int, group: int) -> Point:
    case = working.how.draw(batch, group, seed=1, spread=0.35)
    with _Largest() as largest:
        subject.run(case, working.how, torch.float32 if working.dtype == torch.float32 else working.dtype)
    best = math.inf
    for _ in range(3):
        began = time.process_time()
        subject.run(case, working.how, working.dtype)
        best = min(best, time.process_time() - began)
    return Point(batch, group, 1e3 * best, largest.most)
