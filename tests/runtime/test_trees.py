# ruff: noqa: F841  (a local that only its annotation speaks of)
"""Pytrees whose structures have names: `PyTree[X, "T"]`, `"T ..."`, `"... T"`, `"S T"`."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from shapecheck import ShapeError, check, shaped

pytest.importorskip("jax")

from jaxtyping import PyTree

R = torch.randn


def test_two_trees_of_one_structure():
    @shaped
    def step(params: PyTree[Float[Tensor, "?n"], "T"], grads: PyTree[Float[Tensor, "?n"], "T"]) -> None: ...

    step(R(2), R(2))
    step({"w": R(2), "b": [R(3)]}, {"w": R(2), "b": [R(3)]})
    with pytest.raises(ShapeError, match="argument grads: PyTreeDef.* where the structure T, PyTreeDef"):
        step({"w": R(2), "b": [R(3)]}, {"w": R(2), "b": (R(3),)})
    with pytest.raises(ShapeError, match="axis 0"):
        step([R(2), R(3)], [R(3), R(2)])


@pytest.mark.parametrize(
    ("structure", "right", "wrong"),
    [
        ("T ...", ({"a": "x"}, "y"), ("x", "y", "z")),
        ("... T", {"a": ("x", "y"), "b": ("x", "y")}, {"a": ("x", "y"), "b": "x"}),
        ("T S", ({"k": "x"}, {"k": "y"}), {"k": ("x", "y")}),
        ("S T", {"k": ("x", "y")}, ({"k": "x"}, {"k": "y"})),
        ("S", {"k": "x"}, {"j": "x"}),
    ],
)
def test_structures_made_of_others(structure, right, wrong):
    @shaped
    def f(x: PyTree[int, "T"], y: PyTree[int, "S"], z: PyTree[str, structure]) -> None: ...

    f((1, 2), {"k": 3}, right)
    with pytest.raises(ShapeError, match="argument z"):
        f((1, 2), {"k": 3}, wrong)


def test_results_locals_and_records_keep_to_it():
    @shaped
    def same(x: PyTree[Float[Tensor, "..."], "T"], out: object) -> PyTree[Float[Tensor, "..."], "T"]:
        return out

    assert same([R(2)], [R(3)])[0].shape == (3,)
    with pytest.raises(ShapeError, match="return value: PyTreeDef"):
        same([R(2)], R(3))

    @shaped
    def within(x: PyTree[Float[Tensor, "..."], "T"], out: object) -> None:
        y: PyTree[Float[Tensor, "..."], "T"] = out

    within((R(2), R(2)), (R(1), R(1)))
    with pytest.raises(ShapeError, match="y: PyTreeDef"):
        within((R(2), R(2)), [R(1), R(1)])


def test_a_name_that_nothing_binds_is_said_and_any_is_only_its_structure():
    from typing import Any

    @shaped
    def f(x: PyTree[Any, "T"], y: PyTree[Any, "T ..."]) -> None: ...

    f((1, None), ("a", None))
    with pytest.raises(ShapeError, match="argument y"):
        f((1, 2), ("a",))

    @shaped
    def g(y: PyTree[int, "S T"]) -> None: ...

    with pytest.raises(ShapeError, match="nothing before has bound S, T"):
        g(1)


def test_optional_trees_are_compared_too():
    @shaped
    def f(x: PyTree[int, "T"], y: PyTree[Float[Tensor, "B"], "T"] | None = None) -> None:
        check(R(2), "B")

    f([1])
    f([1], [R(2)])
    with pytest.raises(ShapeError, match="argument y"):
        f([1], R(2))
    with pytest.raises(ShapeError, match="axis 0"):
        f([1], [R(3)])
