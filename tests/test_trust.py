"""Nothing of the user's is lost, and nothing is called clean that was not looked at: whole runs, as a user has them."""

from __future__ import annotations

import codecs
import encodings.aliases
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from shapecheck.findings.marks import Ignore, read
from shapecheck.service.check import Options
from shapecheck.service.run import Repair, repair, run

CROSSED = """\
import torch


def sim(q, p):
    return torch.matmul(q, p.transpose(-2, -1))


def scores(q, p, group):
    b, d = q.shape
    s = sim(  # B G
        q,  # type: ignore
        p.view(b, group, d),  # noqa
    )  # B G
    return s.view(b, -1)
"""
FIXED = CROSSED.replace("        q,", "        q.unsqueeze(1),").replace("    )  # B G", "    ).squeeze(1)  # B G")


class Ran:
    def __init__(self, ran: subprocess.CompletedProcess[str]) -> None:
        self.status, self.out, self.err = ran.returncode, ran.stdout, ran.stderr
        assert "Traceback" not in self.err


def lint(*args: str, cwd: Path | None = None, stdin: str | None = None) -> Ran:
    command = [sys.executable, "-m", "shapecheck", "lint", *args]
    env = {**os.environ, "NO_COLOR": "1"}
    return Ran(
        subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, env=env, timeout=120, check=False)
    )


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_one_run_fixes_every_file_and_what_was_promised(here: Path) -> None:
    for number in range(6):
        (here / f"m{number}.py").write_text(CROSSED)
    assert "can be fixed: 6 with --fix" in lint().err
    ran = lint("--fix")
    assert (ran.status, ran.err) == (0, "fixed 6 findings in 6 files\nno findings left, 6 files checked\n")
    assert {file.read_text() for file in here.glob("m?.py")} == {FIXED}


def test_a_file_that_may_not_be_written_is_named_and_the_others_fixed(here: Path) -> None:
    (here / "a.py").write_text(CROSSED)
    (here / "b.py").write_text(CROSSED)
    (here / "a.py").chmod(0o444)
    ran = lint("--fix")
    assert (ran.status, (here / "a.py").read_text(), (here / "b.py").read_text()) == (2, CROSSED, FIXED)
    assert (
        "a.py: not fixed: permission to write is denied\nfixed 1 finding in 1 file\n1 finding (1 error) in 1 file"
        in ran.err
    )


@pytest.mark.skipif(os.name != "posix", reason="limits of a shell")
@pytest.mark.parametrize("flag", ["--fix", "--add-ignores", "--baseline known.json --write-baseline"])
def test_what_cannot_be_written_leaves_nothing_behind(here: Path, flag: str) -> None:
    (here / "a.py").write_text(CROSSED)
    command = f"ulimit -f 0; {sys.executable} -m shapecheck lint --no-cache {flag} a.py"
    ran = Ran(subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False))
    assert (ran.status, "a file may not grow so large" in ran.err) == (2, True)
    assert (here / "a.py").read_text() == CROSSED
    assert sorted(os.listdir(here)) == [".git", "a.py"]


def test_what_a_fix_changes_for_other_files_is_told(here: Path) -> None:
    """The caller's finding is of the function that is fixed in another file."""
    (here / "lib.py").write_text(CROSSED)
    (here / "use.py").write_text(
        "import torch\nfrom lib import scores\n\n\ndef loss(q, p):\n    return scores(q, p, 4).sum()\n"
    )
    first, after = lint("--fix"), lint("--no-cache")
    assert first.out == after.out == ""


def test_no_encoding_is_a_bug_of_ours_or_costs_a_byte(here: Path) -> None:
    """Every encoding that Python has, named in a file with and without a byte-order mark: it is refused, or only what a
    fix is about is other bytes than before."""
    texts: dict[str, bytes] = {}
    for name in sorted({*encodings.aliases.aliases.values(), "undefined", "idna", "punycode", "unicode_escape"}):
        for mark in (b"", codecs.BOM_UTF8):
            letters = b""
            for letter in "\u00e9\u65e5\u0436":
                with suppress(LookupError, UnicodeError):
                    letters += letter.encode(name)
            for number, line in enumerate((b"", b"# " + letters + b"\n")):
                data = mark + f"# coding: {name}\n".encode() + line + CROSSED.encode()
                texts[str(here / f"{name}_{len(mark)}_{number}.py")] = data
    options = Options(here)
    outcome = run(list(texts), lambda path: options, given=texts, jobs=1)
    assert not [str(problem) for problem in outcome.problems if "internal error" in problem.message]
    changed = 0
    for one in repair(outcome, lambda path: options, unsafe=False, shows=lambda d, text: True):
        assert isinstance(one, Repair)
        assert one.after == one.before.replace(CROSSED.encode(), FIXED.encode())
        changed += 1
    assert changed > 100


