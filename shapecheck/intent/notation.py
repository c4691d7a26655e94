"""What an ambiguous sign means to the author of this function: `B x G` are two axes, or one of B*G."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from shapecheck.intent.written import Written
from shapecheck.source.program import Function, Stmt, walk

__all__ = ["as_meant"]

_BY = re.compile(r"\s+[xX×]\s+")
_WITHIN = re.compile(r"[(\[][^()\[\]\n]*(?:\w\s+[xX×]\s+\w[^()\[\]\n]*,|,[^()\[\]\n]*\w\s+[xX×]\s+\w)[^()\[\]\n]*[)\]]")


def as_meant(written: Written, function: object) -> Written:
    """`[B x G]` as one axis where the function writes `[B x G, L]` elsewhere: there commas part the axes."""
    if len(written.axes) < 2 or "," in written.text or not _BY.search(written.text):
        return written
    if not isinstance(function, Function) or not _multiplies(function):
        return written
    return replace(written, axes=("*".join(f"({a})" if re.search(r"[-+/]", a) else a for a in written.axes),))


@lru_cache(maxsize=512)
def _multiplies(function: Function) -> bool:
    return any(_WITHIN.search(text) for text in _texts(function))


def _texts(function: Function) -> Iterator[str]:
    if function.docstring:
        yield function.docstring
    for node in walk(function):
        if isinstance(node, Stmt):
            yield from (text for text in (node.comment, node.above) if text)
