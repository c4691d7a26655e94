"""Gradient caching: any loss over a whole batch, with one chunk's activations in memory at a time (Gao et al. 2021).

1. Embed every chunk without a graph, remembering the random state in front of each.
2. Take the loss of all embeddings, and its gradient with respect to them.
3. Embed each chunk again from its remembered random state, with a graph, and push its share of that gradient through.

The encoder runs forward twice; the gradient is the one that the whole batch would have given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Chunk = TypeVar("Chunk")


def cached_backward(
    encode: Callable[[Chunk], Tensor],
    chunks: Sequence[Chunk],
    loss: Callable[[Tensor], Tensor],
    before_last: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
) -> Tensor:
    """Accumulate gradients of `loss(all embeddings)` in the encoder's parameters; return the detached loss.

    encode maps a chunk to embeddings `[n, D]`; loss sees them concatenated in chunk order, `[N, D]`. before_last
    gives a context for every backward pass but the last: DDP's no_sync, so that gradients are reduced once.
    """
    states: list[tuple[Tensor, Tensor | None]] = []
    parts: list[Tensor] = []
    with torch.no_grad():
        for chunk in chunks:
            states.append(_random_state())
            parts.append(encode(chunk))
    embeddings = torch.cat(parts).requires_grad_()  # N D
    value = loss(embeddings)
    value.backward()  # type: ignore[no-untyped-call]
    if embeddings.grad is None:
        raise ValueError("the loss doesn't depend on the embeddings")
    slopes = torch.split(embeddings.grad, [part.shape[0] for part in parts])
    after = _random_state()
    for number, (chunk, state, slope) in enumerate(zip(chunks, states, slopes)):
        last = number == len(parts) - 1
        with contextlib.nullcontext() if last else before_last():
            _set_random_state(state)
            again = encode(chunk)  # n D
            again.backward(slope)  # type: ignore[no-untyped-call]
    _set_random_state(after)
    return value.detach()


def _random_state() -> tuple[Tensor, Tensor | None]:
    device = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return torch.get_rng_state(), device


def _set_random_state(state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
