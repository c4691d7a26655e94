"""`import shapecheck` stays light, and its names are there when asked for."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "jaxtyping", "beartype", "libcst", "numpy")


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "module",
    [
        "shapecheck",
        "shapecheck.dims.spec",
        "shapecheck.dims.mismatch",
        "shapecheck.runtime",
        "shapecheck.runtime.pytest_plugin",
    ],
)
def test_importing_is_light(module):
    loaded = run(f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_every_exported_name_is_there():
    out = run("import shapecheck; print([n for n in shapecheck.__all__ if not callable(getattr(shapecheck, n))])")
    assert out.strip() == "[]"


def test_unknown_names_are_attribute_errors():
    out = run("import shapecheck\ntry: shapecheck.shapde\nexcept AttributeError as e: print(e)")
    assert "has no attribute 'shapde'" in out
