"""Batches in which no two rows share a query, a positive or a class: the one would be the other's false negative.

An epoch's order is given; rows that meet their like in a batch change places with rows of other batches, or with rows
that the epoch would leave out. All of it follows from the order, so a resumed run finds the same batches.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .refusal import Refusal
from .tokens import Ints, Store


class TooAlike(Refusal):
    """So many rows share a query, a positive or a class that batches without two of them can't be filled."""


@dataclass(frozen=True)
class Keys:
    """What each row must not share with another of its batch: row r has values[starts[r]:starts[r+1]], all distinct."""

    starts: Ints
    values: Ints

    def of(self, row: int) -> list[int]:
        found: list[int] = self.values[self.starts[row] : self.starts[row + 1]].tolist()
        return found


def keys_of(store: Store) -> Keys | None:
    """The keys that more than one row has; none if all rows are unlike each other. A text's number is its key."""
    rows = len(store)
    texts = len(store.starts) - 1
    own = np.arange(rows)
    labeled = np.flatnonzero(store.label >= 0)
    positives = np.repeat(own, np.diff(store.positive_starts))
    row_of = np.concatenate([own, positives, labeled])
    key_of = np.concatenate([store.query, store.positives, texts + store.label[labeled]])
    pairs = np.unique(np.stack([row_of, key_of], axis=1), axis=0)  # a row that names a text twice has it once
    _, inverse, counts = np.unique(pairs[:, 1], return_inverse=True, return_counts=True)
    shared = pairs[counts[inverse.ravel()] > 1]
    if not len(shared):
        return None
    return Keys(np.searchsorted(shared[:, 0], np.arange(rows + 1)), shared[:, 1])


@dataclass
class _Batches:
    """An epoch under repair: which row stands where, and how many of each batch's settled rows have a key.

    counted is sorted: batch * span + key of every row's every key, as the epoch began; changes are what moved since.
    """

    order: Ints
    batch: int
    keys: Keys
    span: int
    counted: Ints
    changes: dict[int, int] = field(default_factory=dict)

    def move(self, row: int, number: int, by: int) -> None:
        for key in self.keys.of(row):
            entry = number * self.span + key
            self.changes[entry] = self.changes.get(entry, 0) + by

    def fits(self, row: int, number: int, without: int | None = None) -> bool:
        """Whether a row has no like in a batch, the row `without` taken out of it."""
        gone = set() if without is None else set(self.keys.of(without))
        return all(self._count(number * self.span + key) == (key in gone) for key in self.keys.of(row))

    def _count(self, entry: int) -> int:
        first, last = np.searchsorted(self.counted, (entry, entry + 1))
        return int(last - first) + self.changes.get(entry, 0)


def apart(order: Ints, batch: int, keys: Keys, generator: np.random.Generator) -> Ints:
    """The order `[N]` of an epoch, changed so that none of its N // batch whole batches holds two rows of one key.

    TooAlike where no more rows can be found to change places with.
    """
    used = len(order) // batch * batch
    span = int(keys.values.max()) + 1
    sizes = np.diff(keys.starts)[order[:used]]
    places = np.repeat(np.arange(used), sizes)
    within = np.arange(len(places)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    entries = places // batch * span + keys.values[keys.starts[order[places]] + within]
    by_entry = np.argsort(entries, kind="stable")
    again = np.flatnonzero(np.diff(entries[by_entry]) == 0) + 1
    waiting = np.unique(places[by_entry[again]]).tolist()
    state = _Batches(order.copy(), batch, keys, span, entries[by_entry])
    for place in waiting:
        state.move(int(order[place]), place // batch, -1)
    unsettled = set(waiting)
    for place in waiting:
        _settle(state, place, used, unsettled, generator)
        unsettled.remove(place)
    return state.order


def _settle(state: _Batches, place: int, used: int, unsettled: set[int], generator: np.random.Generator) -> None:
    """Leave the row at a place, if it has no like there any more, or swap it with one that fits, and where it fits."""
    row, number = int(state.order[place]), place // state.batch
    if state.fits(row, number):
        state.move(row, number, 1)
        return
    luck = generator.integers(0, used, size=64).tolist()
    for other in (*range(used, len(state.order)), *luck, *range(used)):
        home, there = other // state.batch, int(state.order[other])
        if other in unsettled or home == number or not state.fits(there, number):
            continue
        if other < used:  # beyond it lie the rows that this epoch leaves out: any may stand there
            if not state.fits(row, home, there):
                continue
            state.move(there, home, -1)
            state.move(row, home, 1)
        state.move(there, number, 1)
        state.order[place], state.order[other] = there, row
        return
    raise TooAlike(
        f"too many rows share a query or a positive: {len(state.order)} rows don't fill {used // state.batch} batches "
        f"of {state.batch} without two alike in one; choose a smaller train.batch, or data.unique=false"
    )
