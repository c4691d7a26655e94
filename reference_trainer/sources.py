"""From the name of a source to its records, each with its place; what the records mean is `forms`' to say.

Files: json lines, json (one array), csv and tsv with a header, parquet, arrow; the text ones also as .gz, .xz, .bz2 and
.zst, with or without a byte order mark. Folders: of `datasets.save_to_disk`, and of BEIR (`beir`). `hf:` names go to
`datasets.load_dataset`. `PATH@SPLIT` chooses a folder's split.
"""

from __future__ import annotations

import bz2
import csv
import glob
import gzip
import importlib.resources
import importlib.util
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from . import beir
from .refusal import printable, reason_of
from .settings import SettingsError

_COMPRESSIONS = (".gz", ".xz", ".bz2", ".zst")
_TABLES = (".parquet", ".arrow")
_MARK = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Bad:
    """A record that can't be read, though its source can."""

    reason: str


Found = tuple[str, Any]  # where, and a mapping, a list, or Bad


def records(source: str, streaming: bool = False) -> Iterator[Found]:
    """Every record of a source in order. SettingsError if there is no such source, or it can't be read on."""
    if source.startswith("hf:"):
        yield from _hub(source, streaming)
        return
    folder, split = _split_of(source)
    if beir.is_folder(folder):
        yield from beir.records(folder, split or "train")
        return
    if _is_saved(folder):
        yield from _saved(folder, split or "train")
        return
    for path in source_files(source):
        number = 0
        try:
            for number, found in _file(path):
                yield f"{printable(path.name)}:{number}", found
        except SettingsError:
            raise
        except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
            unit = "row" if path.suffix in _TABLES else "line"
            where = f"data: {printable(path)} can't be read after {unit} {number}"
            raise SettingsError(f"{where}: {reason_of(error)}") from error


def source_files(source: str) -> list[Path]:
    """The files that a source stands for: a path, a glob, the bundled one. SettingsError if there is none."""
    if source in ("wordnet", "wordnet:dev"):
        split = "dev" if source.endswith("dev") else "train"
        return [Path(str(importlib.resources.files("reference_trainer") / "data" / f"wordnet-{split}.jsonl.xz"))]
    exact = Path(source)  # a name with brackets is a name first, then a pattern
    found = [exact] if exact.exists() else sorted(Path(name) for name in glob.glob(source, recursive=True))
    files = [path for path in found if path.is_file()]
    if found and not files:
        raise SettingsError(
            f"data: {printable(source)} is a folder: name a file or a glob, such as {printable(source)}/*.jsonl; "
            "those of datasets.save_to_disk and of BEIR (corpus.jsonl, queries.jsonl, qrels) are read as they are"
        )
    if not files:
        raise SettingsError(f"data: no file matches {printable(source)!r}")
    return files


def identity(source: str) -> list[str]:
    """What changes when a source's files do: their paths, sizes and times. A hub name stands for itself."""
    if source.startswith("hf:"):
        name = Path(source.removeprefix("hf:").partition("@")[0])
        files = sorted(path for path in name.rglob("*") if path.is_file()) if name.is_dir() else []
    else:
        folder, _ = _split_of(source)
        if beir.is_folder(folder) or _is_saved(folder):
            files = sorted(path for path in folder.rglob("*") if path.is_file())
        else:
            files = source_files(source)
    stats = [(path.resolve(), path.stat()) for path in files]
    return [f"{path} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}" for path, stat in stats]


def corpus(source: str) -> Iterator[str]:
    """Passages that belong to a source beside those its rows name: all of a BEIR folder's."""
    folder, _ = _split_of(source)
    if not source.startswith("hf:") and beir.is_folder(folder):
        yield from beir.corpus(folder).values()


def _split_of(source: str) -> tuple[Path, str]:
    if Path(source).exists() or "@" not in source:
        return Path(source), ""
    name, _, split = source.rpartition("@")
    return (Path(name), split) if Path(name).is_dir() else (Path(source), "")


def _file(path: Path) -> Iterator[tuple[int, Any]]:
    """Records of one file with their numbers, from 1: lines for text, rows for tables."""
    plain = path.with_suffix("") if path.suffix in _COMPRESSIONS else path
    if plain.suffix in _TABLES:
        yield from _table(path)
        return
    with _open(path) as file:
        if plain.suffix in (".csv", ".tsv"):
            yield from cells(file, "\t" if plain.suffix == ".tsv" else ",")
        elif plain.suffix == ".json" and _starts_with_array(file):
            yield from _array(file)
        else:
            yield from json_lines(file)


def open_text(path: Path) -> BinaryIO:
    """A file's bytes, decompressed by its suffix."""
    if path.suffix == ".xz":
        return cast(BinaryIO, lzma.open(path, "rb"))
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix == ".bz2":
        return cast(BinaryIO, bz2.open(path, "rb"))
    if path.suffix == ".zst":
        _require("pyarrow", printable(path))
        import pyarrow

        return cast(BinaryIO, io.BufferedReader(pyarrow.CompressedInputStream(str(path), "zstd")))
    return path.open("rb")


