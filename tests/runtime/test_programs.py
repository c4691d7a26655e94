# ruff: noqa: F841, B007, B012  (locals that only their annotations speak of)
"""The program stays what it was, and an annotation that holds no axes breaks nothing: each test is a kind of program."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import gc
import inspect
import linecache
import py_compile
import subprocess
import sys
import textwrap
import typing
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

import shapecheck
from shapecheck import ContractError, ShapeError, check, report, shaped

if TYPE_CHECKING:
    from nowhere_at_all import SupportsRead

R = torch.randn
T = TypeVar("T")


def notes_of(name):
    return next(e for e in report().entries if e.where.endswith(name)).notes


# Annotations without axes.


def test_a_name_whose_module_is_not_installed():
    for strict in (True, False):

        @shaped(strict=strict)
        def step(x: Float[Tensor, "B D"], log: SupportsRead | None = None, other: dict[str, Nowhere] | None = None):
            return x

        assert step(R(2, 3)).shape == (2, 3)
        with pytest.raises(ShapeError, match="argument x"):
            step(R(2))
        assert any("SupportsRead does not exist at run time" in note for note in notes_of("step"))


def test_a_function_that_names_nothing_else_is_left_alone():
    @shaped
    def step(log: SupportsRead) -> SupportsRead:
        return log

    assert step(3) == 3


def test_dataclass_arguments_with_annotations_that_mean_nothing_at_run_time():
    @dataclasses.dataclass
    class Config:
        kind: ClassVar[str] = "train"
        run: SupportsRead | None = None
        lr: typing.Final[float] = 1e-3

    made = dataclasses.make_dataclass("Made of 2", [("n", int), "m"])

    @shaped
    def step(x: Float[Tensor, "B D"], config: Config, made: made | None = None) -> Float[Tensor, "B D"]:
        return x

    assert step(R(2, 3), Config(), made(1, 2)).shape == (2, 3)
    with pytest.raises(ShapeError, match="argument config: int where"):
        step(R(2, 3), 3)


@shaped
@dataclasses.dataclass
class Kinded:
    x: Float[Tensor, "B D"]
    kind: ClassVar[str] = "train"


def test_a_checked_dataclass_with_a_class_variable():
    assert Kinded(R(2, 3)).kind == "train"
    with pytest.raises(ShapeError, match="Kinded.x"):
        Kinded(R(2))


def test_classes_whose_names_are_no_identifiers():
    pydantic = pytest.importorskip("pydantic")
    Box = pydantic.create_model("Box", x=(int, 1))
    Box.__name__ = "Box[int, 2]"
    odd = type("a b-c", (), {})

    @shaped
    def f(x: Float[Tensor, "B"], box: Box, more: odd | None = None, many: tuple[odd, ...] = ()):
        return x

    assert f(R(2), Box(), odd(), (odd(),)).shape == (2,)
    with pytest.raises(ShapeError, match="argument more"):
        f(R(2), Box(), 3)


def test_locals_that_python_does_not_evaluate():
    seen = []

    @shaped
    def build(x: Float[Tensor, "B D"], four_bit: bool = False):
        if four_bit:
            w: nn.Parameter | "Params4bit" = Params4bit(x)
        y: seen.append(1) = x
        z: nowhere.Matrix[2, "a"] = y
        return z

    assert build(R(2, 3)).shape == (2, 3)
    assert seen == []


def test_a_local_class_that_names_itself():
    def make():
        class Node:
            @shaped
            def add(self, x: Float[Tensor, "B"], other: Node | None = None) -> Node:
                return self

        return Node

    Node = make()
    node = Node()
    assert node.add(R(2), Node()) is node
    with pytest.raises(ShapeError, match="argument other: int where"):
        node.add(R(2), 3)


class Extra(typing.TypedDict, total=False):
    mask: Float[Tensor, "B"]
    scale: float


def test_keyword_arguments_of_a_typeddict_share_the_axes_of_the_call():
    from typing_extensions import Unpack

    @shaped
    def g(x: Float[Tensor, "B D"], **options: Unpack[Extra]):
        return x

    assert g(R(2, 3), mask=R(2), scale=1.0).shape == (2, 3)
    assert g(R(2, 3)).shape == (2, 3)
    with pytest.raises(ShapeError, match=r"argument options\['mask'\]: axis 0 .* is 3, but B = 2 by argument x"):
        g(R(2, 3), mask=R(3))


def test_what_beartype_cannot_read_asks_nothing():
    class Weird:
        def __class_getitem__(cls, item):
            return Weird()

    @shaped
    def f(x: Float[Tensor, "B"], other: Weird[3] = None, text: "list[Undefined[2]] | None" = None):
        return x

    assert f(R(2), 5, [1]).shape == (2,)


# The program stays what it was.


def test_decorators_that_change_what_a_call_gives():
    @shaped
    @contextlib.contextmanager
    def scope(x: Float[Tensor, "B"], wrong: bool = False) -> Iterator[Float[Tensor, "B"]]:
        yield x[:1] if wrong else x

    with scope(R(2)) as y:
        assert y.shape == (2,)
    with pytest.raises(ShapeError, match="yielded value"), scope(R(2), True):
        pass
    with pytest.raises(ShapeError, match="argument x"), scope(R(2, 3)):
        pass

    def sync(fn):
        def call(*a, **k):
            return asyncio.run(fn(*a, **k))

        return __import__("functools").wraps(fn)(call)

    def collect(fn):
        def call(*a, **k):
            return list(fn(*a, **k))

        return __import__("functools").wraps(fn)(call)

    def hand_on(fn):
        def call(*a, **k):
            return fn(*a, **k)

        return __import__("functools").wraps(fn)(call)

    async def embed(x: Float[Tensor, "B"], wrong: bool = False) -> Float[Tensor, "B"]:
        return x[:1] if wrong else x

    def chunks(x: Float[Tensor, "B"], wrong: bool = False) -> Iterator[Float[Tensor, ""]]:
        yield from ([x] if wrong else x)

    assert shaped(sync(embed))(R(2)).shape == (2,)
    assert len(shaped(collect(chunks))(R(2))) == 2
    with pytest.raises(ShapeError, match="argument x"):
        shaped(collect(chunks))(R(2, 3))
    lent, coroutine = shaped(hand_on(chunks)), shaped(hand_on(embed))
    assert not inspect.isgeneratorfunction(lent)
    assert len(list(lent(R(2)))) == 2
    with pytest.raises(ShapeError, match="yielded value"):
        list(lent(R(2), True))
    assert asyncio.run(coroutine(R(2))).shape == (2,)
    with pytest.raises(ShapeError, match="return value"):
        asyncio.run(coroutine(R(2), True))


def test_a_class_with_context_managers():
    @shaped
    class Model(nn.Module):
        @contextlib.contextmanager
        def steered(self, direction: Float[Tensor, "D"]):
            yield self

        @contextlib.asynccontextmanager
        async def streamed(self, x: Float[Tensor, "D"]) -> AsyncIterator[Float[Tensor, "D"]]:
            yield x

        def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
            return x

    with Model().steered(R(3)) as model:
        assert isinstance(model, Model)
    with pytest.raises(ShapeError, match="argument direction"), Model().steered(R(3, 1)):
        pass

    async def use():
        async with Model().streamed(R(3)) as y:
            return y.shape

    assert asyncio.run(use()) == (3,)


def test_names_that_a_body_lists_are_its_own():
    class Base:
        def __init__(self, **settings):
            self.settings = settings

    class Head(Base):
        @shaped
        def __init__(self, dim: int, w: Float[Tensor, "D"] = None):
            super().__init__(**{k: v for k, v in locals().items() if k not in ("self", "__class__")})

    assert sorted(Head(3).settings) == ["dim", "w"]

    @shaped
    def describe(x: Float[Tensor, "B"], temperature: float = 0.1):
        y: Float[Tensor, "B"] = x
        return sorted(locals()), sorted(vars()), dir(), y is x

    assert describe(R(2)) == (["temperature", "x", "y"],) * 3 + (True,)

    @shaped
    def frames(x: Float[Tensor, "B"]):
        return sorted(sys._getframe().f_locals)

    assert frames(R(2)) == ["x"]


def countdown(x: Float[Tensor, "B"], n: int) -> Float[Tensor, "B"]:
    y: Float[Tensor, "B"] = x
    return countdown(y, n - 1) if n else y


def test_functions_that_call_themselves():
    checked = shaped(countdown)
    assert checked(R(2), 3).shape == (2,)

    @shaped
    def inner(x: Float[Tensor, "B"], n: int) -> Float[Tensor, "B"]:
        y: Float[Tensor, "B"] = x
        return inner(y, n - 1) if n else y

    assert inner(R(2), 3).shape == (2,)
    assert inner.__code__.co_name == "inner"
    with pytest.raises(ShapeError, match="argument x"):
        inner(R(2, 3), 3)
    entry = next(e for e in report().entries if e.where.endswith("test_programs.countdown"))
    assert entry.how == "in the body"


def test_targets_are_evaluated_once():
    class Ring:
        def __init__(self):
            self.at = 0
            self.buf = {}

        def slot(self):
            self.at += 1
            return self.at

    @shaped
    def push(r, x: Float[Tensor, "D"], y):
        r.buf[r.slot()]: Float[Tensor, "D"] = y

    ring = Ring()
    push(ring, R(3), R(3))
    assert (ring.at, list(ring.buf)) == (1, [1])
    with pytest.raises(ShapeError, match=r"line .*: r.buf\[r.slot\(\)\]: axis 0"):
        push(ring, R(3), R(4))
    assert list(ring.buf) == [1]


@pytest.mark.parametrize("with_local", [False, True])
def test_a_wrong_result_is_not_swallowed(with_local):
    def caught(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        try:
            return x.T
        except Exception:
            return x

    def caught_too(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        z: Float[Tensor, "B D"] = x
        try:
            return x.T
        except Exception:
            return z

    def suppressed(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        with contextlib.suppress(Exception):
            return x.T
        return x

    def dropped(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        while True:
            try:
                return x.T
            finally:
                if x is None:
                    break

    def yielded(x: Float[Tensor, "B D"]) -> Iterator[Float[Tensor, "B D"]]:
        y: Float[Tensor, "B D"] = x
        with contextlib.suppress(Exception):
            yield y.T

    for f in (caught_too, yielded) if with_local else (caught, suppressed, dropped):
        g = shaped(f)
        with pytest.raises(ShapeError, match="return value|yielded value"):
            list(g(R(2, 3)))
    if with_local:
        with pytest.raises(ShapeError, match="line .*: z: axis 0"):
            shaped(caught_of_local)(R(2, 3))


def caught_of_local(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    z: Float[Tensor, "B D"] = x.T
    try:
        return z
    except ValueError:
        return x


SCALE = """
from jaxtyping import Float
from torch import Tensor
from shapecheck import shaped
@shaped
def scale(x: Float[Tensor, "B"], cfg: "Cfg" = None):
    return x * {0}