def test_text_of_two_bytes_a_letter_is_not_called_clean(here: Path) -> None:
    (here / "a.py").write_bytes(CROSSED.encode("utf-16"))
    ran = lint()
    assert (ran.status, ran.err.split("\n")[0]) == (
        2,
        "a.py:1:1: The file is UTF-16, which Python does not read as source.",
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")
@pytest.mark.parametrize("streams", [">/dev/full", ">&-", "2>/dev/full", "2>&-", ">&- 2>&-", "<&-", "0>other"])
@pytest.mark.parametrize(
    "command", ["lint a.py", "lint --output-format json a.py", "lint --diff a.py", "lint -", "reveal a.py", "rules",
                "explain SC101", "--version", "--help"],
)  # fmt: skip
def test_streams_that_are_closed_or_full(here: Path, command: str, streams: str) -> None:
    """No traceback; and what could not be said or read is status 2."""
    (here / "a.py").write_text(CROSSED)
    ran = Ran(
        subprocess.run(
            ["bash", "-c", f"{sys.executable} -m shapecheck {command} {streams}"],
            input=CROSSED,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    )
    unread, unsaid = (
        streams in ("<&-", "0>other") and command == "lint -",
        streams == ">/dev/full" or streams.startswith(">&-"),
    )
    if command in ("--help", "--version") and streams.startswith(">&-"):
        return  # Python itself and the library that prints it say nothing then
    assert ran.status == (2 if unread or unsaid else int(command.startswith("lint")))
    assert bool(ran.out) == (not unread and not unsaid)
    if "2>" not in streams:
        told = {
            ">/dev/full": "the disk is full",
            ">&-": "closed",
            "0>other": "it is not open for that",
            "<&-": "closed",
        }[streams]
        assert (told in ran.err) == (unread or unsaid)


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices with names")
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_named_and_never_waited_for(here: Path, make: object) -> None:
    make("p.py")  # type: ignore[operator]
    ran = lint("p.py")
    assert ran.status == 2
    assert "p.py: cannot be read: it is a " in ran.err
    (here / "a.py").write_text("import torch\n")
    ran = lint()
    assert (ran.status, "p.py: left out, it is no regular file" in ran.err) == (0, True)


def test_a_module_that_appears_later_is_noticed(here: Path) -> None:
    (here / "use.py").write_text(
        "import torch\nfrom lib import make\n\n\ndef f(n):\n    return make(n) @ torch.zeros(5, 6)\n"
    )
    assert lint("use.py").status == 0
    (here / "lib.py").write_text("import torch\n\n\ndef make(n):\n    return torch.zeros(n, 4)\n")
    assert "SC901" in lint("use.py").out
    (here / "lib.py").unlink()
    assert lint("use.py").status == 0
    (here / "lib").mkdir()
    (here / "lib" / "__init__.py").write_text("import torch\n\n\ndef make(n):\n    return torch.zeros(n, 4)\n")
    assert "SC901" in lint("use.py").out


@pytest.mark.skipif(shutil.which("git") is None, reason="git takes the patch")
def test_a_patch_of_diff_makes_what_fix_makes(here: Path) -> None:
    """Also where lines end otherwise, where a line holds what other programs take for a line's end, and in other
    encodings than the terminal's."""
    odd = CROSSED.replace("    b, d", '    x = "\x1c\x0b\x85\u2028"\n    b, d')
    texts = {
        "plain.py": CROSSED.encode(),
        "crlf.py": CROSSED.replace("\n", "\r\n").encode(),
        "cr.py": CROSSED.replace("\n", "\r").encode(),
        "feed.py": CROSSED.replace("    b, d", "\x0c    b, d").encode(),
        "odd.py": odd.encode(),
        "whole.py": CROSSED.rstrip("\n").encode(),
        "latin.py": b"# coding: latin-1\n" + CROSSED.replace("# noqa", "# \xe9").encode("latin-1"),
        "kanji.py": b"# coding: shift_jis\n" + CROSSED.replace("# noqa", "# \u65e5").encode("shift_jis"),
        "mark.py": codecs.BOM_UTF8 + CROSSED.split("\n\n\n", 1)[0].encode() + CROSSED[13:].encode(),
    }
    for name, data in texts.items():
        (here / name).write_bytes(data)
    command = [sys.executable, "-m", "shapecheck", "lint", "--diff"]
    patch = subprocess.run(command, capture_output=True, check=False).stdout
    assert subprocess.run([*command, "--output-file", "patch"], capture_output=True, check=False).stdout == b""
    assert (here / "patch").read_bytes() == patch
    subprocess.run(["git", "apply", "-p0", "--unsafe-paths"], input=patch, check=True, capture_output=True)
    patched = {name: (here / name).read_bytes() for name in texts}
    assert lint().out == ""
    for name, data in texts.items():
        (here / name).write_bytes(data)
    assert lint("--fix").status == 0
    assert {name: (here / name).read_bytes() for name in texts} == patched


@pytest.mark.parametrize("seed", range(8))
def test_the_cache_never_knows_better(here: Path, seed: int) -> None:
    """Random projects of modules that import each other, with files that come, go and change: with the cache and
    without it, a run says the same."""
    rng = random.Random(seed)
    names = [
        Path(name) for name in ("a.py", "b.py", "p/__init__.py", "p/c.py", "q/c.py", "src/b.py", "p.py", "__init__.py")
    ]
    bodies = [
        "def make(n):\n    return torch.zeros(n, 4)\n",
        "def make(n):\n    return torch.zeros(n, 5)\n",
        "from b import make\n",
        "from p import *\n",
        "from p.c import make\n",
        "from q.c import make as make\n",
        "from .c import make\n",
    ]
    use = here / "use.py"
    use.write_text("import torch\nfrom a import make\n\n\ndef f(n):\n    return make(n) @ torch.zeros(5, 6)\n")
    options = Options(here, select=("SC901",))
    said = set()
    for step in range(15):
        for name in [Path("a.py"), *rng.sample(names, 3)] if step % 5 == 0 else rng.sample(names, 3):
            if rng.random() < 0.3 and step:
                name.unlink(missing_ok=True)
            else:
                name.parent.mkdir(exist_ok=True)
                name.write_text("import torch\n" + (rng.choice(bodies) if step % 5 else bodies[0]))
        found = [
            [d.message for d in run([str(use)], lambda path: options, cache_folder=folder).diagnostics]
            for folder in (here / "cache", None)
        ]
        assert found[0] == found[1]
        said.add(tuple(found[0]))
    assert len(said) == 2, "the projects differ"


def test_the_summary_counts_what_was_checked(here: Path) -> None:
    (here / "a.py").write_text(CROSSED)
    (here / "b.py").write_text("import torch\nx = (\n")
    (here / "c.py").write_text("import torch\n")
    ran = lint()
    assert ran.status == 2
    assert ran.err.splitlines()[1] == "1 finding (1 error) in 1 file, 2 files checked, 1 not"


def test_a_cache_that_cannot_be_written_is_said(here: Path) -> None:
    (here / "a.py").write_text("import torch\n")
    (here / "file").write_text("")
    ran = lint("--cache-dir", "file/cache", "a.py")
    assert ran.status == 0
    assert ran.err.splitlines()[0] == (
        "the cache in file/cache cannot be written: a part of the path is no folder (--no-cache does without it)"
    )


def test_each_file_by_its_own_configuration(here: Path) -> None:
    """As pre-commit passes files: one at a time, some, or all."""
    (here / "shapecheck.toml").write_text('ignore = ["SC6"]\n')
    (here / "sub").mkdir()
    (here / "sub" / "pyproject.toml").write_text('[tool.shapecheck]\nseverity = "error"\n[tool.shapecheck.per-file-ignores]\n"off.py" = ["SC"]\n')  # fmt: skip
    for name in ("a.py", "sub/b.py", "sub/off.py"):
        (here / name).write_text(CROSSED)

    def codes(*paths: str, cwd: Path = here) -> list[str]:
        return sorted(
            f"{Path(row['filename']).name} {row['code']}"
            for row in json.loads(lint("--output-format", "json", "--no-cache", *paths, cwd=cwd).out)
        )

    assert codes(".") == ["a.py SC101", "b.py SC101"]
    assert codes("sub/b.py") == codes("b.py", cwd=here / "sub") == ["b.py SC101"]
    assert codes("a.py", "sub/b.py", "sub/off.py") == codes(".")


def test_a_configuration_that_cannot_be_read_costs_its_own_files(here: Path) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "shapecheck.toml").write_text("select = [\n")
    for name in ("a.py", "sub/b.py", "sub/c.py"):
        (here / name).write_text(CROSSED)
    ran = lint("--output-format", "concise")
    assert ran.status == 2
    assert [line.split(":")[0] for line in ran.out.splitlines()] == ["a.py"]
    assert ran.err.count("shapecheck.toml:2:1: it is not TOML") == 1


def test_exclude_is_blamed_where_it_is_meant(here: Path) -> None:
    (here / "a.py").write_text("import torch\n")
    assert "a.py: left out, as --exclude says" in lint("--exclude", "a.py", "a.py").err
    (here / "sub").mkdir()
    (here / "sub" / "b.py").write_text(CROSSED)
    for pattern in ("sub", "sub/", "*.py"):
        assert "sub: left out, as --exclude says" in lint("--exclude", pattern, "sub").err
    assert "left out" not in lint("--exclude", "a.py", "sub", "sub", ".").err


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("", "", ""),
        ("shapecheck.toml", '[per-file-ignores]\n"b.py" = ["SC999"]\n', "shapecheck.toml:2:1: "),
        ("shapecheck.toml", '\nselect = ["SC1"]\n  ignore = ["SC2", "SC999"]\n', "shapecheck.toml:3:3: "),
        ("pyproject.toml", '[tool.shapecheck]\nselect = [\n"SC999"]\n', "pyproject.toml:2:1: "),
    ],
)
def test_unknown_codes_are_refused_at_their_line(here: Path, name: str, text: str, place: str) -> None:
    (here / "a.py").write_text("import torch\n")
    if name:
        (here / name).write_text(text)
    ran = lint(*([] if name else ["--ignore", "SC999"]))
    assert ran.status == 2
    assert ran.err.startswith(f'shapecheck: {place}no rule is called "SC999"')


