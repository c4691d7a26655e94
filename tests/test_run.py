"""`shapecheck run`: the program is what it is under `python`, and stderr ends with what was found."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHAPECHECK = [sys.executable, "-c", "from shapecheck.cli import main; main()"]


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


def start(folder: Path, *command: str) -> Ran:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def run(folder: Path, *args: str) -> Ran:
    return start(folder, *SHAPECHECK, "run", *args)


def write(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))


TRAIN = """
    import sys
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Critic(nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.net = nn.Sequential(*layers)

        def loss(self, state, reward):
            return F.mse_loss(self.net(state), reward)

    if __name__ == "__main__":
        critic = Critic([nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)])
        for step in range(6):
            critic.loss(torch.randn(6, 3), torch.randn(6)).backward()
            print(step, sys.gettrace() is not None, flush=True)
    """


def test_the_program_is_as_under_python(tmp_path: Path) -> None:
    write(
        tmp_path,
        "job/main.py",
        """
        import atexit, sys
        from pathlib import Path
        import helper

        def fail(numbers):
            return numbers[len(sys.argv)]

        atexit.register(print, "at the end")
        print(sys.argv, sys.path[0], __name__, __file__, __spec__, sys.modules["__main__"].fail is fail, helper.NAME)
        if "fail" in sys.argv:
            fail([])
        sys.exit(len(sys.argv))
        """,
    )
    write(tmp_path, "job/helper.py", "NAME = __name__\n")
    for args in (["job/main.py", "--steps", "x", "-m"], ["job/main.py", "fail"]):
        plain, ours = start(tmp_path, sys.executable, *args), run(tmp_path, *args)
        assert (ours.status, ours.out) == (plain.status, plain.out)
        assert ours.err.startswith(plain.err)
        assert "no findings" in ours.err.removeprefix(plain.err)


def test_a_module_is_as_under_python(tmp_path: Path) -> None:
    write(tmp_path, "pack/__init__.py", "")
    write(tmp_path, "pack/near.py", "NAME = __name__\n")
    write(
        tmp_path,
        "pack/__main__.py",
        "import sys\nfrom . import near\nprint(sys.argv, sys.path[0], __name__, __package__, __spec__.name, near.NAME)\n",
    )
    plain, ours = start(tmp_path, sys.executable, "-m", "pack", "-v"), run(tmp_path, "-m", "pack", "-v")
    assert (ours.status, ours.out) == (plain.status, plain.out)
    missing = run(tmp_path, "-m", "nothing_there")
    assert (missing.status, missing.out) == (2, "")
    assert "nothing_there" in missing.err


def test_some_steps_are_watched_and_then_nobody_does(tmp_path: Path) -> None:
    write(tmp_path, "train.py", TRAIN)
    ran = run(tmp_path, "--steps", "2", "--output-format", "concise", "train.py")
    assert ran.status == 0
    assert ran.out.splitlines() == ["0 True", "1 True", *(f"{step} False" for step in range(2, 6))]
    assert [line for line in ran.err.splitlines() if "SC102" in line and line.startswith("train.py:13:")]


def test_check_and_exit(tmp_path: Path) -> None:
    write(tmp_path, "train.py", TRAIN)
    ran = run(tmp_path, "--steps", "1", "--exit", "--check", "--output-file", "found.txt", "train.py")
    assert (ran.status, ran.out) == (1, "0 True\n")
    assert "SC102" in (tmp_path / "found.txt").read_text()
    write(tmp_path, "train.py", TRAIN.replace("self.net(state)", "self.net(state).squeeze(1)"))
    assert run(tmp_path, "--steps", "1", "--exit", "--check", "train.py").status == 0


def test_a_crash_is_explained(tmp_path: Path) -> None:
    write(
        tmp_path,
        "crash.py",
        """
        import torch

        def score(q, p):
            return torch.cat([q, p])

        score(torch.ones([4, 3][:2]), torch.ones([6, 5][:2]))
        """,
    )
    ran = run(tmp_path, "crash.py")
    assert ran.status == 1
    (why,) = [line for line in ran.err.splitlines() if line.startswith("crash.py:5: ")]
    assert "[4, 3]" in why
    assert "[6, 5]" in why
    assert "RuntimeError: Sizes of tensors must match" in ran.err


@pytest.mark.parametrize("args", [["nothing.py"], []])
def test_what_cannot_be_run(tmp_path: Path, args: list[str]) -> None:
    assert run(tmp_path, *args).status == 2