@shaped
def plainly(x: Float[Tensor, "B"]):
    return x * {0}
class Cfg: pass
"""


def test_what_runs_is_what_was_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "edited_while_it_runs.py"
    file.write_text(SCALE.format("2.0"))
    import edited_while_it_runs

    file.write_text(SCALE.format("5.0"))
    assert edited_while_it_runs.scale(torch.ones(1)) == 2.0
    stale = tmp_path / "stale_bytecode.py"
    stale.write_text(SCALE.format("2.0"))
    py_compile.compile(str(stale), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    stale.write_text(SCALE.format("5.0"))
    import stale_bytecode

    assert stale_bytecode.scale(torch.ones(1)) == stale_bytecode.plainly(torch.ones(1)) == 2.0
    with pytest.raises(ShapeError):
        stale_bytecode.plainly(R(2, 3))
    assert any("not what runs" in note for note in notes_of("stale_bytecode.plainly"))


def test_generated_source_lives_as_long_as_its_function():
    gc.collect()
    before = len(linecache.cache)
    for _ in range(20):
        f = shaped(lambda x: x, axes={"x": "B"})
        f(R(2))
        del f
    gc.collect()
    assert len(linecache.cache) <= before + 1


def test_items_are_let_go_of():
    @shaped
    def items(xs: list[Float[Tensor, "B"]]) -> Iterator[Float[Tensor, "B"]]:
        while xs:
            yield xs.pop()

    import weakref

    given = [R(2), R(2)]
    seen = weakref.ref(given[-1])
    running = items(given)
    del next(running).__dict__
    gc.collect()
    assert seen() is None


# Nothing goes silently unchecked.


class Net(nn.Module):
    @shaped
    def own(self, x: Float[Tensor, "B D"]):
        super().train()
        s: Float[Tensor, "B D"] = x.T
        return s

    @shaped
    def own_check(self, x: Float[Tensor, "B D"]):
        y = x.T if isinstance(self, Net) else x
        check(y, "B D")

    @shaped
    def forward(self, x: Float[Tensor, "B D"], teacher: Net | None = None) -> Float[Tensor, "B D"]:
        return x * 2


def test_methods_that_name_their_own_class():
    for method in (Net().own, Net().own_check):
        with pytest.raises(ShapeError, match="line .*: (s|y): axis 0"):
            method(R(2, 3))
    assert Net()(R(2, 3), Net()).shape == (2, 3)
    with pytest.raises(ShapeError, match="argument teacher: int where"):
        Net()(R(2, 3), 3)


def test_declared_locals_at_each_kind_of_assignment():
    y = R(3, 2)

    def unpacked(x: Float[Tensor, "B D"]):
        s: Float[Tensor, "B D"]
        s, t = y, 1
        return t

    def starred(x: Float[Tensor, "B D"]):
        s: Float[Tensor, "B D"]
        (a, [*b, s]) = 1, [2, y]
        return a, b

    def loop(x: Float[Tensor, "B D"]):
        s: Float[Tensor, "B D"]
        for _n, s in enumerate([y]):
            pass

    def chain(x: Float[Tensor, "B D"]):
        s: Float[Tensor, "B D"]
        a = s = y
        return a

    def walrus(x: Float[Tensor, "B D"]):
        s: Float[Tensor, "B D"]
        if (s := y) is None:
            pass

    def walrus_in_while(x: Float[Tensor, "B D"]):
        s: Float[Tensor, "B D"]
        while (s := y) is not None:
            break

    def walrus_returned(x: Float[Tensor, "B D"]):
        s: Float[Tensor, "B D"]
        return (s := y)

    def managed(x: Float[Tensor, "B D"]):
        s: Float[Tensor, "B D"]
        with contextlib.nullcontext(y) as s:
            pass

    def matched(x: Float[Tensor, "B D"]):
        s: Float[Tensor, "B D"]
        match [y]:
            case [s]:
                return s

    def augmented(x: Float[Tensor, "B D"]):
        s: Float[Tensor, "B D"]
        s = x
        s @= R(3, 4)

    for f in (unpacked, starred, loop, chain, walrus, walrus_in_while, walrus_returned, managed, matched, augmented):
        with pytest.raises(ShapeError, match="line .*: s: "):
            shaped(f)(R(2, 3))

    @shaped
    def perhaps(x: Float[Tensor, "B D"], now: bool):
        s: Float[Tensor, "B D"]
        return now and (s := x) is not None

    assert perhaps(R(2, 3), False) is False
    assert any("s is assigned within an expression that may not run" in note for note in notes_of("perhaps"))


def test_dtypes_that_are_met_for_the_first_time():
    @shaped
    def loose(x: Float[np.ndarray, "*B D"], y: Float[np.ndarray, "*#B D"]):
        return 1

    @shaped
    def either(x: Int[np.ndarray, "B D"] | None, y: Float[np.ndarray, "B"]):
        return 1

    assert loose(np.zeros((2, 3), np.float32), np.zeros((1, 3), np.float32)) == 1
    assert loose(np.zeros((2, 3), np.float16), np.zeros((1, 3), np.float64)) == 1
    for kind in (np.int64, np.int32, np.int8):
        with pytest.raises(ShapeError, match="but B = 2 by argument x"):
            either(np.zeros((2, 3), kind), np.zeros(5))


def test_what_is_not_checked_is_said():
    @shaped
    def free(x: Float[Tensor, "B D"]):
        y: Float[Tensor, "B K"] = x
        return y

    @shaped
    def slow(xs: list[Float[Tensor, "#B B"]]):
        return xs

    free(R(2, 3))
    assert any("K of y" in note and "any size passes" in note for note in notes_of("free"))
    assert any("slowly" in note for note in notes_of("slow"))


# Right calls pass; wrong ones are said in full.


def test_jagged_tensors():
    @shaped
    def f(x: Float[Tensor, "B j D"], y: Float[Tensor, "B j D"]):
        return x

    def nested(*lengths):
        return torch.nested.nested_tensor([R(k, 3) for k in lengths], layout=torch.jagged)

    one = nested(2, 4)
    f(one, one)
    with pytest.raises(ShapeError, match="argument y: axis 1"):
        f(one, nested(2, 5))


def test_errors_name_all_arguments_and_only_those_that_were_looked_at():
    @shaped
    def f(
        q: Float[Tensor, "B D"],
        p: Float[Tensor, "B G D"] | None,
        labels: Int[Tensor, "B"],
        xs: list[Float[Tensor, "D"]],
        plain=None,
    ):
        return q

    with pytest.raises(ShapeError) as caught:
        f(R(2, 3), None, torch.zeros(4, dtype=torch.long), [R(3), R(3)], R(7))
    assert "B = 2 by argument q, axis 0" in str(caught.value)
    assert "argument p" not in str(caught.value)
    assert str(caught.value).endswith("called with q (2, 3), labels (4,), xs[0] (3,), xs[1] (3,), plain (7,)")
    with pytest.raises(ShapeError, match=r'argument q: dtype is int64, Float "B D" was declared'):
        f(R(2, 3).long(), None, torch.zeros(2, dtype=torch.long), [])
    with pytest.raises(ShapeError, match=r'argument labels: float where Tensor "B" was declared'):
        f(R(2, 3), None, 1.0, [])


def test_a_forward_reference_whose_first_call_is_traced():
    @shaped
    def f(x: Float[Tensor, "B D"], other: DefinedLater | None = None) -> Float[Tensor, "B D"]:
        return x * 2

    torch._dynamo.reset()
    assert torch.compile(f, fullgraph=True, backend="eager")(R(2, 3)).shape == (2, 3)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="argument x of .*f does not fit"):
        torch.compile(f, fullgraph=True, backend="eager")(R(2, 3, 4))


class DefinedLater:
    pass


def test_a_name_with_axes_that_does_not_exist_is_an_error_only_where_it_is_strict():
    def f(x: Unheard[Tensor, "B D"], y: Float[Tensor, "B"]):
        return x

    with pytest.raises(ContractError, match="Unheard"):
        shaped(f)(R(2, 3), R(2))
    assert shaped(strict=False)(f)(R(2, 3), R(2)).shape == (2, 3)


HOOKED = {
    "future_classvar": """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import ClassVar
        @dataclass
        class Config:
            kind: ClassVar[str] = "a"
        def step(x: int, cfg: Config) -> int: return x
        result = step(1, Config())
    """,
    "absent": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from _typeshed import SupportsRead
        def step(x: int, f: SupportsRead | Nowhere | None = None) -> int: return x
        result = step(1)
    """,
    "malformed": """
        def step(x: "3 +", y: "a b c" = None, z: "Float[Tensor, 'B,G']" = None) -> int: return x
        result = step(1)
    """,
    "weird": """
        class Meta(type):
            def __getattr__(cls, name): raise RuntimeError(name)
        class Odd(metaclass=Meta): pass
        class Raises:
            def __getattr__(self, name): raise ZeroDivisionError(name)
        def step(x: Odd, y: Raises() = None) -> Odd: return x
        result = step(Odd()) and 1
    """,
    "inner": """
        from jaxtyping import Float
        from torch import Tensor
        made = []
        def step(x: Float[Tensor, "B"]):
            def helper(y: Float[Tensor, "B D"]): return y
            made.append(helper)
            return helper(x)
        import torch
        result = step(torch.zeros(2)).shape[0]
        if result:
            def late(x: Float[Tensor, "B"]): return x
    """,
}


