"""What an argument is to an op, whatever torch calls it: the second operand of `mm` is `mat2`, that of `cdist` `x2`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shapecheck.ops.kinds import ALL_PAIRS, PRODUCT

# the names that a role has among torch's parameters, the commonest first
_NAMES: dict[str, tuple[str, ...]] = {
    "input": ("A", "x1", "x", "a", "tensor", "tensors", "input1", "anchor", "embeddings", "query", "input_tensor",
              "sequences", "elements", "condition", "logits"),
    "other": ("mat2", "x2", "y", "b", "vec", "vec2", "input2", "positive", "B", "key", "end", "tensor1"),
    "dim": ("dims", "dim0", "dimension", "start_dim"),
    "index": ("indices", "mask"),
    "source": ("src", "source", "value", "values"),
    "target": ("targets",),
}  # fmt: skip


def find(args: Mapping[str, Any], role: str, kind: int) -> str | None:
    """The parameter that plays this role in a call with these arguments; None where none does."""
    if role in args:
        return role
    found = next((name for name in _NAMES.get(role, ()) if name in args), None)
    if found is None and role == "other":
        if kind & ALL_PAIRS and "weight" in args:
            return "weight"  # linear
        if kind & PRODUCT and "input" in args and "tensor" in args:
            return "tensor"  # dot
    return found
