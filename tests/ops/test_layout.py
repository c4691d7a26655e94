"""What is remembered of memory order, op by op. (`test_random.py` checks that nothing remembered is wrong.)"""

from __future__ import annotations

import pytest

from ops.judge import JudgeKit
from shapecheck.dims import show, symbol
from shapecheck.engine.values import (
    Affine,
    Axis,
    Items,
    Joined,
    Lit,
    Many,
    Merged,
    Num,
    Origin,
    SliceVal,
    Tensor,
    Value,
)
from shapecheck.ops import REGISTRY, bind, index

SIZE = {name: symbol(name) for name in "BGDNW"}


def axis(name: str) -> Axis:
    return Axis(SIZE[name], origin=Origin(name, None))


def tensor(names: str) -> Tensor:
    return Tensor(tuple(axis(n) for n in names.split()), "float")


def num(name: str) -> Num:
    return Num(SIZE[name])


def call(name: str, *args: Value, **kwargs: Value) -> Value:
    spec = REGISTRY[name]
    bound = bind(spec.parameters, args, kwargs)
    assert bound is not None
    return spec.function(JudgeKit(), *bound.args, **bound.kwargs)


def order(one: Axis) -> str:
    """`(B G)` for merged axes, `B+B` for joined ones, a name, or the size with "?" where nothing is known."""
    match one.layout:
        case Merged(factors):
            return f"({' '.join(map(order, factors))})"
        case Joined(parts):
            return "+".join(map(order, parts))
    if one.origin is not None and one.origin.text in SIZE:
        return one.origin.text
    return f"{one.role}:{show(one.size)}" if one.role else f"{show(one.size)}?"


def orders(value: Value) -> str:
    assert isinstance(value, Tensor)
    assert value.axes is not None
    return " ".join(map(order, value.axes))


FLAT = call("Tensor.view", tensor("B G D"), Num(-1), num("D"))
TWO = call("torch.cat", Items("list", (tensor("B D"), tensor("B D"))))
STACKED = call("torch.stack", Items("list", (tensor("B D"), tensor("B D"))), Num(1))

