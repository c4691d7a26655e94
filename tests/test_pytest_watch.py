"""`pytest --shapecheck-watch PATH`: verdicts as without it, and the findings of what ran at the end."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest

LOSS = """
    import torch
    from torch.nn import functional as F

    def regression(scores, wanted):
        return F.mse_loss(scores, wanted)

    def product(a, b):
        return a @ b
    """
TESTS = """
    import pytest, sys, torch
    import loss

    @pytest.mark.parametrize("rows", [4, 5])
    def test_regression(rows):
        assert loss.regression(torch.randn(rows, 1), torch.randn(rows)).dim() == 0

    def test_that_fails():
        assert sys.gettrace() is None

    def test_what_torch_refuses():
        with pytest.raises(RuntimeError):
            loss.product(torch.ones(2, 3), torch.ones(2, 3))
    """


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["here", "in workers"])
def test_what_ran_is_told_of_at_the_end(tmp_path: Path, workers: list[str]) -> None:
    (tmp_path / "loss.py").write_text(textwrap.dedent(LOSS))
    (tmp_path / "test_loss.py").write_text(textwrap.dedent(TESTS))
    installed = "shapecheck-watch" in {found.name for found in entry_points(group="pytest11")}
    ours = [] if installed else ["-p", "shapecheck.cli.pytest_watch"]
    plugins = [*ours, "-p", "no:cacheprovider", "-W", "ignore"]
    command = [sys.executable, "-m", "pytest", *plugins, *workers, "--shapecheck-watch", "loss.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "1 failed, 3 passed" in ran.stdout
    assert "FAILED test_loss.py::test_that_fails" in ran.stdout
    assert ran.stdout.count("loss.py:6:12: ") == 1
    assert "warning SC102 column-against-row" in ran.stdout
    assert "disagrees with torch" not in ran.stdout
