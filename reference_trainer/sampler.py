"""Which rows, positives and negatives step s trains on: a pure function of the seed and s; resuming needs no replay.

Each epoch is a keyed permutation of the rows, computed position by position (a Feistel network that walks in cycles
until it lands inside), so any step is found in constant time. Rows that don't fill a last batch are left out of that
epoch; which ones differs from epoch to epoch. Where rows share queries or positives and are to be kept apart, the order
of an epoch is made as a whole when its first step is asked for (`apart`); that comes before equal lengths in a batch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .apart import Keys, TooAlike, apart, keys_of
from .tokens import Ints, Store

TRIES = 8


@dataclass(frozen=True)
class Draw:
    """Text numbers of one step: query [B], passages [B, G] with the positive first, teacher scores [B, G] or none."""

    rows: Ints
    queries: Ints
    passages: Ints
    teacher: npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class Sampler:
    """Draws the batch that all processes share; each takes its slice. ValueError if one batch is more than all rows."""

    store: Store
    batch: int
    group: int
    seed: int
    bucket: int = 1
    unique: bool = True
    _keys: list[Keys | None] = field(default_factory=list, repr=False, compare=False)
    _orders: dict[int, Ints] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.batch > len(self.store):
            raise ValueError(
                f"a batch of {self.batch} queries needs at least as many rows; there are {len(self.store)}"
            )
        self._keys.append(keys_of(self.store) if self.unique else None)
        if self._keys[0] is not None:
            self.rows_of(0)  # TooAlike now rather than in the middle of a run

    @property
    def steps_per_epoch(self) -> int:
        return len(self.store) // self.batch

    def rows_of(self, step: int) -> Ints:
        """Row numbers of a step, `[B]`."""
        epoch, index = divmod(step, self.steps_per_epoch)
        keys = self._keys[0]
        if keys is not None:
            return self._order_of(epoch, keys)[index * self.batch : (index + 1) * self.batch]
        return self._rows_at(epoch, index)

    def _order_of(self, epoch: int, keys: Keys) -> Ints:
        """All rows in an epoch's order, those it leaves out last."""
        if epoch not in self._orders:
            batches = [self._rows_at(epoch, index) for index in range(self.steps_per_epoch)]
            used = self.steps_per_epoch * self.batch
            order = np.concatenate([*batches, self._at(epoch, used, len(self.store) - used)])
            self._orders.clear()
            self._orders[epoch] = self._apart(order, keys, _generator(self.seed, "apart", epoch))
        return self._orders[epoch]

    def _apart(self, order: Ints, keys: Keys, generator: np.random.Generator) -> Ints:
        """Where one order can't be repaired another may be."""
        for _ in range(TRIES):
            try:
                return apart(order, self.batch, keys, generator)
            except TooAlike:
                order = generator.permutation(order)
        return apart(order, self.batch, keys, generator)

    def _rows_at(self, epoch: int, index: int) -> Ints:
        if self.bucket == 1:
            return self._at(epoch, index * self.batch, self.batch)
        window = index // self.bucket
        first = window * self.bucket
        count = min(self.bucket, self.steps_per_epoch - first)
        rows = self._at(epoch, first * self.batch, count * self.batch)
        by_length = rows[np.argsort(self._row_lengths(rows), kind="stable")]
        order = _generator(self.seed, "window", epoch, window).permutation(count)
        batches: Ints = by_length.reshape(count, self.batch)
        chosen: Ints = batches[order[index - first]]
        return chosen

    def draw(self, step: int, rank: int = 0, world_size: int = 1) -> Draw:
        """One process's share of a step: queries and groups are those of the joined batch, cut in rank order."""
        rows = self.rows_of(step)
        generator = _generator(self.seed, "group", step)
        positive_at = self._pick(generator, self.store.positive_starts, rows, 1)
        negative_at = self._pick(generator, self.store.negative_starts, rows, self.group - 1)
        passages = np.concatenate([self.store.positives[positive_at], self.store.negatives[negative_at]], axis=1)
        teacher = None
        if self.store.scored:
            scores = (self.store.positive_scores[positive_at], self.store.negative_scores[negative_at])
            teacher = np.concatenate(scores, axis=1)
        share = self.batch // world_size
        own = slice(rank * share, (rank + 1) * share)
        return Draw(rows[own], self.store.query[rows[own]], passages[own], None if teacher is None else teacher[own])

    def _pick(self, generator: np.random.Generator, starts: Ints, rows: Ints, count: int) -> Ints:
        """`[B, count]` positions in each row's stretch; none comes again before all of the stretch have come."""
        first, available = starts[rows], starts[rows + 1] - starts[rows]
        if not count:
            return np.zeros((len(rows), 0), dtype=np.int64)
        luck = generator.random((len(rows), max(count, int(available.max()))))
        luck += np.arange(luck.shape[1]) // available[:, None]
        chosen: Ints = np.argsort(luck, axis=1, kind="stable")[:, :count]
        return first[:, None] + chosen % available[:, None]

    def _row_lengths(self, rows: Ints) -> Ints:
        store = self.store
        return store.lengths(store.query[rows]) + store.lengths(store.positives[store.positive_starts[rows]])

    def _at(self, epoch: int, first: int, count: int) -> Ints:
        return permuted(np.arange(first, first + count), len(self.store), _key(self.seed, "epoch", epoch))


def permuted(positions: Ints, size: int, key: int) -> Ints:
    """Where a keyed permutation of range(size) sends each position."""
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    constants = np.random.Generator(np.random.Philox(key)).integers(
        1, 1 << 62, size=(6, 2), dtype=np.uint64
    ) | np.uint64(1)
    values = positions.astype(np.uint64)
    outside = np.ones(len(values), dtype=bool)
    while outside.any():
        values[outside] = _feistel(values[outside], half, mask, constants)
        outside = values >= np.uint64(size)
    return values.astype(np.int64)


def _feistel(
    values: npt.NDArray[np.uint64], half: int, mask: np.uint64, constants: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    left, right = values >> np.uint64(half), values & mask
    for multiplier, offset in constants:
        mixed = (right + offset) * multiplier
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        left, right = right, left ^ ((mixed >> np.uint64(33)) & mask)
    joined: npt.NDArray[np.uint64] = (left << np.uint64(half)) | right
    return joined


def _key(seed: int, *what: object) -> int:
    text = "/".join(map(str, (seed, *what)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def _generator(seed: int, *what: object) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=_key(seed, *what)))