@pytest.mark.parametrize("name", HOOKED)
def test_no_exception_of_ours_leaves_an_import(name, tmp_path, monkeypatch):
    (tmp_path / f"hook_{name}.py").write_text(textwrap.dedent(HOOKED[name]))
    monkeypatch.syspath_prepend(tmp_path)
    with shapecheck.install_import_hook(f"hook_{name}"):
        module = __import__(f"hook_{name}")
    assert module.result in (1, 2)
    if name == "inner":
        assert not hasattr(module.made[0], "__wrapped__")  # made at each call: never decorated
        with pytest.raises(ShapeError):
            module.late(R(2, 3))


def test_pytest_before_conftests_with_workers_and_a_misspelt_name(tmp_path):
    package = tmp_path / "suited"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from jaxtyping import Float\nfrom torch import Tensor\n"
        'def f(x: Float[Tensor, "B D"], n: int = 1) -> Float[Tensor, "B"]: return x.sum(0)\n'
    )
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "conftest.py").write_text("import suited\n")
    (tmp_path / "suite" / "test_a.py").write_text(
        "import torch, suited\n"
        "def test_wrong(): suited.f(torch.zeros(2, 3))\ndef test_right(): suited.f(torch.zeros(3, 3), n='a')\n"
    )

    def run(*options):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "suite", *options]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    assert run()[0] == 0
    for options in ([], ["-p", "no:xdist"]):  # it may not be installed
        code, out = run("--shaped", "suited", *options)
        assert (code, "2 failed" in out) == (1, True), out
    code, out = run("--shaped", "suited", "--shaped-types", "tensors", "-n", "1")
    assert "1 failed, 1 passed" in out, out
    assert "shapecheck: 1 checked" in out
    code, out = run("--shaped", "suted")
    assert code == 4, out
    assert "there is no package suted" in out


