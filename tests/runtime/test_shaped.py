"""`@shaped` on every kind of callable: right calls pass, wrong ones are named at their place."""

import asyncio
import functools
import inspect
import pickle
import typing
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence

import numpy as np
import pytest
import torch
from jaxtyping import Bool, Float, Float32, Int, Integer, Shaped
from torch import Tensor

from shapecheck import ContractError, ShapeError, check, report, shaped
from shapecheck.dims.mismatch import WrongRank

R = torch.randn


@shaped
def similarity(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    return torch.einsum("bd,bgd->bg", q, p)


@shaped
def seed(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    scores: Float[Tensor, "B G"] = torch.matmul(q, p.transpose(-2, -1))
    return scores.view(q.size(0), -1)


def test_a_right_call_computes_what_the_function_computes(q, p):
    torch.testing.assert_close(similarity(q, p), torch.einsum("bd,bgd->bg", q, p))


@pytest.mark.parametrize(("b", "g"), [(4, 8), (4, 4), (1, 8), (4, 1), (1, 1)])
def test_the_seed_bug_is_caught_at_its_line_whatever_the_sizes(b, g):
    with pytest.raises(ShapeError) as caught:
        seed(R(b, 16), R(b, g, 16))
    line = inspect.getsourcelines(seed)[1] + 2
    assert str(caught.value).startswith(f'line {line}: scores: "B G" has 2 axes, the value has 3')
    assert caught.value.mismatch.problem == WrongRank(2, 3)
    assert line in [entry.lineno + 1 for entry in caught.traceback]


WRONG = [
    ((R(4, 16), R(5, 8, 16)), 'argument p: axis 0 of "B G D" is 5, but B = 4 by argument q, axis 0'),
    ((R(4, 16), R(4, 8, 17)), 'argument p: axis 2 of "B G D" is 17, but D = 16 by argument q, axis 1'),
    ((R(4, 16), R(4, 16)), 'argument p: "B G D" has 3 axes, the value has 2'),
    ((R(4, 16).int(), R(4, 8, 16)), 'argument q: dtype is int32, Float "B D" was declared'),
    ((R(4, 16), None), 'argument p: None where Tensor "B G D" was declared'),
    ((R(4, 16), R(4, 8, 16).numpy()), 'argument p: ndarray where Tensor "B G D" was declared'),
]


@pytest.mark.parametrize(("args", "text"), WRONG)
def test_a_wrong_call_is_one_sentence(args, text):
    for _ in range(2):  # the first call, and the steady state
        with pytest.raises(ShapeError) as caught:
            similarity(*args)
        assert str(caught.value).startswith(text)
        assert "\n" not in str(caught.value)
        assert caught.value.judge == "rejects"  # jaxtyping with beartype agrees


def test_the_sentence_holds_no_values():
    with pytest.raises(ShapeError) as caught:
        similarity(torch.full((4, 16), 777.0), torch.full((5, 8, 16), 777.0))
    assert "777" not in str(caught.value)
    assert "tensor(" not in str(caught.value)


def test_a_duck_with_shape_and_dtype_is_not_a_tensor(p):
    class Duck:
        shape, dtype = torch.Size([4, 16]), torch.float32

    for _ in range(2):
        with pytest.raises(ShapeError, match='Duck where Tensor "B D" was declared'):
            similarity(Duck(), p)


def test_results_are_checked():
    @shaped
    def wrong(q: Float[Tensor, "B D"]) -> Float[Tensor, "D B"]:
        return q

    with pytest.raises(ShapeError, match='return value: axis 0 of "D B" is 2, but D = 3 by argument q, axis 1'):
        wrong(R(2, 3))


def test_falling_off_the_end_is_a_result_too():
    @shaped
    def forgot(q: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        if q.size(0) > 2:
            return q

    assert forgot(R(3, 1)).shape == (3, 1)
    with pytest.raises(ShapeError, match='return value: None where Tensor "B D" was declared'):
        forgot(R(2, 1))


# Kinds of callables.


class Scorer(torch.nn.Module):
    def __init__(self, group_size=8):
        super().__init__()
        self.group_size = group_size
        self.__hidden = 2.0

    @shaped
    def forward(self, q: Float[Tensor, "B D"], p: Float[Tensor, "B*{self.group_size} D"]) -> Float[Tensor, "B G"]:
        assert self.__hidden == 2.0  # private names and super() mean the same in the rewritten body
        assert super().extra_repr() == ""
        return torch.einsum("bd,bgd->bg", q, p.view(q.size(0), -1, q.size(1)))

    @classmethod
    @shaped
    def square(cls, x: Float[Tensor, "N N"]) -> Float[Tensor, "N N"]:
        return x @ x

    @shaped
    @classmethod
    def square_outside(cls, x: Float[Tensor, "N N"]) -> Float[Tensor, "N N"]:
        return x @ x

    @shaped
    @staticmethod
    def rows(x: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
        return x.sum(1)

    @property
    @shaped
    def weight(self) -> Float[Tensor, "{self.group_size} 2"]:
        return torch.zeros(8, 2)

    @shaped
    @property
    def bias(self) -> Float[Tensor, "{self.group_size}"]:
        return torch.zeros(8)

    @shaped
    @functools.cached_property
    def cached(self) -> Float[Tensor, "{self.group_size}"]:
        return torch.zeros(8)


def test_methods(q, p):
    scorer = Scorer()
    flat = p.reshape(32, 16)
    assert scorer(q, flat).shape == (4, 8)
    with pytest.raises(ShapeError, match=r"B\*\{self.group_size\} = 32 with B = 4"):
        scorer(q, flat[:-1])
    scorer.group_size = 4  # read at each call: nothing is remembered
    with pytest.raises(ShapeError, match=r"B\*\{self.group_size\} = 16"):
        scorer(q, flat)


@pytest.mark.parametrize("name", ["square", "square_outside"])
def test_classmethods(name):
    assert getattr(Scorer, name)(torch.eye(3)).shape == (3, 3)
    with pytest.raises(ShapeError, match="axis 1"):
        getattr(Scorer(), name)(R(3, 4))


def test_staticmethods():
    assert Scorer.rows(R(3, 4)).shape == (3,)
    with pytest.raises(ShapeError):
        Scorer.rows(R(3))


@pytest.mark.parametrize("name", ["weight", "bias", "cached"])
def test_properties(name):
    assert getattr(Scorer(8), name).shape[0] == 8
    with pytest.raises(ShapeError, match="{self.group_size} = 7|axis 0"):
        getattr(Scorer(7), name)


def test_a_whole_module_class():
    @shaped
    class Head(torch.nn.Module):
        def __init__(self, dim: int):
            super().__init__()
            self.linear = torch.nn.Linear(dim, 1)

        def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B 1"]:
            return self.linear(x)

        def helper(self, x):
            return x

    head = Head(4)
    assert head(R(2, 4)).shape == (2, 1)
    assert head.helper(1) == 1
    with pytest.raises(ShapeError, match="argument x"):
        head(R(2, 3, 4))


def test_lambdas_by_call():
    scores = shaped(lambda q, p: q @ p.T, axes={"q": "B D", "p": "N D", "return": "B N"})
    assert scores(R(2, 3), R(5, 3)).shape == (2, 5)
    with pytest.raises(ShapeError, match="argument p: axis 1"):
        scores(R(2, 3), R(5, 4))


def test_axes_declare_what_is_not_annotated():
    def plain(q, p):
        return q @ p.T

    strict = shaped(plain, axes={"q": Float32[Tensor, "B D"], "p": "N D", "return": "B N"})
    with pytest.raises(ShapeError, match="dtype is float64, Float32"):
        strict(R(2, 3).double(), R(5, 3).double())
    with pytest.raises(ContractError, match="no argument r"):
        shaped(plain, axes={"r": "B"})


def test_coroutines():
    @shaped
    async def embed(x: Float[Tensor, "B S"], cut: int = 0) -> Float[Tensor, "B S"]:
        await asyncio.sleep(0)
        return x[:, cut:]

    assert inspect.iscoroutinefunction(embed)
    assert asyncio.run(embed(R(2, 3))).shape == (2, 3)
    with pytest.raises(ShapeError, match="return value: axis 1"):
        asyncio.run(embed(R(2, 3), 1))
    with pytest.raises(ShapeError, match="argument x"):
        asyncio.run(embed(R(2)))


def test_concurrent_coroutines_keep_their_sizes_apart():
    @shaped
    async def slow(x: Float[Tensor, "B D"], pause: float) -> Float[Tensor, "B D"]:
        y: Float[Tensor, "B D"] = x
        await asyncio.sleep(pause)
        z: Float[Tensor, "B D"] = y
        return z

    async def both():
        return await asyncio.gather(slow(R(2, 3), 0.02), slow(R(5, 7), 0.01), slow(R(3, 2), 0.0))

    assert [tuple(t.shape) for t in asyncio.run(both())] == [(2, 3), (5, 7), (3, 2)]


@shaped
def batches(x: Float[Tensor, "N D"], size: int) -> Iterator[Float[Tensor, "b D"]]:
    for chunk in x.split(size):
        yield chunk + 0


@shaped
def narrow(x: Float[Tensor, "N D"]) -> Generator[Float[Tensor, "N D"], float, str]:
    factor = yield x
    yield x[:, 1:] * factor
    return "done"


def test_each_yield_is_checked():
    assert [len(b) for b in batches(R(5, 3), 2)] == [2, 2, 1]  # `b` is each item's own
    items = narrow(R(2, 3))
    next(items)
    with pytest.raises(ShapeError, match="yielded value: axis 1"):
        items.send(2.0)


def test_generators_without_source_or_with_delegation():
    def delegating(x: Float[Tensor, "N D"], cut: int) -> Generator[Float[Tensor, "N D"], int, Float[Tensor, " N"]]:
        got = yield from [x, x[:, cut:]]
        assert got is None
        return x.sum(1)

    checked = shaped(delegating)

    def outer(cut):
        result = yield from checked(R(2, 3), cut)
        assert result.shape == (2,)

    assert len(list(outer(0))) == 2
    with pytest.raises(ShapeError, match="yielded value"):
        list(outer(1))
    closing = checked(R(2, 3), 0)
    next(closing)
    closing.close()
    throwing = checked(R(2, 3), 0)
    next(throwing)
    with pytest.raises(KeyError):
        throwing.throw(KeyError("into it"))


def test_async_generators():
    @shaped
    async def stream(x: Float[Tensor, "N D"], cut: int) -> AsyncIterator[Float[Tensor, "N D"]]:
        yield x
        await asyncio.sleep(0)
        yield x[cut:]

    async def collect(cut):
        return [item async for item in stream(R(3, 2), cut)]

    assert len(asyncio.run(collect(0))) == 2
    with pytest.raises(ShapeError, match="yielded value: axis 0"):
        asyncio.run(collect(1))


def test_async_generators_around_the_call():
    async def stream(x, cut):
        yield x
        yield x[cut:]

    @functools.wraps(stream)
    def forwarding(*args):
        return stream(*args)

    checked = shaped(forwarding, axes={"x": "N D", "return": AsyncIterator[Float[Tensor, "N D"]]})

    async def collect(cut):
        return [item async for item in checked(R(3, 2), cut)]

    assert len(asyncio.run(collect(0))) == 2
    with pytest.raises(ShapeError, match="yielded value: axis 0"):
        asyncio.run(collect(1))


@typing.overload
def pick(x: Float[Tensor, "B D"], index: None = None) -> Float[Tensor, " B"]: ...
@typing.overload
def pick(x: Float[Tensor, "B D"], index: Int[Tensor, " B"]) -> Float[Tensor, " B"]: ...


@shaped
def pick(x, index=None):
    return x.sum(1) if index is None else x[index]


@pytest.mark.skipif(not hasattr(typing, "get_overloads"), reason="the registry of overloads came with Python 3.11")
def test_overloads_bind_the_implementation():
    assert pick(R(3, 2)).shape == (3,)
    with pytest.raises(ShapeError, match="return value"):
        pick(R(3, 2), torch.tensor([0, 1, 2]))
    with pytest.raises(ShapeError, match="argument index"):
        pick(R(3, 2), torch.tensor([0, 1]))
    with pytest.raises(ShapeError, match="argument x"):
        pick(R(3))


# Containers.


@shaped
def mean(
    parts: list[Float[Tensor, "B D"]],
    named: dict[str, Float[Tensor, "B _"]],
    pair: tuple[Float[Tensor, "D B"], int],
    more: Sequence[Float[Tensor, " D"]] = (),
) -> tuple[Float[Tensor, "B D"], ...]:
    return tuple(parts)


def test_every_item_is_checked():
    good = ([R(2, 3)] * 50, {"a": R(2, 9), "b": R(2, 1)}, (R(3, 2), 1), (R(3), R(3)))
    assert len(mean(*good)) == 50
    for place in range(1, 50):
        bad = [R(2, 3)] * 50
        bad[place] = R(2, 4)
        with pytest.raises(ShapeError, match=rf"argument parts\[{place}\]: axis 1"):
            mean(bad, *good[1:])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"parts": (R(2, 3),)}, "argument parts: tuple where list"),
        ({"parts": [R(2, 3), 1]}, r"argument parts\[1\]: int where Tensor"),
        ({"named": {"a": R(2, 9), "b": R(3, 9)}}, r"argument named\['b'\]: axis 0"),
        ({"pair": (R(3, 2), "x")}, r"argument pair\[1\]: str where int"),
        ({"pair": (R(3, 2),)}, "argument pair: a tuple of 1 where a tuple of 2"),
        ({"pair": (R(2, 3), 1)}, r"argument pair\[0\]: axis 0"),
        ({"more": [R(3), R(2)]}, r"argument more\[1\]: axis 0"),
    ],
)
def test_wrong_items_are_named(change, text):
    good = {"parts": [R(2, 3)], "named": {"a": R(2, 9)}, "pair": (R(3, 2), 1)}
    mean(**good)
    with pytest.raises(ShapeError, match=text):
        mean(**{**good, **change})


