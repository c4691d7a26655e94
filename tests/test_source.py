"""Text, bytes and positions of a file."""

from __future__ import annotations

import pytest

from shapecheck.findings.diagnostic import Location
from shapecheck.source.text import decode


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x = 1",
        b"x = 1\r\ny = 2\r\n",
        b"\xef\xbb\xbfx = 1\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        "x = 'é\u2028ü'\x0c\n".encode(),
        b"a = 1\rb = 2\r",
    ],
)
def test_bytes_come_back(data: bytes) -> None:
    assert decode(data).encode() == data


def test_lines_are_those_that_python_counts() -> None:
    source = decode("a\x0cb\u2028c\r\nd\re\n".encode())
    assert source.lines == ["a\x0cb\u2028c", "d", "e", ""]
    assert source.newline == "\r\n"


def test_columns_count_characters() -> None:
    source = decode("é = 'ü'; x = 1\ny = 2\n".encode())
    assert source.between(Location(1, 10), Location(1, 11)) == "x"
    assert source.between(Location(1, 14), Location(2, 2)) == "1\ny"
    for offset in range(len(source.text)):
        assert source.offset(source.location(offset)) == offset
