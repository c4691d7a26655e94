"""The customs of those who write models, in the words that follow "assuming". torch takes other ranks there as well."""

from __future__ import annotations

HEADED = "what the layer is given has a batch in front"
CUT = "the axis that is cut in parts is a multiple of their number"
MATRIX = "what .T turns has 2 axes"


def batched(rank: int) -> str:
    """Of convolutions, pooling and recurrent layers, which take one example without a batch too."""
    return f"the layer is given a batch, {rank} axes"


def of_output(name: str, rank: int) -> str:
    """What the outputs of encoders are called everywhere, whatever made them."""
    return f"{name} has {rank} axes, as encoders give it"
