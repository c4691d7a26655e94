"""`--explain`: the shape of every tensor of one step, from token numbers to the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from .batch import Batch


class _Recorder(TorchFunctionMode):
    """Writes down every torch function that returns a tensor while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and not _is_getter(func):
            inputs = ", ".join(_shape(a) for a in args if isinstance(a, Tensor))
            self.lines.append(f"  {getattr(func, '__name__', str(func)):<28} {inputs} -> {_shape(result)}")
        return result


def explain_step(model: nn.Module, batch: Batch, loss: Callable[[Tensor], Tensor]) -> str:
    """Run one forward pass without gradient and without moving the random state; return its table of shapes."""
    lines = ["batch"]
    for number, chunk in enumerate(batch.chunks):
        kind = f"packed, longest {chunk.longest}" if chunk.mask is None else "padded"
        lines.append(f"  chunks[{number}].ids {_shape(chunk.ids)} {kind}")
    for name in ("query_at", "passage_at", "passage_ids", "teacher"):
        value = getattr(batch, name)
        lines.append(f"  {name} {_shape(value) if value is not None else 'none'}")
    lines.append(f"  {batch.tokens} tokens, {batch.padded_tokens} with padding")
    lines.append("encoder, first chunk")
    recorder = _Recorder()
    with torch.random.fork_rng(), torch.no_grad():
        handles = [_watch(name, module, lines) for name, module in model.named_modules() if not list(module.children())]
        first = model(batch.chunks[:1])
        for handle in handles:
            handle.remove()
        rest = [model([chunk]) for chunk in batch.chunks[1:]]
        embeddings = torch.cat([first, *rest])
        lines.append(f"embeddings {_shape(embeddings)}")
        with recorder:
            loss(embeddings)
    return "\n".join([*lines, "loss", *recorder.lines])


def _watch(name: str, module: nn.Module, lines: list[str]) -> RemovableHandle:
    def note(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        shapes = ", ".join(_shape(x) for x in inputs if isinstance(x, Tensor))
        lines.append(f"  {name} ({type(module).__name__}) {shapes} -> {_shape(output)}")

    return module.register_forward_hook(note)


def _shape(value: Any) -> str:
    return "[" + ", ".join(map(str, value.shape)) + "]" if isinstance(value, Tensor) else type(value).__name__


def _is_getter(func: Callable[..., Any]) -> bool:
    return getattr(func, "__name__", "") == "__get__"
