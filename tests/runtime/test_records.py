"""Dataclasses, NamedTuples, ModelOutput and classes: at construction, at mutation, and as arguments."""

import copy
import dataclasses
import pickle
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import TypedDict

from shapecheck import ContractError, ShapeError, report, shaped

R = torch.randn


@shaped
@dataclass
class Batch:
    q: Float[Tensor, "B D"]
    p: Float[Tensor, "B*{group} D"]
    group: int
    labels: Int[Tensor, " B"] | None = None

    @shaped
    def scores(self) -> Float[Tensor, "B {self.group}"]:
        return torch.einsum("bd,bgd->bg", self.q, self.p.view(len(self.q), self.group, -1))

    def half(self) -> Float[Tensor, "b D"]:
        return self.q[:1]


def good():
    return Batch(R(2, 3), R(8, 3), 4)


def test_construction_reads_all_fields_together():
    assert good().scores().shape == (2, 4)
    assert good().half().shape == (1, 3)
    with pytest.raises(ShapeError, match=r"Batch.p: axis 0 of .* is 7, but B\*\{group\} = 8"):
        Batch(R(2, 3), R(7, 3), 4)
    with pytest.raises(ShapeError, match="Batch.labels: axis 0"):
        Batch(R(2, 3), R(8, 3), 4, labels=torch.zeros(3, dtype=torch.long))


@shaped
def use(batch: Batch) -> int:
    return batch.group


def test_mutation_is_checked_at_once_and_shared_axes_at_the_next_use():
    batch = good()
    before = batch.p
    for wrong in (R(8), R(8, 3).long(), None, 3):
        with pytest.raises(ShapeError, match="Batch.p"):
            batch.p = wrong
    assert batch.p is before
    with pytest.raises(ShapeError, match="Batch.group: str where int"):
        batch.group = "4"
    assert use(batch) == 4
    batch.group = 2
    with pytest.raises(ShapeError, match=r"argument batch.p: axis 0 .* is 8, but B\*\{group\} = 4 with B = 2"):
        use(batch)
    batch.p = R(4, 3)
    assert use(batch) == 2
    batch.labels = torch.zeros(2, dtype=torch.long)
    with pytest.raises(ShapeError, match="Batch.labels"):
        batch.labels = torch.zeros(2)


def test_fields_that_share_an_axis_may_grow_one_after_the_other():
    @shaped
    @dataclass
    class Cache:
        keys: Float[Tensor, "B T D"]
        values: Float[Tensor, "B T D"]

        def append(self, k, v):
            self.keys = torch.cat([self.keys, k], 1)
            self.values = torch.cat([self.values, v], 1)

    cache = Cache(R(2, 0, 4), R(2, 0, 4))
    cache.append(R(2, 1, 4), R(2, 1, 4))
    assert cache.values.shape == (2, 1, 4)
    read = shaped(lambda cache: cache.keys, axes={"cache": Cache})
    assert read(cache).shape == (2, 1, 4)
    cache.keys = R(2, 5, 4)
    with pytest.raises(ShapeError, match="argument cache.values: axis 1"):
        read(cache)


def test_plain_fields_are_checked_too():
    @shaped
    @dataclass
    class Sized:
        n: int
        x: Float[Tensor, "B"]
        name: str = None

    assert Sized(3, R(2)).name is None
    with pytest.raises(ShapeError, match="Sized.n: str where int was declared"):
        Sized("three", R(2))
    with pytest.raises(ShapeError, match="Sized.name: int"):
        Sized(3, R(2), name=4)

    @shaped
    @dataclass
    class OnlyPlain:
        n: int

    with pytest.raises(ShapeError, match="OnlyPlain.n"):
        OnlyPlain("a")


