"""Inside torch.compile: no break, no extra frame, no right call refused, wrong calls refused while tracing."""

from dataclasses import dataclass

import pytest
import torch
import torch._dynamo.testing
from jaxtyping import Float, Int
from torch import Tensor

from shapecheck import ShapeError, check, shaped

R = torch.randn


def plain_score(q, p):
    return torch.einsum("bd,bgd->bg", q, p).relu()


@shaped
def score(
    q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"], mask: Float[Tensor, "B*G"] | None = None
) -> Float[Tensor, "B G"]:
    s: Float[Tensor, "B G"] = torch.einsum("bd,bgd->bg", q, p)
    check(s, "B G")
    return s.relu()


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.group = 8

    @shaped
    def forward(self, q: Float[Tensor, "B D"], p: Float[Tensor, "B*{self.group} D"]) -> Float[Tensor, "B {self.group}"]:
        return torch.einsum("bd,bgd->bg", q, p.view(q.size(0), self.group, -1)).sin()


@shaped
def containers(
    xs: list[Float[Tensor, "B D"]], named: dict[str, Float[Tensor, "*b D"]]
) -> tuple[Float[Tensor, " B"], Float[Tensor, "#B D//2"]]:
    return xs[0].sum(1), named["a"][:1, : named["a"].shape[1] // 2]


@dataclass
class Pair:
    q: Float[Tensor, "B D"]
    p: Float[Tensor, "B D"]


@shaped
def record(pair: Pair) -> Float[Tensor, " B"]:
    return (pair.q * pair.p).sum(1)


def around_the_call(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
    return plain_score(q, p)


around = shaped(eval("lambda q, p: f(q, p)", {"f": plain_score}), axes={"q": "B D", "p": "B G D", "return": "B G"})

SIZES = (4, 5, 6, 9)
CASES = {
    "function": (score, lambda b: (R(b, 16), R(b, 8, 16)), (R(4, 16), R(5, 8, 16)), "argument p"),
    "late expression": (
        score,
        lambda b: (R(b, 16), R(b, 8, 16), R(8 * b)),
        (R(4, 16), R(4, 8, 16), R(31)),
        "argument mask",
    ),
    "method with braces": (Model(), lambda b: (R(b, 16), R(8 * b, 16)), (R(4, 16), R(33, 16)), "argument p"),
    "containers": (
        containers,
        lambda b: ([R(b, 16)] * 3, {"a": R(b, 16)}),
        ([R(4, 16), R(3, 16)], {"a": R(4, 16)}),
        "argument xs",
    ),
    "a record": (record, lambda b: (Pair(R(b, 3), R(b, 3)),), (Pair(R(4, 3), R(5, 3)),), "argument pair"),
    "without source": (around, lambda b: (R(b, 16), R(b, 8, 16)), (R(4, 16), R(5, 8, 16)), "argument p"),
}


def frames(function, calls, **options):
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("eager")
    compiled = torch.compile(function, backend=counter, **options)
    for call in calls:
        compiled(*call)
    return counter.frame_count, compiled


@pytest.mark.parametrize("options", [{}, {"fullgraph": True}, {"fullgraph": True, "dynamic": True}], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_right_calls_pass_and_wrong_ones_are_refused_while_tracing(name, options):
    function, good, bad, who = CASES[name]
    count, compiled = frames(function, [good(b) for b in SIZES], **options)
    assert count == (1 if options.get("dynamic") else 2)  # as the plain function: static, then dynamic
    kind = torch._dynamo.exc.Unsupported if options.get("fullgraph") else ShapeError
    with pytest.raises(kind, match=who):
        compiled(*bad)


def test_frames_are_those_of_the_plain_function():
    calls = [(R(b, 16), R(b, 8, 16)) for b in (2, 3, 4, 5, 7, 11)]
    assert frames(score, calls)[0] == frames(plain_score, calls)[0]


@pytest.mark.parametrize("name", CASES)
def test_no_graph_breaks(name):
    function, good, _, _ = CASES[name]
    torch._dynamo.reset()
    assert torch._dynamo.explain(function)(*good(4)).graph_break_count == 0


def test_eager_calls_between_compiled_ones_do_not_recompile():
    @shaped
    def fresh(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
        return plain_score(q, p)

    args = (R(4, 16), R(4, 8, 16))
    fresh(*args)  # the first eager call meets the judge; from then on the code is what it stays
    counter = torch._dynamo.testing.CompileCounterWithBackend("eager")
    compiled = torch.compile(fresh, backend=counter)
    for _ in range(3):
        compiled(*args)
        fresh(*args)
    assert counter.frame_count == 1


def test_the_refusal_under_fullgraph_says_which_sizes():
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match=r'Float "B G D"; its shape is 5 8 16, B = 4, D = 16'):
        torch.compile(score, backend="eager", fullgraph=True)(R(4, 16), R(5, 8, 16))


def test_a_compiled_backward(q, p):
    torch._dynamo.reset()
    q.requires_grad_()
    torch.compile(score, backend="aot_eager", fullgraph=True)(q, p).sum().backward()
    assert q.grad.shape == q.shape


def test_embedding_and_integers():
    table = torch.nn.Embedding(10, 4)

    @shaped
    def embed(ids: Int[Tensor, "B S"]) -> Float[Tensor, "B S 4"]:
        return table(ids)

    torch._dynamo.reset()
    assert torch.compile(embed, backend="eager", fullgraph=True)(torch.zeros(2, 3, dtype=torch.long)).shape == (2, 3, 4)


def test_export_keeps_the_result(q, p):
    class Wrapped(torch.nn.Module):
        def forward(self, q, p):
            return score(q, p)

    program = torch.export.export(Wrapped(), (q, p))
    torch.testing.assert_close(program.module()(q, p), score(q, p))


@shaped
@dataclass
class CheckedPair:
    q: Float[Tensor, "B D"]
    p: Float[Tensor, "B D"]


def test_a_checked_dataclass_is_made_within_compiled_code():
    def product(q, p):
        pair = CheckedPair(q, p)
        pair.q = q + 1
        return pair.q * pair.p

    torch._dynamo.reset()
    compiled = torch.compile(product, backend="eager", fullgraph=True)
    assert compiled(R(2, 3), R(2, 3)).shape == (2, 3)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="CheckedPair"):
        compiled(R(2, 3), R(1, 3))
    torch._dynamo.reset()
    with pytest.raises(ShapeError, match="CheckedPair.p: axis 0"):
        torch.compile(product, backend="eager")(R(2, 3), R(1, 3))


def test_a_function_that_waits_for_its_names_is_traced_at_its_first_call(q, p):
    def late(q: "Float[Tensor, 'B D']", other: "NeverDefined | None" = None) -> "Float[Tensor, 'B']":
        return q.sum(1)

    torch._dynamo.reset()
    compiled = torch.compile(shaped(late), backend="eager", fullgraph=True)
    for rows in (2, 5, 7):
        assert compiled(R(rows, 3)).shape == (rows,)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="argument q"):
        compiled(R(3))


def test_symbolic_tracing_of_a_checked_function():
    class Head(torch.nn.Module):
        def forward(self, q, p):
            return score(q, p) + 1

    traced = torch.fx.symbolic_trace(Head())
    args = (R(4, 16), R(4, 8, 16))
    torch.testing.assert_close(traced(*args), Head()(*args))
