"""The interpreter: what the shapes of a program are, line by line, and what stays unknown."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from samples import check

from shapecheck.engine import analyze, reveal
from shapecheck.engine.facts import Assigned, Contract, Demanded, Facts
from shapecheck.engine.values import Tensor
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\nimport torch.distributed as dist\n"


def lines(body: str, path: str = "case.py") -> dict[str, str]:
    """The last shape shown for each name of the program."""
    program = parse((HEAD + textwrap.dedent(body)).encode(), path)
    shown: dict[str, str] = {}
    for found in reveal(program, Project(parse, (Unreadable,))).values():
        for name, shape, _ in found:
            shown[name] = shape
    return shown


def facts(body: str, path: str = "case.py") -> Facts:
    program = parse((HEAD + textwrap.dedent(body)).encode(), path)
    return analyze(program, Project(parse, (Unreadable,)))


CASES = [
    ("unpacked sizes name axes", "def f(x):\n  b, n, d = x.shape\n  y = x.view(b * n, d)\n", "y", "[b*n, d]"),
    ("size() then view", "def f(x):\n  b, d = x.size()\n  y = x.view(b, -1, 4)\n", "y", "[b, m, 4]"),
    ("a sum drops an axis", "def f(x):\n  b, n, d = x.shape\n  y = x.sum(dim=1)\n", "y", "[b, d]"),
    (
        "a floor quotient of two settings, where a size is needed",
        "def f(x, d, h):\n  w = d // h\n  y = x.view(7, h, w)\n",
        "y",
        "[7, h, d//h]",
    ),
    (
        "all that is joined has one rank",
        "def f(net, x, z):\n  a, b = net(x), net(z)\n  s = torch.mm(torch.cat([a, b]), torch.randn(5, 3))\n"
        "  y = (a * b).sum(-1)\n",
        "y",
        "[K]",
    ),
    ("keepdim", "def f(x):\n  b, n, d = x.shape\n  y = x.mean(-1, keepdim=True)\n", "y", "[b, n, 1]"),
    ("None adds an axis", "def f(x):\n  b, d = x.shape\n  y = x[:, None] * x[None]\n", "y", "[b, b, d]"),
    ("matmul all pairs", "def f(q, p):\n  b, d = q.shape\n  n, d2 = p.shape\n  y = q @ p.T\n", "y", "[b, n]"),
    ("einsum letters", "def f(q, p):\n  y = torch.einsum('bd,bgd->bg', q, p)\n  b, g = y.shape\n  z = y\n", "z", "[b, g]"),
    ("Linear", "def f(x):\n  b, d = x.shape\n  y = nn.Linear(d, 7)(x)\n", "y", "[b, 7]"),
    ("a helper is entered", "def g(t):\n  return t.unsqueeze(0)\ndef f(x):\n  b, d = x.shape\n  y = g(x)\n", "y", "[1, b, d]"),
    ("keyword arguments", "def g(a, k):\n  return a.transpose(dim0=0, dim1=k)\ndef f(x):\n  b, d = x.shape\n  y = g(k=1, a=x)\n", "y", "[d, b]"),
    ("a lambda", "def f(x):\n  b, d = x.shape\n  h = lambda t: t[:, None]\n  y = h(x)\n", "y", "[b, 1, d]"),
    ("partial", "from functools import partial\ndef f(x):\n  b, d = x.shape\n  h = partial(torch.unsqueeze, dim=0)\n  y = h(x)\n", "y", "[1, b, d]"),
    ("a closure", "def f(x):\n  b, d = x.shape\n  def h():\n    return x.t()\n  y = h()\n", "y", "[d, b]"),
    ("early return by rank", "def g(t):\n  if t.dim() == 2:\n    return t[None]\n  return t\ndef f(x):\n  b, d = x.shape\n  y = g(x)\n", "y", "[1, b, d]"),
    ("a list comprehension", "def f(x):\n  b, d = x.shape\n  y = torch.stack([x for _ in range(3)])\n", "y", "[3, b, d]"),
    ("append in a loop", "def f(xs, w):\n  b, d = w.shape\n  out = []\n  for x in xs:\n    out.append(w)\n  y = torch.cat(out, dim=1)\n  z = y[:, 0]\n", "z", "[b]"),
    ("a dict of tensors", "def f(x):\n  b, d = x.shape\n  batch = {'a': x, 'b': x[0]}\n  y = batch['b']\n", "y", "[d]"),
    ("tuples unpacked", "def g(x):\n  return x, x[0]\ndef f(x):\n  b, d = x.shape\n  p, y = g(x)\n", "y", "[d]"),
    ("in-place unsqueeze", "def f(x):\n  b, d = x.shape\n  x.unsqueeze_(1)\n  y = x\n", "y", "[b, 1, d]"),
    ("a shape comment names unknown axes", "def f(x):\n  q = x.foo()  # [B, D]\n  y = q @ q.t()\n", "y", "[B, B]"),
    ("a parameter's jaxtyping annotation", "from jaxtyping import Float\nfrom torch import Tensor\ndef f(x: Float[Tensor, 'B N D']):\n  y = x.flatten(0, 1)\n", "y", "[B*N, D]"),
    ("a docstring", 'def f(x):\n  """Loss.\n\n  Args:\n    x: features of shape [bsz, n_views, dim].\n  """\n  y = x[:, 0]\n', "y", "[bsz, dim]"),
    ("shape words in a docstring", 'def f(x):\n  """x.shape=[bsz, hdim]"""\n  y = x * 2\n', "y", "[bsz, hdim]"),
    ("one counted axis", 'def f(m):\n  """Loss.\n\n  Args:\n    m: [n]\n  """\n  y = m * 2\n', "y", "[n]"),
    ("a shape that ends an entry", 'def f(x):\n  """\n  :param x: anchor embeddings (b, h)\n  """\n  y = x * 2\n', "y", "[b, h]"),
    ("Variable of shape", 'def f(x):\n  """\n  Args:\n    x: Variable of shape (b, n, h)\n  """\n  y = x * 2\n', "y", "[b, n, h]"),
    ("Tensor N x D", 'def f(x):\n  """\n  Args:\n    x: FloatTensor B x N x D\n  """\n  y = x * 2\n', "y", "[B, N, D]"),
    ("an entry without brackets", 'def f(x):\n  """\n  Args:\n    x: batch_size, num_classes\n  """\n  y = x * 2\n', "y", "[batch_size, num_classes]"),
    ("the docstring of a class", 'class A(nn.Module):\n  """\n  Inputs:\n    x: tensor of shape (B, S, D)\n  """\n  def forward(self, x):\n    y = x * 2\n', "y", "[B, S, D]"),
    ("torch's list of shapes", 'class A(nn.Module):\n  """\n  Shape:\n    - Input: (N, C)\n  """\n  def forward(self, x):\n    y = x * 2\n', "y", "[N, C]"),
    ("a list filled once a turn", "def f(w):\n  b, d = w.shape\n  rows = [w[0]]\n  for i in range(b):\n    rows.append(w[i])\n  y = torch.stack(rows)\n", "y", "[b + 1, d]"),
    ("a list filled now and then", "def f(w, t):\n  b, d = w.shape\n  rows = []\n  for i in range(b):\n    if t[i]:\n      continue\n    rows.append(w[i])\n  y = torch.stack(rows)\n", "y", "[n, d]"),
    ("the end of torch.range belongs to it", "def f(x):\n  b, d = x.shape\n  y = torch.range(0, b - 1, dtype=torch.long)\n  z = torch.range(1, 7, 2)\n", "y", "[b]"),
    ("torch.range in steps", "z = torch.range(1, 7, 2)\n", "z", "[4]"),
    ("an assert", "def f(x, n):\n  assert x.dim() == 3\n  b, m, d = x.shape\n  y = x.permute(2, 0, 1)\n", "y", "[d, b, m]"),
    ("walrus", "def f(x):\n  b, d = x.shape\n  if (y := x.t()) is not None:\n    z = y\n", "z", "[d, b]"),
    ("try and with", "def f(x):\n  b, d = x.shape\n  with torch.no_grad():\n    try:\n      y = x.t()\n    except ValueError:\n      raise\n", "y", "[d, b]"),
    ("group size by floor division", "def f(q, p):\n  b, d = q.shape\n  n, _ = p.shape\n  g = n // b\n  y = p.view(b, g, -1)\n", "y", "[b, g, N]"),
    ("all_gather into a list", "def f(x):\n  b, d = x.shape\n  out = [torch.empty_like(x) for _ in range(dist.get_world_size())]\n  dist.all_gather(out, x)\n  y = torch.cat(out)\n", "y", "[b*world_size, d]"),
    ("a named tuple unpacks in order", "def f(x):\n  b, n = x.shape\n  v, i = x.max(1, keepdim=True)\n  y = i\n", "y", "[b, 1]"),
    ("sort gives values and indices", "def f(x):\n  b, n = x.shape\n  v, i = torch.sort(x, dim=-1)\n  y = i\n", "y", "[b, n]"),
    ("a sum begun with a number", "def f(x, ks):\n  b, n = x.shape\n  y = 0.0\n  for k in ks:\n    y += x.mean(1)\n  z = y\n", "z", "[b]"),
    ("numpy's max is one array", "def f(x):\n  b, n = x.shape\n  a = x.cpu().numpy()\n  y = torch.from_numpy(a.max(0))\n", "y", "[...]"),
    ("numpy's root of a number is one", "import numpy as np\ndef f(x):\n  b, n = x.shape\n  y = x / np.sqrt(n)\n", "y", "[b, n]"),
    ("an unknown divided by a number may be a tensor", "def f(x, y):\n  z = torch.floor((x - 0.5) / 2.0)\n", "z", "[...]"),
    ("the last k may be all", "def f(x, k):\n  b, n = x.shape\n  y = x[-k:]\n  z = y.t() @ y\n", "y", "[n, n']"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "name", "shape"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_shapes(body: str, name: str, shape: str) -> None:
    assert lines(body)[name] == shape


def test_methods_of_a_class_know_what_init_set() -> None:
    shown = lines("""
        class Model(nn.Module):
            def __init__(self, dim):
                super().__init__()
                self.head = nn.Linear(dim, 3)
                self.score = lambda a, b: a @ b.mT
            def forward(self, x):
                b, d = x.shape
                logits = self.head(x)
                s = self.score(x, x)
                return logits
        def use(x):
            n, d = x.shape
            out = Model(d)(x)
    """)
    assert shown["logits"] in ("[b, 3]", "[n, 3]")
    assert shown["out"] == "[n, 3]"
    assert shown["s"] in ("[b, b]", "[n, n]")


def test_a_base_class_in_another_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("from .base import Base\n")
    (tmp_path / "pack" / "base.py").write_text("class Base:\n    def score(self, a, b):\n        return a @ b.T\n")
    main = tmp_path / "main.py"
    code = "from pack import Base\nclass M(Base):\n  def f(self, x):\n    b, d = x.shape\n    y = self.score(x, x)\n"
    main.write_text(code)
    assert lines(code, str(main))["y"] == "[b, b]"


def test_super_reaches_the_base_class() -> None:
    shown = lines("""
        class A:
            def pool(self, x):
                return x.sum(1)
        class B(A):
            def pool(self, x):
                y = super().pool(x)
                return y
        def use(x):
            b, n, d = x.shape
            out = B().pool(x)
    """)
    assert shown["out"] == "[b, d]"


def test_branches_that_disagree_in_rank_are_both_shown() -> None:
    shown = lines("def f(x, flag):\n  b, n, d = x.shape\n  if flag:\n    x = x[:, 0]\n  y = x\n")
    assert set(shown["y"].split(" | ")) == {"[b, d]", "[b, n, d]"}


def test_equal_tests_on_one_path_stay_correlated() -> None:
    shown = lines("""
        def f(x, flag):
            b, n, d = x.shape
            if flag:
                x = x[:, 0]
            if flag:
                y = x
    """)
    assert shown["y"] == "[b, d]"


def test_a_comment_of_another_rank_is_a_contract_that_never_holds() -> None:
    found = facts("def f(q, p):\n  b, d = q.shape\n  n, d = p.shape\n  s = q[:, None] * p  # B N\n")
    assert [c.verdict.never for c in found.of(Contract) if c.subject == "s"] == [True]


def test_a_product_of_unequal_numbers_crashes() -> None:
    found = facts("def f():\n  a = torch.zeros(2, 3)\n  b = torch.zeros(4, 5)\n  return a @ b\n")
    assert [(c.demand, c.left, c.right) for c in found.of(Demanded)] == [("inner", 3, 4)]


def test_unknown_is_silent() -> None:
    found = facts("def f(x, y):\n  z = x @ y\n  w = x + y\n  return torch.cat([x, y, z, w])\n")
    assert not list(found.of(Demanded))
    assert not list(found.of(Contract))


def test_recursion_and_endless_loops_end() -> None:
    facts("def f(x):\n  return f(x.unsqueeze(0))\ndef g(x):\n  while True:\n    x = x.unsqueeze(0)\n")


def test_a_run_out_of_steps_takes_back_names_of_half_run_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    from shapecheck.engine import machine

    body = """
        def f(x, flag):
            b, d = x.shape
            y = x.sum(0) if flag else x
            z = y.exp()
    """
    said = {(f.name, shapes_of(f)) for f in facts(body).of(Assigned)}
    assert len({s for n, s in said if n == "y"}) == 2
    for budget in range(1, 60):
        monkeypatch.setattr(machine, "STEPS_PER_ENTRY", budget)
        found = {shapes_of(f) for f in facts(body).of(Assigned) if f.name == "y"}
        assert len(found) in (0, 2)


def shapes_of(fact: Assigned) -> object:
    return fact.value.rank if isinstance(fact.value, Tensor) else None


def test_each_function_names_its_own_sizes() -> None:
    body = """
        def first(hidden, mask):
            'hidden [B, S, D], mask [B, S]'
            one = hidden * mask.unsqueeze(-1)
        class Model:
            def second(self, hidden):
                'hidden [B, S, D]'
                two = hidden.transpose(1, 2)
    """
    assert lines(body) == {"one": "[B, S, D]", "two": "[B, D, S]"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("model(**tokens).last_hidden_state[:, 0]", "[N, M]"),
        ("model(tokens)['sentence_embedding']", "[N, M]"),
        ("model(pixel_values=tokens).last_hidden_state", None),
        ("model(tokens).loss", None),
    ],
)
def test_outputs_of_unknown_encoders_have_customary_ranks(expression: str, expected: str | None) -> None:
    assert lines(f"def f(model, tokens):\n  y = {expression}\n").get("y") == expected


def test_what_is_learned_below_is_shown_above() -> None:
    told = "def f(x):\n  y = 1 - x * 2\n  z = torch.relu(x)\n  b, d = x.shape\n"
    assert lines(told) == {"y": "[b, d]", "z": "[b, d]"}
    split = "def f(x):\n  y = torch.relu(x)\n  if x.dim() == 2:\n    return 1\n  return 2\n"
    assert lines(split) == {"y": "[...]"}, "only one way tells"


def test_a_base_in_another_file_tells_what_its_methods_are_given(tmp_path: Path) -> None:
    base = '''
    import torch.nn as nn
    class Base(nn.Module):
      def forward(self, x):
        """x: features of shape [batch, dim]"""
        return self.score(x, x.t())
    '''
    (tmp_path / "base.py").write_text(textwrap.dedent(base))
    own = "from base import Base\nclass Loss(Base):\n  def score(self, a, b):\n    s = a @ b\n    return s\n"
    assert lines(own, str(tmp_path / "loss.py"))["s"] == "[batch, batch]"


def test_a_callable_that_branches_choose_is_entered() -> None:
    text = """
    class Net(nn.Module):
      def __init__(self, kind):
        super().__init__()
        if kind == "a":
          self.act = nn.ReLU()
        else:
          self.act = lambda x: x[None]
      def forward(self, x):
        b, d = x.shape
        y = self.act(x)
    """
    assert lines(text)["y"] == "[b, d] | [1, b, d]"
    table = "def f(x, name):\n  b, d = x.shape\n  known = {'a': torch.relu, 'b': torch.sum}\n  y = known[name](x)\n"
    assert lines(table)["y"] == "[b, d] | []"


def test_a_floor_quotient_is_a_size() -> None:
    text = "def f(x, heads):\n  b, s, d = x.shape\n  size = int(d / heads)\n  y = x.new_zeros(b, size)\n"
    assert lines(text)["y"] == "[b, d//heads]"


def test_a_configured_bound_that_may_be_negative_gives_no_length() -> None:
    text = "def f(x, shift, batch_size):\n  b, d = x.shape\n  y = x[shift:]\n  z = x[:shift]\n  w = x[:batch_size]\n"
    shown = lines(text)
    assert shown["y"] == "[n, d]"
    assert shown["z"] == "[n', d]"
    assert shown["w"] == "[min(batch_size, b), d]"


def test_an_item_of_a_float_tensor_is_no_size() -> None:
    found = facts("def f():\n  n = torch.zeros(1).item()\n  y = torch.zeros(3, 4) if n == 0 else torch.zeros(5)\n")
    assert {f.value.rank for f in found.of(Assigned) if f.name == "y" and isinstance(f.value, Tensor)} == {1, 2}


def test_a_shape_that_is_learned_axis_by_axis() -> None:
    text = "def f(x):\n  a = nn.Linear(7, 3)(x)\n  s = x.shape[0]\n  b, c = x.shape\n  y = x.t()\n"
    assert lines(text)["y"] == "[7, s]"


def test_records_are_unpacked_and_indexed() -> None:
    text = """
    from dataclasses import dataclass
    from typing import NamedTuple
    from transformers.utils import ModelOutput
    class Pair(NamedTuple):
      left: torch.Tensor
      right: torch.Tensor
    @dataclass
    class Out(ModelOutput):
      loss: torch.Tensor = None
      scores: torch.Tensor = None
    def f(x):
      b, d = x.shape
      u, v = Pair(x, x[None])
      w = Pair(x, x[None])[1]
      out = Out(scores=x @ x.t())
      s = out["scores"]
      t = out[0]
    """
    shown = lines(text)
    assert (shown["u"], shown["v"], shown["w"]) == ("[b, d]", "[1, b, d]", "[1, b, d]")
    assert (shown["s"], shown["t"]) == ("[b, b]", "[b, b]")


def test_ways_without_room_give_the_unknown() -> None:
    """After so many steps two ways through a statement are run. Both are wrong here; a third, which is not run, isn't."""
    body = "  x = x + 1\n" * 900 + "  d = (2 if a else 1) - (1 if b else 0)\n  y = torch.zeros(3).sum(d)\n"
    ways = [f.value for f in facts(f"def f(x, a, b):\n{body}").items if isinstance(f, Assigned) and f.name == "d"]
    assert len(ways) == 2, "the function is too short to be out of room, or what is not run is not said to be unknown"
    assert not check(Path("case.py"), (HEAD + f"def f(x, a, b):\n{body}").encode())