def test_construction_is_what_it_was():
    @shaped
    @dataclass
    class Ordered:
        q: Float[Tensor, "B D"]
        scale: float = 2.0
        p: Float[Tensor, "B D"] = dataclasses.field(default=None, kw_only=True)

    assert list(vars(Ordered(R(2, 3), p=R(2, 3)))) == ["q", "scale", "p"]
    assert Ordered(R(2, 3)).scale == 2.0
    assert dataclasses.asdict(Ordered(R(2, 3), 1.0))["scale"] == 1.0
    with pytest.raises(TypeError, match="missing 1 required"):
        Ordered()
    with pytest.raises(TypeError, match="takes from 2 to 3"):
        Ordered(R(2, 3), 1.0, R(2, 3))


def test_copies_and_pickles_stay_checked():
    for batch in (copy.copy(good()), copy.deepcopy(good()), pickle.loads(pickle.dumps(good()))):
        with pytest.raises(ShapeError):
            batch.q = R(3)
    with pytest.raises(ShapeError):
        dataclasses.replace(good(), q=R(3, 3))


def test_fields_made_in_post_init():
    @shaped
    @dataclass
    class Made:
        n: int
        x: Float[Tensor, "{n} D"] = dataclasses.field(init=False)
        y: Float[Tensor, "D"] = dataclasses.field(default_factory=lambda: R(3))

        def __post_init__(self):
            self.x = R(2, 3)

    assert Made(2).x.shape == (2, 3)
    with pytest.raises(ShapeError, match="Made.x"):
        Made(3)