def test_a_mark_that_another_file_s_check_needs_is_not_condemned(here: Path) -> None:
    """What is wrong in a function for a certain caller is found with the caller, and silenced in the function."""
    (here / "lib.py").write_text(
        "import torch\n\n\nclass Base:\n    def forward(self, n):\n"
        "        return self.make(n) @ torch.zeros(5, 6)  # shapecheck: ignore[SC901]\n"
    )
    (here / "use.py").write_text(
        "import torch\nfrom lib import Base\n\n\nclass Mine(Base):\n    def make(self, n):\n        return torch.zeros(n, 4)\n"
    )
    (mark,) = read((here / "lib.py").read_text())
    assert isinstance(mark, Ignore)
    alone = lint("--unused-ignores", "lib.py", "--output-format", "concise")
    assert "SC001" in alone.out
    for _ in range(2):  # checked, and from the cache
        assert lint("--unused-ignores", "--output-format", "concise").out == ""


@pytest.mark.parametrize(
    ("code", "told"), [("SC101", []), ("SC1", []), ("SC701", ["SC101", "SC001"]), ("SC102", ["SC101", "SC001"])]
)
def test_a_code_is_ignored_in_a_whole_file(here: Path, code: str, told: list[str]) -> None:
    """The comment stands below all that it speaks of; where it is in vain, that is told once."""
    (here / "a.py").write_text(f"{CROSSED}# shapecheck: ignore-file[{code}]\n")
    for _ in range(2):  # checked, and from the cache
        ran = lint("--unused-ignores", "--output-format", "json")
        assert [row["code"] for row in json.loads(ran.out)] == told


