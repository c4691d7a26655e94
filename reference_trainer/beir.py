"""A folder of BEIR or MTEB: corpus.jsonl, queries.jsonl and judgements qrels/SPLIT.tsv (or .jsonl).

A passage is its title and its text with a space between, as BEIR's own models read it. A judgement above 0 makes a
passage a positive of its query, 0 a negative; how far above is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .refusal import printable, reason_of
from .settings import SettingsError

_ENDINGS = ("", ".gz", ".xz", ".bz2", ".zst")


def is_folder(folder: Path) -> bool:
    return folder.is_dir() and _there(folder, "corpus.jsonl") is not None and (folder / "qrels").is_dir()


def corpus(folder: Path) -> dict[str, str]:
    """Text of every passage by its id. SettingsError names a line that is none."""
    return {key: f"{title} {text}".strip() if title else text for key, title, text in _texts(folder, "corpus.jsonl")}


def records(folder: Path, split: str) -> Iterator[tuple[str, Any]]:
    """A row for each query that the split judges: query, pos, neg."""
    from .sources import Bad

    queries = {key: text for key, _, text in _texts(folder, "queries.jsonl")}
    passages = corpus(folder)
    judged: dict[str, dict[str, list[str]]] = {}
    for where, query, passage, score in _judgements(folder, split):
        row = judged.setdefault(query, {"pos": [], "neg": []})
        if query not in queries:
            yield where, Bad("a judged query is not in queries.jsonl")
        elif passage not in passages:
            yield where, Bad("a judged passage is not in corpus.jsonl")
        else:
            row["pos" if score > 0 else "neg"].append(passages[passage])
    for query, row in judged.items():
        if row["pos"]:
            yield f"{printable(folder.name)}:query {query}", {"query": queries[query], **row}


def _judgements(folder: Path, split: str) -> Iterator[tuple[str, str, str, float]]:
    path = _there(folder / "qrels", f"{split}.tsv") or _there(folder / "qrels", f"{split}.jsonl")
    if path is None:
        splits = sorted({name.name.partition(".")[0] for name in (folder / "qrels").iterdir()})
        named = " or ".join(f"{printable(folder)}@{name}" for name in splits)
        raise SettingsError(f"data: {printable(folder)} judges no {split}: name a split of its own, {named}")
    for number, found in _records(path, table=".tsv" in path.suffixes):
        where = f"{printable(path.name)}:{number}"
        try:
            yield where, str(found["query-id"]), str(found["corpus-id"]), float(found["score"])
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f"data: {printable(path)}:{number} is no judgement: query-id, corpus-id and score are needed"
            ) from error


def _texts(folder: Path, name: str) -> Iterator[tuple[str, str, str]]:
    path = _there(folder, name)
    if path is None:
        raise SettingsError(f"data: {printable(folder)} has no {name}")
    for number, found in _records(path, table=False):
        if not isinstance(found, Mapping) or not isinstance(found.get("text"), str):
            raise SettingsError(f"data: {printable(path)}:{number} has no text")
        key, title = found.get("_id", found.get("id")), found.get("title") or ""
        if key is None or not isinstance(title, str):
            raise SettingsError(f"data: {printable(path)}:{number} has no _id, or a title that is no text")
        yield str(key), title, found["text"]


def _records(path: Path, table: bool) -> Iterator[tuple[int, Any]]:
    from .sources import Bad, cells, json_lines, open_text

    number = 0
    try:
        with open_text(path) as file:
            for number, found in cells(file, "\t") if table else json_lines(file):
                if not isinstance(found, Bad):
                    yield number, found
                elif found.reason != "blank line":
                    raise SettingsError(f"data: {printable(path)}:{number}: {found.reason}")
    except SettingsError:
        raise
    except (OSError, EOFError, ValueError) as error:
        raise SettingsError(f"data: {printable(path)} can't be read after line {number}: {reason_of(error)}") from error


def _there(folder: Path, name: str) -> Path | None:
    return next((folder / f"{name}{ending}" for ending in _ENDINGS if (folder / f"{name}{ending}").is_file()), None)
