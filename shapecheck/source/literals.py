"""What a literal's text is worth: numbers, strings, the text pieces of f-strings. Pure text, no libcst."""

from __future__ import annotations

import ast
import re
from typing import Any

_STRING = re.compile(r"([a-zA-Z]*)(\"\"\"|'''|\"|')(.*)\2\Z", re.DOTALL)


def number(text: str) -> int | float | complex | None:
    """The value of a numeric literal, or None when Python 3 has none for it (`0777`, or too many digits)."""
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(value, (int, float, complex)) else None


def integer(text: str) -> int | None:
    """Like `number`, quicker."""
    if text.isdigit() and len(text) < 20 and (text[0] != "0" or text == "0"):
        return int(text)
    value = number(text)
    return value if isinstance(value, int) else None


def string(text: str) -> str | bytes | None:
    """The value of a plain string or bytes literal with its quotes, or None when it is malformed."""
    match = _STRING.match(text)
    if match and "\\" not in text and "\r" not in text:
        prefix, _, body = match.groups()
        if "b" not in prefix.lower():
            return body
    value = _evaluate(text)
    return value if isinstance(value, (str, bytes)) else None


def piece(start: str, text: str, end: str) -> str | None:
    """The value of a literal piece of an f-string that opens with `start`, such as `rf'`, and closes with `end`."""
    text = text.replace("{{", "{").replace("}}", "}")
    if "\\" not in text and "\r" not in text:
        return text
    raw = "r" if "r" in start.lower() else ""
    value = _evaluate(f"{raw}{end}{text} {end}")  # the space keeps a last quote or backslash off the closing quotes
    return value[:-1] if isinstance(value, str) else None


def _evaluate(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return None