@pytest.mark.parametrize(
    ("mark", "told"), [("# noqa: E501, SC101", []), ("# noqa: SC1", []), ("# noqa", ["SC101"]), ("# noqa: S", ["SC101"]),
                       ("# noqa: E501", ["SC101"]), ("# noqa: SC102", ["SC101", "SC001"])],
)  # fmt: skip
def test_codes_of_ours_in_a_comment_of_all_linters(here: Path, mark: str, told: list[str]) -> None:
    (here / "a.py").write_text(CROSSED.replace("# noqa", mark))
    ran = lint("--unused-ignores", "--output-format", "json")
    assert [row["code"] for row in json.loads(ran.out)] == told
    assert lint("--add-ignores").status == 0
    assert lint().out == ""
    assert mark in (here / "a.py").read_text().splitlines()[11]


@pytest.mark.parametrize("by", ["a mark", "the configuration", "the command line", "nobody"])
def test_what_is_left_out_is_not_told_of_on_the_way_from_another_file(here: Path, by: str) -> None:
    """What is wrong in a function for a certain caller is found with the caller, at its place in the function."""
    (here / "lib").mkdir()
    (here / "lib" / "base.py").write_text(
        "# shapecheck: skip-file\n" * (by == "a mark") + "import torch\n\n\nclass Base:\n    def forward(self, n):\n"
        "        return self.make(n) @ torch.zeros(5, 6)\n"
    )
    (here / "use.py").write_text(
        "import torch\nfrom lib.base import Base\n\n\nclass Mine(Base):\n    def make(self, n):\n        return torch.zeros(n, 4)\n"
    )
    if by == "the configuration":
        (here / "shapecheck.toml").write_text('exclude = ["lib/"]\n')
    args = ["--exclude", "lib"] if by == "the command line" else []
    for _ in range(2):  # checked, and from the cache
        assert ("SC901" in lint(*args).out) == (by == "nobody")


