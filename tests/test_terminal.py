"""Nothing that a project holds reaches a terminal as a command to it: names, code, comments, settings, sentences."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shapecheck.source.text import visible

EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\x7f"
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
CODE = f'''\
"""{EVIL}"""
import torch
from torch import nn
from jaxtyping import Float


def sim(q, p):
    return torch.matmul(q, p.transpose(-2, -1))


def scores(q, p, group):  # {EVIL}
    b, d = q.shape
    s = sim(q, p.view(b, group, d))  # B G {EVIL}  # shapecheck: ignore[{EVIL}]
    t = q.view(b, d)  # [b, d, "{EVIL}"]
    u = q.view(b, d)  # shape: (b, d, {EVIL})
    torch.einsum("bd,bgd->{EVIL}", q, p.view(b, group, d))
    nn.Linear("{EVIL}", 3)(q.view(b, "{EVIL}"))
    return s.view(b, -1)


def typed(x: Float[torch.Tensor, "B {EVIL} D"], y: "{EVIL}"):
    """Args:
        x: shape (B, {EVIL}, D)
    """
    b, c = x.shape
    return x.view(b, c) @ y
'''
RAN = f'''\
import torch


def scores(q, p, group):
    b, d = q.shape
    s = ["{EVIL}", q @ p.view(b, group, d).transpose(1, 2)][1]  # B G {EVIL}
    return s.view(b, -1)


scores(torch.zeros(3, 4), torch.zeros(6, 4), 2)
'''
CALLS = [
    ("lint", "."), ("lint", "--unused-ignores", "--severity", "info", "."), ("lint", "--diff", "."),
    ("lint", "--output-format", "concise", "."), ("lint", "--output-format", "statistics", "."),
    ("lint", "--output-format", "github", "."), ("lint", "--output-format", "html", "."),
    ("lint", "--output-format", "junit", "."), ("lint", "--output-format", "sarif", "."),
    ("lint", "--output-format", "gitlab", "."), ("lint", "--output-format", "json", "."),
    ("lint", f"no{EVIL}.py"), ("lint", f"--select=SC{EVIL}", "."), ("lint", f"--severity={EVIL}", "."),
    ("lint", f"--config=no{EVIL}.toml", "."), ("lint", f"--baseline=no{EVIL}.json", "."),
    ("lint", f"--baseline=new{EVIL}.json", "--write-baseline", "."), ("lint", f"--recorded=no{EVIL}", "."),
    ("lint", f"--cache-dir=b{EVIL}ad.py/c", "."), ("lint", f"--output-file=no{EVIL}/x", "."),
    ("lint", f"--jobs={EVIL}", "."), ("lint", f"--stdin-filename={EVIL}.py", "-"),
    ("reveal", f"b{EVIL}ad.py"), ("reveal", f"b{EVIL}ad.py", "--why", "13"), ("reveal", f"broken\n{EVIL}.py"),
    ("reveal", f"no{EVIL}.py"), ("reveal", f"{EVIL}.ipynb"), ("explain", f"SC{EVIL}"),
    ("run", f"no{EVIL}.py"), ("run", "-m", f"no{EVIL}"), ("run", f"ran{EVIL}.py"),
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    (folder / f"in{EVIL}").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / f"b{EVIL}ad.py").write_text(CODE)
    (folder / f"in{EVIL}" / "lines\nof a name.py").write_text(CODE)
    (folder / f"broken\n{EVIL}.py").write_text(f'import torch\nx = "{EVIL}\n')
    (folder / f"ran{EVIL}.py").write_text(RAN)
    (folder / f"cookie{EVIL}.py").write_bytes(b"# coding: no-such-\xff\nimport torch\n" + EVIL.encode())
    (folder / f"bad{EVIL}").mkdir()
    (folder / f"bad{EVIL}" / "shapecheck.toml").write_text('select = ["SC\\u001b[31m"]\n"\\u001b[31m" = 3\n')
    (folder / f"bad{EVIL}" / "a.py").write_text(CODE)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.mark.parametrize("call", CALLS, ids=[visible(" ".join(call)) for call in CALLS])
def test_no_command_reaches_a_terminal(project: Path, call: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "shapecheck", *call]
    out, status = _on_a_terminal(command, patch="--diff" in call)
    assert "internal error" not in out
    assert "Traceback" not in out
    assert status in (0, 1, 2), out
    assert not UNSEEN.search(out), UNSEEN.search(out)
    assert "\\x1b" in out or "\\u001b" in out or "statistics" in call


def _on_a_terminal(command: list[str], patch: bool) -> tuple[str, int]:
    """What a command prints. A patch is bytes for a program, and made visible only for a terminal."""
    if not patch:
        ran = subprocess.run(
            command, input=CODE.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False
        )
        return ran.stdout.decode(), ran.returncode
    ours, its = pty.openpty()
    try:
        with subprocess.Popen(command, stdin=its, stdout=its, stderr=its) as process:
            os.close(its)
            said = bytearray()
            while True:
                try:
                    part = os.read(ours, 65536)
                except OSError:  # the last one who had it open is gone
                    break
                if not part:
                    break
                said += part
    finally:
        os.close(ours)
    return said.decode().replace("\r\n", "\n").replace("\r\x1b[K", ""), process.returncode


def test_carets_stand_under_what_is_shown(project: Path) -> None:
    """Escapes are wider than what they stand for."""
    command = [sys.executable, "-m", "shapecheck", "lint", f"ran{EVIL}.py"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = ran.stdout.split("\n")
    at = next(n for n, line in enumerate(lines) if "s = [" in line)
    carets = [line.span() for line in re.finditer(r"\^+", lines[at + 1])]
    assert lines[at][slice(*carets[-1])] == "p.view(b, group, d).transpose(1, 2)"


def test_a_patch_with_any_names_can_be_applied(project: Path) -> None:
    for extra in ('quo"te.py', "back\\slash.py", "tab\t.py", "two  spaces.py"):
        (project / extra).write_text(CODE)
    before = {file: file.read_bytes() for file in project.rglob("*.py")}
    command = [sys.executable, "-m", "shapecheck", "lint", "--diff", "."]
    made = subprocess.run(command, capture_output=True, check=False)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "apply", "-p0"], input=made.stdout, check=True)
    changed = {file.name for file, text in before.items() if file.read_bytes() != text}
    assert {'quo"te.py', "back\\slash.py", "tab\t.py", "two  spaces.py", "lines\nof a name.py"} <= changed
