"""The project around a file: which file an import means, and its program, read on demand and never run.

Only files below the project's import roots are read: never site-packages, never the standard library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from shapecheck.source.program import Program

Parser = Callable[[bytes, str], Program]

MAX_BYTES = 1_000_000  # an imported module larger than this is left unread
MAX_TEXT = 12_000_000  # characters of parsed modules kept in memory
INSTALLED = ("site-packages", "dist-packages")
MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")


@lru_cache(maxsize=4096)
def _is_file(path: str) -> bool:
    return os.path.isfile(path)


@lru_cache(maxsize=1024)
def roots_of(path: str) -> tuple[str, ...]:
    """The folders from which absolute imports in the file at `path` may be answered, nearest first.

    They are: the folder that holds the file's outermost package, the file's own folder (scripts import their
    neighbours), then the folders above up to the project's root and their `src`.
    """
    folder = os.path.dirname(os.path.abspath(path))
    own = folder
    while _is_file(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    found = [folder, own]
    here = folder
    for _ in range(0 if os.path.basename(folder) in INSTALLED else 6):
        if any(os.path.exists(os.path.join(here, m)) for m in MARKERS):
            found += [here, os.path.join(here, "src")]
            break
        parent = os.path.dirname(here)
        if parent == here:
            break
        here = parent
    else:
        here = folder
    if here != folder:
        between = folder
        while between not in (here, os.path.dirname(between)):
            found.append(between)
            between = os.path.dirname(between)
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=4096)
def _words(path: str) -> frozenset[str] | None:
    """The words of a file, or None where it passes on what others define."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    return None if _PASSES_ON.search(text) else frozenset(_WORD.findall(text))


def look_again() -> None:
    """Forget which files there were: another run may find others."""
    for memory in (_is_file, roots_of, _words):
        memory.cache_clear()


_PASSES_ON = re.compile(r"^\s*from\s+[.\w]+\s+import\s*\(?\s*\*", re.MULTILINE)
_WORD = re.compile(r"\b[A-Za-z]\w*")


def _own_package(root: str, path: str) -> list[str]:
    """The package below the root that the file belongs to: of what is installed, it alone is the project."""
    inside = os.path.relpath(os.path.abspath(path), root).split(os.sep)
    return [inside[0].removesuffix(".py")]


class Project:
    """Reads modules for the interpreter, each once, and knows for the cache's key which file led to which others:
    opened, looked for in vain, or only looked at."""

    def __init__(self, parse: Parser, quiet: tuple[type[Exception], ...] = ()) -> None:
        self._parse = parse
        self._quiet = quiet  # what `parse` raises for a file that can't be read: then the import stays unknown
        self._programs: dict[str, Program | None] = {}
        self._looks: dict[str, dict[str, None]] = {}  # file -> those that its names led to
        self._bytes: dict[str, bytes] = {}
        self._size = 0
        self.evidence: Any = None  # what was seen of these programs when they ran; the engine asks it
        self.kept: dict[Any, Any] = {}  # what others made of the programs; gone when any of them changes

    def resolve(self, module: str, level: int, importer: str) -> str | None:
        """The file that `import module` (or `from <level dots>module import`) in `importer` means, or None."""
        parts = [p for p in module.split(".") if p]
        if level:
            base = os.path.dirname(os.path.abspath(importer))
            for _ in range(level - 1):
                base = os.path.dirname(base)
            return self._module_file(base, parts, importer)
        for root in roots_of(importer):
            if os.path.basename(root) in INSTALLED and parts[:1] != _own_package(root, importer):
                continue
            found = self._module_file(root, parts, importer)
            if found:
                return found
        return None

    def submodule(self, package_file: str, name: str) -> str | None:
        """The file of `name` inside the package whose `__init__.py` is `package_file`."""
        if os.path.basename(package_file) != "__init__.py":
            return None
        return self._module_file(os.path.dirname(package_file), [name], package_file)

    def _module_file(self, base: str, parts: list[str], importer: str) -> str | None:
        target = os.path.join(base, *parts)
        if parts and _is_file(target + ".py"):
            return target + ".py"
        init = os.path.join(target, "__init__.py")
        if parts:
            self.looked(importer, target + ".py")
        if _is_file(init):
            return init
        self.looked(importer, init)
        return None

    def mentions(self, path: str, name: str, importer: str) -> bool:
        """Could the file at `path` give that name to `from path import *`? A look at the text, without reading it."""
        self.looked(importer, path)
        words = _words(path)
        return words is None or name in words

    def known(self, path: str, source: bytes) -> Program | None:
        """The program of the file, where it was read already and had these bytes."""
        return self._programs.get(path) if self._bytes.get(path) == source else None

    def know(self, program: Program) -> None:
        """The file under analysis itself: imports that lead back to it need not read it again."""
        known = self._programs.get(program.path)
        if known is program:
            return
        if self._size > MAX_TEXT or self._programs.get(program.path) is not None:
            self.forget()
        self._keep(program.path, program)

    def forget(self) -> None:
        """All that was read, and what was made of it."""
        self._programs.clear()
        self._bytes.clear()
        self._looks.clear()
        self.kept.clear()
        self._size = 0

    def _keep(self, path: str, program: Program | None) -> None:
        self._programs[path] = program
        self._size += 0 if program is None else len(program.text)

    def program(self, path: str) -> Program | None:
        """The program of that file; None where it can't be read (its own lint run says why)."""
        if path not in self._programs:
            self._keep(path, self._load(path))
        return self._programs[path]

    def looked(self, importer: str, path: str) -> None:
        """A name in the one file led to the other."""
        self._looks.setdefault(importer, {})[path] = None

    def read_for(self, path: str) -> list[str]:
        """Every file that what is known of this one may rest on."""
        found: dict[str, None] = {}
        pending = [path]
        while pending:
            for other in self._looks.get(pending.pop(), ()):
                if other not in found:
                    found[other] = None
                    pending.append(other)
        return list(found)

    def _load(self, path: str) -> Program | None:
        try:
            if os.path.getsize(path) > MAX_BYTES:
                return None
            source = Path(path).read_bytes()
            program = self._parse(source, path)
            self._bytes[path] = source
            return program
        except OSError:
            return None
        except self._quiet:
            return None
