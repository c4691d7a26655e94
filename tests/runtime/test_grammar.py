"""The whole grammar: tables of what fits and what does not, and a small differential fuzz against jaxtyping."""

import importlib.util
import warnings
from pathlib import Path

import pytest
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from shapecheck import ContractError, ShapeError, shaped
from shapecheck.runtime.scope import broadcast_shapes

E = torch.empty

# axes of the arguments in order, shapes that fit, shapes that do not, and the words for the first of those
TABLE = [
    (
        ["B D", "B"],
        [[(2, 3), (2,)], [(1, 1), (1,)]],
        [[(2, 3), (3,)], [(2,), (2,)], [(2, 3), ()]],
        "argument b: axis 0",
    ),
    (["N N"], [[(3, 3)]], [[(3, 4)], [(3,)]], "axis 1"),
    (["", "3"], [[(), (3,)]], [[(1,), (3,)], [(), (4,)]], "argument a: 0 axes expected, got 1"),
    (["_ B _", "B"], [[(1, 2, 3), (2,)]], [[(1, 2, 3), (3,)]], "axis 0"),
    (["... D", "D"], [[(3,), (3,)], [(1, 2, 3), (3,)]], [[(), (3,)], [(1, 2), (3,)]], "at least 1 axis"),
    (["B ... D", "B D"], [[(2, 3), (2, 3)], [(2, 9, 9, 3), (2, 3)]], [[(2, 9, 3), (9, 3)]], "axis 0"),
    (["*b D", "*b"], [[(3,), ()], [(1, 2, 3), (1, 2)]], [[(1, 2, 3), (2,)], [(3,), (3,)]], r"\*b of .* is \(2,\)"),
    (["*b D", "*b E", "*b"], [[(5, 1), (5, 2), (5,)]], [[(5, 1), (4, 2), (5,)]], r"\*b"),
    (["#B D", "B D"], [[(1, 3), (4, 3)], [(4, 3), (4, 3)]], [[(2, 3), (4, 3)]], "axis 0"),
    (["B", "#B"], [[(4,), (1,)], [(4,), (4,)], [(1,), (1,)]], [[(4,), (2,)], [(1,), (4,)]], "axis 0"),
    (["#B", "#B", "B"], [[(1,), (5,), (5,)], [(1,), (1,), (7,)]], [[(1,), (5,), (4,)]], "axis 0"),
    (["#4"], [[(1,)], [(4,)]], [[(2,)]], "not 4"),
    (["#*b D", "#*b D"], [[(1, 3), (5, 3)], [(2, 1, 3), (4, 3)]], [[(2, 3), (3, 3)]], "does not broadcast"),
    (["*b", "#*b"], [[(2, 3), (3,)], [(2, 3), (1, 1)]], [[(2, 3), (2,)], [(3,), (2, 3)]], "does not broadcast"),
    (["#*b", "*b"], [[(1, 3), (2, 3)]], [[(2, 3), (3,)], [(2,), (3,)]], r"\*b"),
    (["B G", "B*G"], [[(2, 3), (6,)]], [[(2, 3), (5,)]], r"B\*G = 6 with B = 2 by argument a, axis 0, G = 3"),
    (["B*G", "B", "G"], [[(6,), (2,), (3,)]], [[(5,), (2,), (3,)]], "argument a: axis 0 .* is 5, but B.G = 6"),
    (["B B+1 2*B-1"], [[(3, 4, 5)]], [[(3, 3, 5)]], r"B\+1 = 4"),
    (["B", "#B*2"], [[(3,), (6,)], [(3,), (1,)]], [[(3,), (3,)]], r"B\*2 = 6"),
    (["B", "B//2 B%2 B/1"], [[(5,), (2, 1, 5)]], [[(5,), (3, 1, 5)]], "B//2 = 2"),
    (["B C", "min(B,C) max(B,C)"], [[(2, 3), (2, 3)]], [[(2, 3), (3, 2)]], r"min\(B,C\) = 2"),
    (["B", "B//0"], [], [[(3,), (3,)]], "impossible"),
    (["rows=2 D", "D"], [[(2, 3), (3,)]], [[(3, 3), (3,)]], "not 2"),
]


def function(axes):
    return shaped(eval(f"lambda {', '.join('abcdef'[: len(axes)])}: None"), axes=dict(zip("abcdef", axes)))


