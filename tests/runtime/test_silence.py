"""The sixteen cases in which jaxtyping with a checker says nothing, or refuses what is right: here all are loud or right.

Each was measured with jaxtyping 0.3.11, beartype 0.23.1, typeguard 4.6 and torch 2.13; `benchmarks/runtime_silence.py`
shows what the plain combination does.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import pytest
import torch
from beartype import beartype
from jaxtyping import Float, jaxtyped
from torch import Tensor

from shapecheck import ContractError, ShapeError, shaped

if TYPE_CHECKING:
    from collections import OrderedDict as Ordered

    from jaxtyping import Float32 as HalfHidden

R = torch.randn


def product(q: Float[Tensor, "B D"], p: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    return (q * p).sum(-1)


def test_01_typeguard_3_checks_nothing_so_the_checker_is_ours():
    f = shaped(product)
    assert f(R(4, 3), R(4, 3)).shape == (4,)
    with pytest.raises(ShapeError, match="B = 4 by argument q"):
        f(R(4, 3), R(1, 3))  # would broadcast


def test_02_bare_beartype_shares_no_names():
    f = shaped(beartype(product))
    with pytest.raises(ShapeError, match="argument p"):
        f(R(4, 3), R(1, 3))


def test_03_bare_jaxtyped_checks_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f = shaped(jaxtyped(product))
    with pytest.raises(ShapeError, match="argument p"):
        f(R(4, 3), R(1, 3))


def test_04_a_name_under_type_checking_is_imported():
    @shaped
    def f(x: HalfHidden[Tensor, "B D"]) -> Ordered[str, HalfHidden[Tensor, "B"]]:
        from collections import OrderedDict

        return OrderedDict(a=x.sum(1))

    assert f(R(2, 3))["a"].shape == (2,)
    with pytest.raises(ShapeError, match="argument x"):
        f(R(2))


def test_04_a_name_that_exists_nowhere_is_an_error():
    @shaped
    def f(x: Unheard[Tensor, "B D"]) -> Float[Tensor, " B"]:
        return x

    with pytest.raises(ContractError, match="Unheard"):
        f(R(2, 3))


def test_05_a_local_alias_is_found():
    Matrix = Float[Tensor, "B D"]

    @shaped
    def f(x: Matrix, y: Matrix) -> Matrix:
        return x + y

    assert f(R(2, 3), R(2, 3)).shape == (2, 3)
    with pytest.raises(ShapeError, match="argument y: axis 1"):
        f(R(2, 3), R(2, 1))


@pytest.mark.parametrize("axes", ["B,D", "*a *b", "B**", "B+*D", "##B", "B D#"])
def test_06_a_malformed_string_is_an_error_at_decoration(axes):
    def f(x):
        return x

    f.__annotations__["x"] = f"Float[Tensor, {axes!r}]"
    with pytest.raises(ContractError):
        shaped(f)


@shaped
@dataclass
class Batch:
    q: Float[Tensor, "B D"]
    p: Float[Tensor, "B G D"]
    name: str = "batch"


def test_07_dataclass_fields_under_future_annotations():
    assert Batch(R(2, 3), R(2, 4, 3)).name == "batch"
    with pytest.raises(ShapeError, match="Batch.p: axis 0 .* B = 2 by Batch.q, axis 0"):
        Batch(R(2, 3), R(3, 4, 3))


def test_08_dataclass_mutation():
    batch = Batch(R(2, 3), R(2, 4, 3))
    before = batch.p
    with pytest.raises(ShapeError, match="Batch.p"):
        batch.p = R(2, 3)
    assert batch.p is before  # never stored
    batch.p = R(2, 9, 3)
    batch.name = "other"
    assert replace(batch, q=R(7, 3), p=R(7, 1, 3)).q.shape == (7, 3)


def test_09_local_annotations():
    @shaped
    def f(x: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        y: Float[Tensor, "B D"] = x.T
        return y.sum(0)

    with pytest.raises(ShapeError, match="line .*: y: axis 0"):
        f(R(2, 3))


def test_10_generator_yields():
    @shaped
    def f(x: Float[Tensor, "B D"]) -> Iterator[Float[Tensor, "B D"]]:
        yield x
        yield x.T

    items = f(R(2, 3))
    next(items)
    with pytest.raises(ShapeError, match="yielded value: axis 0"):
        next(items)


def test_11_bindings_after_a_first_yield():
    @shaped
    def f(x: Float[Tensor, "B D"]) -> Iterator[int]:
        yield 1
        y: Float[Tensor, "B D"] = R(99, 3)
        yield len(y)

    items = f(R(2, 3))
    next(items)
    with pytest.raises(ShapeError, match="axis 0 .* is 99, but B = 2 by argument x"):
        next(items)


class Typed(TypedDict, total=False):
    q: Float[Tensor, "B D"]
    p: Float[Tensor, "B D"]


class Named(NamedTuple):
    q: Float[Tensor, "B D"]
    p: Float[Tensor, "B D"]


def test_12_typeddict():
    @shaped
    def f(batch: Typed) -> int:
        return len(batch)

    assert f({"q": R(2, 3), "p": R(2, 3)}) == 2
    assert f({"q": R(2, 3)}) == 1
    with pytest.raises(ShapeError, match=r"argument batch\['p'\]: axis 0"):
        f({"q": R(2, 3), "p": R(1, 3)})


def test_13_namedtuple():
    @shaped
    def f(batch: Named) -> int:
        return len(batch)

    assert f(Named(R(2, 3), R(2, 3))) == 2
    with pytest.raises(ShapeError, match=r"argument batch.p: axis 0"):
        f(Named(R(2, 3), R(1, 3)))


def test_13_namedtuple_at_construction():
    checked = shaped(NamedTuple("Pair", [("q", Float[Tensor, "B D"]), ("p", Float[Tensor, "B D"])]))
    pair = checked(R(2, 3), p=R(2, 3))
    for make in (
        lambda: checked(R(2, 3), R(1, 3)),
        lambda: pair._replace(p=R(1, 3)),
        lambda: checked._make([R(2), R(2)]),
    ):
        with pytest.raises(ShapeError, match="Pair"):
            make()


def test_14_every_item_of_a_list_and_a_dict():
    @shaped
    def f(xs: list[Float[Tensor, "B D"]], named: dict[str, Float[Tensor, "B D"]]) -> int:
        return len(xs)

    good = [R(2, 3)] * 50
    assert f(good, {"a": R(2, 3)}) == 50
    for place in range(50):
        bad = [*good[:place], R(2, 4), *good[place + 1 :]]
        with pytest.raises(ShapeError):  # a checker that samples one item finds this once in fifty
            f(bad, {"a": R(2, 3)})
    with pytest.raises(ShapeError, match=r"argument named\['c'\]"):
        f(good, {"a": R(2, 3), "b": R(2, 3), "c": R(3, 3)})


def test_15_async_returns_are_taken_and_checked():
    @shaped
    async def f(x: Float[Tensor, "B D"], wrong: bool) -> Float[Tensor, "B D"]:
        return x.T if wrong else x

    assert asyncio.run(f(R(2, 3), False)).shape == (2, 3)
    with pytest.raises(ShapeError, match="return value"):
        asyncio.run(f(R(2, 3), True))

    @shaped
    async def items(x: Float[Tensor, "B D"]) -> AsyncIterator[Float[Tensor, "B D"]]:
        yield x.T

    with pytest.raises(ShapeError, match="yielded value"):
        asyncio.run(items(R(2, 3)).__anext__())


def test_16_torch_compile_takes_right_calls_and_refuses_wrong_ones():
    compiled = torch.compile(shaped(product), backend="eager", fullgraph=True)
    for size in (4, 5, 6):
        assert compiled(R(size, 3), R(size, 3)).shape == (size,)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="argument p of product does not fit"):
        compiled(R(4, 3), R(1, 3))
