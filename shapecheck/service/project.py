"""Which files a run is about: paths given, folders walked, what git ignores and the configuration excludes left out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

SUFFIXES = (".py", ".pyi")
SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "__pypackages__", "venv"})
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Discovery:
    """`files` are absolute and sorted; `named` are those that the user wrote out. `errors` are messages about paths
    that lead nowhere; `notebooks` counts those met on the way; `excluded` are named files that a pattern drops."""

    files: tuple[str, ...]
    named: frozenset[str]
    errors: tuple[str, ...] = ()
    notebooks: int = 0
    excluded: tuple[str, ...] = ()


@dataclass(slots=True)
class _Walk:
    exclude: Patterns
    files: dict[str, None] = field(default_factory=dict)
    notebooks: int = 0
    python: int = 0


def discover(paths: Sequence[str], exclude: Patterns) -> Discovery:
    """The Python files at or under `paths`."""
    walk = _Walk(exclude)
    named: set[str] = set()
    errors: list[str] = []
    excluded: list[str] = []
    for given in paths:
        path = os.path.abspath(given)
        if os.path.isdir(path):
            before = walk.python, walk.notebooks
            _folder(path, _ignores_above(path), walk)
            if walk.python == before[0]:
                notebooks = walk.notebooks - before[1]
                hint = f" ({notebooks} notebooks, which are not supported)" if notebooks else ""
                errors.append(f"{given}: no Python files in this folder{hint}")
        elif not os.path.exists(path):
            errors.append(f"{given}: no such file or folder")
        elif path.endswith(".ipynb"):
            errors.append(f"{given}: notebooks are not supported; export it to a .py file")
        elif exclude.hit(path):
            excluded.append(given)
        else:
            walk.files[path] = None
            named.add(path)
    return Discovery(tuple(sorted(walk.files)), frozenset(named), tuple(errors), walk.notebooks, tuple(excluded))


class Patterns:
    """gitignore-style patterns, relative to a folder."""

    def __init__(self, root: Path, lines: Sequence[str]) -> None:
        self._root = os.path.abspath(root)
        self._spec = _spec(lines) if lines else None

    def hit(self, path: str, is_folder: bool = False) -> bool:
        return _verdict(self._spec, self._root, path, is_folder) is True


# ---------------------------------------------------------------------- the walk

_Ignores = tuple[tuple[str, "GitIgnoreSpec"], ...]  # outermost first: (folder, its .gitignore)


def _folder(folder: str, ignores: _Ignores, walk: _Walk) -> None:
    ignores = (*ignores, *_own_ignores(folder))
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError:  # not ours to read
        return
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder:
            if entry.name.startswith(".") or entry.name in SKIPPED_FOLDERS or _is_venv(entry.path):
                continue
        elif not entry.name.endswith((*SUFFIXES, ".ipynb")) or not entry.is_file():
            continue
        if _ignored(entry.path, is_folder, ignores):
            continue
        if not is_folder:
            walk.python += entry.name.endswith(SUFFIXES)
        if walk.exclude.hit(entry.path, is_folder):
            walk.python += is_folder and any(_python_below(entry.path))
            continue
        if is_folder:
            _folder(entry.path, ignores, walk)
        elif entry.name.endswith(".ipynb"):
            walk.notebooks += 1
        else:
            walk.files[entry.path] = None


def _python_below(folder: str) -> Iterator[bool]:
    """One True when any Python file lies under `folder`: then the folder above is excluded, not empty."""
    for _, _, names in os.walk(folder):
        if any(name.endswith(SUFFIXES) for name in names):
            yield True
            return


def _is_venv(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "pyvenv.cfg"))


def _ignores_above(folder: str) -> _Ignores:
    """The .gitignore files from the repository's root down to just above `folder`; none outside a repository."""
    above: list[str] = []
    here = folder
    while not os.path.exists(os.path.join(here, ".git")):
        parent = os.path.dirname(here)
        if parent == here:
            return ()
        above.append(parent)
        here = parent
    return tuple(pair for place in reversed(above) for pair in _own_ignores(place))


def _own_ignores(folder: str) -> _Ignores:
    try:
        text = Path(folder, ".gitignore").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return ((folder, _spec(text.splitlines())),)


def _ignored(path: str, is_folder: bool, ignores: _Ignores) -> bool:
    for root, spec in reversed(ignores):  # the nearest file that says anything decides, as in git
        verdict = _verdict(spec, root, path, is_folder)
        if verdict is not None:
            return verdict
    return False


def _verdict(spec: GitIgnoreSpec | None, root: str, path: str, is_folder: bool) -> bool | None:
    if spec is None:
        return None
    relative = os.path.relpath(path, root).replace(os.sep, "/")
    if relative.startswith("../"):
        return None
    return spec.check_file(relative + "/" * is_folder).include


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # 20 ms, and most single-file runs need none

    return GitIgnoreSpec.from_lines(lines)
