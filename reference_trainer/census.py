"""What a data set is like before anything is trained on it: lengths, texts that come twice, rows that are alike.

Two rows are alike that share a query, a positive or a label: where they meet in an in-batch batch, each one's positive
is a false negative of the other. `data.unique` keeps them apart, where that can be done.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .apart import TooAlike, keys_of
from .charts import as_file, legend, lines, picture
from .sampler import Sampler
from .tokens import Ints, Store

PANEL = (360, 230)
BATCHES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


@dataclass(frozen=True)
class Lengths:
    """Tokens of one kind of text, before any is cut, and the limit that would cut them."""

    kind: str
    tokens: Ints
    limit: int

    def cells(self) -> list[str]:
        """Kind, texts, median, 95th percentile, longest, share that the limit cuts."""
        if not len(self.tokens):
            return [self.kind, "0", "-", "-", "-", "-"]
        middle, high = np.percentile(self.tokens, (50, 95))
        cut = float((self.tokens > self.limit).mean())
        return [
            self.kind, f"{len(self.tokens)}", f"{middle:.0f}", f"{high:.0f}", f"{self.tokens.max()}",
            f"{cut:.1%} at {self.limit}",
        ]  # fmt: skip


@dataclass(frozen=True)
class Census:
    """The counts behind the table and the picture."""

    rows: int
    lengths: tuple[Lengths, ...]
    repeated_queries: int  # rows whose query another row has too
    repeated_positives: int
    accepted_negatives: int  # negatives that a row of the same query calls a positive
    alike: int  # unordered pairs of rows
    apart: str  # why rows can't be kept apart in batches of this size, or nothing

    def expected(self, batch: int) -> float:
        """Pairs of alike rows to be expected in a batch of rows drawn at random."""
        pairs = self.rows * (self.rows - 1) / 2
        return self.alike / pairs * batch * (batch - 1) / 2 if pairs else 0.0


def take(store: Store, batch: int, group: int, query_length: int, passage_length: int) -> Census:
    """Count; the store holds whole texts, cut at no limit."""
    kinds = (
        Lengths("query", store.lengths(np.unique(store.query)), query_length),
        Lengths("positive", store.lengths(np.unique(store.positives)), passage_length),
        Lengths("negative", store.lengths(np.unique(store.negatives)), passage_length),
    )
    own = np.arange(len(store))
    positive_rows = np.repeat(own, np.diff(store.positive_starts))
    negative_rows = np.repeat(own, np.diff(store.negative_starts))
    wanted = _pairs(store.query[positive_rows], store.positives)
    given = _pairs(store.query[negative_rows], store.negatives)
    return Census(
        len(store),
        kinds,
        _repeated(store.query),
        _repeated(np.unique(np.stack([positive_rows, store.positives], axis=1), axis=0)[:, 1]),
        int(np.isin(given, wanted).sum()),
        _alike(store),
        _obstacle(store, batch, group),
    )


def table(census: Census) -> list[list[str]]:
    """Header and a row for each kind of text."""
    return [
        ["texts", "distinct", "median tokens", "95 %", "longest", "cut"],
        *(kind.cells() for kind in census.lengths),
    ]


def sentences(census: Census, batch: int) -> list[str]:
    """What the counts mean for a batch."""
    expected = census.expected(batch)
    said = [
        f"{census.repeated_queries} rows have a query that another row has, {census.repeated_positives} a positive",
        f"{census.accepted_negatives} negatives are positives of another row with the same query",
        f"{expected:.3g} pairs of alike rows (false negatives, in-batch) are to be expected in a batch of {batch}",
    ]
    if census.apart:
        said.append(f"data.unique can't prevent it: {census.apart}")
    elif expected:
        said.append("data.unique, the default, keeps them apart: there are none then")
    return said


def draw(census: Census) -> str:
    """An SVG file: shares of texts up to a length, and false negatives to be expected over batch sizes."""
    kinds = [kind for kind in census.lengths if len(kind.tokens)]
    curves = [_shares(kind.tokens) for kind in kinds]
    sizes = [batch for batch in BATCHES if batch <= census.rows]
    risk = [[(float(batch), census.expected(batch)) for batch in sizes]]
    panels = [
        lines("share of texts up to so many tokens", curves, PANEL),
        legend([kind.kind for kind in kinds], PANEL),
        lines("pairs of alike rows in a random batch of so many", risk, PANEL),
    ]
    return as_file(picture(panels, PANEL, 3))


def _shares(tokens: Ints) -> list[tuple[float, float]]:
    points = np.unique(np.percentile(tokens, np.linspace(0, 100, 60)).astype(int))
    return [(float(point), float((tokens <= point).mean())) for point in points]


def _repeated(values: Ints) -> int:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return int((counts[inverse.ravel()] > 1).sum())


def _pairs(queries: Ints, texts: Ints) -> Ints:
    joined: Ints = queries.astype(np.int64) * (1 << 31) + texts  # text numbers are below 2**31
    return joined


def _alike(store: Store) -> int:
    """Pairs that share several keys are counted once where that is cheap, else once for each key."""
    keys = keys_of(store)
    if keys is None:
        return 0
    rows = np.repeat(np.arange(len(store)), np.diff(keys.starts))
    counts = np.unique(keys.values, return_counts=True)[1]
    by_key = np.split(rows[np.argsort(keys.values, kind="stable")], np.cumsum(counts)[:-1])
    total = sum(len(group) * (len(group) - 1) // 2 for group in by_key)
    if total > 2_000_000:
        return total
    return len({(a, b) for group in by_key for k, a in enumerate(group.tolist()) for b in group[k + 1 :].tolist()})


def _obstacle(store: Store, batch: int, group: int) -> str:
    try:
        Sampler(store, min(batch, len(store)), group, seed=0)
    except TooAlike as error:
        return str(error)
    return ""