# ---------------------------------------------------------------------------- Ctrl-C


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")
@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("part", [0.2, 0.6, 0.9])
def test_control_c_at_any_moment(here: Path, size: str, part: float) -> None:
    """Status 130, no traceback, nobody blamed, and whole lines of findings."""
    padding = "def unused(x):\n    return [x, (x, x), {x: x}]\n" * (3 if size == "small" else 200)
    for number in range(12):
        (here / f"m{number}.py").write_text(CROSSED + padding)
    command = [sys.executable, "-m", "shapecheck", "lint", "--no-cache", "--output-format", "concise"]
    began = time.monotonic()
    subprocess.run(command, capture_output=True, check=False)
    whole = time.monotonic() - began
    going = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(max(0.1, whole * part))  # Python itself is still starting before
    going.send_signal(signal.SIGINT)
    out, err = going.communicate(timeout=60)
    assert going.returncode in (130, 1), err
    assert "Traceback" not in err
    assert "internal error" not in err
    assert "rule pack" not in err
    assert all(line.split(":")[0] in os.listdir(here) for line in out.splitlines())
    if going.returncode == 130:
        assert err.splitlines()[-1] == "interrupted"


INTERRUPTED_IMPORT = """
import os, signal, sys
from shapecheck.cli import main

class Hook:
    left = {number}

    def find_spec(self, name, path=None, target=None):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Hook())
sys.argv = ["shapecheck", "lint", "--isolated", "a.py"]
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")
@pytest.mark.parametrize("number", [1, 2, 3, 5, 30, 100])
def test_control_c_while_the_command_imports(here: Path, number: int) -> None:
    """From the first module that the command brings in."""
    (here / "a.py").write_text(CROSSED)
    ran = Ran(
        subprocess.run(
            [sys.executable, "-c", INTERRUPTED_IMPORT.format(number=number)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    )
    assert (ran.status, ran.out, ran.err) == (130, "", "interrupted\n")


def test_nothing_is_imported_before_control_c_is_heard() -> None:
    program = "import sys; before = {*sys.modules}; import shapecheck.cli; print(*sorted({*sys.modules} - before))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) <= {"__future__", "shapecheck", "shapecheck.cli"}
