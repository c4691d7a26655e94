"""What a project has asked for: `[tool.shapecheck]` of pyproject.toml, or a shapecheck.toml with the same keys.

For each file the nearest at or above it holds, up to the repository's root; a shapecheck.toml goes before a
pyproject.toml beside it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from shapecheck.findings.diagnostic import Problem
from shapecheck.findings.rule import LEVELS, Severity
from shapecheck.service.files import Unusable, read_file
from shapecheck.service.project import Patterns
from shapecheck.source.text import Location

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KEYS = ("select", "ignore", "exclude", "per-file-ignores", "severity", "fail-on")


class ConfigError(Exception):
    """A configuration that cannot be meant; `problem` says where."""

    def __init__(self, message: str, file: Path | None = None, at: Location | None = None) -> None:
        self.problem = None if file is None else Problem(str(file), message, at)
        super().__init__(message if self.problem is None else str(self.problem))


@dataclass(frozen=True, slots=True)
class Config:
    """`root` is the folder that patterns are relative to. `severity` is the least that is shown, `fail_on` the least
    that makes the exit status 1."""

    root: Path
    source: Path | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    severity: Severity = Severity.WARNING
    fail_on: Severity = Severity.INFO

    def with_(self, **changes: Any) -> Config:
        """A copy with those changes that are not None: what the command line says goes before the file."""
        return replace(self, **{key: value for key, value in changes.items() if value is not None})


def at_least(severity: Severity, floor: Severity) -> bool:
    return LEVELS[severity] >= LEVELS[floor]


class Settings:
    """Which configuration holds where. `only` holds everywhere instead of the files' own; `change` is what the command
    line adds to each, and `exclude` its patterns, relative to the working directory."""

    def __init__(
        self,
        change: Callable[[Config], Config] = lambda config: config,
        only: Config | None = None,
        exclude: tuple[str, ...] = (),
    ) -> None:
        self._change = change
        self._only = None if only is None else change(only)
        self._given = Patterns(Path.cwd(), exclude)
        self._at: dict[str, Config | ConfigError] = {}
        self._patterns: dict[Path | None, Patterns] = {}
        self._excluded: dict[str, str | None] = {}

    def of(self, path: str) -> Config:
        """The configuration of one file, named absolutely. Raises ConfigError."""
        return self.at(os.path.dirname(path))

    def at(self, folder: str) -> Config:
        """The configuration of the files in this folder. Raises ConfigError."""
        if self._only is not None:
            return self._only
        passed: list[str] = []
        here = folder
        while here not in self._at:
            if (found := self._own(here)) is not None:
                self._at[here] = found
            else:
                passed.append(here)
                here = os.path.dirname(here)
        self._at.update(dict.fromkeys(passed, self._at[here]))
        found = self._at[here]
        if isinstance(found, ConfigError):
            raise found
        return found

    def excluded(self, path: str, is_folder: bool = False) -> str | None:
        """Who leaves this file or folder, or a folder above it, out: "--exclude", or a configuration file. A folder's
        own configuration does not speak of the folder itself. Raises ConfigError."""
        waiting = [(path, is_folder)]
        here = os.path.dirname(path)
        while self._only is None and here not in self._excluded and not _is_top(here):
            waiting.append((here, True))
            here = os.path.dirname(here)
        who = self._excluded.get(here)
        while waiting:
            place, is_folder = waiting.pop()
            who = who or self._hit(place, is_folder)
            if is_folder:
                self._excluded[place] = who
        return who

    def _hit(self, path: str, is_folder: bool) -> str | None:
        if self._given.hit(path, is_folder):
            return "--exclude"
        config = self.at(os.path.dirname(path))
        if not config.exclude:
            return None
        if config.source not in self._patterns:
            self._patterns[config.source] = Patterns(config.root, config.exclude)
        return str(config.source) if self._patterns[config.source].hit(path, is_folder) else None

    def _own(self, folder: str) -> Config | ConfigError | None:
        """What is written in the folder itself, or holds where nothing is written as far as the search goes."""
        try:
            for name in ("shapecheck.toml", "pyproject.toml"):
                file = Path(folder, name)
                if os.path.lexists(file) and (config := read(file, required=False)) is not None:
                    return self._change(config)
        except ConfigError as error:
            return error
        return self._change(Config(Path(folder))) if _is_top(folder) else None


def _is_top(folder: str) -> bool:
    """The search ends at a repository's root."""
    return os.path.dirname(folder) == folder or os.path.exists(os.path.join(folder, ".git"))


