"""One softmax over several blocks of pairs, where the mask that keeps each row from itself is wrong."""

from __future__ import annotations

from ..structures import BLOCKS, Structure, united

_MASK = "mask with -inf before the softmax, where row and column are the same embedding"
_SAYS = {
    "counts": ("self among the candidates", "each row meets itself in its own softmax", "SC501"),
    "zero": ("self scored 0", "each row's similarity with itself is set to 0, which still counts as exp(0)", "SC503"),
    "alone": (
        "mask of self turned",
        "each row meets itself in its own softmax, and nobody else of its side: the mask is turned round",
        "SC501",
    ),
}

UNITED = tuple(
    Structure(
        f"{name}, with {' and '.join(blocks)}" + (", both ways" if len(ways) > 1 else ""),
        says,
        tuple(united(blocks, own=own, turned=turned) for turned in ways),
        code=code,
        fix=_MASK,
    )
    for own, (name, says, code) in _SAYS.items()
    for blocks in BLOCKS
    if "qq" in blocks or "pp" in blocks
    for ways in ((False,), (False, True))
)
