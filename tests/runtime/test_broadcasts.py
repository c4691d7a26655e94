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
    "row against its own matrix": lambda: R(4, 4) * R(4),
    "reversed": lambda: R(4).__rmul__(R(4, 1)),
    "in place": lambda: R(4, 4).add_(R(4)),
    "augmented": lambda: R(4, 4).__imul__(R(4)),
    "comparison": lambda: R(4) == R(4, 1),
    "where": lambda: torch.where(R(4, 1) > 0, R(4), R(4)),
    "logical": lambda: (R(4) > 0) & (R(4, 1) > 0),
    "function": lambda: torch.maximum(R(4), R(4, 4)),
    "loss": lambda: F.mse_loss(R(4), R(4, 1)),
    "module loss": lambda: nn.SmoothL1Loss()(R(4), R(4, 1)),
    "similarity expanded": lambda: torch.lerp(R(4, 1), R(4, 1), R(4)),
    "crossed embeddings": lambda: R(4, 8) - R(4, 1, 8),
    "with gradient": lambda: R(4, requires_grad=True) - R(4, 1, requires_grad=True),
    "loss with gradient": lambda: F.mse_loss(R(4, requires_grad=True), R(4, 1)),
    # the same under other names
    **{
        name: (lambda f=f: f(torch.rand(4), torch.rand(4, 1)))
        for name, f in {
            "sub": torch.sub,
            "subtract": torch.subtract,
            "multiply": torch.multiply,
            "divide": torch.divide,
            "true_divide": torch.true_divide,
            "not_equal": torch.not_equal,
            "greater_equal": torch.greater_equal,
            "//": lambda a, b: a // b,
            "%": lambda a, b: a % b,
            "**": lambda a, b: a**b,
            "hypot": torch.hypot,
            "logaddexp": torch.logaddexp,
            "atan2": torch.atan2,
            "isclose": torch.isclose,
            "allclose": torch.allclose,
            "dist": torch.dist,
            "kl_div": F.kl_div,
            "l1": F.l1_loss,
            "huber": F.huber_loss,
            "poisson": F.poisson_nll_loss,
            "hinge_embedding": F.hinge_embedding_loss,
            "method": lambda a, b: a.sub(b),
            "out": lambda a, b: torch.sub(a, b, out=torch.empty(4, 4)),
            "halved": lambda a, b: torch.add(a.bfloat16(), b.bfloat16()),
        }.items()
    },
    # what is compared has one rank
    "cosine of ranks": lambda: F.cosine_similarity(R(4, 8), R(8)),
    "distance of ranks": lambda: F.pairwise_distance(R(4, 8), R(8)),
    "loss of ranks": lambda: F.mse_loss(R(5, 4, 1), R(4, 1)),
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
    "batched matmul": lambda: R(2, 5, 4, 4) @ R(5, 4, 4),
    "parameter": lambda: R(4, 3) * nn.Parameter(R(3)),
    "encoder": lambda: nn.TransformerEncoderLayer(4, 1, 8, batch_first=True)(R(2, 3, 4)),
    "expand": lambda: R(4, 3) * R(3).expand(4, 3),
    "expand_as": lambda: R(4, 1).expand_as(R(4, 4)) + torch.broadcast_tensors(R(4), R(4, 4))[0],
    "loss": lambda: F.mse_loss(R(4), R(4)),
    "cross entropy": lambda: F.cross_entropy(R(4, 3), torch.tensor([0, 1, 2, 0])),
    "einsum": lambda: torch.einsum("bd,d->bd", R(4, 3), R(3)),
    "index": lambda: R(4, 4)[torch.arange(4), torch.arange(4)] + R(4, 3).gather(1, torch.zeros(4, 1).long())[:, 0],
    "distances": lambda: torch.cdist(R(4, 3), R(5, 3)) + F.embedding(torch.arange(4), R(9, 5)),
}
PURPOSE = {
    "positions": lambda: R(4, 5, 8) + R(5, 8),
    "class bias": lambda: R(4, 3) + R(3),
    "running mean": lambda: (R(4, 8) - R(8)) / R(8).abs().sqrt(),
    "lengths": lambda: torch.arange(5) < torch.randint(1, 5, (4, 1)),
    "rotary tables": lambda: R(4, 2, 5, 8) * R(5, 8) + R(4, 2, 5, 8) * R(5, 8),
    "causal mask": lambda: R(4, 2, 5, 5).masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), -9.0),
    "mask of keys": lambda: F.scaled_dot_product_attention(R(4, 2, 5, 8), R(4, 2, 5, 8), R(4, 2, 5, 8), R(5, 5)),
    "pos_weight": lambda: F.binary_cross_entropy_with_logits(R(4, 3), torch.rand(4, 3), pos_weight=torch.rand(3)),
    "weights of classes": lambda: F.cross_entropy(R(4, 3), torch.tensor([0, 1, 2, 0]), weight=torch.rand(3)),
    "prototypes": lambda: R(4, 1, 8) - R(3, 8),
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


@pytest.mark.parametrize("name", PURPOSE)
def test_what_models_do_on_purpose(name):
    with no_broadcast("rank"):
        PURPOSE[name]()


def test_nothing_is_written_before_it_is_refused():
    x = torch.ones(4, 4)
    with pytest.raises(ShapeError), no_broadcast():
        x += R(4)
    assert torch.equal(x, torch.ones(4, 4))


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
