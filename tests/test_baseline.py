"""Findings that a project lives with for now."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from shapecheck.cli.app import app

CROSSED = """\
import torch


def sim(q, p):
    return torch.matmul(q, p.transpose(-2, -1))


def scores(q, p, group):
    b, d = q.shape
    s = sim(q, p.view(b, group, d))  # B G
    return s.view(b, -1)
"""
AGAIN = CROSSED.replace("import torch\n", "").replace("scores", "others")
Lint = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lint:
    (tmp_path / "work" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")

    def run(*args: str) -> tuple[int, list[str], str]:
        with pytest.raises(SystemExit) as end:
            app(["lint", "--no-cache", "--output-format", "concise", "--baseline", "known.json", *args])
        captured = capsys.readouterr()
        return int(end.value.code or 0), [line.split(" ")[0] for line in captured.out.splitlines()], captured.err

    return run


def test_what_is_in_it_is_not_shown_and_what_is_new_is(lint: Lint) -> None:
    Path("a.py").write_text(CROSSED)
    status, out, err = lint("--write-baseline")
    assert (status, out, "1 finding written to known.json" in err) == (0, [], True)
    status, out, err = lint()
    assert (status, out, "1 finding of known.json not shown" in err) == (0, [], True)
    Path("a.py").write_text("# moved\n\n\n" + CROSSED)
    assert lint()[:2] == (0, [])
    Path("a.py").write_text(CROSSED + AGAIN)
    assert lint()[:2] == (1, ["a.py:20:9:"]), "an equal one is new"
    Path("b.py").write_text(CROSSED)
    assert lint()[:2] == (1, ["a.py:20:9:", "b.py:10:9:"])


def test_what_is_gone_is_said_where_it_was_looked_for(lint: Lint) -> None:
    Path("a.py").write_text(CROSSED)
    Path("b.py").write_text(CROSSED)
    lint("--write-baseline")
    Path("a.py").write_text(
        CROSSED.replace("s = sim(q,", "s = sim(q.unsqueeze(1),").replace("d))  #", "d)).squeeze(1)  #")
    )
    assert "1 finding of known.json gone (--write-baseline drops them)" in lint()[2]
    assert "gone" not in lint("b.py")[2], "a.py was not looked at"
    assert "gone" not in lint("--select", "SC2")[2], "the rule did not run"
    assert "gone" not in lint("--exclude", "a.py")[2]
    Path("b.py").unlink()
    assert "2 findings of known.json gone" in lint()[2]
    lint("--write-baseline")
    assert json.loads(Path("known.json").read_text())["findings"] == []


def test_a_part_of_the_project_can_be_written_anew(lint: Lint) -> None:
    for name in ("a.py", "sub/b.py"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(CROSSED)
    lint("--write-baseline")
    lint("--write-baseline", "sub")
    assert lint()[:2] == (0, [])
    rows = json.loads(Path("known.json").read_text())["findings"]
    assert [(row["file"], row["code"], row["count"]) for row in rows] == [
        ("a.py", "SC101", 1),
        ("sub/b.py", "SC101", 1),
    ]
    assert rows[0]["line"] == "s = sim(q, p.view(b, group, d))  # B G"


def test_a_file_that_cannot_be_checked_keeps_what_was_known_of_it(lint: Lint) -> None:
    Path("a.py").write_text(CROSSED)
    lint("--write-baseline")
    Path("a.py").write_text(CROSSED + "x = (\n")
    assert lint("--write-baseline")[0] == 2
    Path("a.py").write_text(CROSSED)
    assert lint()[:2] == (0, [])


def test_fixes_leave_what_is_known_alone(lint: Lint) -> None:
    Path("a.py").write_text(CROSSED)
    lint("--write-baseline")
    Path("b.py").write_text(CROSSED)
    lint("--fix")
    assert Path("a.py").read_text() == CROSSED
    assert "unsqueeze" in Path("b.py").read_text()


@pytest.mark.parametrize("seed", range(5))
def test_it_is_stable_when_lines_move(lint: Lint, seed: int) -> None:
    """Blank lines, comments, statements and functions come and go around what is known."""
    rng = random.Random(seed)
    Path("a.py").write_text(CROSSED + AGAIN)
    lint("--write-baseline")
    parts = (CROSSED + AGAIN).split("\n\n\n")
    for _ in range(3):
        between = [
            rng.choice(["\n\n\n", "\n\n\nX = 1\n\n\n", "\n\n# said\n\n\n", "\n\n\ndef f(x):\n    return x\n\n\n"])
            for _ in parts
        ]
        text = parts[0] + "".join(space + part for space, part in zip(between, parts[1:]))
        Path("a.py").write_text(text.replace("    b, d = q.shape\n", "    b, d = q.shape\n" + "\n" * rng.randrange(3)))
        status, out, err = lint()
        assert (status, out) == (0, [])
        assert "2 findings of known.json not shown" in err
        assert "gone" not in err


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1}', '{"version": 1, "findings": [{"file": 1}]}', "\udcff"]
)
def test_what_is_no_baseline_is_refused(lint: Lint, text: str) -> None:
    Path("a.py").write_text(CROSSED)
    Path("known.json").write_text(text, errors="surrogateescape")
    for args in ((), ("--write-baseline",)):
        status, out, err = lint(*args)
        assert (status, out, err) == (2, [], "shapecheck: known.json: it is no baseline of shapecheck's\n")
    assert Path("known.json").read_text(errors="surrogateescape") == text


def test_wrong_requests(lint: Lint) -> None:
    assert lint()[2] == (
        "shapecheck: known.json: cannot be read: there is no such file or folder (--write-baseline makes it)\n"
    )
    assert "goes with neither --fix nor --diff" in lint("--write-baseline", "--fix")[2]
