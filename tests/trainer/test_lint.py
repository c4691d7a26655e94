"""The trainer under its own linter: clean as it stands, and not because nobody looks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "reference_trainer"
COMMENTED = re.compile(r"^(\s+[a-z_]+ = .*)  # [A-Z]( [A-Z0-9*-]+)*$", re.MULTILINE)


def lint(folder, *options):
    command = [sys.executable, "-m", "shapecheck", "lint", "--no-cache", *options, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_lints_clean():
    done = lint(PACKAGE)
    assert done.returncode == 0, done.stdout


def test_shape_comments_are_read(tmp_path):
    """Give every trailing shape comment of an assignment four axes: most must be contradicted, if only as stale."""
    spoilt = 0
    for path in PACKAGE.glob("*.py"):
        text, count = COMMENTED.subn(r"\1  # B B B B", path.read_text(encoding="utf-8"))
        (tmp_path / path.name).write_text(text, encoding="utf-8")
        spoilt += count
    done = lint(tmp_path, "--severity", "info")
    found = done.stdout.count("comment-contradicted")
    assert spoilt >= 30
    assert found >= spoilt * 2 // 3, done.stdout