def test_star_arguments():
    @shaped
    def total(*xs: Float[Tensor, "B D"], scale: float = 1.0, **named: Float[Tensor, " B"]) -> Float[Tensor, "B D"]:
        return sum(xs) * scale

    assert total(R(2, 3), R(2, 3), w=R(2)).shape == (2, 3)
    with pytest.raises(ShapeError, match=r"argument xs\[1\]"):
        total(R(2, 3), R(2, 4))
    with pytest.raises(ShapeError, match=r"argument named\['w'\]"):
        total(R(2, 3), w=R(3))
    with pytest.raises(ShapeError, match="argument scale: str where float"):
        total(R(2, 3), scale="a")


# Unions, defaults, other types.


@shaped
def either(
    x: Float[Tensor, "B D"] | Float[Tensor, "B S D"] | None,
    y: Int[Tensor, " B"] | None = None,
    z: Float[Tensor, "B"] = None,
    w: Float[Tensor, ""] | float = 0.0,
) -> int:
    return 0 if x is None else x.dim()


def test_unions():
    assert either(None) == 0
    assert either(None, w=R(())) == 0
    assert either(R(2, 3), torch.tensor([1, 2]), R(2)) == 2
    assert either(R(2, 5, 3), torch.tensor([1, 2]), w=R(())) == 3
    for bad in ({"x": R(2)}, {"y": torch.tensor([1])}, {"z": R(3)}, {"w": R(1)}, {"w": "a"}, {"y": R(2)}):
        with pytest.raises(ShapeError, match=f"argument {next(iter(bad))}"):
            either(**{"x": R(2, 3), **bad})


