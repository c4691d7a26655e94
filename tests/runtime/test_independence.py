"""Rows that leak are found and named; rows that do not are never blamed; the call itself notices nothing."""

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from shapecheck import ContractError, ShapeError, report, shaped
from shapecheck.dims.mismatch import RowsLeak
from shapecheck.runtime.independence import masks

R = torch.randn


def load(name):
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


zoo = load("runtime_zoo")
B, G, D = 4, 8, 16
VALUES = zoo.inputs(B, G, D)


def proved(scorer):
    names = zoo.wanted(scorer)
    axes = {name: zoo.AXES[name] for name in [*names, "return"] if name in zoo.AXES}
    shaped(scorer, axes=axes, independent="B", first_k=1)(**{name: VALUES[name] for name in names})


@pytest.mark.parametrize("name", zoo.correct(D))
def test_correct_scorers_are_not_blamed(name):
    proved(zoo.correct(D)[name])


# a maximum over integers that several rows share does not move when one of them does
BLIND = {"positions by the batch maximum"}


@pytest.mark.parametrize("name", [n for n in zoo.leaky(D) if n not in BLIND])
def test_leaks_are_found(name):
    with pytest.raises(ShapeError, match="rows were declared independent") as caught:
        proved(zoo.leaky(D)[name])
    leak = caught.value.mismatch.problem
    assert isinstance(leak, RowsLeak)
    assert leak.row != leak.other


def test_the_zoo_is_large_enough():
    assert len(zoo.correct(D)) >= 40
    assert len(zoo.leaky(D)) >= 40
    assert len(BLIND) <= 0.05 * len(zoo.leaky(D))


@pytest.mark.parametrize("rows", [2, 3, 4, 7, 8, 9, 33])
def test_masks_separate_every_ordered_pair(rows):
    found = list(masks(rows))
    assert len(found) == 2 * (rows - 1).bit_length()
    for i, j in itertools.permutations(range(rows), 2):
        assert any(mask[i] and not mask[j] for mask in found)


def test_the_sentence_names_both_rows_and_the_argument():
    @shaped(independent="B")
    def neighbour(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
        return torch.einsum("bd,bgd->bg", q, p.roll(1, 0))

    with pytest.raises(ShapeError) as caught:
        neighbour(R(4, 3), R(4, 2, 3))
    leak = caught.value.mismatch.problem
    assert leak.source == "argument p"
    assert (leak.row - 1) % 4 == leak.other
    assert str(caught.value).endswith("neighbour was called with q (4, 3), p (4, 2, 3)")


def test_only_the_first_calls_with_two_rows_are_proved():
    runs = []

    @shaped(independent="B", first_k=2)
    def score(q: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        runs.append(len(q))
        return q.sum(1)

    for size, made in ((1, 1), (4, None), (4, None), (4, 1)):
        before = len(runs)
        score(R(size, 3))
        assert (len(runs) - before == made) if made else len(runs) - before > 4


class Stateful(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3)
        self.drop = torch.nn.Dropout(0.5)
        self.calls = 0

    @shaped(independent="B", first_k=1)
    def forward(self, q: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        self.calls += 1
        if self.norm.training:
            self.norm(q)  # moves the running statistics, and nothing else
        return self.drop(q) * self.norm.weight


def test_the_call_notices_nothing():
    module, plain = Stateful(), Stateful()
    q = R(4, 3)
    torch.manual_seed(7)
    out = module(q)
    torch.manual_seed(7)
    expected = plain.forward.__wrapped__(plain, q)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(module.norm.running_mean, plain.norm.running_mean)
    assert module.calls == 1
    assert torch.isfinite(module.norm.running_var).all()
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.rand(1) == (torch.manual_seed(7), plain.forward.__wrapped__(plain, q), torch.rand(1))[2]


def test_batchnorm_in_training_is_a_leak():
    class Normed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(3)

        @shaped(independent="B")
        def forward(self, q: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3"]:
            return self.norm(q)

    with pytest.raises(ShapeError, match="row . along B depends on row . of argument q"):
        Normed()(R(4, 3))
    Normed().eval()(R(4, 3))


def test_containers_and_flat_axes():
    @shaped(independent="B")
    def score(
        parts: list[Float[Tensor, "B D"]], flat: dict[str, Float[Tensor, "B*{g} D"]], g: int, swap: bool
    ) -> tuple[Float[Tensor, "B {g}"], Float[Tensor, "B*{g}"]]:
        order = (g, -1) if swap else (-1, g)
        p = flat["p"].view(*order, flat["p"].size(1))
        if swap:
            p = p.transpose(0, 1)
        scores = torch.einsum("bd,bgd->bg", sum(parts), p)
        return scores, scores.flatten()

    args = ([R(4, 3), R(4, 3)], {"p": R(8, 3)}, 2)
    score(*args, swap=False)

    with pytest.raises(ShapeError, match=r"depends on row . of argument flat\['p'\]"):
        shaped(independent="B")(score.__wrapped__)(*args, swap=True)


def test_group_major_columns():
    @shaped(independent="B")
    def score(q: Float[Tensor, "B D"], p: Float[Tensor, "{g}*B D"], g: int) -> Float[Tensor, "{g} B"]:
        return (p.view(g, len(q), -1) * q).sum(-1)

    assert score(R(4, 3), R(8, 3), 2).shape == (2, 4)


def test_integer_inputs():
    table = torch.nn.Embedding(9, 3)

    @shaped(independent="B")
    def embed(ids: Int[Tensor, "B S"], leak: bool) -> Float[Tensor, "B 3"]:
        pooled = table(ids).mean(1)
        return pooled - pooled.mean(0) if leak else pooled

    ids = torch.arange(8).view(4, 2)
    embed(ids, False)
    with pytest.raises(ShapeError, match="argument ids"):
        shaped(independent="B")(embed.__wrapped__)(ids, True)


def test_under_vmap_the_call_is_left_alone():
    rows = shaped(zoo.correct(D)["einsum"], axes={"q": "B D", "p": "B G D", "return": "B G"}, independent="B")
    assert torch.vmap(rows)(R(2, 4, 3), R(2, 4, 5, 3)).shape == (2, 4, 5)


def test_inference_mode_and_no_grad():
    for context in (torch.inference_mode(), torch.no_grad()):
        with context:
            proved(zoo.correct(D)["softmax over the group"])
            with pytest.raises(ShapeError):
                proved(zoo.leaky(D)["softmax over rows"])


def test_wrong_shapes_are_said_first():
    @shaped(independent="B")
    def score(q: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        return q.sum(1)

    with pytest.raises(ShapeError, match='argument q: "B D" has 2 axes'):
        score(R(4))


def test_a_body_that_fails_fails_as_itself():
    @shaped(independent="B")
    def broken(q: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        raise KeyError("its own")

    with pytest.raises(KeyError, match="its own"):
        broken(R(4, 3))
    entry = next(e for e in report().entries if e.where.endswith("broken"))
    assert any("a copy of the call failed (KeyError" in note for note in entry.notes)


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        ({"x": "N D", "return": "B"}, "no argument has an axis B"),
        ({"x": "B D", "return": ""}, "the result has no axis B"),
        ({"x": "B+1", "return": "B"}, "no argument has an axis B|reads B"),
    ],
)
def test_what_cannot_be_proved_is_an_error_at_decoration(axes, text):
    with pytest.raises(ContractError, match=text):
        shaped(lambda x: x, axes=axes, independent="B")


def test_coroutines_cannot_be_proved():
    with pytest.raises(ContractError, match="coroutine"):

        @shaped(independent="B")
        async def f(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
            return x
