"""Nothing but Unreadable may leave the engine: generated programs, and real text with pieces cut, doubled and swapped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shapecheck.engine import machine
from shapecheck.engine.entry import analyze
from shapecheck.engine.facts import Called
from shapecheck.engine.reveal import shapes_by_line
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse
from shapecheck.source.positions import spans

ROOT = Path(__file__).parents[1]
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\nimport numpy as np\n"
SEEDS = [
    p.read_text()
    for folder in ("shapecheck/examples", "fixtures", "rules")
    for p in sorted((ROOT / folder).rglob("*.py"))
    if p.name != "rule.py" and 0 < p.stat().st_size < 6_000
]
NAMES = ("x", "y", "q", "p", "n", "cfg", "self.w", "self.h", "out", "d")
TENSOR_METHODS = (
    "view(-1)", "view({a}, -1)", "reshape({a}, {b})", "t()", "mT", "size({i})", "shape[{i}]", "shape[:{i}]",
    "transpose({i}, {j})", "permute({i}, {j})", "permute(*{a})", "unsqueeze({i})", "squeeze({i})", "squeeze()",
    "expand({a}, -1)", "repeat({i}, 1)", "repeat_interleave({a}, dim={i})", "sum({i})", "mean(dim={i}, keepdim=True)",
    "max({i})", "max({i})[0]", "max(dim={i}).values", "topk({i}).indices", "sort()", "chunk({i}, dim={j})",
    "split({a}, {i})", "unbind({i})", "flatten({i}, {j})", "unflatten({i}, ({a}, -1))", "gather({i}, {a})",
    "masked_fill({a}, 0.)", "item()", "tolist()", "numpy()", "dim()", "numel()", "new_zeros({a})", "diagonal()",
    "nonzero(as_tuple=True)", "argmax({i})", "logsumexp({i})", "softmax({i})", "unfold({i}, 2, 1)", "squeeze_({i})",
)  # fmt: skip
FUNCTIONS = (
    "torch.cat([{a}, {b}], {i})", "torch.cat({a})", "torch.stack(({a}, {b}), dim={i})", "torch.matmul({a}, {b})",
    "{a} @ {b}", "{a} + {b}", "{a} // {b}", "{a} % {b}", "-{a}", "{a} == {b}", "{a} and {b}", "not {a}",
    "torch.einsum('bd,cd->bc', {a}, {b})", "torch.einsum('...d,d', {a}, {b})", "torch.arange({a})", "torch.eye({a})",
    "torch.zeros({a}, {b})", "torch.zeros(({a}, {i}))", "torch.full_like({a}, {i})", "torch.where({a} > 0, {b}, {a})",
    "F.cross_entropy({a}, {b})", "F.normalize({a}, dim={i})", "F.cosine_similarity({a}, {b})", "nn.Linear({a}, {b})({a})",
    "F.pad({a}, ({i}, {j}))", "torch.tensor([{a}, {b}])", "torch.split({a}, [{i}, {j}])", "len({a})", "sum({a})",
    "min({a}, {b})", "max({a})", "range({a})", "list({a})", "tuple({a})", "zip({a}, {b})", "enumerate({a})", "{a}[{b}]",
    "{a}[:, {b}]", "{a}[..., None, {i}:{j}]", "{a}[{a} > {b}]", "{a}[-{b}:]", "{a}[::{b}]", "[{a} for z in {b}]",
    "{{k: {a} for k in {b}}}", "{{'a': {a}, 'b': {b}}}['a']", "(lambda z: {a} + z)({b})", "{a} if {b} else {a}",
    "np.array({a})", "helper({a}, {b})", "helper({a}, *{b})", "helper(**{a})", "self.score({a}, {b})", "(*{a}, {b})",
    "f'{{{a}}}'", "torch.max({a}, {b})", "dict(a={a}, **{b})", "isinstance({a}, torch.Tensor)", "({a},) * {b}",
    "torch.nn.ModuleList([nn.Linear({i}, {j})])", "getattr({a}, 'shape')", "{a}.foo({b})", "{a} is None",
)  # fmt: skip
INTS = st.sampled_from(("0", "1", "2", "-1", "-2", "3", "-4", "7"))
ATOMS = st.one_of(st.sampled_from(NAMES), INTS, st.sampled_from(("None", "0.5", "'s'", "True", "()", "[]", "...")))


def _filled(template: str, a: str, b: str, i: str, j: str) -> str:
    return template.format(a=a, b=b, i=i, j=j)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    method = st.builds(lambda o, t, a, b, i, j: f"({o}).{_filled(t, a, b, i, j)}", inner,
                       st.sampled_from(TENSOR_METHODS), inner, inner, INTS, INTS)  # fmt: skip
    function = st.builds(_filled, st.sampled_from(FUNCTIONS), inner, inner, INTS, INTS)
    return st.one_of(method, function)


EXPRESSIONS = st.recursive(ATOMS, _larger, max_leaves=6)
TARGETS = st.sampled_from((*NAMES, "x, y", "q, *p", "(x, y), d", "x[0]", "x[:, 1]", "cfg['k']", "cfg.w", "_"))
COMMENTS = st.sampled_from(("", "", "", "  # [B, D]", "  # B G D", "  # (n, n)", "  # shape: (..., D)"))
SIMPLE = st.one_of(
    st.builds(lambda t, e, c: f"{t} = {e}{c}", TARGETS, EXPRESSIONS, COMMENTS),
    st.builds(lambda t, o, e: f"{t} {o}= {e}", st.sampled_from(NAMES), st.sampled_from("+-*/@"), EXPRESSIONS),
    st.builds(lambda e: f"return {e}", EXPRESSIONS),
    st.builds(lambda e: f"assert {e}", EXPRESSIONS),
    st.builds(lambda a, e: f"assert {a}.shape == ({e}, 4)", st.sampled_from(NAMES), EXPRESSIONS),
    st.builds(lambda a, e: f"{a}.append({e})", st.sampled_from(NAMES), EXPRESSIONS),
    st.builds(lambda a, e: f"del {a}; {a} = {e}", st.sampled_from(("x", "y")), EXPRESSIONS),
    st.sampled_from(("pass", "raise ValueError(x)", "global y", "break", "continue", "x.unsqueeze_(1)", "yield x")),
)


def _indented(lines: list[str]) -> str:
    return "\n".join("  " + line for text in lines for line in text.split("\n"))


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    heads = st.one_of(
        st.builds(lambda e: f"if {e}:", EXPRESSIONS),
        st.builds(lambda t, e: f"for {t} in {e}:", TARGETS, EXPRESSIONS),
        st.builds(lambda e: f"while {e}:", EXPRESSIONS),
        st.builds(lambda e: f"with {e} as y:", EXPRESSIONS),
        st.sampled_from(("def inner(x, n=1, *y, **cfg):", "class Inner(nn.Module):", "if x.dim() == 2:", "else_:")),
    )

    def build(head: str, body: list[str], other: list[str]) -> str:
        if head == "else_:":
            return f"try:\n{_indented(body)}\nexcept Exception as d:\n{_indented(other)}"
        tail = f"\nelse:\n{_indented(other)}" if head.startswith(("if", "for", "while")) else ""
        return f"{head}\n{_indented(body)}{tail}"

    some = st.lists(inner, min_size=1, max_size=3)
    return st.builds(build, heads, some, some)


STATEMENTS = st.recursive(SIMPLE, _compound, max_leaves=5)
BODIES = st.lists(STATEMENTS, min_size=1, max_size=6)


def _program(helper: list[str], init: list[str], forward: list[str]) -> str:
    return (
        f"{HEAD}def helper(x, y=None, *p, n=2, **cfg):\n  q = d = out = x\n{_indented(helper)}\n"
        "class Base(nn.Module):\n  def score(self, x, y):\n    return x @ y.mT\n"
        f"class Model(Base):\n  def __init__(self, cfg, n):\n    super().__init__()\n"
        f"    self.w = nn.Parameter(torch.zeros(n, 4)); self.h = nn.Linear(4, n)\n    x = y = q = p = out = d = n\n"
        f"{_indented([_indented(init)])}\n"
        "  def forward(self, x, y, n=3, *p, **cfg):\n    b, d = x.shape; q = self.h(x); out = []\n"
        f"{_indented([_indented(forward)])}\n"
    )


PROGRAMS = st.builds(_program, BODIES, BODIES, BODIES)


def survives(text: str) -> None:
    """Reads the text and shows what was found; only Unreadable may stand in the way."""
    try:
        program = parse(text.encode("utf-8", "surrogatepass"), "fuzz.py")
    except Unreadable:
        return
    facts = analyze(program, Project(parse, (Unreadable,)))
    places = spans(program)
    shapes_by_line(facts, lambda node: places.span(node).row)


QUICK = settings(
    max_examples=40, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "STEPS_PER_FILE", 3_000)
    monkeypatch.setattr(machine, "STEPS_PER_ENTRY", 1_500)


@QUICK
@given(PROGRAMS)
def test_generated_programs(text: str) -> None:
    survives(text)


TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
SPLICES = (
    "None", "-1", "0", "x", "self", "[]", "*", ":", ",", ".shape", ".view(-1)", "[0]", "(", ")", "=", "# [B, D]", "@",
    "for x in x", "lambda x: x", "...", "is not", "\n", "1 << 70", "'b d -> d b'",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    lines = draw(st.sampled_from(SEEDS)).split("\n")
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(("drop", "swap", "double", "token", "token", "token", "name"))):
            case "drop":
                del lines[at]
                lines = lines or [""]
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "name":
                words = sorted(set(re.findall(r"[A-Za-z_]\w*", "\n".join(lines[max(0, at - 9) : at + 9])))) or ["x"]
                lines[at] = re.sub(r"[A-Za-z_]\w*", draw(st.sampled_from(words)), lines[at], count=1)
            case _:
                tokens = TOKEN.findall(lines[at]) or [""]
                where = draw(st.integers(0, len(tokens) - 1))
                tokens[where] = draw(st.sampled_from(SPLICES))
                lines[at] = "".join(tokens)
    return "\n".join(lines)


@QUICK
@given(mutated())
def test_mutated_samples(text: str) -> None:
    survives(text)


def test_the_generators_reach_the_ops() -> None:
    """A fuzz that only ever made unreadable text would prove nothing."""
    text = _program(["y = torch.cat([x, q], -1)"], ["self.v = nn.Linear(4, 2)"], ["y = (x).max(1)[0]", "q = x @ x.mT"])
    ops = {f.op for f in analyze(parse(text.encode(), "fuzz.py"), Project(parse, (Unreadable,))).of(Called)}
    assert {"cat", "max", "matmul", "Linear"} <= ops
    assert len(SEEDS) >= 10