@pytest.mark.parametrize(("axes", "fit", "misfit", "words"), TABLE, ids=[" | ".join(a) for a, *_ in TABLE])
def test_what_fits_and_what_does_not(axes, fit, misfit, words):
    f = function(axes)
    for shapes in fit:
        f(*(E(s) for s in shapes))
    for number, shapes in enumerate(misfit):
        with pytest.raises(ShapeError, match=words if number == 0 else None):
            f(*(E(s) for s in shapes))


class Config:
    def __init__(self, dim):
        self.dim = dim
        self.dims = [dim]


@pytest.mark.parametrize(
    ("axes", "fit", "misfit"),
    [
        ("{config.dim}", (7,), (6,)),
        ("{config.dim}*2 {config.dims[0]}", (14, 7), (14, 6)),
        ("{len(config.dims)}", (1,), (7,)),
        ("{config.dim:d}", (7,), (6,)),
        ("1{config.dim}", (17,), (7,)),
        ("#{config.dim}", (1,), (2,)),
    ],
)
def test_braces_read_the_arguments(axes, fit, misfit):
    f = shaped(lambda config, x: x, axes={"x": axes})
    f(Config(7), E(fit))
    with pytest.raises(ShapeError):
        f(Config(7), E(misfit))


def test_braces_that_hold_text():
    f = shaped(lambda n, x: x, axes={"x": "{n}"})
    assert f("3", E(3)).shape == (3,)  # formatted first, as in jaxtyping
    with pytest.raises(ShapeError):
        f("4", E(3))


def test_an_expression_over_a_name_that_was_only_broadcast():
    f = function(["#B", "B+1"])
    f(E(4), E(5))
    with pytest.raises(ShapeError, match="needs B, which nothing in the call has bound"):
        f(E(1), E(5))


def test_sizes_per_leaf():
    @shaped
    def f(xs: list[Float[Tensor, "?n D"]], ys: list[Float[Tensor, "?n"]]) -> int:
        return len(xs)

    assert f([E(1, 3), E(2, 3)], [E(1), E(2)]) == 2
    with pytest.raises(ShapeError, match=r"argument ys\[1\]: axis 0"):
        f([E(1, 3), E(2, 3)], [E(1), E(1)])


def test_expressions_within_containers_wait_for_their_names():
    @shaped
    def f(
        xs: list[Float[Tensor, "B*G"]], b: Float[Tensor, "B"], g: Float[Tensor, "G"] | list[Float[Tensor, "G"]]
    ) -> int:
        return 0

    f([E(6), E(6)], E(2), E(3))
    f([E(6), E(6)], E(2), [E(3)])
    with pytest.raises(ShapeError, match=r"argument xs\[1\]: axis 0 .* is 5, but B\*G = 6"):
        f([E(6), E(5)], E(2), E(3))


def test_extended_annotations():
    Image = Float[Tensor, "h w"]

    @shaped
    def f(x: Shaped[Image, "batch"], w: Float[Tensor, " w"]) -> None:
        return None

    f(E(2, 3, 4), E(4))
    with pytest.raises(ShapeError, match='"batch h w"'):
        f(E(3, 4), E(4))


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [((), (3,), (3,)), ((1, 3), (2, 1), (2, 3)), ((2,), (3,), None), ((5, 1), (4,), (5, 4)), ((0,), (1,), (0,))],
)
def test_broadcast_shapes_is_torchs(a, b, both):
    assert broadcast_shapes(a, b) == both
    if both is None:
        with pytest.raises(RuntimeError):
            torch.broadcast_shapes(a, b)
    else:
        assert tuple(torch.broadcast_shapes(a, b)) == both


def test_return_axes_that_nothing_binds_are_noted():
    from shapecheck import report

    @shaped
    def free_axis(x: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        return x

    entry = next(e for e in report().entries if e.where.endswith("free_axis"))
    assert any("K of the result is bound by no argument" in note for note in entry.notes)


def test_return_expressions_over_unbound_names_are_errors():
    with pytest.raises(ContractError, match="reads G"):

        @shaped
        def f(x: Float[Tensor, "B D"]) -> Float[Tensor, "B*G"]:
            return x


def fuzz_module():
    path = Path(__file__).parents[2] / "benchmarks" / "runtime_fuzz.py"
    spec = importlib.util.spec_from_file_location("runtime_fuzz", path)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["runtime_fuzz"] = module
    spec.loader.exec_module(module)
    return module


def test_jaxtyping_and_beartype_judge_alike():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tally = fuzz_module().fuzz(cases=1500, seed=20240123)
    assert tally.disagreements == []
    assert tally.counts["accepted"] > 500
    assert tally.counts["rejected"] > 500
