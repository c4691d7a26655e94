"""Which Python numbers are counts, by the names that code gives to them: `args.batch_size`, `n_views`, `dim`."""

from __future__ import annotations

import re

from shapecheck.dims import Size, symbols

SIZE = re.compile(
    r"(?:^|[._\[' ])(?:n|k|num|size|dims?|len(?:gth)?|batch|bsz?|views?|world|rank|heads?|channels?|class(?:es)?"
    r"|groups?|steps?|width|height|seq|hidden|features|tokens|count|depth|layers?)(?:_[a-z]+)?(?:'\])?(?:@\d+)?$"
)


def is_count(size: Size) -> bool:
    """Is it made of nothing that could be negative: of axes, and of Python numbers that are called counts?"""
    return all(not name.startswith("$") or SIZE.search(name) is not None for name in symbols(size))
