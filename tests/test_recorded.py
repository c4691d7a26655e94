"""Shapes that a run recorded: what `lint` and `reveal` make of them, and when they no longer hold."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from test_watch import program

from shapecheck.recording.file import DEFAULT, Unreadable, read, write
from shapecheck.service.watched import text_of, watch

LOSS = """
    import torch
    from torch.nn import functional as F


    def regression(net, batch):
        scores = net(batch["state"])
        return F.mse_loss(scores, batch["reward"])


    def untouched(a):
        return a.sum()
    """


def shapecheck(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shapecheck", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def recorded(folder: Path, rows: int = 4) -> Path:
    module = program(folder, LOSS, "loss")
    with watch(folder) as seen:
        module.regression(torch.nn.Linear(3, 1), {"state": torch.randn(rows, 3), "reward": torch.randn(rows)})
    seen.record(folder / DEFAULT)
    return folder / DEFAULT


@pytest.mark.filterwarnings("ignore")
def test_lint_finds_what_the_text_does_not_tell(tmp_path: Path) -> None:
    bare = program(tmp_path, LOSS, "loss")
    assert bare.__file__ is not None
    assert shapecheck(tmp_path, "lint", "--no-cache", "loss.py").stdout == ""
    recorded(tmp_path)
    ran = shapecheck(tmp_path, "lint", "--no-cache", "--output-format", "concise", "loss.py")
    assert ran.returncode == 1
    assert ran.stdout.startswith("loss.py:8:")
    assert "SC102" in ran.stdout
    elsewhere = shapecheck(tmp_path, "lint", "--no-cache", "--recorded", "nothing.json", "loss.py")
    assert elsewhere.returncode == 2
    assert "nothing.json" in elsewhere.stderr


@pytest.mark.filterwarnings("ignore")
def test_a_function_that_moved_still_counts_and_one_that_changed_does_not(tmp_path: Path) -> None:
    recorded(tmp_path)
    file = tmp_path / "loss.py"
    text = file.read_text()
    file.write_text("# one more line\n\n" + text)
    moved = shapecheck(tmp_path, "lint", "--no-cache", "--output-format", "concise", "loss.py")
    assert moved.stdout.startswith("loss.py:10:")
    file.write_text(text.replace("scores = net", "found = net").replace("(scores,", "(found,"))
    changed = shapecheck(tmp_path, "lint", "--no-cache", "loss.py")
    assert (changed.returncode, changed.stdout) == (0, "")
    assert "loss.py: regression changed since its shapes were recorded" in changed.stderr


@pytest.mark.filterwarnings("ignore")
def test_reveal_shows_them(tmp_path: Path) -> None:
    recorded(tmp_path)
    shown = shapecheck(tmp_path, "reveal", "loss.py").stdout
    (line,) = [line for line in shown.splitlines() if line.lstrip().startswith("scores =")]
    assert "#> scores [" in line
    assert line.count(", ") == 1


@pytest.mark.filterwarnings("ignore")
def test_several_runs_merge_and_nothing_private_is_kept(tmp_path: Path) -> None:
    file = recorded(tmp_path)
    recorded(tmp_path, rows=5)
    kept = json.loads(file.read_text())
    ways = kept["files"]["loss.py"]["regression"]["ways"]
    assert [way["args"]["batch"]["entries"]["reward"]["sizes"] for way in ways] == [[4], [5]]
    assert list(kept["files"]) == ["loss.py"]
    assert str(tmp_path) not in file.read_text()
    assert list(kept["files"]["loss.py"]) == ["regression"]


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    for text in ("[]", "{", '{"version": 99, "files": {}}', '{"version": 1, "files": {"a.py": {"f": {}}}}'):
        (tmp_path / "a.py").write_text("def f():\n    pass\n")
        file.write_text(text)
        with pytest.raises(Unreadable):
            read(file, text_of)
    file.write_text("[]")
    with pytest.raises(Unreadable):
        write(file, {}, text_of)


def test_run_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        textwrap.dedent(
            """
            import torch

            def total(x):
                y = x * 2
                return y.sum()

            total(torch.ones(3, 2))
            """
        )
    )
    ran = shapecheck(tmp_path, "run", "--record", ".shapecheck/recorded.json", "train.py")
    assert ran.returncode == 0
    assert "has the shapes of 1 function" in ran.stderr
    assert list(read(tmp_path / DEFAULT, text_of)) == [str(tmp_path / "train.py")]
