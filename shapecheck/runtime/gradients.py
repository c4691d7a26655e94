"""Whether the gradient of one row of a result reaches another row of an argument."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from shapecheck.dims.mismatch import Mismatch, RowsLeak
from shapecheck.runtime.contract import TensorOf
from shapecheck.runtime.trial import Trial

__all__ = ["Gradients", "leak_between"]


def leak_between(trial: Trial, path: str, row: int, source: str | None, other: int, how: str) -> Mismatch:
    name = f"argument {source}" if source else "the arguments"
    return Mismatch(path, RowsLeak(trial.axis, row, name, other, how))


class Gradients:
    """One differentiable run, and two ways back through it.

    The gradient is linear in its seeds. So if each row's seeds are scaled by a power of two of its own, which is exact,
    the row's gradient scales alike, unless another row's seeds reach it. A row that looks so is asked again alone:
    with seeds in all other rows its gradient must be zero.
    """

    def __init__(self, trial: Trial, again: Any) -> None:
        self.trial = trial
        self.inputs: list[tuple[torch.Tensor, int, torch.Tensor, str]] = []
        self.outputs: list[tuple[torch.Tensor, int, torch.Tensor, torch.Tensor]] = []
        generator = torch.Generator("cpu").manual_seed(trial.rows)
        with torch.enable_grad():
            try:
                outputs = trial.outputs(trial.copies(self._input), again)
            except RuntimeError:  # a body that autograd cannot follow: the poisoned runs speak alone
                return
        for value, column, row, _ in outputs:
            if value.is_floating_point() and value.requires_grad:
                # random weights: a plain sum of a softmax is constant and has no gradient
                weight = torch.randn(value.shape, generator=generator, device="cpu").to(value)
                self.outputs.append((value, column, row, weight))

    def _input(self, contract: TensorOf, value: torch.Tensor, path: str) -> torch.Tensor:
        new = value.detach().clone()
        place = self.trial.places(contract, value)
        if place is None or not new.is_floating_point():
            return new
        self.inputs.append((new.requires_grad_(), *place, path))
        return new.clone()  # no leaf: the body may write into it

    def leak(self) -> Mismatch | None:
        """Whether some row of the result has a gradient in another row of an argument."""
        if not self.outputs or not self.inputs:
            return None
        rows = self.trial.rows
        narrow = any(value.dtype is torch.float16 for value, *_ in self.outputs)
        powers = 2.0 ** ((torch.arange(rows, device="cpu") * 7) % (4 if narrow else 16))
        plain = self._back(torch.ones(rows, device="cpu"))
        scaled = self._back(powers)
        for number, (one, other) in enumerate(zip(plain, scaled)):
            if one is None or other is None:
                continue
            _, column, row, _ = self.inputs[number]
            factor = powers[row].to(one.device).view([-1 if d == column else 1 for d in range(one.dim())])
            apart = _by_row(other.float() / factor - one.float(), column)
            size = _by_row(one.float(), column)
            suspects = row[(apart > 1e-5 * size.amax()).nonzero().flatten().cpu()].tolist()
            for suspect in itertools.islice(dict.fromkeys(suspects), 4):
                if (leak := self._confirmed(number, int(suspect))) is not None:
                    return leak
        return None

    def _confirmed(self, number: int, suspect: int) -> Mismatch | None:
        """The row of the result that reaches the suspected row of one argument; None where none does."""
        trial = self.trial
        _, column, row, path = self.inputs[number]
        others = torch.arange(trial.rows, device="cpu") != suspect
        if not self._reaches(number, suspect, others, column, row):
            return None
        candidates = others.nonzero().flatten()
        while len(candidates) > 1:
            half = torch.zeros(trial.rows, dtype=torch.bool, device="cpu")
            half[candidates[: len(candidates) // 2]] = True
            split = len(candidates) // 2
            first = self._reaches(number, suspect, half, column, row)
            candidates = candidates[:split] if first else candidates[split:]
        return leak_between(trial, "return value", int(candidates[0]), path, suspect, "its gradient reaches there")

    def _reaches(self, number: int, suspect: int, seeded: torch.Tensor, column: int, row: torch.Tensor) -> bool:
        gradient = self._back(seeded.float())[number]
        if gradient is None:
            return False
        size = _by_row(gradient.float(), column).nan_to_num(0, 0, 0)
        return bool(size[(row == suspect).to(size.device)].amax() > 1e-6 * size.amax())

    def _back(self, weights: torch.Tensor) -> list[torch.Tensor | None]:
        """The gradients of all inputs, with the seeds of each row of the result times its weight."""
        seeds = []
        for value, column, row, weight in self.outputs:
            factor = weights[row].to(value).view([-1 if d == column else 1 for d in range(value.dim())])
            seeds.append(weight * factor)
        found: Any = torch.autograd.grad(
            [value for value, *_ in self.outputs],
            [new for new, *_ in self.inputs],
            seeds,
            retain_graph=True,
            allow_unused=True,
        )
        return list(found)


def _by_row(gradient: torch.Tensor, column: int) -> torch.Tensor:
    """The largest entry at each index along the row axis."""
    others = [d for d in range(gradient.dim()) if d != column]
    return gradient.abs().amax(others) if others else gradient.abs()