def read(file: Path, required: bool = True) -> Config | None:
    """The configuration in `file`; None when it is a pyproject.toml without our table and not `required`.

    Raises ConfigError.
    """
    try:
        text = read_file(file).decode("utf-8-sig")
    except Unusable as error:
        raise ConfigError(f"cannot be read: {error}", file) from error
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n") + 1
        raise ConfigError("the bytes are not UTF-8", file, Location(row, 1)) from error
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(*_not_toml(error, file, text)) from error
    if file.name == "pyproject.toml":
        tool = table.get("tool", {})
        if not isinstance(tool, dict) or "shapecheck" not in tool:
            if required:
                raise ConfigError("there is no [tool.shapecheck] table", file)
            return None
        table = tool["shapecheck"]
    where = _Where(file, text, file.name == "pyproject.toml")
    if not isinstance(table, dict):
        where.refuse("tool.shapecheck is not a table")
    return _config(table, where)


def blamed(file: Path, code: str, why: str) -> ConfigError | None:
    """What is wrong with a code that a configuration names; None when the file does not name it. Raises ConfigError."""
    found = read(file, required=False)
    if found is None:
        return None
    written = dict.fromkeys(found.select, ("select", "")) | dict.fromkeys(found.ignore, ("ignore", ""))
    written |= {c: (pattern, "per-file-ignores") for pattern, codes in found.per_file_ignores for c in codes}
    if code not in written:
        return None
    where = _Where(file, read_file(file).decode("utf-8-sig"), file.name == "pyproject.toml")
    return ConfigError(why, file, where.line(*written[code]))


def _not_toml(error: Exception, file: Path, text: str) -> tuple[str, Path, Location | None]:
    found = re.search(r"\(at (?:line (\d+), column (\d+)|end of document)\)", str(error))
    if found is None:
        return "it is not TOML: its values are nested too deeply", file, None
    lines = text.split("\n")
    at = Location(int(found[1]), int(found[2])) if found[1] else Location(len(lines), len(lines[-1]) + 1)
    return "it is not TOML: something else is expected here", file, at


@dataclass(frozen=True, slots=True)
class _Where:
    """Tells the line of a key, which the TOML reader does not keep."""

    file: Path
    text: str
    is_pyproject: bool

    def refuse(self, message: str, key: str = "", table: str = "") -> NoReturn:
        raise ConfigError(message, self.file, self.line(key, table))

    def line(self, key: str, table: str) -> Location | None:
        prefix = "tool.shapecheck" if self.is_pyproject else ""
        wanted = ".".join(filter(None, [prefix, table, key]))
        here, best, best_length = "", None, -1
        for row, line in enumerate(self.text.split("\n"), 1):
            if match := re.match(r"\s*\[\[?([^\]]+)\]", line):
                here = said = _plain(match[1])
            elif match := re.match(r"""\s*((?:"[^"]*"|'[^']*'|[\w.-]|\s*\.\s*)+?)\s*=""", line):
                said = ".".join(filter(None, [here, _plain(match[1])]))
            else:
                continue
            here_or_above = said == wanted or wanted.startswith(f"{said}.")
            if (here_or_above and len(said) > best_length) or (best is None and said.startswith(f"{wanted}.")):
                best, best_length = Location(row, len(line) - len(line.lstrip()) + 1), len(said) * here_or_above
        return best


def _plain(key: str) -> str:
    return ".".join(a or b or c for a, b, c in re.findall(r"""\s*(?:"([^"]*)"|'([^']*)'|([^\s.]+))""", key))


def _config(table: dict[str, Any], where: _Where) -> Config:
    found: dict[str, Any] = {}
    for key, value in table.items():
        match key:
            case "select" | "ignore" | "exclude":
                found[key] = _texts(value, key, where)
            case "per-file-ignores":
                if not isinstance(value, dict):
                    where.refuse(f"{key} is a table of pattern = [codes]", key)
                found["per_file_ignores"] = tuple((p, _texts(v, p, where, key)) for p, v in value.items())
            case "severity" | "fail-on":
                try:
                    found[key.replace("-", "_")] = Severity(value)
                except ValueError:
                    where.refuse(f'{key} is "error", "warning" or "info", not {value!r}', key)
            case _:
                from difflib import get_close_matches  # 5 ms that only a mistake should cost

                if key == "tool" and isinstance(value, dict) and "shapecheck" in value:
                    where.refuse("in a shapecheck.toml the keys stand without [tool.shapecheck]", key)
                close = get_close_matches(key, KEYS, 1)
                hint = f'did you mean "{close[0]}"?' if close else f"known keys: {', '.join(KEYS)}"
                where.refuse(f'unknown key "{key}" ({hint})', key)
    return Config(where.file.parent, where.file, **found)


def _texts(value: object, key: str, where: _Where, table: str = "") -> tuple[str, ...]:
    said = f"{table}.{key}" if table else key
    if value and isinstance(value, list) and "" in value:
        where.refuse(f"{said} has an empty string in it", key, table)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        where.refuse(f"{said} is a list of strings, not {value!r}", key, table)
    return tuple(value)
