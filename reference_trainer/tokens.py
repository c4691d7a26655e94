"""Texts tokenised once, ahead of training, into one flat file with offsets; rows become numbers that point into it.

A store is a folder of .npy files, memory-mapped when read:
    tokens [T] int32, starts [U+1] int64           text u is tokens[starts[u]:starts[u+1]]
    query [R], positive_starts [R+1], positives    text numbers of each row, ragged
    negative_starts [R+1], negatives
    label [R]                                      class of a labeled text, else -1
    corpus [C]                                     text numbers of an evaluation's passages that no row names
    positive_scores, negative_scores               float32, as long as positives and negatives; empty without teacher
    where.json                                     file:line of each row, and the accounting
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .rows import Accounting, Row, read_rows, refuse
from .settings import DataSettings, SettingsError, to_plain
from .sources import corpus, identity
from .whole import save_array, whole_folder

Ints = npt.NDArray[np.int64]

NOTHING = "the tokenizer makes nothing of a text"

_ARRAYS = (
    "tokens", "starts", "query", "positive_starts", "positives", "negative_starts", "negatives",
    "positive_scores", "negative_scores", "label", "corpus",
)  # fmt: skip


@dataclass(frozen=True)
class Store:
    """Rows and tokens, ready to be drawn from."""

    tokens: npt.NDArray[np.int32]
    starts: Ints
    query: Ints
    positive_starts: Ints
    positives: Ints
    negative_starts: Ints
    negatives: Ints
    positive_scores: npt.NDArray[np.float32]
    negative_scores: npt.NDArray[np.float32]
    label: Ints
    corpus: Ints
    where: list[str]
    report: list[str]
    refused: int
    sha256: str  # of the arrays: what a run trains on, wherever it was read from

    def __len__(self) -> int:
        return len(self.query)

    @property
    def scored(self) -> bool:
        """Every row has teacher scores."""
        return len(self.positive_scores) == len(self.positives) and len(self.negative_scores) == len(self.negatives)

    def lengths(self, texts: Ints) -> Ints:
        return self.starts[texts + 1] - self.starts[texts]


def prepare(data: DataSettings, source: str, tokenizer: Any, folder: Path, whole_corpus: bool = False) -> Store:
    """The store of a source, built inside folder unless it is there."""
    return read_store(build_store(data, source, tokenizer, folder, whole_corpus))


def build_store(data: DataSettings, source: str, tokenizer: Any, folder: Path, whole_corpus: bool = False) -> Path:
    """Build the store inside folder unless it is there; returns its place. BadRow and SettingsError as of read_rows.

    tokenizer is a `tokenizers.Tokenizer`. whole_corpus also takes the passages of a source that none of its rows names.
    The store appears whole or not at all, and is made anew if it can't be read.
    """
    home = folder / _digest(data, source, tokenizer, whole_corpus)
    if not _whole(home):
        with whole_folder(home) as staging:
            _write(staging, data, source, tokenizer, whole_corpus)
    return home


def read_store(home: Path) -> Store:
    """Memory-map a prepared store."""
    about = json.loads((home / "where.json").read_text(encoding="utf-8"))
    arrays = {name: np.load(home / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
    return Store(
        **arrays, where=about["where"], report=about["report"], refused=about["refused"], sha256=about["sha256"]
    )


def _whole(home: Path) -> bool:
    try:
        return bool(read_store(home).sha256)
    except (OSError, EOFError, SyntaxError, ValueError, KeyError, TypeError, RecursionError):
        return False


def encode_texts(tokenizer: Any, texts: list[str], prompt: str, length: int) -> list[list[int]]:
    """Token numbers of each text after its prompt, cut to length, special tokens kept."""
    tokenizer.enable_truncation(length)
    tokenizer.no_padding()
    return [encoding.ids for encoding in tokenizer.encode_batch([prompt + text for text in texts])]


class _Kind(Enum):
    """How a text is encoded: with whose prompt, cut to whose length."""

    QUERY = "query"
    PROMPTED = "query with a prompt of its own"
    PASSAGE = "passage"


_Text = tuple[_Kind, str]


@dataclass
class _Building:
    numbers: dict[_Text, int] = field(default_factory=dict)
    query: array[int] = field(default_factory=lambda: array("q"))
    positive_starts: array[int] = field(default_factory=lambda: array("q", [0]))
    positives: array[int] = field(default_factory=lambda: array("q"))
    negative_starts: array[int] = field(default_factory=lambda: array("q", [0]))
    negatives: array[int] = field(default_factory=lambda: array("q"))
    positive_scores: array[float] = field(default_factory=lambda: array("f"))
    negative_scores: array[float] = field(default_factory=lambda: array("f"))
    label: array[int] = field(default_factory=lambda: array("q"))
    corpus: array[int] = field(default_factory=lambda: array("q"))
    labels: dict[str, int] = field(default_factory=dict)
    where: list[str] = field(default_factory=list)

    def number(self, kind: _Kind, text: str) -> int:
        return self.numbers.setdefault((kind, text), len(self.numbers))

    def add(self, row: Row) -> None:
        if row.prompt is None:
            self.query.append(self.number(_Kind.QUERY, row.query))
        else:
            self.query.append(self.number(_Kind.PROMPTED, row.prompt + row.query))
        self.positives.extend(self.number(_Kind.PASSAGE, text) for text in row.positives)
        self.negatives.extend(self.number(_Kind.PASSAGE, text) for text in row.negatives)
        self.label.append(-1 if row.label is None else self.labels.setdefault(row.label, len(self.labels)))
        self.positive_starts.append(len(self.positives))
        self.negative_starts.append(len(self.negatives))
        self.positive_scores.extend(row.positive_scores)
        self.negative_scores.extend(row.negative_scores)
        self.where.append(row.where)


def _write(staging: Path, data: DataSettings, source: str, tokenizer: Any, whole_corpus: bool) -> None:
    accounting, building = Accounting(), _Building()
    for row in read_rows(data, source, accounting):
        building.add(row)
    if not building.where:
        raise SettingsError(f"data: no usable row in {source}:\n" + "\n".join(accounting.lines()))
    if whole_corpus:
        building.corpus.extend(building.number(_Kind.PASSAGE, text) for text in corpus(source))
    tokens, starts = _tokenise(data, tokenizer, building.numbers)
    arrays: dict[str, Any] = {"tokens": tokens, "starts": starts}
    for name in _ARRAYS[2:]:
        column = getattr(building, name)
        arrays[name] = np.array(column, dtype=np.float32 if column.typecode == "f" else np.int64)
    nothing = np.flatnonzero(np.diff(starts) == 0)
    if len(nothing):
        _drop_rows(_rows_with(nothing, arrays), arrays, building.where, data, accounting)
    if not building.where:
        raise SettingsError(f"data: no usable row in {source}:\n" + "\n".join(accounting.lines()))
    digest = hashlib.sha256()
    for name, values in arrays.items():
        save_array(values, staging / f"{name}.npy")
        digest.update(f"{name} {values.dtype} {values.shape} ".encode())
        digest.update(values.data)
    about = {
        "where": building.where,
        "report": accounting.lines(),
        "refused": sum(accounting.reasons.values()),
        "sha256": digest.hexdigest(),
    }
    (staging / "where.json").write_text(json.dumps(about), encoding="utf-8")


def _rows_with(texts: Ints, arrays: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """Which rows name one of the texts; a corpus loses them."""
    found: npt.NDArray[np.bool_] = np.isin(arrays["query"], texts)
    for name in ("positive", "negative"):
        owner = np.repeat(np.arange(len(found)), np.diff(arrays[f"{name}_starts"]))
        found[owner[np.isin(arrays[f"{name}s"], texts)]] = True
    arrays["corpus"] = arrays["corpus"][~np.isin(arrays["corpus"], texts)]
    return found


def _drop_rows(
    bad: npt.NDArray[np.bool_], arrays: dict[str, Any], where: list[str], data: DataSettings, accounting: Accounting
) -> None:
    """Take rows of whose texts the tokenizer makes nothing out of every array, and account for them."""
    for row in np.flatnonzero(bad):
        accounting.kept -= 1
        refuse(NOTHING, where[row], data, accounting)
    for name in ("positive", "negative"):
        sizes = np.diff(arrays[f"{name}_starts"])
        keep = np.repeat(~bad, sizes)
        arrays[f"{name}s"] = arrays[f"{name}s"][keep]
        if len(arrays[f"{name}_scores"]) == len(keep):
            arrays[f"{name}_scores"] = arrays[f"{name}_scores"][keep]
        arrays[f"{name}_starts"] = np.concatenate([[0], np.cumsum(sizes[~bad])])
    for name in ("query", "label"):
        arrays[name] = arrays[name][~bad]
    where[:] = [place for place, gone in zip(where, bad) if not gone]


def _tokenise(data: DataSettings, tokenizer: Any, numbers: Iterable[_Text]) -> tuple[npt.NDArray[np.int32], Ints]:
    flat, starts = array("i"), array("q", [0])
    keys = list(numbers)
    for first in range(0, len(keys), 4096):
        part = keys[first : first + 4096]
        ids: dict[_Text, list[int]] = {}
        for kind in _Kind:
            wanted = [key for key in part if key[0] is kind]
            prompt = {_Kind.QUERY: data.query_prompt, _Kind.PASSAGE: data.passage_prompt}.get(kind, "")
            length = data.passage_length if kind is _Kind.PASSAGE else data.query_length
            ids.update(zip(wanted, encode_texts(tokenizer, [text for _, text in wanted], prompt, length)))
        for key in part:
            flat.extend(ids[key])
            starts.append(len(flat))
    return np.array(flat, dtype=np.int32), np.array(starts, dtype=np.int64)


def _digest(data: DataSettings, source: str, tokenizer: Any, whole_corpus: bool) -> str:
    tokenizer.no_truncation()  # what an earlier source has set is no part of this one's name
    tokenizer.no_padding()
    parts = [json.dumps(to_plain(data), sort_keys=True), source, tokenizer.to_str(), str(whole_corpus)]
    parts += identity(source)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
