"""Rows that leak are found and named; rows that do not are never blamed; the call itself notices nothing."""

import importlib.util
import itertools
import random
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from shapecheck import ContractError, ShapeError, report, shaped
from shapecheck.dims.mismatch import RowsLeak
from shapecheck.runtime.build import Builder
from shapecheck.runtime.plan import plan_of
from shapecheck.runtime.report import Entry
from shapecheck.runtime.rerun import bind
from shapecheck.runtime.trial import masks

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


def proved(scorer, values=VALUES):
    names = zoo.wanted(scorer)
    axes = {name: zoo.AXES[name] for name in [*names, "return"] if name in zoo.AXES}
    shaped(scorer, axes=axes, independent="B", first_k=1)(**{name: values[name] for name in names})


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
    assert len(found) <= 2 * (rows - 1).bit_length()
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


# Nothing of the user's is touched.

LEAKS = {
    "relu and the maximum over the batch": lambda x: x.relu() + x.relu().amax(0).detach(),
    "the mean over the batch": lambda x: x.square() + x.square().mean(0).detach(),
    "the neighbour's row": lambda x: x.abs() + x.abs().roll(1, 0).detach(),
    "scaled by the batch": lambda x: x.abs() * x.abs().mean().detach(),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", LEAKS)
def test_leaks_without_gradient_in_each_dtype(name, dtype):
    for seed in range(5):
        torch.manual_seed(seed)
        x = R(8, 16).to(dtype)
        with pytest.raises(ShapeError, match="depends on row"):
            shaped(LEAKS[name], axes={"x": "B D", "return": "B D"}, independent="B")(x)
        shaped(lambda x: x.softmax(1) + x.amax(1, True), axes={"x": "B D", "return": "B D"}, independent="B")(x)


def test_random_numbers_of_other_libraries_and_own_generators():
    own, old, new = torch.Generator().manual_seed(0), np.random.RandomState(0), np.random.default_rng(0)
    mine = random.Random(0)
    draws = {
        "random": lambda x: x * 2 if random.random() < 0.5 else x,
        "numpy": lambda x: x * torch.from_numpy(np.random.rand(*x.shape)).to(x),
        "own": lambda x: x + torch.randn(x.shape, generator=own),
        "old": lambda x: x + float(old.rand()),
        "new": lambda x: x + float(new.random()),
        "mine": lambda x: x + mine.random(),
    }
    for draw in draws.values():
        random.seed(1), np.random.seed(1)
        state = own.get_state().clone(), random.getstate(), np.random.get_state()[1].tolist(), mine.getstate()
        shaped(draw, axes={"x": "B D", "return": "B D"}, independent="B", first_k=1)
        checked = shaped(draw, axes={"x": "B D", "return": "B D"}, independent="B", first_k=1)
        prove_only(checked, R(8, 4))
        after = own.get_state(), random.getstate(), np.random.get_state()[1].tolist(), mine.getstate()
        assert torch.equal(state[0], after[0])
        assert state[1:] == after[1:]


def prove_only(checked, x):
    """The proof, without the call after it, which draws as every call does."""
    from shapecheck.runtime import independence

    plan = plan_of(checked.__wrapped__, Builder(), {}, {"x": "B D", "return": "B D"})
    independence.prove(plan, "B", *bind(plan, (x,), {}), Entry("here"))


def test_what_draws_from_elsewhere_is_no_leak_but_refused():
    import itertools

    counter = itertools.count()
    checked = shaped(lambda x: x + next(counter), axes={"x": "B D", "return": "B D"}, independent="B", first_k=1)
    with pytest.warns(RuntimeWarning, match="not proved independent: two runs of one call differ"):
        checked(R(4, 3))


class Trainer:
    """No module, and with parts that no copy is made of."""

    def __init__(self, part):
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
        self.part = part
        self.queue = torch.zeros(4)

    def embed(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        self.net(x)
        self.queue += x.mean(0)
        return self.net[0](x)


@pytest.mark.parametrize("kind", ["lock", "file", "generator"])
def test_what_cannot_be_copied_is_refused_loudly_and_not_touched(kind, tmp_path):
    part = {"lock": threading.Lock(), "file": open(tmp_path / "log", "w"), "generator": (n for n in range(3))}[kind]  # noqa: SIM115
    trainer = Trainer(part)
    before = trainer.net[1].running_mean.clone()
    prove = shaped(Trainer.embed, independent="B", first_k=1)
    x = R(8, 4)
    if kind == "lock":
        prove(trainer, x)
    else:
        with pytest.warns(RuntimeWarning, match="Trainer cannot be copied"):
            prove(trainer, x)
    moved = trainer.net[1].running_mean
    torch.testing.assert_close(moved, 0.9 * before + 0.1 * trainer.net[0](x).mean(0))
    torch.testing.assert_close(trainer.queue, x.mean(0))
    assert trainer.net[1].num_batches_tracked == 1


NET = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
SEEN = {"mean": torch.zeros(4)}


def helper(x):
    NET(x)
    SEEN["mean"].copy_(x.mean(0))
    return NET[0](x)


def test_what_a_function_reaches_by_name_is_put_back():
    queue = torch.zeros(4)

    @shaped(independent="B", first_k=1)
    def embed(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        queue.data += 1
        return helper(x)

    x = R(8, 4)
    embed(x)
    assert NET[1].num_batches_tracked == 1
    assert torch.isfinite(NET[1].running_var).all()
    torch.testing.assert_close(SEEN["mean"], x.mean(0))
    assert queue.tolist() == [1.0] * 4
    entry = next(e for e in report().entries if e.where.endswith("put_back.<locals>.embed"))
    assert any("which was put back" in note for note in entry.notes)


def test_parameters_that_a_body_changes_in_place():
    table = torch.nn.Embedding(9, 3, max_norm=0.1)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(9, 3, max_norm=0.1)

        @shaped(independent="B", first_k=1)
        def forward(self, ids: Int[Tensor, "B"]) -> Float[Tensor, "B 3"]:
            return self.table(ids)

    model = Model()
    before = model.table.weight[5:].clone()
    model(torch.tensor([0, 1, 2, 3]))
    torch.testing.assert_close(model.table.weight[5:], before)
    assert table is not None


def test_a_default_device_that_is_not_the_calls():
    torch.set_default_device("meta")
    try:
        checked = shaped(lambda x: x.sum(1), axes={"x": "B D", "return": "B"}, independent="B")
        assert checked(torch.ones(4, 3, device="cpu")).device.type == "cpu"
        leak = shaped(lambda x: x - x.mean(0), axes={"x": "B D", "return": "B D"}, independent="B")
        with pytest.raises(ShapeError, match="depends on row"):
            leak(torch.arange(12.0, device="cpu").view(4, 3))
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("shared", [lambda n: n.max(), lambda n: n.min()])
def test_an_extreme_of_integers_that_several_rows_share_is_found(shared):
    leaking = shaped(
        lambda x, n: x * (n / shared(n))[:, None], axes={"x": "B D", "n": "B", "return": "B D"}, independent="B"
    )
    with pytest.raises(ShapeError, match="row"):
        leaking(torch.randn(6, 4), torch.tensor([1, 5, 5, 1, 5, 1]))
