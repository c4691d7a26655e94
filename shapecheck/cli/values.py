"""What options take, and what is said of anything else: a library's own words change with its versions."""

from __future__ import annotations

import math
from enum import Enum
from pathlib import Path
from typing import TypeVar

from shapecheck.cli.console import Wrong

Kind = TypeVar("Kind", bound=Enum)


def one_of(kind: type[Kind], option: str, text: str) -> Kind:
    """Raises Wrong."""
    try:
        return kind(text)
    except ValueError as error:
        *names, last = (member.value for member in kind)
        raise Wrong(f"{option} is {', '.join(names)} or {last}, not {text!r}") from error


def whole(option: str, text: str, least: int) -> int:
    """Raises Wrong."""
    try:
        number = int(text)
    except ValueError as error:
        raise Wrong(f"{option} is a whole number, not {text!r}") from error
    if number < least:
        raise Wrong(f"{option} is at least {least}, not {text}")
    return number


def seconds(option: str, text: str, least: float, most: float) -> float:
    """Raises Wrong."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise Wrong(f"{option} is a number of seconds from {least:g} to {most:g}, not {text!r}")
    return number


def path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def path_of(option: str, text: str | None) -> Path | None:
    """Raises Wrong for an empty text, which a script's unset variable leaves: it would be the working directory."""
    if text == "":
        raise Wrong(f"{option} names no file")
    return path(text)
