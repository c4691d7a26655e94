"""jaxtyping with beartype: asked at first calls and before an error, and heard."""

from collections.abc import Iterator

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from shapecheck import ShapeError, shaped
from shapecheck.runtime.build import Builder
from shapecheck.runtime.judge import Judge, opinion
from shapecheck.runtime.plan import plan_of

R = torch.randn


def function(q: Float[Tensor, "B D"], p: Float[Tensor, "B*G"] = None, k: int = 1) -> Float[Tensor, "D B"]:
    return q.T


def judge_of(fn):
    return Judge(plan_of(fn, Builder(), {}))


def test_it_refuses_what_guards_would_have_had_to_refuse():
    judge = judge_of(function)
    judge((("q", R(2, 3)), ("p", None), ("k", 1)))
    with pytest.raises(ShapeError, match="the guards take .*, jaxtyping with beartype does not") as caught:
        judge((("q", R(2)), ("p", None), ("k", 1)))
    assert caught.value.judge == "rejects"
    assert "Tensor (2,)" in str(caught.value)


def test_it_sees_the_result_with_the_sizes_of_the_arguments():
    judge = judge_of(function)
    judge.of_result((("B", 2), ("D", 3)), R(3, 2))
    with pytest.raises(ShapeError, match="jaxtyping with beartype does not"):
        judge.of_result((("B", 2), ("D", 3)), R(2, 3))


def test_expressions_before_their_names_are_beyond_it():
    judge_of(function)((("q", R(2, 3)), ("p", R(7)), ("k", 1)))  # it raises AnnotationError: no verdict


@pytest.mark.parametrize(
    ("value", "sizes", "said"),
    [(R(2, 3), {"B": 2}, "accepts"), (R(2, 3), {"B": 4}, "rejects"), (R(2, 3), {}, "accepts"), (None, {}, "rejects")],
)
def test_an_opinion_on_one_value(value, sizes, said):
    hint = Float[Tensor, "B D"]
    assert opinion(hint, Builder().build(hint), value, sizes) == said


def test_the_first_call_meets_it_and_later_ones_do_not(monkeypatch):
    asked = []
    monkeypatch.setattr(Judge, "__call__", lambda self, values: asked.append("arguments"))
    monkeypatch.setattr(Judge, "of_result", lambda self, sizes, result: asked.append("result"))
    for source in (True, False):
        text = "lambda q: q.T"
        f = shaped(function) if source else shaped(eval(text), axes={"q": "B D", "return": "D B"})
        for _ in range(3):
            f(R(2, 3))
        assert asked == ["arguments", "result"]
        asked.clear()


def test_a_generator_meets_it_for_its_arguments(monkeypatch):
    asked = []
    monkeypatch.setattr(Judge, "__call__", lambda self, values: asked.append("arguments"))

    @shaped
    def items(x: Float[Tensor, "B D"]) -> Iterator[Float[Tensor, " D"]]:
        yield x[0]

    for _ in range(3):
        list(items(R(2, 3)))
    assert asked == ["arguments"]


def test_one_wrong_item_is_judged_the_same_way_each_time():
    """beartype looks at one item by chance; a guard at all of them."""
    for _ in range(20):

        @shaped
        def f(x: Float[Tensor, "B"], ids: list[int], by: dict[str, list[int]]):
            return x

        f(R(2), [1, 2], {"a": [1]})
        for ids, by in (([1, "a"], {}), ([], {"a": [1, "b"]}), ([], {1: [1]})):
            with pytest.raises(ShapeError, match="str where int|int where str"):
                f(R(2), ids, by)


def test_a_result_that_is_an_argument_turned_in_place():
    @shaped
    def flip(x: Float[Tensor, "B D"]) -> Float[Tensor, "D B"]:
        return x.t_()

    for _ in range(2):
        assert flip(R(2, 3)).shape == (3, 2)
