"""The page about `@shaped` shows what happens: its code is run, and its errors are the ones that are raised."""

import inspect
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import shapecheck
from shapecheck import ShapeError, no_broadcast, shaped
from shapecheck.runtime.modes import Options

PAGE = (Path(__file__).parents[2] / "docs" / "shaped.md").read_text()
R = torch.randn


def blocks(language):
    """Fenced blocks of a language, without the indentation of a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def errors():
    return [" ".join(text.split()) for text in blocks("text") if text.startswith("ShapeError")]


def run(code, tmp_path, **names):
    file = tmp_path / "page.py"
    file.write_text(code)
    scope = {"torch": torch, "F": F, "shaped": shaped, "__name__": "page", **names}
    from jaxtyping import Float

    scope.update(Float=Float, Tensor=torch.Tensor)
    exec(compile(code, str(file), "exec", dont_inherit=True), scope)
    return scope


def block_with(text):
    return next(code for code in blocks("python") if text in code)


def raised(function, *args):
    with pytest.raises(ShapeError) as caught:
        function(*args)
    return f"ShapeError: {caught.value}"


def test_the_first_example(tmp_path):
    scope = run(block_with("def compute_similarity"), tmp_path)
    assert raised(scope["compute_similarity"], R(4, 16), R(4, 8, 16)) == errors()[0]


def test_the_unannotated_loss_runs_and_the_annotated_one_does_not(tmp_path):
    wrong = run(block_with("# B G"), tmp_path)
    assert torch.isfinite(wrong["loss"](R(4, 16), R(32, 16), 8))
    code = block_with('p: Float[Tensor, "B*{group_size} D"]').replace("...", "return scores.sum()")
    scope = run(code, tmp_path, similarity=wrong["similarity"])
    assert raised(scope["loss"], R(4, 16), R(32, 16), 8) == errors()[1]


def test_the_leaking_rows(tmp_path):
    torch.manual_seed(0)
    scope = run(block_with("p.roll(1, 0)"), tmp_path)
    assert raised(scope["similarity"], R(4, 16), R(4, 8, 16)) == errors()[2]


def test_the_broadcast_line():
    with no_broadcast("strict", action="record") as seen:
        R(4) - R(4, 1)
    assert str(seen.found[0]).partition(": ")[2] in PAGE


def test_every_option_and_export_is_on_the_page():
    for name in inspect.signature(Options).parameters:
        assert name == "must_speak" or f"`{name}=" in PAGE, name
    for name in shapecheck.__all__:
        assert name in PAGE, name
