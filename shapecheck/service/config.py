"""What a project has asked for: `[tool.shapecheck]` of pyproject.toml, or a shapecheck.toml with the same keys.

The nearest such file at or above the linted paths holds; a shapecheck.toml goes before a pyproject.toml beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shapecheck.findings.rule import LEVELS, Severity

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class ConfigError(Exception):
    """A configuration that cannot be meant."""


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


def nearest(paths: Sequence[Path]) -> Config:
    """The configuration that holds for these paths. Raises ConfigError."""
    folders = [p if p.is_dir() else p.parent for p in (p.absolute() for p in paths)] or [Path.cwd()]
    start = Path(*_common([f.parts for f in folders]))
    for folder in (start, *start.parents):
        for name in ("shapecheck.toml", "pyproject.toml"):
            file = folder / name
            if file.is_file() and (config := read(file, required=False)) is not None:
                return config
        if (folder / ".git").exists():
            break
    return Config(start)


def read(file: Path, required: bool = True) -> Config | None:
    """The configuration in `file`; None when it is a pyproject.toml without our table and not `required`.

    Raises ConfigError.
    """
    try:
        table = tomllib.loads(file.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    if file.name == "pyproject.toml":
        tool = table.get("tool", {})
        if "shapecheck" not in tool:
            if required:
                raise ConfigError(f"{file}: there is no [tool.shapecheck] table")
            return None
        table = tool["shapecheck"]
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: tool.shapecheck is not a table")
    return _config(table, file)


def _config(table: dict[str, Any], file: Path) -> Config:
    found: dict[str, Any] = {}
    for key, value in table.items():
        match key:
            case "select" | "ignore" | "exclude":
                found[key] = _texts(value, key, file)
            case "per-file-ignores":
                if not isinstance(value, dict):
                    raise ConfigError(f"{file}: {key} is a table of pattern = [codes]")
                found["per_file_ignores"] = tuple((p, _texts(v, f"{key}.{p}", file)) for p, v in value.items())
            case "severity" | "fail-on":
                found[key.replace("-", "_")] = severity(value, f"{file}: {key}")
            case _:
                known = ("select", "ignore", "exclude", "per-file-ignores", "severity", "fail-on")
                from difflib import get_close_matches  # 5 ms that only a mistake should cost

                close = get_close_matches(key, known, 1)
                hint = f'did you mean "{close[0]}"?' if close else f"known keys: {', '.join(known)}"
                raise ConfigError(f'{file}: unknown key "{key}" ({hint})')
    return Config(file.parent, file, **found)


def severity(value: object, what: str) -> Severity:
    """Raises ConfigError for anything but "error", "warning" and "info"."""
    try:
        return Severity(value)
    except ValueError as error:
        raise ConfigError(f'{what} is "error", "warning" or "info", not {value!r}') from error


def _texts(value: object, key: str, file: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ConfigError(f"{file}: {key} is a list of strings, not {value!r}")
    return tuple(value)


def _common(rows: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    same = []
    for column in zip(*rows):
        if len(set(column)) > 1:
            break
        same.append(column[0])
    return tuple(same)
