"""Gather helpers by name: every trainer has its own, often in a file that is not at hand.

The name and one tensor argument tell what comes back: the rows of all ranks joined, or a list of one tensor a rank.
A name that projects use both ways gives the list; `settled` turns it into the joined tensor where a tensor is used.
"""

from __future__ import annotations

from dataclasses import replace

from shapecheck.engine.values import Many, Partial, Tensor, Value
from shapecheck.ops.axes import as_tensor, reach
from shapecheck.ops.distributed import WORLD, joined
from shapecheck.ops.kit import Kit

GUESSED = "gathered?"  # the kind of a list that may as well be the joined tensor

JOINED = frozenset(
    {
        "all_gather_with_grad", "all_gather_with_gradient", "all_gather_grad", "concat_all_gather",
        "concat_all_gather_no_grad", "gather", "gather_tensor", "gather_tensors", "gather_from_all",
        "all_gather_cat", "all_gather_concat", "all_gather_and_cat", "cat_all_gather", "dist_gather_tensor",
        "_dist_gather_tensor", "_dist_gather", "_gather_tensor", "_gather_tensors", "differentiable_all_gather",
        "concat_all_gather_with_grad", "all_gather_no_grad", "gather_embeddings", "all_gather_embeddings",
        "all_gather_tensors", "all_gather_features",
    }
)  # fmt: skip
LISTED = frozenset(
    {
        "all_gather", "all_gather_list", "all_gather_layer", "gather_layer", "GatherLayer.apply", "AllGather.apply",
        "AllGatherLayer.apply", "GatherLayerWithGrad.apply", "AllGatherFunction.apply", "SyncFunction.apply",
        "GatherFunction.apply", "dist.gather", "dist_all_gather", "gather_all_tensors", "gather_all",
    }
)  # fmt: skip
RANKS = frozenset({"get_rank", "rank", "get_process_rank", "global_rank", "dist_rank"})
WORLDS = frozenset({"get_world_size", "world_size", "get_num_processes", "dist_world_size"})


def kind_of(dotted: str) -> str:
    """ "joined", "listed", "rank", "world" or "": what a function of this full name is known to give back."""
    parts = dotted.replace(":", ".").split(".")
    last, two = parts[-1], ".".join(parts[-2:])
    if "#" in dotted and last in LISTED | RANKS | WORLDS:
        return ""  # a method of some object: Lightning's `self.all_gather` stacks
    for known, kind in ((LISTED, "listed"), (JOINED, "joined"), (RANKS, "rank"), (WORLDS, "world")):
        if two in known or (last in known and two not in LISTED):
            return kind
    return ""


def gather_all(kit: Kit, kind: str, tensor: Value) -> Value:
    """What the helper gives for this tensor."""
    given = as_tensor(tensor)
    if kind == "listed":
        return Many(given.with_(made=None, content=None), WORLD, GUESSED)
    found = reach(kit, "gather", given, 0)
    return (
        Tensor(Partial(), given.dtype) if found is None or found.shape == () else joined(kit, found, 0, WORLD, "gather")
    )


def settled(kit: Kit, value: Value) -> Value:
    """A guessed list where a tensor is needed is the joined tensor; anything else is itself."""
    if not isinstance(value, Many) or value.kind != GUESSED:
        return value
    tensor = gather_all(kit, "joined", value.item)
    made = as_tensor(value.item).made
    return replace(tensor, made=made) if isinstance(tensor, Tensor) else tensor
