"""Every op against torch: right calls in every mood, spoilt calls, and names that exist."""

from __future__ import annotations

import operator

import einops
import einops.layers.torch
import pytest
import torch
import torch.distributed._functional_collectives
import torch.distributed.nn

from ops.cases import CALLS
from ops.judge import MOODS, Call, judge, run_torch, spoiled
from shapecheck.ops import LAYERS, PROPERTIES, REGISTRY

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")

# what these give depends on the numbers in the tensors, or on settings that no shape shows
COUNTED = {
    "torch.where", "torch.masked_select", "torch.nonzero", "Tensor.nonzero", "torch.unique", "torch.bincount", "index",
    "torch.triu_indices", "Tensor.repeat_interleave", "Tensor.to", "torch.multinomial",
    "torch.nn.utils.rnn.pad_sequence", "torch.nn.functional.one_hot", "torch.combinations",
}  # fmt: skip
# torch refuses these for another reason than a size or a rank (dtypes, numbers), or the sizes are counted
NOT_SHAPES = {
    "index", "torch.nn.functional.cross_entropy", "torch.nn.CrossEntropyLoss", "torch.nn.functional.linear",
    "torch.nn.AdaptiveAvgPool2d", "torch.nn.utils.rnn.pad_sequence",
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_right_calls(call: Call) -> None:
    ran, result = run_torch(call)
    assert ran, f"torch refuses the sample: {result}"
    verdicts = {mood: judge(call, mood) for mood in MOODS}
    assert "missed" not in verdicts.values()
    if call.name not in COUNTED:
        assert verdicts["ints"] == "same"


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_spoilt_calls(call: Call) -> None:
    for spoilt in spoiled(call):
        for mood in ("named", "free"):
            judge(spoilt, mood)
        if judge(spoilt, "ints") == "missed":
            assert call.name in NOT_SHAPES, f"torch refuses {spoilt}, we are silent"


def test_named_sizes_are_refused_too() -> None:
    """Two different names are two different sizes: the crash is stated, with its condition."""
    refused = missed = 0
    for call in CALLS:
        for spoilt in spoiled(call):
            verdict = judge(spoilt, "named")
            refused += verdict == "refused"
            missed += verdict == "missed"
    assert missed < 0.04 * refused  # divisibility and "not larger than" are left open between names


def test_names_exist() -> None:
    roots = {"torch": torch, "Tensor": torch.Tensor, "operator": operator, "einops": einops}
    for name in [*REGISTRY, *LAYERS, *(f"Tensor.{p}" for p in PROPERTIES)]:
        root, *path = name.split(".")
        target = roots.get(root)
        if target is None:  # a package that the tests do not need
            continue
        for part in path:
            assert hasattr(target, part), name
            target = getattr(target, part)


def test_enough_of_torch() -> None:
    tested = {call.name for call in CALLS}
    assert len(tested) >= 350
    assert len(REGISTRY) + len(LAYERS) >= 1000


def test_every_property_is_registered() -> None:
    assert {f"Tensor.{p}" for p in PROPERTIES} <= REGISTRY.keys()
