"""docs/found.md: each place is shown by a run of torch, and the page says what the cases say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def _found() -> ModuleType:
    spec = importlib.util.spec_from_file_location("found", ROOT / "benchmarks" / "found.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["found"] = module
    spec.loader.exec_module(module)
    return module


found = _found()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", found.FOUND, ids=lambda case: f"{case.path}:{case.line}")
def test_torch_shows_it(case: object) -> None:
    case.shown()  # type: ignore[attr-defined]


def test_the_page_is_that_of_the_cases() -> None:
    assert (ROOT / "docs" / "found.md").read_text() == found.page()
