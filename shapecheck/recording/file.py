"""What was seen, kept in a file that can be committed: shapes by function, no values, no paths outside the project.

Of each function: how it ran, as rows from its first line on, and a digest of its text. A function whose text is another
since then has no part in it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapecheck.engine.evidence import (
    Ran,
    Seen,
    SeenConst,
    SeenFloat,
    SeenInt,
    SeenItems,
    SeenMapping,
    SeenObject,
    SeenTensor,
)

VERSION = 1
DEFAULT = Path(".shapecheck", "recorded.json")
MOST = 12  # ways of one function that are kept, the latest ones
Json = Any


class Unreadable(Exception):
    """The file is no record, or one of another version."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the project as it stands: how its functions ran, and the names of those that changed since."""

    ways: list[Ran]
    stale: list[str]


# -------------------------------------------------------------------- to a file


def write(file: Path, files: Mapping[str, list[Ran]], text_of: Callable[[str], bytes | None]) -> int:
    """Put what was seen into the file, beside what it has of other functions and ways. The number of functions that it
    has then. Raises OSError, Unreadable."""
    held = _read(file) if file.exists() else {}
    root = os.path.dirname(os.path.abspath(file))
    root = os.path.dirname(root) if os.path.basename(root) == DEFAULT.parent.name else root
    for path, ways in files.items():
        source = text_of(path)
        if source is None or not os.path.abspath(path).startswith(root + os.sep):
            continue
        inside = os.path.relpath(path, root).replace(os.sep, "/")
        texts = {line: (name, digest) for name, line, digest in functions(source)}
        for ran in ways:
            found = texts.get(ran.line)
            if found is None:  # a top level, a lambda
                continue
            name, digest = found
            entry = held.setdefault(inside, {}).get(name)
            if entry is None or entry["digest"] != digest:
                entry = held[inside][name] = {"digest": digest, "ways": []}
            way = _plain_way(ran)
            entry["ways"] = [*(other for other in entry["ways"] if other["args"] != way["args"]), way][-MOST:]
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = {"version": VERSION, "files": {path: dict(sorted(held[path].items())) for path in sorted(held)}}
    file.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return sum(map(len, held.values()))


def functions(source: bytes) -> Iterator[tuple[str, int, str]]:
    """Of each function of a file its dotted name, the row of its first line (a decorator's), a digest of its text.
    Nothing of a file that is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    lines = source.splitlines()
    pending: list[tuple[str, ast.AST]] = [("", tree)]
    while pending:
        prefix, node = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                name = f"{prefix}{child.name}"
                pending.append((f"{name}.", child))
                if not isinstance(child, ast.ClassDef) and child.end_lineno is not None:
                    first = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                    text = b"\n".join(line.strip() for line in lines[first - 1 : child.end_lineno])
                    yield name, first, hashlib.blake2b(text, digest_size=12).hexdigest()
            else:
                pending.append((prefix, child))


def _plain_way(ran: Ran) -> Json:
    return {
        "times": ran.times,
        "args": {name: _plain(seen) for name, seen in ran.args.items()},
        "names": [[row - ran.line, name, list(map(_plain, seen))] for (row, name), seen in sorted(ran.names.items())],
        "results": list(map(_plain, ran.results)),
    }


def _plain(seen: Seen) -> Json:
    """What was seen as plain data, without numbers and texts of the program's own."""
    match seen:
        case SeenTensor(sizes=sizes, dtype=dtype):
            return {"sizes": list(sizes), "dtype": dtype}
        case SeenInt():
            return "int"
        case SeenFloat():
            return "float"
        case SeenConst(value=bool() | None as value):
            return value
        case SeenItems(kind=kind, items=items, length=length):
            return {"kind": kind, "items": list(map(_plain, items)), "length": length}
        case SeenMapping(kind=kind, items=pairs):
            return {"kind": kind, "entries": {k: _plain(v) for k, v in pairs}}
        case SeenObject(cls=cls, attrs=pairs):
            return {"class": cls, "attributes": {k: _plain(v) for k, v in pairs}}
        case _:
            return "str"


# ------------------------------------------------------------------ from a file


def read(file: Path, text_of: Callable[[str], bytes | None]) -> dict[str, Kept]:
    """What the file tells of each file of its project, as that stands now. Raises OSError, Unreadable."""
    root = os.path.dirname(os.path.abspath(file))
    root = os.path.dirname(root) if os.path.basename(root) == DEFAULT.parent.name else root
    found: dict[str, Kept] = {}
    try:
        for inside, entries in _read(file).items():
            path = os.path.normpath(os.path.join(root, inside))
            source = text_of(path)
            if source is None:
                continue
            present = {name: (line, digest) for name, line, digest in functions(source)}
            ways: list[Ran] = []
            stale: list[str] = []
            for name, entry in entries.items():
                line, digest = present.get(name, (0, ""))
                if digest != entry["digest"]:
                    stale.append(name)
                    continue
                ways += [_way(name, line, way) for way in entry["ways"]]
            found[path] = Kept(ways, stale)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"{file}: not a record of shapes ({type(error).__name__}: {error})") from error
    return found


def _read(file: Path) -> dict[str, dict[str, Json]]:
    try:
        whole = json.loads(file.read_bytes())
        if whole["version"] != VERSION:
            raise Unreadable(f"{file}: a record of version {whole['version']}, which this version does not read")
        files: dict[str, dict[str, Json]] = whole["files"]
        return files
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{file}: not a record of shapes ({type(error).__name__}: {error})") from error


def _way(name: str, line: int, way: Json) -> Ran:
    return Ran(
        name,
        line,
        {k: seen for k, v in way["args"].items() if (seen := _seen(v)) is not None},
        names={(row + line, k): found for row, k, values in way["names"] if (found := _all(values))},
        results=_all(way["results"]),
        times=way["times"],
        outer=True,
    )


def _all(values: list[Json]) -> list[Seen]:
    found = [_seen(value) for value in values]
    return [] if None in found else [seen for seen in found if seen is not None]


def _seen(plain: Json) -> Seen | None:
    match plain:
        case None | bool():
            return SeenConst(plain)
        case "int":
            return SeenInt(None)
        case "float":
            return SeenFloat()
        case {"sizes": list(sizes), "dtype": dtype}:
            return SeenTensor(tuple(map(int, sizes)), dtype)
        case {"kind": kind, "items": list(items), "length": length}:
            members = _all(items)
            return SeenItems(kind, tuple(members), length) if members else None
        case {"kind": kind, "entries": dict(entries)}:
            return SeenMapping(kind, _pairs(entries))
        case {"class": cls, "attributes": dict(attrs)}:
            return SeenObject(cls, _pairs(attrs))
        case _:
            return None


def _pairs(entries: dict[str, Json]) -> tuple[tuple[str, Seen], ...]:
    return tuple((k, seen) for k, v in entries.items() if (seen := _seen(v)) is not None)
