"""Which files a run is about: paths given, folders walked, what git ignores and the configuration excludes left out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shapecheck.findings.diagnostic import Problem
from shapecheck.service.files import why

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

    from shapecheck.service.config import ConfigError, Settings
    from shapecheck.service.ignored import Ignores

SUFFIXES = (".py", ".pyi")
SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "__pypackages__", "venv"})
STDIN = "-"


@dataclass(slots=True)
class Discovery:
    """`files` are absolute and sorted, each once, whatever links lead to it; `named` are those that the user wrote out.
    `problems` are paths that lead nowhere or could not be looked at; `notebooks` counts those met on the way;
    `left_out` has files that were passed over, and why. `given` are the names of texts that come from elsewhere."""

    files: list[str] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    notebooks: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)


def discover(paths: Sequence[str], settings: Settings, given: Sequence[str] = ()) -> Discovery:
    """The Python files at or under `paths`, and those of the `given` names that are to be checked."""
    walk = _Walk(settings)
    for name in given:
        walk.given(os.path.abspath(name))
    for named in paths:
        path = os.path.abspath(named)
        if not named:
            walk.nowhere(path)
        elif os.path.isdir(path):
            walk.folder(path)
        else:
            walk.file(path)
    found = walk.found
    found.files = sorted(walk.files.values())
    found.named &= set(found.files)
    return found


def repository(files: Sequence[str]) -> str:
    """The root of the repository that the working directory is in; else of the one that all files are in; else the
    working directory."""
    here = os.getcwd()
    if (root := root_of(here)) is not None:
        return root
    roots = {root_of(folder) for folder in {os.path.dirname(file) for file in files}}
    only = roots.pop() if len(roots) == 1 else None
    return only or here


def root_of(folder: str) -> str | None:
    """The repository that a folder is in."""
    while not os.path.exists(os.path.join(folder, ".git")):
        folder, before = os.path.dirname(folder), folder
        if folder == before:
            return None
    return folder


class Patterns:
    """gitignore-style patterns, relative to a folder."""

    def __init__(self, root: Path, lines: Sequence[str]) -> None:
        self._root = os.path.abspath(root)
        self._spec = spec_of(lines) if lines else None

    def hit(self, path: str, is_folder: bool = False) -> bool:
        return verdict(self._spec, self._root, path, is_folder) is True


def verdict(spec: GitIgnoreSpec | None, root: str, path: str, is_folder: bool) -> bool | None:
    """Whether the last pattern that speaks of `path` takes it in; None when none does."""
    if spec is None:
        return None
    relative = os.path.relpath(path, root).replace(os.sep, "/")
    if relative == "." or relative.startswith("../"):
        return None
    return spec.check_file(relative + "/" * is_folder).include


def spec_of(lines: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # 20 ms, and most single-file runs need none

    return GitIgnoreSpec.from_lines(lines)


# ---------------------------------------------------------------------- the walk


class _Walk:
    def __init__(self, settings: Settings) -> None:
        self.found = Discovery()
        self.files: dict[str, str] = {}  # by the place that all links lead to
        self._settings = settings
        self._real: dict[str, str] = {}
        self._faults: set[str] = set()

    def file(self, path: str) -> None:
        """A file that was named."""
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            self._problem(path, "no such file or folder")
        except OSError as error:
            self._problem(path, f"cannot be read: {why(error)}")
        except ValueError:
            self._problem(path, "cannot be read: the name holds a null byte")
        else:
            if self._wanted(path):
                self._take(path, True)
                self.found.named.add(path)
                self.found.named.add(self.files[os.path.realpath(path)])

    def nowhere(self, here: str) -> None:
        """An empty path, which a script's unset variable leaves: it would be the working directory."""
        self._problem(here, "an empty path was given, and the folder not looked at for it")

    def given(self, path: str) -> None:
        """The name of a text that comes from elsewhere."""
        if os.path.isdir(path):
            self._problem(path, "a folder cannot be the name of what stdin holds")
        elif self._wanted(path):
            self.found.given.append(path)

    def _wanted(self, path: str) -> bool:
        if path.endswith(".ipynb"):
            self._problem(path, "notebooks are not supported; export it to a .py file")
            return False
        who = self._excluded(path, is_folder=False)
        if who:
            self._leave_out(path, _as_excluded(who, "it"))
        return who is None

    def folder(self, top: str) -> None:
        """All files below a folder that was named."""
        from shapecheck.service.ignored import above

        python, notebooks, problems = False, self.found.notebooks, len(self.found.problems)
        excluding, taken = "", False
        waiting: list[tuple[str, Ignores]] = [(top, above(top))]
        while waiting:
            folder, ignores = waiting.pop()
            ignores = ignores.within(folder)
            for entry in self._entries(folder):
                kind = self._kind(entry)
                if kind is None or ignores.hit(entry.path, kind == "folder"):
                    continue
                who = self._excluded(entry.path, kind == "folder")
                python = python or kind == "python" or who is not None
                if who is not None:
                    excluding = excluding or who
                    continue
                if kind == "folder":
                    waiting.append((entry.path, ignores))
                elif kind == "notebook":
                    self.found.notebooks += 1
                else:
                    self._take(entry.path, entry.is_symlink())
                    taken = True
        if not python and len(self.found.problems) == problems:
            count = self.found.notebooks - notebooks
            self._problem(top, f"no Python files in this folder{_not_supported(count)}")
        elif excluding and not taken:
            self._leave_out(top, _as_excluded(excluding, "all that is in it"))

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                yield from sorted(entries, key=lambda e: e.name)
        except OSError as error:
            self._problem(folder, f"cannot be read: {why(error)}")

    def _kind(self, entry: os.DirEntry[str]) -> str | None:
        """ "folder", "python" or "notebook"; None for what a run is never about."""
        try:
            if entry.is_dir(follow_symlinks=False):
                skipped = entry.name.startswith(".") or entry.name in SKIPPED_FOLDERS or _is_venv(entry.path)
                return None if skipped else "folder"
            if not entry.name.endswith((*SUFFIXES, ".ipynb")) or entry.is_dir():
                return None
            if not entry.is_file():
                nowhere = entry.is_symlink() and not os.path.exists(entry.path)
                self._leave_out(entry.path, "its link leads nowhere" if nowhere else "it is no regular file")
                return None
        except OSError as error:
            self._problem(entry.path, f"cannot be read: {why(error)}")
            return None
        return "notebook" if entry.name.endswith(".ipynb") else "python"

    def _excluded(self, path: str, is_folder: bool) -> str | None:
        """Who leaves it out; "" where a configuration cannot be read, which is told once."""
        from shapecheck.findings.diagnostic import shown
        from shapecheck.service.config import ConfigError

        try:
            who = self._settings.excluded(path, is_folder)
            if not is_folder:
                self._settings.of(path)
        except ConfigError as error:
            self._fault(error)
            return ""
        return who if who in (None, "--exclude") else shown(who)

    def _fault(self, error: ConfigError) -> None:
        if error.problem is not None and str(error) not in self._faults:
            self._faults.add(str(error))
            self.found.problems.append(error.problem)

    def _take(self, path: str, may_be_link: bool) -> None:
        folder, name = os.path.split(path)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        real = os.path.realpath(path) if may_be_link else os.path.join(self._real[folder], name)
        if self.files.setdefault(real, path) != path and path == real:
            self.files[real] = path  # its own name rather than a link's

    def _problem(self, path: str, message: str) -> None:
        self.found.problems.append(Problem(path, message))

    def _leave_out(self, path: str, reason: str) -> None:
        self.found.left_out.append((path, reason))


def _as_excluded(who: str, what: str) -> str:
    return f"as {who} says" if who == "--exclude" else f"as {who} excludes {what}"


def _not_supported(notebooks: int) -> str:
    return f" ({notebooks} notebooks, which are not supported)" if notebooks else ""


def _is_venv(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "pyvenv.cfg"))