def _open(path: Path) -> BinaryIO:
    """With its byte order mark passed over; SettingsError for UTF-16, of which no line is a row."""
    file = cast(BinaryIO, io.BufferedReader(cast(Any, open_text(path))))
    start: bytes = cast(Any, file).peek(64)[:64]
    if start.startswith(_WIDE) and b"\x00" in start:
        raise SettingsError(f"data: {printable(path)} is UTF-16: write it as UTF-8")
    if start.startswith(_MARK):
        file.read(3)
    return file


def json_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, Any]]:
    """One json value a line."""
    for number, line in enumerate(lines, start=1):
        yield number, _decoded(line)


def _decoded(line: bytes) -> Any:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return Bad("broken UTF-8")
    if not text.strip():
        return Bad("blank line")
    try:
        return json.loads(text)
    except RecursionError:
        return Bad("nested too deep")
    except ValueError:  # also of a number with more digits than Python reads
        return Bad("not JSON")


def _starts_with_array(file: BinaryIO) -> bool:
    start: bytes = cast(Any, file).peek(1 << 12)
    return start.lstrip().startswith(b"[")


def _array(file: BinaryIO) -> Iterator[tuple[int, Any]]:
    """One json array of rows. A broken one is broken as a whole; the message says where."""
    try:
        found = json.loads(file.read().decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    yield from enumerate(found, start=1)


def cells(file: BinaryIO, delimiter: str) -> Iterator[tuple[int, Any]]:
    """Rows of a csv file with a header, numbered by their last line."""
    csv.field_size_limit(2**31 - 1)
    text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, Bad(f"not csv: {error}")
            continue
        if header is None:
            header = row
        elif not row:
            yield reader.line_num, Bad("blank line")
        elif len(row) != len(header):
            yield reader.line_num, Bad("another number of cells than the header has")
        elif any("\udc80" <= letter <= "\udcff" for cell in row for letter in cell):
            yield reader.line_num, Bad("broken UTF-8")
        else:
            yield reader.line_num, {name: _cell(cell) for name, cell in zip(header, row)}


def _cell(text: str) -> Any:
    """A cell's text; lists of texts or numbers are written as json."""
    if text.startswith("[") and text.endswith("]"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return found if isinstance(found, list) else text
    return text


def _table(path: Path) -> Iterator[tuple[int, Any]]:
    _require("pyarrow", printable(path))
    import pyarrow
    import pyarrow.parquet

    if path.suffix == ".parquet":
        yield from _batches(pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=1024))
        return
    with pyarrow.memory_map(str(path)) as file:
        try:
            opened = pyarrow.ipc.open_file(file)
        except pyarrow.ArrowInvalid:  # not the one arrow format, so the other
            file.seek(0)
            yield from _batches(pyarrow.ipc.open_stream(file))
            return
        yield from _batches(opened.get_batch(k) for k in range(opened.num_record_batches))


def _batches(batches: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    number = 0
    for batch in batches:
        try:
            rows = batch.to_pylist()
        except (UnicodeDecodeError, ValueError):
            rows = [_row_of(batch, k) for k in range(batch.num_rows)]
        for row in rows:
            number += 1
            yield number, row


def _row_of(batch: Any, k: int) -> Any:
    try:
        return batch.slice(k, 1).to_pylist()[0]
    except (UnicodeDecodeError, ValueError):
        return Bad("broken UTF-8")


def _is_saved(folder: Path) -> bool:
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def _saved(folder: Path, split: str) -> Iterator[Found]:
    _require("datasets", printable(folder))
    import datasets

    def load() -> Any:
        found = datasets.load_from_disk(str(folder))
        if not isinstance(found, datasets.DatasetDict):
            return found
        if split not in found:
            raise SettingsError(
                f"data: {printable(folder)} has no split {split}: name one of its own, "
                + " or ".join(f"{printable(folder)}@{name}" for name in found)
            )
        return found[split]

    yield from _rows(load, printable(folder.name), printable(folder))


def _hub(source: str, streaming: bool) -> Iterator[Found]:
    _require("datasets", source)
    import datasets

    name, _, split = source.removeprefix("hf:").partition("@")
    name, _, config = name.partition(":")

    def load() -> Any:
        return datasets.load_dataset(name, config or None, split=split or "train", streaming=streaming)

    yield from _rows(load, name, source)


def _rows(load: Callable[[], Iterable[Any]], name: str, source: str) -> Iterator[Found]:
    number = 0
    try:
        for number, record in enumerate(load(), start=1):
            yield f"{name}:{number}", record
    except SettingsError:
        raise
    except Exception as error:  # the library passes on whatever its readers raise
        raise SettingsError(f"data: {source} can't be read after row {number}: {reason_of(error)}") from error


def _require(module: str, source: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise SettingsError(f"data: {source} needs {module}: install torch-shapecheck with its extra [hub]")
