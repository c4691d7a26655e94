"""What the author's name for an axis says of it: the examples of a batch, or the numbers of one embedding."""

from __future__ import annotations

import re

from shapecheck.dims import as_symbol, symbols
from shapecheck.engine.facts import Facts
from shapecheck.engine.values import Axis

_BATCH = re.compile(r"B|b|bs|bsz|(?:n_?|num_|mini_?|local_)?batch(?:_?size|_?sz)?", re.IGNORECASE)
_FEATURES = re.compile(
    r"D|d|E|dims?|d_?model|h?idden|hid|n_?embd|emb(?:ed)?|embeddings?|feat(?:ure)?s?|"
    r"(?:\w+_)?(?:hidden|emb(?:ed(?:ding)?)?|feat(?:ure)?|proj(?:ection)?|model)_?(?:size|dim|dims)"
)


def name_of(axis: Axis, facts: Facts) -> str:
    """The name that the code or a comment gave to this size; "" where nobody named it."""
    symbol = as_symbol(axis.size)
    if symbol is None:
        return ""
    plain = "" if symbol.startswith(("?", "$")) else symbol
    return facts.authored.get(symbol, plain)


def is_batch(axis: Axis, facts: Facts) -> bool:
    """`B`, `batch_size`: a name of nothing else. Not `N`, which is also the instances of one bag."""
    return _BATCH.fullmatch(name_of(axis, facts)) is not None


def is_features(axis: Axis, facts: Facts) -> bool:
    """`D`, `hidden_size`, `embed_dim`."""
    return _FEATURES.fullmatch(name_of(axis, facts)) is not None


def counts_with(axis: Axis, other: Axis) -> bool:
    """Does the size of `axis` grow with that of `other`? `B*G` and `2*B` do with `B`."""
    return not symbols(axis.size).isdisjoint(symbols(other.size))


__all__ = ["counts_with", "is_batch", "is_features", "name_of"]