def test_types_without_tensors():
    @shaped
    def f(
        x: Float[Tensor, "B"], k: int, names: list[str], how: typing.Literal["a", "b"], g: Callable[[int], int]
    ) -> Tensor:
        return x

    good = {"x": R(2), "k": 1, "names": ["n"], "how": "a", "g": abs}
    f(**good)
    for bad in ({"k": 1.5}, {"names": [1]}, {"how": "c"}, {"g": 3}):
        with pytest.raises(ShapeError, match=f"argument {next(iter(bad))}"):
            f(**{**good, **bad})

    @shaped(types="tensors")
    def lenient(x: Float[Tensor, "B"], k: int) -> Tensor:
        return x

    lenient(R(2), "anything")


def test_devices():
    @shaped(device="same")
    def f(x: Float[Tensor, "B D"], y: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
        return y.sum(1)

    f(R(2, 3), R(2, 3))
    with pytest.raises(ShapeError, match="argument y: device is meta, not cpu"):
        f(R(2, 3), torch.empty(2, 3, device="meta"))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Float, torch.bfloat16, torch.int64),
        (Float32, torch.float32, torch.float64),
        (Int, torch.int8, torch.uint8),
        (Integer, torch.uint8, torch.bool),
        (Bool, torch.bool, torch.uint8),
        (Shaped, torch.complex64, None),
    ],
)
def test_dtypes(kind, good, bad):
    f = shaped(lambda x: x, axes={"x": kind[Tensor, "N"]})
    f(torch.zeros(3, dtype=good))
    if bad is not None:
        with pytest.raises(ShapeError, match="argument x: dtype is"):
            f(torch.zeros(3, dtype=bad))


