"""The page about `@shaped` shows what happens: its code is run, and its errors are the ones that are raised."""

import inspect
import re
from pathlib import Path

import pytest
import torch

import shapecheck
from shapecheck import ShapeError
from shapecheck.runtime.modes import Options

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "shaped.md").read_text()
R = torch.randn


def blocks(language, page=PAGE):
    """Fenced blocks of a language, without the indentation of a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def errors():
    return [" ".join(text.split()) for text in blocks("text") if text.startswith("ShapeError")]


def run(page, folder):
    """The page's code as it is printed, block after block in one module; what each block leaves behind."""
    scope, after = {"__name__": "page"}, []
    for number, code in enumerate(blocks("python", page)):
        file = folder / f"block_{number}.py"
        file.write_text(code)
        exec(compile(code, str(file), "exec", dont_inherit=True), scope)
        after.append(dict(scope))
    return after


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return run(PAGE, tmp_path_factory.mktemp("page"))


def raised(function, *args):
    with pytest.raises(ShapeError) as caught:
        function(*args)
    return f"ShapeError: {caught.value}"


def test_the_first_example(page):
    assert raised(page[0]["compute_similarity"], R(4, 16), R(4, 8, 16)) == errors()[0]


def test_the_unannotated_loss_runs_and_the_annotated_one_does_not(page):
    page[1]["loss"].__globals__["similarity"] = page[1]["similarity"]  # a later block gives the name another meaning
    assert torch.isfinite(page[1]["loss"](R(4, 16), R(32, 16), 8))
    assert raised(page[2]["loss"], R(4, 16), R(32, 16), 8) == errors()[1]


def test_the_leaking_rows(page):
    torch.manual_seed(0)
    assert raised(page[3]["similarity"], R(4, 16), R(4, 8, 16)) == errors()[2]


def test_the_broadcast_line(page):
    said = str(page[-1]["seen"].found[0]).partition(": ")[2]
    assert said == "sub of (4,) with (4, 1) broadcasts to (4, 4)"
    assert said in PAGE


def test_the_page_for_those_who_come_from_jaxtyping(tmp_path, capsys):
    text = (DOCS / "from_jaxtyping.md").read_text()
    after = run(text, tmp_path)[-1]
    assert "page.pool (in the body): x, y (line 3), y (line 4), return" in capsys.readouterr().out
    with pytest.raises(ShapeError):
        after["pool"](R(2, 3))
    with pytest.raises(ShapeError, match="argument pair.p: axis 0"):
        after["score"](after["Pair"](R(2, 3), R(3, 3)), R(7))


def test_every_option_and_export_is_on_the_page():
    for name in inspect.signature(Options).parameters:
        assert name == "must_speak" or f"`{name}=" in PAGE, name
    for name in shapecheck.__all__:
        assert name in PAGE, name
