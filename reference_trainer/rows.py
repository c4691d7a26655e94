"""Training rows from jsonl, from Hugging Face datasets or from the bundled sample; every bad row is accounted for.

A row is FlagEmbedding's: `query` (text), `pos` and `neg` (lists of texts), and for distillation `pos_scores` and
`neg_scores` (lists of numbers of the same lengths). A row that can't be used is counted under its reason and named by
its line; nothing is dropped in silence.
"""

from __future__ import annotations

import glob
import gzip
import importlib.resources
import json
import lzma
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from .refusal import Refusal, printable, reason_of
from .settings import BadRows, DataSettings, SettingsError


class BadRow(Refusal):
    """A row can't be used, and rows are to be refused rather than skipped; the message names the file and line."""


@dataclass(frozen=True)
class Row:
    """One usable row. where is `file:line`, lines counted from 1."""

    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    positive_scores: tuple[float, ...]
    negative_scores: tuple[float, ...]
    where: str


@dataclass
class Accounting:
    """How many rows were read, kept and refused, why, and where the first few of each kind were."""

    read: int = 0
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    dropped_negatives: int = 0

    def refuse(self, reason: str, where: str) -> None:
        self.reasons[reason] += 1
        self.examples.setdefault(reason, [])
        if len(self.examples[reason]) < 5:
            self.examples[reason].append(where)

    def lines(self) -> list[str]:
        """A few sentences for the log."""
        report = [f"{self.read} rows read, {self.kept} kept, {sum(self.reasons.values())} refused"]
        for reason, count in self.reasons.most_common():
            more = ", ..." if count > len(self.examples[reason]) else ""
            report.append(f"  {reason}: {count} ({', '.join(self.examples[reason])}{more})")
        if self.dropped_negatives:
            report.append(
                f"  {self.dropped_negatives} negatives dropped: they repeat a positive or another negative of their row"
            )
        return report


def read_rows(data: DataSettings, source: str, accounting: Accounting) -> Iterator[Row]:
    """Yield usable rows of a source in order. BadRow at the first unusable one when data.bad_rows is refuse."""
    for where, found in _records(data, source):
        if data.limit and accounting.kept == data.limit:
            return
        accounting.read += 1
        row = _usable(found, where, data.group - 1, accounting)
        if isinstance(row, Row):
            accounting.kept += 1
            yield row
            continue
        if data.bad_rows is BadRows.REFUSE:
            raise BadRow(f"{where}: {row}")
        accounting.refuse(row, where)


def source_files(source: str) -> list[Path]:
    """The files that a jsonl source or the bundled one stands for. SettingsError if there is none."""
    if source in ("wordnet", "wordnet:dev"):
        split = "dev" if source.endswith("dev") else "train"
        return [Path(str(importlib.resources.files("reference_trainer") / "data" / f"wordnet-{split}.jsonl.xz"))]
    found = sorted(Path(name) for name in glob.glob(source, recursive=True))
    files = [path for path in found if path.is_file()]
    if found and not files:
        raise SettingsError(f"data: {source} is a folder: name a file or a glob, such as {source}/*.jsonl")
    if not files:
        raise SettingsError(f"data: no file matches {source!r}")
    return files


def _records(data: DataSettings, source: str) -> Iterator[tuple[str, Any]]:
    if source.startswith("hf:"):
        yield from _hub_records(source, data.streaming)
        return
    for path in source_files(source):
        number = 0
        try:
            with _open(path) as lines:
                for number, line in enumerate(lines, start=1):
                    yield f"{printable(path.name)}:{number}", line
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise SettingsError(
                f"data: {printable(path)} can't be read after line {number}: {reason_of(error)}"
            ) from error


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".xz":
        return cast(BinaryIO, lzma.open(path, "rb"))
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _hub_records(source: str, streaming: bool) -> Iterator[tuple[str, Any]]:
    try:
        import datasets
    except ImportError as error:
        raise SettingsError(
            "data.source = hf:... needs the datasets package: pip install 'torch-shapecheck[hub]'"
        ) from error
    name, _, split = source.removeprefix("hf:").partition("@")
    name, _, config = name.partition(":")
    number = 0
    try:
        loaded: Iterable[Any] = datasets.load_dataset(name, config or None, split=split or "train", streaming=streaming)
        for number, record in enumerate(loaded, start=1):
            yield f"{name}:{number}", record
    except Exception as error:  # the library passes on whatever its readers raise
        raise SettingsError(f"data: {source} can't be read after row {number}: {reason_of(error)}") from error


def _usable(found: Any, where: str, negatives: int, accounting: Accounting) -> Row | str:
    """The row, or why it can't be used."""
    if isinstance(found, bytes):
        try:
            text = found.decode("utf-8")
        except UnicodeDecodeError:
            return "broken UTF-8"
        if not text.strip():
            return "blank line"
        try:
            found = json.loads(text)
        except json.JSONDecodeError:
            return "not JSON"
        except RecursionError:
            return "nested too deep"
    if not isinstance(found, Mapping):
        return "not an object"
    for name in ("query", "pos", "neg"):
        if found.get(name) is None:
            return f"no {name}"
    query, positives, negative_texts = found["query"], found["pos"], found["neg"]
    if not isinstance(query, str) or not _texts(positives) or not _texts(negative_texts):
        return "wrong type: query must be text, pos and neg lists of texts"
    if not positives:
        return "no pos"
    if not all(text.strip() for text in (query, *positives, *negative_texts)):
        return "empty text"
    if not all(_is_unicode(text) for text in (query, *positives, *negative_texts)):
        return "half a character: a lone surrogate such as \\ud800 in a text"
    try:
        positive_scores = _scores(found.get("pos_scores"), len(positives))
        negative_scores = _scores(found.get("neg_scores"), len(negative_texts))
    except ValueError as error:
        return str(error)
    if bool(positive_scores) != bool(negative_scores) and negative_texts:
        return "pos_scores and neg_scores must come together"
    kept = _distinct_negatives(positives, negative_texts)
    accounting.dropped_negatives += len(negative_texts) - len(kept)
    if len(kept) < negatives:
        return f"fewer than {negatives} negatives"
    return Row(
        query,
        tuple(positives),
        tuple(negative_texts[k] for k in kept),
        positive_scores,
        tuple(negative_scores[k] for k in kept) if negative_scores else (),
        where,
    )


def _texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _distinct_negatives(positives: Iterable[str], negatives: list[str]) -> list[int]:
    seen = set(positives)
    kept = []
    for number, text in enumerate(negatives):
        if text not in seen:
            seen.add(text)
            kept.append(number)
    return kept


def _scores(value: Any, count: int) -> tuple[float, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or any(
        isinstance(v, bool) or not isinstance(v, (int, float)) for v in value
    ):
        raise ValueError("wrong type: scores must be lists of numbers")
    if len(value) != count:
        raise ValueError("as many scores as texts are needed")
    if any(v != v or v in (float("inf"), float("-inf")) for v in value):
        raise ValueError("a score is not finite")
    return tuple(float(v) for v in value)