def test_numpy_arrays_and_parameters():
    @shaped
    def f(x: Float[np.ndarray, "B D"], w: Float[torch.nn.Parameter, "D D"]) -> Float[np.ndarray, "B D"]:
        return x

    f(np.zeros((2, 3), np.float32), torch.nn.Parameter(R(3, 3)))
    with pytest.raises(ShapeError, match="argument w: Tensor where Parameter"):
        f(np.zeros((2, 3)), R(3, 3))
    with pytest.raises(ShapeError, match="argument x: dtype is int64"):
        f(np.zeros((2, 3), np.int64), torch.nn.Parameter(R(3, 3)))


# The body.


def test_annotated_locals_bind_and_compare():
    @shaped
    def f(x: Float[Tensor, "B D"], cut: int) -> Float[Tensor, "B K"]:
        y: Float[Tensor, "B K"] = x[:, 1:]
        z: Float[Tensor, "K"]
        if cut:
            z = y.sum(0)[cut:]
        else:
            z = y.sum(0)
        self = torch.nn.Module()
        self.z: Float[Tensor, "K"] = z
        return y

    line = inspect.getsourcelines(f)[1]
    f(R(2, 3), 0)
    with pytest.raises(ShapeError, match=f"line {line + 5}: z: axis 0"):
        f(R(2, 3), 1)


