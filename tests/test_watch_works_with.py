"""What torch offers around a step, watched: it computes what it computes unwatched, and nothing disagrees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_watch import program

from shapecheck.service.watched import watch

PROGRAM = """
    import threading
    import torch
    from torch.utils.checkpoint import checkpoint
    from torch.utils.data import DataLoader, Dataset


    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2


    class Rows(Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, i):
            row = torch.arange(3.0) + i
            return row


    def block(x):
        y = x.exp()
        return y.sum(1)


    def with_no_grad(x):
        with torch.no_grad():
            y = x * 2
        return y

    def with_autocast(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = x @ x.t()
        return y.float()

    def with_function(x):
        y = Double.apply(x)
        y.sum().backward()
        return x.grad

    def with_checkpoint(x):
        y = checkpoint(block, x, use_reentrant=False)
        y.sum().backward()
        return x.grad

    def with_vmap(x):
        y = torch.func.vmap(torch.func.grad(lambda row: (row ** 2).sum()))(x)
        return y

    def with_workers(x):
        total = x.sum() * 0
        for batch in DataLoader(Rows(), batch_size=4, num_workers=1):
            total = total + batch.sum()
        return total

    def with_compile(x):
        compiled = torch.compile(block, backend="eager")
        y = compiled(x)
        return y

    def with_thread(x):
        held = []
        worker = threading.Thread(target=lambda: held.append(block(x)))
        worker.start()
        worker.join()
        return held[0]
    """
WAYS = ["no_grad", "autocast", "function", "checkpoint", "vmap", "workers", "compile", "thread"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
def test_it_computes_what_it_computes_unwatched(tmp_path: Path, way: str) -> None:
    call: Callable[[torch.Tensor], torch.Tensor] = getattr(program(tmp_path, PROGRAM), f"with_{way}")

    def given() -> torch.Tensor:
        return torch.arange(12.0).reshape(4, 3).div(10).requires_grad_()

    plain = call(given())
    with watch(tmp_path) as seen:
        watched = call(given())
    assert torch.equal(plain, watched)
    assert seen.judged.rows[0][1] > 1
    assert seen.judged.diagnostics == () == seen.judged.problems == seen.judged.disagreements
