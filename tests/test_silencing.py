"""`--add-ignores`: what is found is silenced, and nothing else of a file is touched."""

from __future__ import annotations

import ast
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from test_trust import CROSSED, here, lint

from shapecheck.service.check import Options
from shapecheck.service.run import Repair, run, silence

__all__ = ["here"]  # a fixture
ROOT = Path(__file__).parents[1]


def test_samples_are_clean_afterwards_and_no_comment_is_in_vain(here: Path) -> None:
    options = Options(here)
    files = []
    for sample in sorted((ROOT / "rules").glob("*/bad.py")):
        files.append(str(shutil.copy(sample, here / f"{sample.parent.name}.py")))
    outcome = run(files, lambda path: options)
    made = list(silence(outcome, lambda d, text: True))
    assert len(made) > 30
    for one in made:
        assert isinstance(one, Repair)
        assert one.left == ()
        assert ast.dump(ast.parse(one.after)) == ast.dump(ast.parse(one.before))
        assert re.sub(rb"  # shapecheck: ignore\[[SC\d, ]+\]", b"", one.after) == one.before
        Path(one.path).write_bytes(one.after)
    outcome = run(files, lambda path: replace(options, unused_ignores=True))
    assert [d.sentence for d in outcome.diagnostics if "expect:" not in d.message] == []


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("s = sim(q, p.view(b, g, d))", "s = sim(q, p.view(b, g, d))  # shapecheck: ignore[SC101]"),
        ("s = sim(q, p.view(b, g, d)) \t", "s = sim(q, p.view(b, g, d))  # shapecheck: ignore[SC101] \t"),
        ("s = sim(q, p.view(b, g, d))  # B G", "s = sim(q, p.view(b, g, d))  # B G  # shapecheck: ignore[SC101]"),
        (
            "s = sim(q, p.view(b, g, d))  # shapecheck: ignore[SC2] -- so",
            "s = sim(q, p.view(b, g, d))  # shapecheck: ignore[SC2, SC101] -- so",
        ),
        (
            's = """\n"""; t = sim(q, p.view(b, g, d)) + """\n"""',
            's = """\n"""; t = sim(q, p.view(b, g, d)) + """\n"""  # shapecheck: ignore[SC101]',
        ),
        (
            "s = sim(q, p.view(b, g, d)) \\\n    + 1",
            "s = sim(q, p.view(b, g, d)) \\\n    + 1  # shapecheck: ignore[SC101]",
        ),
        ("s = sim(\n  q, p.view(b, g, d))", "s = sim(  # shapecheck: ignore[SC101]\n  q, p.view(b, g, d))"),
    ],
)
def test_where_the_comment_goes(here: Path, line: str, after: str, newline: str) -> None:
    start = CROSSED[: CROSSED.index("def scores")]
    text = "def scores(q, p, g):\n    b, d = q.shape\n    {}\n    return s.view(b, -1)\n"
    text = text.replace("return s", "return t") if "t = " in line else text
    (here / "a.py").write_bytes((start + text.format(line)).replace("\n", newline).encode())
    expected = (start + text.format(after)).replace("\n", newline).encode()
    ran = lint("--add-ignores", "--output-format", "concise")
    assert (ran.status, ran.out, (here / "a.py").read_bytes()) == (0, "", expected)
    assert ran.err == "silenced 1 finding in 1 file\nno findings left, 1 file checked\n"
    assert lint("--add-ignores").err == "no findings, 1 file checked\n"


def test_only_what_is_shown_is_silenced(here: Path) -> None:
    """Nothing below the severity asked for, nothing that the baseline has, nothing with --diff; and refusals."""
    (here / "a.py").write_text(CROSSED)
    before = (here / "a.py").read_bytes()
    assert "+    s = sim(  # B G  # shapecheck: ignore[SC101]\n" in lint("--add-ignores", "--diff").out
    assert lint("--baseline", "known.json", "--write-baseline").status == 0
    assert lint("--baseline", "known.json", "--add-ignores").status == 0
    assert lint("--add-ignores", "--select", "SC7", "--severity", "error").status == 0
    for args in (["--fix"], ["--unsafe-fixes"], ["--baseline", "known.json", "--write-baseline"], ["-"]):
        assert lint("--add-ignores", *args, stdin="").status == 2
    assert (here / "a.py").read_bytes() == before
    (here / "a.py").chmod(0o444)
    ran = lint("--add-ignores")
    assert (ran.status, (here / "a.py").read_bytes()) == (2, before)
    assert "a.py: not written: permission to write is denied" in ran.err


def test_a_place_in_another_file_is_silenced_there(here: Path) -> None:
    (here / "lib.py").write_text(
        "import torch\n\n\nclass Base:\n    def forward(self, n):\n        return self.make(n) @ torch.zeros(5, 6)\n"
    )
    (here / "use.py").write_text(
        "import torch\nfrom lib import Base\n\n\nclass Mine(Base):\n    def make(self, n):\n        return torch.zeros(n, 4)\n"
    )
    assert lint("--add-ignores").status == 0
    assert (here / "lib.py").read_text().endswith("(5, 6)  # shapecheck: ignore[SC901]\n")
    assert lint("--unused-ignores").out == ""
