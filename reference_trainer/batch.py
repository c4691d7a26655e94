"""From text numbers to what the encoder eats: each distinct text once, sorted by length, in chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .sampler import Draw
from .tokens import Ints, Store

# What one more chunk costs on a CPU, in tokens: reading the weights and adding to their gradients once more.
CHUNK_COST = 96


@dataclass(frozen=True)
class Chunk:
    """Texts that go through the encoder together, longest first: padded rows, or one packed row with boundaries."""

    ids: Int[Tensor, "N S"]
    mask: Bool[Tensor, "N S"] | None
    bounds: Int[Tensor, "M"] | None = None  # int32, N+1 offsets into the packed row
    longest: int = 0

    def map(self, move: Callable[[Tensor], Tensor]) -> Chunk:
        mask = None if self.mask is None else move(self.mask)
        bounds = None if self.bounds is None else move(self.bounds)
        return Chunk(move(self.ids), mask, bounds, self.longest)

    def to(self, device: torch.device) -> Chunk:
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))


@dataclass(frozen=True)
class Batch:
    """One process's share of a step. query_at and passage_at say which embedding belongs to which query and passage."""

    chunks: tuple[Chunk, ...]
    query_at: Int[Tensor, "B"]
    passage_at: Int[Tensor, "B*G"]
    passage_ids: Int[Tensor, "B*G"]
    teacher: Float[Tensor, "B G"] | None
    rows: Ints
    tokens: int
    padded_tokens: int

    def map(self, move: Callable[[Tensor], Tensor]) -> Batch:
        return replace(
            self,
            chunks=tuple(chunk.map(move) for chunk in self.chunks),
            query_at=move(self.query_at),
            passage_at=move(self.passage_at),
            passage_ids=move(self.passage_ids),
            teacher=None if self.teacher is None else move(self.teacher),
        )

    def to(self, device: torch.device) -> Batch:
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """In page-locked memory, so that the copy to the device doesn't wait."""
        return self.map(lambda tensor: tensor.pin_memory())


def assemble(store: Store, draw: Draw, chunk_tokens: int, pad: int, packed: bool = False) -> Batch:
    """Deduplicate, sort by length and chunk the texts of a draw."""
    wanted = np.concatenate([draw.queries, draw.passages.ravel()])
    texts, inverse = np.unique(wanted, return_inverse=True)
    lengths = store.lengths(texts)
    order = np.argsort(-lengths, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    at = torch.from_numpy(place[inverse.ravel()])
    sequences = [np.asarray(store.tokens[store.starts[t] : store.starts[t + 1]]) for t in texts[order]]
    chunks = chunked(sequences, chunk_tokens, pad, packed)
    count = len(draw.queries)
    return Batch(
        chunks=chunks,
        query_at=at[:count],
        passage_at=at[count:],
        passage_ids=torch.from_numpy(draw.passages.ravel().copy()),
        teacher=None if draw.teacher is None else torch.from_numpy(draw.teacher),
        rows=draw.rows,
        tokens=int(lengths.sum()),
        padded_tokens=sum(chunk.ids.numel() for chunk in chunks),
    )


def chunked(
    sequences: list[npt.NDArray[np.int32]], chunk_tokens: int, pad: int, packed: bool = False
) -> tuple[Chunk, ...]:
    """Cut sequences, sorted longest first, into chunks of at most chunk_tokens (one sequence at least)."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    sizes = _packed_sizes(lengths, chunk_tokens) if packed else padded_sizes(lengths, chunk_tokens)
    ends = np.cumsum(sizes)
    parts = (sequences[end - size : end] for end, size in zip(ends, sizes))
    return tuple(_packed(part) if packed else _padded(part, pad) for part in parts)


def padded_sizes(lengths: Ints, chunk_tokens: int) -> list[int]:
    """How many texts each chunk takes, for the fewest padded tokens, a chunk counted as CHUNK_COST of them.

    lengths are sorted, longest first. A dynamic programme over the distinct lengths; where texts of a stretch exceed
    chunk_tokens, it is cut evenly.
    """
    longest, counts = np.unique(-lengths, return_counts=True)
    longest, before = -longest, np.cumsum([0, *counts])
    fits = np.maximum(1, chunk_tokens // np.maximum(1, longest))
    best = np.zeros(len(longest) + 1)
    cut = np.zeros(len(longest) + 1, dtype=np.int64)
    for end in range(1, len(best)):
        texts = before[end] - before[:end]
        costs = best[:end] + texts * longest[:end] + CHUNK_COST * -(-texts // fits[:end])
        cut[end] = np.argmin(costs)
        best[end] = costs[cut[end]]
    sizes: list[int] = []
    end = len(longest)
    while end:
        first = int(cut[end])
        texts, pieces = int(before[end] - before[first]), int(-(-(before[end] - before[first]) // fits[first]))
        sizes[:0] = [texts // pieces + (k < texts % pieces) for k in range(pieces)]
        end = first
    return sizes


def _packed_sizes(lengths: Ints, chunk_tokens: int) -> list[int]:
    sizes, used = [0], 0
    for length in lengths.tolist():
        if sizes[-1] and used + length > chunk_tokens:
            sizes.append(0)
            used = 0
        sizes[-1] += 1
        used += length
    return sizes


def _padded(part: list[npt.NDArray[np.int32]], pad: int) -> Chunk:
    longest = len(part[0])
    ids = np.full((len(part), longest), pad, dtype=np.int64)
    mask = np.zeros((len(part), longest), dtype=bool)
    for row, sequence in enumerate(part):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = True
    return Chunk(torch.from_numpy(ids), torch.from_numpy(mask), longest=longest)


def _packed(part: list[npt.NDArray[np.int32]]) -> Chunk:
    bounds = np.cumsum([0, *(len(sequence) for sequence in part)], dtype=np.int32)
    ids = torch.from_numpy(np.concatenate(part).astype(np.int64)).unsqueeze(0)  # 1 S
    return Chunk(ids, None, torch.from_numpy(bounds), len(part[0]))