def test_check_shares_the_axes_of_the_body():
    @shaped
    def f(x: Float[Tensor, "B D"], y):
        y = check(y, "D B")
        check(y.T, Float[Tensor, "B D"])
        return y

    assert f(R(2, 3), R(3, 2)).shape == (3, 2)
    with pytest.raises(ShapeError, match='axis 0 of "D B" is 2, but D = 3 by argument x, axis 1'):
        f(R(2, 3), R(2, 3))


def test_check_alone():
    assert check(R(3, 3), "N N").shape == (3, 3)
    with pytest.raises(ShapeError, match="axis 1"):
        check(R(3, 4), "N N")
    with pytest.raises(ContractError, match="no axis string"):
        check(R(3), "N,M")


def test_rebound_arguments_do_not_fool_braces():
    @shaped
    def f(x: Float[Tensor, "B D"], n: int) -> Float[Tensor, "B {n}"]:
        n = n + 1
        return x[:, : n - 1]

    assert f(R(2, 5), 3).shape == (2, 3)
    with pytest.raises(ShapeError, match=r"axis 1 of \"B \{n\}\" is 5, but \{n\} = 9"):
        f(R(2, 5), 9)


def test_a_guard_is_not_swallowed_by_the_bodys_own_except():
    @shaped
    def f(x: Float[Tensor, "B D"]) -> Float[Tensor, "D B"]:
        try:
            return x
        except ValueError:
            return x.T

    with pytest.raises(ShapeError, match="return value"):
        f(R(2, 3))


def test_closures_defaults_and_nonlocals_survive():
    seen = []
    count = 0

    @shaped
    def f(x: Float[Tensor, "B"], *, scale: float = 2.0) -> Float[Tensor, "B"]:
        nonlocal count
        count += 1
        seen.append(scale)
        y: Float[Tensor, "B"] = x * scale
        return (lambda: y)()

    f(R(2))
    f(R(2), scale=3.0)
    assert (count, seen) == (2, [2.0, 3.0])


