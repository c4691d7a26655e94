"""One softmax over several blocks of pairs, with each row itself among its candidates."""

from __future__ import annotations

from ..structures import BLOCKS, Structure, united

_MASK = "mask with -inf before the softmax, where row and column are the same embedding"


def _self_counts(name: str, *parts: tuple[tuple[str, ...], bool]) -> Structure:
    built = tuple(united(blocks, own=True, turned=turned) for blocks, turned in parts)
    return Structure(
        f"self among the candidates, {name}", "each row meets itself in its own softmax", built, code="SC501", fix=_MASK
    )


_WITH_SELF = [blocks for blocks in BLOCKS if "qq" in blocks or "pp" in blocks]
UNITED = (
    *(_self_counts(" and ".join(blocks), (blocks, False)) for blocks in _WITH_SELF),
    *(_self_counts(f"{' and '.join(blocks)}, both ways", (blocks, False), (blocks, True)) for blocks in _WITH_SELF),
)
