"""Implicit broadcasts, raised or recorded; sizes that coincide, decoupled."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from shapecheck import ShapeError, no_broadcast, report, shaped

R = torch.randn

RANK = {
    "column against row": lambda: R(4) - R(4, 1),
    "row against matrix": lambda: R(4, 3) * R(3),
    "reversed": lambda: R(3).__rmul__(R(4, 3)),
    "in place": lambda: R(4, 3).add_(R(3)),
    "augmented": lambda: R(4, 3).__imul__(R(3)),
    "comparison": lambda: R(4) == R(4, 1),
    "where": lambda: torch.where(R(4, 1) > 0, R(4), R(4)),
    "logical": lambda: (R(4) > 0) & (R(4, 1) > 0),
    "function": lambda: torch.maximum(R(4), R(2, 4)),
    "loss": lambda: F.mse_loss(R(4), R(4, 1)),
    "module loss": lambda: nn.SmoothL1Loss()(R(4), R(4, 1)),
    "similarity expanded": lambda: torch.lerp(R(4, 3), R(4, 3), R(3)),
}
STRICT = {
    "stretched column": lambda: R(4, 1) * R(4, 3),
    "all pairs": lambda: R(4, 1, 3) - R(1, 4, 3),
}
FINE = {
    "equal": lambda: R(4, 3) + R(4, 3),
    "scalar": lambda: R(4, 3) * 2 + torch.tensor(1.0),
    "linear": lambda: F.linear(R(4, 3), R(2, 3), R(2)),
    "matmul": lambda: R(4, 3) @ R(2, 3, 5),
    "parameter": lambda: R(4, 3) * nn.Parameter(R(3)),
    "encoder": lambda: nn.TransformerEncoderLayer(4, 1, 8, batch_first=True)(R(2, 3, 4)),
    "expand": lambda: R(4, 3) * R(3).expand(4, 3),
    "loss": lambda: F.mse_loss(R(4), R(4)),
    "cross entropy": lambda: F.cross_entropy(R(4, 3), torch.tensor([0, 1, 2, 0])),
    "einsum": lambda: torch.einsum("bd,d->bd", R(4, 3), R(3)),
}


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("name", RANK)
def test_rank(name):
    with pytest.raises(ShapeError, match="broadcasts to"), no_broadcast("rank"):
        RANK[name]()


@pytest.mark.parametrize("name", STRICT)
def test_strict(name):
    with no_broadcast("rank"):
        STRICT[name]()
    with pytest.raises(ShapeError, match="broadcasts to"), no_broadcast("strict"):
        STRICT[name]()


@pytest.mark.parametrize("name", FINE)
def test_fine(name):
    with no_broadcast("rank"):
        FINE[name]()
    if name != "parameter":
        with no_broadcast("strict"):
            FINE[name]()


def test_the_sentence_names_the_operation_the_shapes_and_the_line():
    line = inspect.currentframe().f_lineno + 2
    with pytest.raises(ShapeError) as caught, no_broadcast():
        R(4) - R(4, 1)
    assert str(caught.value).startswith(f"{__file__}:{line}: sub of (4,) with (4, 1) broadcasts to (4, 4)")


def test_record():
    with no_broadcast("strict", action="record") as seen:
        (R(4) - R(4, 1)).mean()
        STRICT["all pairs"]()
    assert [(found.op, found.shapes) for found in seen.found] == [
        ("sub", ((4,), (4, 1))),
        ("sub", ((4, 1, 3), (1, 4, 3))),
    ]


def test_backward_is_not_looked_at():
    x = R(4, 3, requires_grad=True)
    with no_broadcast("strict"):
        F.layer_norm(x, (3,)).sum().backward()


@pytest.mark.parametrize("choice", [("ranks", "raise"), ("rank", "warn")])
def test_other_words_are_errors(choice):
    with pytest.raises(ValueError, match="no_broadcast"):
        no_broadcast(*choice)


# Decoupling: with B = G = D every one of these is silent.

HIDDEN = {
    "means over the wrong axis": lambda q, p: torch.einsum("bd,bgd->bg", q, p).T,
    "crossed": lambda q, p: q @ p[:, 0].T,
    "wrong reduction": lambda q, p: p.sum(1),
    "transposed group": lambda q, p: (q[:, None] * p).sum(1),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_equal_sizes_hide_nothing_when_decoupled(name):
    axes = {"q": "B D", "p": "B G D", "return": "B G"}
    args = (R(4, 4), R(4, 4, 4))
    shaped(HIDDEN[name], axes=axes)(*args)
    with pytest.raises(ShapeError, match="found by decoupling the sizes of this call: B = 7, D = 11, G = 13"):
        shaped(HIDDEN[name], axes=axes, decouple=True)(*args)


def test_decoupling_takes_what_is_right():
    runs = []

    @shaped(decouple=True)
    def score(
        q: Float[Tensor, "B D"], p: Float[Tensor, "B*{g} D"], g: int, more: list[Float[Tensor, "#B *s"]]
    ) -> Float[Tensor, "B {g}"]:
        runs.append(q.device.type)
        return torch.einsum("bd,bgd->bg", q, p.view(len(q), g, -1))

    for _ in range(2):
        assert score(R(4, 4), R(16, 4), 4, [R(1, 2), R(4, 2)]).shape == (4, 4)
    assert runs == ["meta", "cpu", "cpu"]


def test_weights_keep_their_size():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        @shaped(decouple=True)
        def forward(self, x: Float[Tensor, "B D"], flip: bool) -> Float[Tensor, "B D"]:
            y = self.linear(x)
            return y.T if flip else y

    Head()(R(4, 4), False)
    with pytest.raises(ShapeError, match="found by decoupling"):
        shaped(decouple=True)(Head.forward.__wrapped__)(Head(), R(4, 4), True)


def test_what_decoupling_could_not_try_is_reported():
    @shaped(decouple=True)
    def fixed_width(x: Float[Tensor, "B D"], y: Float[Tensor, "D E"]) -> Float[Tensor, "B E"]:
        return x @ (torch.zeros(3, 3) + y)

    fixed_width(R(3, 3), R(3, 3))
    entry = next(e for e in report().entries if e.where.endswith("fixed_width"))
    assert any(note.startswith("decouple: the body does not run") for note in entry.notes)