CASES = [
    ("merge", FLAT, "(B G) D"),
    ("split as merged", call("Tensor.view", FLAT, num("B"), num("G"), num("D")), "B G D"),
    ("split with -1", call("Tensor.view", FLAT, num("B"), Num(-1), num("D")), "B G D"),
    ("split the other way", call("Tensor.view", FLAT, num("G"), num("B"), num("D")), "G? B? D"),
    ("split anew", call("Tensor.unflatten", FLAT, Num(0), Items("tuple", (num("B"), num("G")))), "B G D"),
    ("flatten", call("torch.flatten", tensor("B G D"), Num(1)), "B (G D)"),
    ("turned, then merged", call("torch.flatten", call("Tensor.transpose", tensor("B G D"), Num(0), Num(1)), Num(0), Num(1)),
     "(G B) D"),
    ("turned merged", call("Tensor.t", FLAT), "D (B G)"),
    ("unsqueezed, merged", call("Tensor.view", call("Tensor.unsqueeze", tensor("B D"), Num(1)), num("B"), Num(-1)), "B D"),
    ("cat", TWO, "B+B D"),
    ("cat of three", call("torch.cat", Items("list", (TWO, tensor("B D")))), "B+B+B D"),
    ("cat of others", call("torch.cat", Items("list", (tensor("B D"), tensor("N D")))), "B+N D"),
    ("cat, block-major", call("Tensor.view", TWO, Num(2), Num(-1), num("D")), "block:2 B D"),
    ("cat, split the other way", call("Tensor.view", TWO, Num(-1), Num(2), num("D")), "B? 2? D"),
    ("first block", index.index(JudgeKit(), TWO, (SliceVal(Lit(None), num("B"), Lit(None)),)), "B D"),
    ("second block", index.index(JudgeKit(), TWO, (SliceVal(num("B"), Lit(None), Lit(None)),)), "B D"),
    ("stack, then flat", call("torch.flatten", STACKED, Num(0), Num(1)), "(B block:2) D"),
    ("repeat", call("Tensor.repeat", tensor("B D"), num("G"), Num(1)), "(copy:G B) D"),
    ("repeat_interleave", call("Tensor.repeat_interleave", tensor("B D"), num("G"), Lit(None)), "(B D copy:G)"),
    ("repeat_interleave along", call("torch.repeat_interleave", tensor("B D"), num("G"), dim=Num(0)), "(B copy:G) D"),
    ("first of every group", index.index(JudgeKit(), FLAT, (SliceVal(Lit(None), Lit(None), num("G")),)), "B D"),
    ("every second of groups", index.index(JudgeKit(), FLAT, (SliceVal(Lit(None), Lit(None), Num(2)),)), "(B*G + 1)//2? D"),
    ("expand", call("Tensor.expand", call("Tensor.unsqueeze", tensor("B D"), Num(0)), num("N"), Num(-1), Num(-1)), "copy:N B D"),
    ("einops merge", call("einops.rearrange", tensor("B G D"), Lit("b g d -> (g b) d")), "(G B) D"),
    ("einops split", call("einops.rearrange", FLAT, Lit("(b g) d -> b g d"), g=num("G")), "B G D"),
    ("einops repeat", call("einops.repeat", tensor("B D"), Lit("b d -> (b g) d"), g=num("G")), "(B G?) D"),
    ("elementwise keeps it", call("torch.exp", FLAT), "(B G) D"),
    ("softmax keeps it", call("torch.softmax", call("torch.matmul", tensor("N D"), call("Tensor.t", FLAT)), Num(-1)),
     "N (B G)"),
    ("gathered", call("torch.cat", call("torch.distributed.nn.all_gather", tensor("B D"))), "(rank:world_size B) D"),
    ("gathered list", call("torch.cat", call("torch.distributed.all_gather", Many(tensor("B D"), SIZE["W"]), tensor("B D"))),
     "(rank:W B) D"),
    ("gathered, stacked", call("torch.stack", call("torch.distributed.nn.all_gather", tensor("B D"))), "rank:world_size B D"),
    ("gathered cat", call("torch.cat", call("torch.distributed.nn.all_gather", TWO)), "(rank:world_size B+B) D"),
    ("gathered into", call("torch.distributed.all_gather_into_tensor",
                           Tensor((Axis(SIZE["W"] * SIZE["B"]), axis("D"))), tensor("B D")), "(rank:W B) D"),
    ("functional gather", call("torch.distributed._functional_collectives.all_gather_tensor", tensor("B D"), Num(0),
                               Lit(None)), "(rank:world_size B) D"),
    ("accelerate", call("accelerate.Accelerator.gather", Lit(None), tensor("B D")), "(rank:world_size B) D"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "wanted"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_order(made: Value, wanted: str) -> None:
    assert orders(made) == wanted


def test_parts_come_back() -> None:
    """chunk, split and unbind undo cat, merge and stack."""
    for name, given in (("torch.chunk", Num(2)), ("torch.split", num("B"))):
        parts = call(name, TWO, given)
        assert isinstance(parts, Items)
        assert [orders(p) for p in parts.items] == ["B D", "B D"]
    back = call("torch.unbind", STACKED, dim=Num(1))
    assert isinstance(back, Items)
    assert [orders(p) for p in back.items] == ["B D", "B D"]


def test_contents() -> None:
    """What the elements of labels are."""
    b, g = SIZE["B"], SIZE["G"]
    labels = call("torch.arange", num("B"))
    strided = call("operator.mul", labels, num("G"))
    for made, wanted in (
        (labels, Affine(0, 1)),
        (strided, Affine(0, g)),
        (call("operator.add", strided, Num(1)), Affine(1, g)),
        (call("Tensor.long", strided), Affine(0, g)),
        (call("Tensor.to", strided, Lit("cuda")), Affine(0, g)),
        (call("Tensor.view", strided, Num(-1)), Affine(0, g)),
        (call("torch.zeros", num("B"), dtype=Lit(None)), Affine(0, 0)),
        (call("torch.full", Items("tuple", (num("B"),)), Num(3)), Affine(3, 0)),
        (call("torch.arange", Num(0), Num(b * g), num("G")), Affine(0, g)),
        (call("operator.add", labels, call("torch.zeros_like", labels)), Affine(0, 1)),
        (index.index(JudgeKit(), labels, (SliceVal(Num(1), Lit(None), Lit(None)),)), Affine(1, 1)),
        (call("Tensor.repeat", labels, Num(2)), None),
        (call("Tensor.repeat_interleave", labels, Num(2)), None),
        (call("torch.exp", labels), None),
    ):
        assert isinstance(made, Tensor)
        assert made.content == wanted
