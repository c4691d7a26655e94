"""Gradient caching: any loss over a whole batch, with one chunk's activations in memory at a time (Gao et al. 2021).

1. Embed every chunk without a graph, remembering the random state in front of each; the last one keeps its graph.
2. Take the loss of all embeddings, and its gradient with respect to them.
3. Push its share of that gradient through the last chunk, then embed each other chunk again from its remembered random
   state, with a graph, and push its share through.

The encoder runs forward twice for every chunk but one; the gradient is the one that the whole batch would have given.
A batch of one chunk costs what it costs without caching.
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
    *others, final = chunks
    states: list[tuple[Tensor, Tensor | None]] = []
    parts: list[Tensor] = []
    with torch.no_grad():
        for chunk in others:
            states.append(_random_state())
            parts.append(encode(chunk))
    with before_last() if others else contextlib.nullcontext():
        kept = encode(final)  # n D
        embeddings = torch.cat([*parts, kept.detach()]).requires_grad_()  # N D
        value = loss(embeddings)
        value.backward()  # type: ignore[no-untyped-call]
        if embeddings.grad is None:
            raise ValueError("the loss doesn't depend on the embeddings")
        *slopes, slope = torch.split(embeddings.grad, [*(len(part) for part in parts), len(kept)])
        kept.backward(slope)  # type: ignore[no-untyped-call]
    after = _random_state()
    for number, (chunk, state, slope) in enumerate(zip(others, states, slopes), start=1):
        with before_last() if number < len(others) else contextlib.nullcontext():
            _set_random_state(state)
            encode(chunk).backward(slope)  # type: ignore[no-untyped-call]
    _set_random_state(after)
    return value.detach()


def _random_state() -> tuple[Tensor, Tensor | None]:
    device = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return torch.get_rng_state(), device


def _set_random_state(state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
