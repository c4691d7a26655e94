"""SHAPECHECK, first_k, every_n, the import hook, the pytest plugin, report()."""

import subprocess
import sys
import textwrap

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from shapecheck import ShapeError, check, install_import_hook, report, shaped

R = torch.randn


def total(x: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    return x.sum(-1)


def refused(function, calls):
    """Which of the calls, all wrong, were refused."""
    found = []
    for number in range(calls):
        try:
            function(R(2, 3, 4))
        except ShapeError:
            found.append(number)
    return found


def test_off_gives_the_function_itself(monkeypatch):
    monkeypatch.setenv("SHAPECHECK", "off")
    assert shaped(total) is total
    assert shaped(independent="B")(total) is total
    assert check(R(2), "B D only_here").shape == (2,)


def test_first_checks_the_first_calls(monkeypatch):
    monkeypatch.setenv("SHAPECHECK", "first")
    assert refused(shaped(total), 9) == [0, 1, 2]
    assert refused(shaped(first_k=1)(total), 9) == [0]


def test_sample_checks_every_so_many(monkeypatch):
    monkeypatch.setenv("SHAPECHECK", "sample")
    assert refused(shaped(total), 300) == [0, 128, 256]


def test_every_n():
    assert refused(shaped(every_n=4)(total), 9) == [0, 4, 8]


def test_sampling_still_checks_while_tracing():
    f = shaped(every_n=1000)(total)
    f(R(2, 3))
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="argument x"):
        torch.compile(f, backend="eager", fullgraph=True)(R(2, 3, 4))


def test_other_words_are_errors(monkeypatch):
    monkeypatch.setenv("SHAPECHECK", "sometimes")
    with pytest.raises(ValueError, match="off, first, sample, on"):
        shaped(total)


@pytest.mark.parametrize("choice", [{"device": "cpu"}, {"types": "some"}, {"first_k": 0}, {"every_n": 0}])
def test_other_choices_are_errors(choice):
    with pytest.raises(ValueError, match=next(iter(choice))):
        shaped(**choice)


PACKAGE = {
    "__init__.py": "",
    "model.py": """
        from __future__ import annotations
        from dataclasses import dataclass
        from functools import lru_cache
        from typing import TYPE_CHECKING, Callable
        import torch
        from jaxtyping import Float
        if TYPE_CHECKING:
            from torch import Tensor

        def similarity(q: Float[Tensor, "B D"], p: Float[Tensor, "B G D"]) -> Float[Tensor, "B G"]:
            s: Float[Tensor, "B G"] = torch.matmul(q, p.transpose(-2, -1))
            return s.view(len(q), -1)

        class Head(torch.nn.Module):
            def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
                return x

        @dataclass
        class Batch:
            q: Float[Tensor, "B D"]
            p: Float[Tensor, "B D"]

        def apply(f: Callable[[Float[Tensor, "B"]], int]) -> int:
            return 1

        @lru_cache
        def unannotated(x):
            return x
    """,
    "bad.py": """
        from jaxtyping import Float
        from torch import Tensor
        def later(x: "Float[Tensor, 'B,G']") -> int:
            return 1
    """,
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name in ("hooked_one", "hooked_two"):
        (tmp_path / name).mkdir()
        for file, text in PACKAGE.items():
            (tmp_path / name / file).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [n for n in sys.modules if n.startswith("hooked_")]:
        del sys.modules[name]


def test_the_import_hook_checks_a_whole_package(package):
    with install_import_hook("hooked_one"):
        from hooked_one import bad, model

    with pytest.raises(ShapeError, match="line 12: s: "):
        model.similarity(R(4, 3), R(4, 2, 3))
    with pytest.raises(ShapeError, match="return value"):
        model.Head()(R(2, 3))
    with pytest.raises(ShapeError, match="Batch.p"):
        model.Batch(R(2, 3), R(1, 3))
    assert model.unannotated(3) == 3
    assert model.apply(len) == bad.later(1) == 1
    notes = {entry.where: entry.notes for entry in report().unchecked}
    assert any("without calling it" in note for note in notes["hooked_one.model.apply"])
    assert any("malformed" in note for note in notes["hooked_one.bad.later"])
    from hooked_two import model as untouched

    with pytest.raises(RuntimeError):  # torch's own, not ours
        untouched.similarity(R(4, 3), R(5, 2, 4))


def test_the_import_hook_comes_before_the_import(package):
    import hooked_two  # noqa: F401

    with pytest.raises(ValueError, match="already imported"):
        install_import_hook("hooked_two")


def test_the_pytest_plugin(package):
    (package / "test_it.py").write_text(
        textwrap.dedent(
            """
            import torch
            from hooked_one.model import similarity

            def test_it():
                similarity(torch.randn(4, 3), torch.randn(4, 2, 3))
            """
        )
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(package / "test_it.py")]
    plugin = ["-p", "shapecheck.runtime.pytest_plugin"] if not plugin_is_installed() else []
    plain = subprocess.run([*command, *plugin], capture_output=True, text=True, cwd=package)
    assert plain.returncode == 0, plain.stdout + plain.stderr
    options = ["--shaped", "hooked_one", "--shaped-report"]
    strict = subprocess.run([*command, *plugin, *options], capture_output=True, text=True, cwd=package)
    assert strict.returncode == 1
    assert 'line 12: s: "B G" has 2 axes' in strict.stdout
    assert "shapecheck: " in strict.stdout
    assert "hooked_one.model.similarity (in the body): q, p, s (line 12), return" in strict.stdout


def plugin_is_installed():
    from importlib.metadata import entry_points

    return any(point.value == "shapecheck.runtime.pytest_plugin" for point in entry_points(group="pytest11"))


def test_the_report_says_what_and_why():
    @shaped
    def reported(x: Float[Tensor, "B D"], k: int = 1) -> Float[Tensor, "B K"]:
        y: Float[Tensor, "B D"] = x
        return y

    exec_made = shaped(eval("lambda x: x"), axes={"x": "B D"})
    assert exec_made(R(2, 3)).shape == (2, 3)
    text = str(report())
    assert "reported (in the body): x, k, y (line" in text
    assert "not checked: K of the result is bound by no argument" in text
    assert "not checked: annotated local variables: it is a lambda" in text