# What the standard library wraps around functions.


def test_a_class_whose_methods_are_cached_partial_or_dispatched():
    @shaped
    class Table:
        @functools.lru_cache(maxsize=3, typed=True)  # noqa: B019
        def cached(self, n: int, wrong: bool = False) -> Float[Tensor, "{n}"]:
            return torch.zeros(n + wrong)

        @functools.singledispatchmethod
        def pool(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
            return x.sum(1)

        @pool.register
        def _(self, x: str) -> Float[Tensor, ""]:
            return torch.zeros(1 if x else ())

        def scaled(self, by: float, x: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
            return x * by if by else x[None]

        halved = functools.partialmethod(scaled, 0.5)
        broken = functools.partialmethod(scaled, 0.0)

    table = Table()
    assert table.cached(2) is table.cached(2)
    assert Table.cached.cache_parameters() == {"maxsize": 3, "typed": True}
    assert (table.pool(R(2, 3)).shape, table.pool("").shape, table.halved(R(2)).shape) == ((2,), (), (2,))
    for wrong in (lambda: table.cached(2, True), lambda: table.pool("a"), lambda: table.broken(R(2))):
        with pytest.raises(ShapeError, match="return value"):
            wrong()
    with pytest.raises(ShapeError, match="argument x"):
        table.pool(R(2))


def test_shaped_above_what_the_standard_library_makes():
    @shaped
    @functools.singledispatch
    def pool(x: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
        return x.sum(1)

    @pool.register
    @shaped
    def _(x: list, y: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
        return y

    assert (pool(R(2, 3)).shape, pool([], R(2)).shape) == ((2,), (2,))  # a list is no business of the first one
    for wrong in (lambda: pool(R(2)), lambda: pool([], R(2, 3))):
        with pytest.raises(ShapeError):
            wrong()

    def scaled(by: float, x: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
        return x * by

    with pytest.raises(ShapeError, match="argument x"):
        shaped(functools.partial(scaled, 2.0))(R(2, 3))
    with pytest.raises(ShapeError, match="return value"):
        shaped(functools.lru_cache(lambda n: torch.zeros(n, n)), axes={"return": "N"})(2)
    with pytest.raises(ContractError, match="nothing to check"):
        shaped(functools.singledispatch(lambda x: x))


def test_a_coroutine_that_gathers_what_a_generator_gives():
    def gathered(fn):
        @functools.wraps(fn)
        async def gather(*args):
            return [item async for item in fn(*args)]

        return gather

    @shaped
    @gathered
    async def each_row(x: Float[Tensor, "B D"]) -> AsyncIterator[Float[Tensor, "D"]]:
        for row in x:
            yield row

    assert len(asyncio.run(each_row(R(2, 3)))) == 2
    with pytest.raises(ShapeError, match="argument x"):
        asyncio.run(each_row(R(2)))
    assert any("makes something else of the asyncgen" in note for note in notes_of("each_row"))


def test_the_judge_refuses_nothing_because_of_a_name_that_does_not_exist():
    @shaped
    def step(
        x: Float[Tensor, "B"], log: tuple[SupportsRead, Float[Tensor, "B"]]
    ) -> tuple[SupportsRead, type[SupportsRead], Float[Tensor, "B"]]:
        return 1, int, x

    step(R(2), (1, R(2)))
    with pytest.raises(ShapeError, match=r"argument log\[1\]"):
        step(R(2), (1, R(3)))


def test_spellings_of_types_that_are_going_out_of_use_are_no_warnings(recwarn):
    @shaped
    def step(
        x: Float[Tensor, "B"],
        *rest: typing.Tuple[int, typing.Callable[[int], int]],  # noqa: UP006
    ) -> typing.List[int]:  # noqa: UP006
        return [1]

    step(R(2), (1, len))
    with pytest.raises(ShapeError, match=r"argument rest\[0\]") as told:
        step(R(2), [1])
    assert told.value.judge == "rejects"
    assert not [w for w in recwarn if "PEP" in str(w.message)]


def test_what_a_body_declares_and_cannot_be_held_to_is_in_the_report():
    @shaped
    def hold_on(x: Float[Tensor, "B D"], holder: typing.Any) -> None:
        holder.x: Float[Tensor, "B"]  # noqa: B032
        holder.x = x
        with contextlib.suppress(ValueError):
            y: Float[Tensor, "B"] = x

    hold_on(R(2, 3), type("Holder", (), {})())
    notes = notes_of("hold_on")
    assert any("holder.x is declared without a value" in note for note in notes)
    assert any("y stands within `try` or `with`" in note for note in notes)


def test_a_class_that_is_not_to_be_checked():
    @shaped
    @typing.no_type_check
    @dataclasses.dataclass
    class Free:
        x: Float[Tensor, "B D"]

        def first(self, y: Float[Tensor, "B"]) -> Float[Tensor, ""]:
            return y

    assert Free("anything").first(3) == 3


def test_leaves_of_a_pytree_may_be_containers_themselves():
    pytest.importorskip("jax")
    from jaxtyping import PyTree

    class Pair(typing.NamedTuple):
        x: Float[Tensor, "a b"]
        y: Float[Tensor, "b c"]

    @shaped
    def sizes(tree: PyTree[tuple[int, int]], x: Float[Tensor, "B"]) -> None: ...

    @shaped
    def pairs(tree: PyTree[Pair], x: Float[Tensor, "B"]) -> None: ...

    pair, wrong = Pair(R(2, 3), R(3, 4)), Pair(R(2, 3), R(2, 4))
    for right in ((1, 1), [(1, 1)], [(1, 1), {"a": (1, 1)}]):
        sizes(right, R(2))
    for right in (pair, [pair, {"a": pair}]):
        pairs(right, R(2))
    for check_, value in (
        (sizes, 1),
        (sizes, (1, 2, 3)),
        (sizes, [(1, 1), "a"]),
        (pairs, [pair, wrong]),
        (pairs, R(2)),
    ):
        with pytest.raises(ShapeError, match="argument tree"):
            check_(value, R(2))


def test_a_union_of_types_is_named_whole():
    @shaped
    def step(
        x: Float[Tensor, "B"], ids: slice | list[str] | int, y: Float[Tensor, "B"] | list[int] | None = None
    ) -> None:
        return None

    with pytest.raises(ShapeError, match=r"argument ids: list where slice \| list\[str\] \| int was declared"):
        step(R(2), [1.5])
    with pytest.raises(ShapeError, match=r'argument y: str where Tensor "B" \| list\[int\] \| None was declared'):
        step(R(2), 1, "a")


def test_what_binds_a_declared_local_other_than_by_assignment_is_a_note():
    def odd(x: Float[Tensor, "B"]) -> None:
        s: Float[Tensor, "B"]
        t: Float[Tensor, "B"]
        import sys as s

        try:
            sys.exit()
        except SystemExit as t:
            del t

        def inner():
            nonlocal s
            s = 3

        def t(): ...

        inner()

    shaped(odd)(R(2))
    said = "\n".join(notes_of("odd"))
    for how in ("s is bound by an import", "t is bound by an `except`", "s is bound by `nonlocal` in inner"):
        assert f"{how}: not checked there" in said
    assert "t is bound by a definition" in said
