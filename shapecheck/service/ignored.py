"""What git ignores, told as git does: the user's file, then the repository's own, then each folder's .gitignore."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shapecheck.service.files import Unusable, read_file
from shapecheck.service.project import spec_of, verdict

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


@dataclass(frozen=True, slots=True)
class Ignores:
    """Files of patterns and the folders that they speak of, the weakest first."""

    files: tuple[tuple[str, GitIgnoreSpec], ...] = ()

    def within(self, folder: str) -> Ignores:
        """With the folder's own .gitignore added."""
        return Ignores((*self.files, *_read(folder, Path(folder, ".gitignore"))))

    def hit(self, path: str, is_folder: bool) -> bool:
        for root, spec in reversed(self.files):  # the nearest file that says anything decides
            said = verdict(spec, root, path, is_folder)
            if said is not None:
                return said
        return False


def above(folder: str) -> Ignores:
    """What holds in `folder` but for its own .gitignore. Outside a repository, nothing."""
    folders: list[str] = []
    here = folder
    while not os.path.exists(os.path.join(here, ".git")):
        parent = os.path.dirname(here)
        if parent == here:
            return Ignores()
        folders.append(parent)
        here = parent
    files = [*_read(here, _users_file(here)), *_read(here, _repositorys_file(here))]
    for place in reversed(folders):
        files += _read(place, Path(place, ".gitignore"))
    return Ignores(tuple(files))


def _read(root: str, file: Path | None) -> tuple[tuple[str, GitIgnoreSpec], ...]:
    if file is None or not os.path.isfile(file):
        return ()
    try:
        text = read_file(file).decode("utf-8", "replace")
    except Unusable:  # git warns and goes on, too: more is looked at then, not less
        return ()
    return ((root, spec_of(text.splitlines())),)


def _users_file(root: str) -> Path | None:
    """core.excludesFile, wherever git's configuration sets it, or the place that git looks at by default."""
    said = _git(root, "config", "--type=path", "--get", "core.excludesFile")
    if said:
        return Path(root, said)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(home, "git", "ignore")


def _repositorys_file(root: str) -> Path | None:
    """info/exclude, which all work trees of a repository share."""
    if os.path.isdir(os.path.join(root, ".git")):
        return Path(root, ".git", "info", "exclude")
    said = _git(root, "rev-parse", "--git-path", "info/exclude")
    return Path(root, said) if said else None


def _git(root: str, *args: str) -> str:
    """What git answers; nothing where there is no git."""
    try:
        ran = subprocess.run(["git", "-C", root, *args], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return os.fsdecode(ran.stdout).strip("\n") if ran.returncode == 0 else ""