def test_frozen_slots_and_inheritance():
    @shaped
    @dataclass(frozen=True, slots=True)
    class Frozen:
        x: Float[Tensor, "B D"]

    assert Frozen(R(2, 3)).x.shape == (2, 3)
    with pytest.raises(ShapeError):
        Frozen(R(2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Frozen(R(2, 3)).x = R(2, 3)

    @shaped
    @dataclass
    class Child(Batch):
        extra: Float[Tensor, "B"] = dataclasses.field(default_factory=lambda: R(2))

    assert Child(R(2, 3), R(8, 3), 4).extra.shape == (2,)
    with pytest.raises(ShapeError, match="Child.extra"):
        Child(R(2, 3), R(8, 3), 4, extra=R(3))


def test_a_subclass_that_is_not_checked_itself():
    @dataclass
    class Loose(Batch):
        extra: int = 0

    loose = Loose(R(2, 3), R(8, 3), 4)
    with pytest.raises(ShapeError, match="Batch.p"):
        loose.p = R(7)


class Encoded(NamedTuple):
    ids: Int[Tensor, "N S"]
    mask: Int[Tensor, "N S"]


@dataclass
class Plain:
    q: Float[Tensor, "B D"]
    encoded: Encoded


def test_records_as_arguments_have_their_own_axes():
    @shaped
    def f(queries: Encoded, passages: Encoded, q: Float[Tensor, "N D"]) -> int:
        return 0

    one, other = torch.zeros(2, 3, dtype=torch.long), torch.zeros(8, 5, dtype=torch.long)
    f(Encoded(one, one), Encoded(other, other), R(9, 1))
    with pytest.raises(ShapeError, match="argument passages.mask: axis 0"):
        f(Encoded(one, one), Encoded(other, one), R(9, 1))


def test_nested_records():
    @shaped
    def f(batch: Plain, more: list[Plain] | None = None) -> int:
        return 0

    ids = torch.zeros(2, 3, dtype=torch.long)
    f(Plain(R(2, 3), Encoded(ids, ids)))
    f(Plain(R(2, 3), Encoded(ids, ids)), [Plain(R(2, 3), Encoded(ids, ids))])
    with pytest.raises(ShapeError, match="argument batch.encoded.mask"):
        f(Plain(R(2, 3), Encoded(ids, ids[:1])))
    with pytest.raises(ShapeError, match=r"argument more\[1\].encoded.mask"):
        f(Plain(R(2, 3), Encoded(ids, ids)), [Plain(R(2, 3), Encoded(ids, ids)), Plain(R(2, 3), Encoded(ids, ids[:1]))])
    with pytest.raises(ShapeError, match="argument batch: int where Plain"):
        f(3)


def test_model_output():
    outputs = pytest.importorskip("transformers.utils")

    @shaped
    @dataclass
    class EncoderOutput(outputs.ModelOutput):
        q_reps: Float[Tensor, "B D"] | None = None
        p_reps: Float[Tensor, "B G D"] | None = None
        scores: Float[Tensor, "B G"] | None = None

    out = EncoderOutput(q_reps=R(2, 3), p_reps=R(2, 4, 3))
    assert list(out.keys()) == ["q_reps", "p_reps"]
    with pytest.raises(ShapeError, match="EncoderOutput.p_reps: axis 0"):
        EncoderOutput(q_reps=R(2, 3), p_reps=R(3, 4, 3))
    with pytest.raises(ShapeError, match="EncoderOutput.scores"):
        out.scores = R(2, 2, 4)
    with pytest.raises(ShapeError, match="EncoderOutput.q_reps"):
        out["q_reps"] = R(5)
    assert out.q_reps.shape == out["q_reps"].shape == (2, 3)

    @shaped
    def loss(output: EncoderOutput) -> Float[Tensor, ""]:
        return output.q_reps.sum()

    assert loss(out).shape == ()


def test_model_output_that_is_not_checked_itself_is_checked_as_an_argument():
    outputs = pytest.importorskip("transformers.utils")

    @dataclass
    class Loose(outputs.ModelOutput):
        loss: Float[Tensor, ""] | None = None
        scores: Float[Tensor, "B G"] | None = None

    @shaped
    def f(x: Float[Tensor, "B D"]) -> Loose:
        return Loose(loss=x.sum(), scores=x[None])

    with pytest.raises(ShapeError, match='return value.scores: "B G" has 2 axes, the value has 3'):
        f(R(2, 3))


def test_classes_without_anything_to_check_are_errors():
    with pytest.raises(ContractError, match="nothing to check"):

        @shaped
        class Empty:
            def f(self, x):
                return x


def test_the_report_names_fields():
    entry = next(e for e in report().entries if e.where.endswith("test_records.Batch"))
    assert entry.checked == ["q", "p", "group", "labels"]
    assert entry.how == "at construction and mutation"


Item = TypeVar("Item")
Other = TypeVar("Other")


@dataclass
class Paired(Generic[Item, Other]):
    item: Item
    other: list[Other]
    mask: Float[Tensor, "B 2"]


class Numbered(Paired[Float[Tensor, "B D"], Item]):
    pass


class Row(TypedDict, Generic[Item]):
    item: Item


@pytest.mark.parametrize(
    ("declared", "right", "wrong"),
    [
        (Paired[int, str], Paired(1, ["a"], R(3, 2)), Paired(1, ["a"], R(3, 3))),
        (Paired[int, str], Paired(1, ["a"], R(3, 2)), Paired("1", ["a"], R(3, 2))),
        (Paired[Float[Tensor, "B D"], int], Paired(R(3, 4), [1], R(3, 2)), Paired(R(4, 4), [1], R(3, 2))),
        (Paired[int, Float[Tensor, "B"]], Paired(1, [R(3)], R(3, 2)), Paired(1, [R(3), R(4)], R(3, 2))),
        (Numbered[int], Numbered(R(3, 4), [1], R(3, 2)), Numbered(R(3), [1], R(3, 2))),
        (Row[Float[Tensor, "B"]], {"item": R(3)}, {"item": R(3, 4)}),
        (list[Row[Float[Tensor, "B"]]], [{"item": R(3)}], [{"item": R(3)}, {"item": R(3, 4)}]),
    ],
)
def test_generic_records_are_read_with_their_brackets(declared, right, wrong):
    def take(value, x):
        return x

    take.__annotations__ = {"value": declared, "x": Float[Tensor, "N"]}
    checked = shaped(take)
    checked(right, R(2))
    with pytest.raises(ShapeError, match="argument value"):
        checked(wrong, R(2))