def test_nothing_of_the_body_runs_when_it_is_decorated():
    calls = []

    def logger():
        calls.append(1)
        return print

    @shaped
    def f(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        logger().__call__("shape", x.shape)
        return x

    assert calls == []
    f(R(2, 3))
    assert calls == [1]


def test_a_module_may_call_something_else_len():
    scope = {"shaped": shaped, "Float": Float, "Tensor": Tensor, "len": lambda x: 99}
    exec("def f(x: Float[Tensor, 'B D']) -> Float[Tensor, 'B']:\n    return x[0] if len(x) == 99 else x", scope)
    assert shaped(scope["f"])(R(3, 3)).shape == (3,)


def test_local_annotations_that_nobody_knows_are_noted():
    @shaped
    def aliased(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        Matrix = Float[Tensor, "D B"]
        y: Matrix = x
        return y

    assert aliased(R(2, 3)).shape == (2, 3)
    entry = next(e for e in report().entries if e.where.endswith("aliased"))
    assert any("Matrix is unknown outside the body" in note for note in entry.notes)


def test_names_of_the_guards_do_not_collide():
    class Taken:
        @shaped
        def f(self, _sc_Tensor: Float[Tensor, "B D"], _sc_n_B: int) -> Float[Tensor, "D"]:
            _sc_result = _sc_Tensor.sum(_sc_n_B)
            return _sc_result

    assert Taken().f(R(2, 3), 0).shape == (3,)
    with pytest.raises(ShapeError, match="return value"):
        Taken().f(R(2, 3), 1)


# What stays as it was.


def test_metadata():
    assert similarity.__name__ == "similarity"
    assert list(inspect.signature(similarity).parameters) == ["q", "p"]
    assert "einsum" in inspect.getsource(similarity)


def test_pickling():
    assert pickle.loads(pickle.dumps(similarity)) is similarity
    assert isinstance(pickle.loads(pickle.dumps(Scorer())), Scorer)


def test_decorating_twice_is_decorating_once():
    assert shaped(similarity) is similarity


def test_a_wrapper_that_copies_metadata_is_checked_itself():
    @functools.wraps(similarity)
    def wrapper(q, p):
        return similarity(q, p).T

    with pytest.raises(ShapeError, match="return value"):
        shaped(wrapper)(R(4, 16), R(4, 8, 16))


def test_other_decorators_below():
    @shaped
    @torch.no_grad()
    def f(x: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
        return x.requires_grad_().sum(1)

    assert not f(R(2, 3)).requires_grad
    with pytest.raises(ShapeError, match="argument x"):
        f(R(2))


# What cannot be checked is said at once.


def test_nothing_to_check_is_an_error():
    with pytest.raises(ContractError, match="nothing to check"):
        shaped(lambda x: x)


def test_nothing_to_check_is_a_note_where_it_may_be():
    class Empty: ...

    def unbound(x: Float[Tensor, "2*K"]) -> None: ...

    for thing in (lambda x: x, Empty, unbound):
        assert shaped(thing, strict=False) is thing
        entry = next(e for e in report().entries if e.where.endswith(thing.__qualname__))
        assert (entry.how, entry.checked) == ("not at all", [])
        assert entry.notes[-1]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ('Float[Tensor, "B,G"]', "argument x|annotation of x"),
        ('Float[Tensor, "B+"]', "neither a name"),
        ('Float[Tensor, "*a *b"]', "malformed"),
        ('Float[Tensor, "{nope.size}"]', "reads nope"),
        ('Float[Tensor, "B*G"]', "B, G"),
        ('Float[Tensor, "?n"]', "[?]n"),
        ('Iterator[Float[Tensor, "B"]]', "use them up"),
        ('Callable[[Float[Tensor, "B"]], int]', "without calling it"),
        ('Floot[Tensor, "B"]', "Floot"),
        ("Float[Tensor]", "malformed"),
    ],
)
def test_what_cannot_be_checked_is_an_error_at_decoration(annotation, text):
    def f(x):
        return x

    f.__annotations__["x"] = annotation
    with pytest.raises(ContractError, match=text):
        shaped(f)(R(2))


def test_a_decorated_function_keeps_its_defaults():
    def similarity(q: Float[Tensor, "B D"], p: Float[Tensor, "B D"] | None = None, *, scale: float = 2.0):
        return (q * (q if p is None else p)).sum(1) * scale

    @functools.wraps(similarity)
    def logged(*args, **kwargs):
        return similarity(*args, **kwargs)

    checked = shaped(logged)
    assert torch.equal(checked(torch.ones(2, 3)), torch.full((2,), 6.0))
    with pytest.raises(ShapeError, match="p: axis 1"):
        checked(torch.ones(2, 3), torch.ones(2, 4))
