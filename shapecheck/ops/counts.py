"""Which Python numbers are counts, by the names that code gives to them: `args.batch_size`, `n_views`, `dim`."""

from __future__ import annotations

import re

from shapecheck.dims import Size, symbols

SIZE = re.compile(
    r"(?:^|[._\[' ])(?:n|k|num|size|dims?|len(?:gth)?|batch|bsz?|views?|world|rank|heads?|channels?|class(?:es)?"
    r"|groups?|steps?|width|height|seq|hidden|features|tokens|count|depth|layers?)(?:_[a-z]+)?(?:'\])?(?:@\d+)?$"
)
# ... and those of them that a tensor with one of each example has just as well
EACH = re.compile(
    r"(?:^|[._\[' ]|_)(?:len(?:gth)?|features|tokens|batch|views?|classes|channels|steps|hidden|depth|count)"
    r"(?:'\])?(?:@\d+)?$"
)


def is_count(size: Size) -> bool:
    """Is it made of nothing that could be negative: of axes, and of Python numbers that are called counts?"""
    return all(not name.startswith("$") or SIZE.search(name) is not None for name in symbols(size))
