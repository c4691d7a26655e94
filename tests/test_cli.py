"""The command line as a user meets it: what it prints, where, and the exit status."""

from __future__ import annotations

import errno
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from kit import install_pack, write_rule

from shapecheck.cli.app import app
from shapecheck.findings import packs
from shapecheck.service import cache

BAD = "import torch\nbad = torch.zeros(2)\n"
GOOD = "import torch\ngood = torch.zeros(2)\n"


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


Shapecheck = Callable[..., Ran]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A pack with two rules, the only one installed; the working directory is an empty folder beside it."""
    home = tmp_path / "site"
    home.mkdir()
    pack = install_pack(home)
    write_rule(pack, "bad_name", "ZZ1", "bad", safe=True, readme="# bad-name (ZZ1)\n\nFinds bad.\n")
    write_rule(pack, "odd_name", "ZZ2", "odd", severity="WARNING", safe=False)
    monkeypatch.syspath_prepend(home)
    importlib.invalidate_caches()
    monkeypatch.setattr(packs, "entry_points", lambda group: [EntryPoint("made", "made_rules", group)])
    monkeypatch.setattr(cache, "default_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("shapecheck.cli.lint.default_folder", lambda: tmp_path / "cache")
    work = tmp_path / "work"
    (work / ".git").mkdir(parents=True)
    monkeypatch.chdir(work)
    yield home
    for name in [name for name in sys.modules if name.split(".")[0] == "made_rules"]:
        del sys.modules[name]


@pytest.fixture
def shapecheck(site: Path, capsys: pytest.CaptureFixture[str]) -> Shapecheck:
    def run(*args: str) -> Ran:
        with pytest.raises(SystemExit) as end:
            app(list(args))
        captured = capsys.readouterr()
        return Ran(int(end.value.code or 0), captured.out, captured.err)

    return run


def write(name: str, text: str | bytes) -> Path:
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def on_path(site: Path) -> str:
    return os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))


# ------------------------------------------------------------------- findings and status


def test_clean(shapecheck: Shapecheck) -> None:
    write("a.py", GOOD)
    assert shapecheck("lint") == Ran(0, "", "no findings, 1 file checked\n")


def test_a_finding_on_stdout_and_the_summary_on_stderr(shapecheck: Shapecheck) -> None:
    write("a.py", BAD)
    ran = shapecheck("lint", "a.py")
    assert ran.status == 1
    assert ran.out.startswith("a.py:2:7: error ZZ1 bad-name\n  bad is assigned\n")
    assert "2 | bad = torch.zeros(2)\n  |       ^^^^^^^^^^^^^^\n" in ran.out
    assert ran.err == "1 finding (1 error) in 1 file, 1 file checked\ncan be fixed: 1 with --fix\n"
    assert "\x1b" not in ran.out


def test_json_on_stdout_is_only_json(shapecheck: Shapecheck) -> None:
    write("d/a.py", BAD)
    write("d/b.py", "import torch\nodd = torch.zeros(2)\n")
    ran = shapecheck("lint", "--output-format", "json", "d")
    assert [(d["code"], d["filename"], d["location"]["row"]) for d in json.loads(ran.out)] == [
        ("ZZ1", os.path.join("d", "a.py"), 2),
        ("ZZ2", os.path.join("d", "b.py"), 2),
    ]


def test_statistics(shapecheck: Shapecheck) -> None:
    """The most first, each severity by itself; what cannot be checked stays on stderr."""
    write("a.py", "import torch\nodd = torch.zeros(2)\n" + "bad = torch.zeros(2)\n" * 11)
    write("b.py", "import torch\nx = (\n")
    expected = "11  ZZ1  error    bad-name (11 with --fix)\n 1  ZZ2  warning  odd-name\n"
    for args in (["--statistics"], ["--output-format", "statistics"]):
        ran = shapecheck("lint", *args)
        assert (ran.status, ran.out) == (2, expected)
        assert ran.err.startswith("b.py:2:5: Syntax error")
    assert shapecheck("lint", "--statistics", "--select", "ZZ2", "a.py").out == "1  ZZ2  warning  odd-name\n"
    wrong = shapecheck("lint", "--statistics", "--output-format", "json")
    assert (wrong.status, wrong.err) == (2, "shapecheck: --statistics and --output-format contradict each other\n")


def test_output_file(shapecheck: Shapecheck) -> None:
    write("a.py", BAD)
    ran = shapecheck("lint", "--output-format", "sarif", "--output-file", "out.sarif")
    assert (ran.status, ran.out) == (1, "")
    assert json.loads(Path("out.sarif").read_text())["version"] == "2.1.0"
    ran = shapecheck("lint", "--output-file", "no/such/place")
    assert ran.status == 2
    assert "no/such/place: cannot be written" in ran.err


def test_select_ignore_severity_and_fail_on(shapecheck: Shapecheck) -> None:
    write("a.py", "import torch\nbad = torch.zeros(2)\nodd = torch.zeros(3)\n")

    def codes(*args: str) -> tuple[list[str], int]:
        ran = shapecheck("lint", "--output-format", "concise", *args)
        return [line.split()[2] for line in ran.out.splitlines()], ran.status

    assert codes() == (["ZZ1", "ZZ2"], 1)
    assert codes("--select", "ZZ2") == (["ZZ2"], 1)
    assert codes("--select", "bad-name,ZZ2", "--ignore", "ZZ2") == (["ZZ1"], 1)
    assert codes("--ignore", "ZZ") == ([], 0)
    assert codes("--severity", "error") == (["ZZ1"], 1)
    assert codes("--fail-on", "error", "--ignore", "ZZ1") == (["ZZ2"], 0)


def test_info_is_shown_and_fixed_on_request(shapecheck: Shapecheck, site: Path) -> None:
    write_rule(site / "made_rules", "faint_name", "ZZ3", "faint", severity="INFO", safe=True)
    write("a.py", "import torch\nfaint = torch.zeros(2)\n")
    ran = shapecheck("lint", "--output-format", "concise")
    assert (ran.status, ran.out) == (0, "")
    assert "1 finding below warning not shown (--severity info)" in ran.err
    assert shapecheck("lint", "--diff").out == ""
    ran = shapecheck("lint", "--output-format", "concise", "--severity", "info")
    assert (ran.status, ran.out.split()[2]) == (1, "ZZ3")
    assert "not shown" not in ran.err
    assert "+" in shapecheck("lint", "--diff", "--severity", "info").out


def test_configuration(shapecheck: Shapecheck) -> None:
    write("a.py", BAD)
    write("tests/b.py", BAD)
    write("old/c.py", BAD)
    write(
        "pyproject.toml",
        '[tool.shapecheck]\nexclude = ["old/"]\n[tool.shapecheck.per-file-ignores]\n"tests/*" = ["ZZ1"]\n',
    )

    def files(*args: str) -> list[str]:
        out = shapecheck("lint", "--output-format", "concise", *args).out
        return [line.split(":")[0] for line in out.splitlines()]

    assert files() == ["a.py"]
    assert files("--isolated") == ["a.py", os.path.join("old", "c.py"), os.path.join("tests", "b.py")]
    ran = shapecheck("lint", "old/c.py")
    assert (ran.status, "old/c.py: left out, as pyproject.toml excludes it" in ran.err) == (0, True)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--select", "ZZ9"], 'no rule is called "ZZ9" (did you mean "ZZ'),
        (["--config", "nowhere.toml"], "nowhere.toml: "),
        (["--config", "shapecheck.toml", "--isolated"], "contradict"),
        ([], 'unknown key "selct" (did you mean "select"?)'),
        (["--output-format", "yaml"], "shapecheck: --output-format is text, concise, json, "),
        (["--severity", "high"], "shapecheck: --severity is error, warning or info, not 'high'\n"),
        (["--fail-on", ""], "shapecheck: --fail-on is error, warning or info, not ''\n"),
        (["--jobs", "many"], "shapecheck: --jobs is a whole number, not 'many'\n"),
        (["-j", "-1"], "shapecheck: --jobs is at least 0, not -1\n"),
        (["--time-limit", "0"], "shapecheck: --time-limit is a number of seconds from 0.1 to 1e+06, not '0'\n"),
        (["--time-limit", "inf"], "not 'inf'"),
        (["--time-limit", "nan"], "not 'nan'"),
        (["--output-file", ""], "shapecheck: --output-file names no file\n"),
        (["--cache-dir", ""], "shapecheck: --cache-dir names no file\n"),
        (["--baseline", ""], "shapecheck: --baseline names no file\n"),
        (["--config", ""], "shapecheck: --config names no file\n"),
        ([""], "an empty path was given"),
        (["--colour"], "No such option"),
    ],
)
def test_wrong_requests(shapecheck: Shapecheck, args: list[str], says: str) -> None:
    write("a.py", BAD)
    if not args:
        write("shapecheck.toml", "selct = []\n")
    ran = shapecheck("lint", *args)
    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_without_a_pack_nothing_is_called_clean(shapecheck: Shapecheck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "entry_points", lambda group: [])
    write("a.py", GOOD)
    ran = shapecheck("lint", "a.py")
    assert (ran.status, ran.out) == (2, "")
    assert "no rule pack is installed" in ran.err


# ------------------------------------------------------------------- files that cannot be read


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("syntax.py", b"import torch\nx = (\n", "syntax.py:2:"),
        ("plain_syntax.py", b"def f(:\n", "plain_syntax.py:1:"),
        ("bytes.py", b"import torch\nx = 1\ny = '\xff'\n", "bytes.py:3:6: The bytes are not utf-8"),
        ("binary.py", bytes(range(256)), "binary.py:"),
        ("utf16.py", "import torch\n".encode("utf-16"), "utf16.py:1:1: "),
        ("deep.py", b"import torch\nx = " + b"(" * 4000 + b")" * 4000, "deep.py:2:"),
    ],
)
def test_unreadable_files_are_named_and_the_others_linted(
    shapecheck: Shapecheck, name: str, data: bytes, says: str
) -> None:
    write(name, data)
    write("zzz.py", BAD)
    ran = shapecheck("lint", "--output-format", "concise", name, "zzz.py")
    assert ran.status == 2
    assert ran.out == "zzz.py:2:7: error ZZ1 bad is assigned\n"
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_the_summary_counts_functions_that_the_step_limit_breaks_off(
    shapecheck: Shapecheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shapecheck.engine.entry.STEPS_PER_ENTRY", 40)
    write("long.py", b"import torch\ndef f(x):\n" + 40 * b"    x = torch.relu(x)\n" + b"def g(x):\n    return x.T\n")
    for _ in ("fresh", "from the cache"):
        told = "no findings, 1 file checked, 1 function not run to the end\n"
        assert shapecheck("lint", "long.py") == Ran(0, "", told)


def test_an_empty_file_is_clean(shapecheck: Shapecheck) -> None:
    write("empty.py", b"")
    write("bom.py", b"\xef\xbb\xbf")
    assert shapecheck("lint", "empty.py", "bom.py") == Ran(0, "", "no findings, 2 files checked\n")


def test_paths_that_lead_nowhere(shapecheck: Shapecheck) -> None:
    write("a.py", BAD)
    Path("empty").mkdir()
    write("book.ipynb", "{}")
    ran = shapecheck("lint", "--output-format", "concise", "nowhere.py", "empty", "book.ipynb", "a.py")
    assert ran.status == 2
    assert ran.out.startswith("a.py:2:7: ")
    for says in ("nowhere.py: no such file", "empty: no Python files", "book.ipynb: notebooks are not supported"):
        assert says in ran.err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(shapecheck: Shapecheck) -> None:
    write("a.py", BAD).chmod(0)
    ran = shapecheck("lint", "a.py")
    assert (ran.status, "a.py: cannot be read: permission is denied" in ran.err) == (2, True)


def test_a_folder_without_permission(shapecheck: Shapecheck, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.py", GOOD)
    write("closed/b.py", BAD)
    scan = os.scandir

    def scandir(folder: str) -> object:
        if str(folder).endswith("closed"):
            raise PermissionError(errno.EACCES, "no")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    ran = shapecheck("lint")
    assert (ran.status, ran.err) == (
        2,
        "closed: cannot be read: permission is denied\nno findings, 1 file checked, 1 not\n",
    )


def test_stdin(shapecheck: Shapecheck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    ran = shapecheck("lint", "-", "--stdin-filename", "src/m.py", "--output-format", "concise")
    assert ran.out == f"{os.path.join('src', 'm.py')}:2:7: error ZZ1 bad is assigned\n"
    assert shapecheck("lint", "-", "--fix").status == 2


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("", 2, "a folder cannot be the name of what stdin holds"),
        ("src", 2, "src: a folder cannot be the name of what stdin holds"),
        ("a.ipynb", 2, "a.ipynb: notebooks are not supported"),
        ("src/gone.py", 0, "src/gone.py: left out, as shapecheck.toml excludes it"),
        ("bad/m.py", 2, 'bad/shapecheck.toml:1:1: unknown key "selct"'),
    ],
)
def test_the_name_of_what_stdin_holds_counts_as_any_other(
    shapecheck: Shapecheck, monkeypatch: pytest.MonkeyPatch, name: str, status: int, says: str
) -> None:
    write("src/a.py", GOOD)
    write("shapecheck.toml", 'exclude = ["gone.py"]\n')
    write("bad/shapecheck.toml", "selct = []\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    ran = shapecheck("lint", "-", "--stdin-filename", name)
    assert (ran.status, ran.out) == (status, "")
    assert says in ran.err


# ------------------------------------------------------------------- bugs of ours, and of a file


def test_a_failing_rule_is_an_internal_error_that_names_the_file(shapecheck: Shapecheck, site: Path) -> None:
    write_rule(
        site / "made_rules",
        "broken",
        "ZZ3",
        "x",
        text="from shapecheck.engine.facts import Assigned\nfrom shapecheck.findings.rule import Rule, Severity\n"
        "META = Rule('ZZ3', 'broken', Severity.INFO, 's')\n"
        "@META.on(Assigned)\ndef check(fact, facts):\n    yield 1 / 0\n",
    )
    write("a.py", BAD)
    ran = shapecheck("lint", "--output-format", "concise")
    assert ran.status == 2
    assert ran.out == "a.py:2:7: error ZZ1 bad is assigned\n"
    assert "a.py: internal error in rule ZZ3: ZeroDivisionError: division by zero (rule.py:6); please report" in ran.err


@pytest.mark.parametrize(
    ("rule", "yields", "says"),
    [
        ("Rule('my rule', 'odd', Severity.INFO, 's')", "META.finding(fact.site, 'x')", "rule.py: this rule is left out: its code 'my rule'"),
        ("Rule(3, 'odd', Severity.INFO, 's')", "META.finding(fact.site, 'x')", "this rule is left out: its code 3"),
        ("Rule('ZZ3', 'odd, even', Severity.INFO, 's')", "META.finding(fact.site, 'x')", "this rule is left out: its name"),
        ("Rule('ZZ3', 'odd', 'info', 's')", "META.finding(fact.site, 'x')", "this rule is left out: its severity"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "META.finding(fact.site, 'x', help=3)", "help of a Finding is int 3, not str"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "META.finding(fact.site, None)", "message of a Finding is NoneType"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "META.finding(None, 'x')", "site of a Finding is NoneType"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "META.finding(Site(facts.path, Node()), 'x')", "a finding points at a Node"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "META.finding(Site('/nowhere.py', Node()), 'x')", "No such file"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "META.finding(fact.site, 'x', 'high')", "severity of a Finding is str 'high'"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "META.finding(fact.site, 'x', labels=['B'])", "labels of a Finding is list"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "META.finding(fact.site, 'x', notes=('B',))", "notes of a Finding is tuple"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "META.finding(fact.site, 'x', cause=([],))", "cause of a Finding"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "Finding('my rule', 'odd', Severity.INFO, 'x', fact.site)", "has the code 'my rule'"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "'x'", "a rule yields findings, not str 'x'"),
        ("Rule('ZZ3', 'odd', Severity.INFO, 's')", "META.finding(fact.site, 'x', fix=Fix('f', ('x',)))", "edits of a Fix is tuple ('x',), not tuple of Edit"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("output", ["concise", "sarif"])
def test_a_foreign_rule_with_bad_fields_costs_its_own_answer(
    shapecheck: Shapecheck, site: Path, rule: str, yields: str, says: str, output: str
) -> None:
    write_rule(
        site / "made_rules",
        "odd",
        "ZZ3",
        "x",
        text="from shapecheck.engine.facts import Assigned\nfrom shapecheck.engine.values import Site\n"
        "from shapecheck.findings.rule import Edit, Finding, Fix, Rule, Severity\n"
        "from shapecheck.source.program import Node\n"
        f"META = {rule}\n@META.on(Assigned)\ndef check(fact, facts):\n    yield {yields}\n",
    )
    write("a.py", BAD + BAD)
    for _ in range(2):  # what failed is not taken for clean the next time
        ran = shapecheck("lint", "--output-format", output)
        assert ran.status == 2
        assert ran.out.count("bad is assigned") == 2
        assert ran.err.count(says) == 1, ran.err


def test_a_worker_that_dies_costs_its_file_only(shapecheck: Shapecheck, site: Path) -> None:
    write_rule(
        site / "made_rules",
        "killer",
        "ZZ3",
        "x",
        text="import os, signal\nfrom shapecheck.engine.facts import Assigned\nfrom shapecheck.findings.rule import Rule, Severity\n"
        "META = Rule('ZZ3', 'killer', Severity.INFO, 's')\n"
        "@META.on(Assigned)\ndef check(fact, facts):\n"
        "    if fact.name == 'fatal':\n        os.kill(os.getpid(), signal.SIGKILL)\n    yield from ()\n",
    )
    padding = "# padding\n" * 4000
    for number in range(8):
        write(f"m{number}.py", BAD + padding)
    write("fatal.py", "import torch\nfatal = torch.zeros(2)\n" + padding)
    ran = shapecheck("lint", "--output-format", "concise", "--jobs", "2")
    assert ran.status == 2
    assert [line.split(":")[0] for line in ran.out.splitlines()] == [f"m{n}.py" for n in range(8)]
    assert "fatal.py: not checked: killed its worker process (SIGKILL, perhaps out of memory)" in ran.err


def test_workers_and_one_process_say_the_same(shapecheck: Shapecheck, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        write(f"m{number}.py", (BAD if number % 3 else GOOD) + "# padding\n" * 3000)
    workers = [shapecheck("lint", "--no-cache", "--jobs", n, "--output-format", "json") for n in "13"]
    monkeypatch.setattr("shapecheck.service.run.ALONE_BYTES", 10**9)
    alone = shapecheck("lint", "--no-cache", "--output-format", "json")
    assert workers == [alone, alone]
    assert len(json.loads(alone.out)) == 8


# ------------------------------------------------------------------- the cache


def test_a_second_run_checks_nothing_and_says_the_same(
    shapecheck: Shapecheck, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.py", BAD)
    first = shapecheck("lint")
    monkeypatch.setattr("shapecheck.service.run.make_checks", lambda *_: pytest.fail("something was checked"))
    assert shapecheck("lint") == first
    with pytest.raises(pytest.fail.Exception):
        app(["lint", "--no-cache"])
    with pytest.raises(pytest.fail.Exception):
        app(["lint", "--select", "ZZ1"])
    write("a.py", BAD + "x = 1\n")
    with pytest.raises(pytest.fail.Exception):
        app(["lint"])


def test_a_changed_rule_is_not_answered_from_the_cache(shapecheck: Shapecheck, site: Path) -> None:
    write("a.py", GOOD)
    assert shapecheck("lint").status == 0
    write_rule(site / "made_rules", "good_name", "ZZ4", "good")
    importlib.invalidate_caches()
    assert shapecheck("lint").status == 1


def test_a_cached_run_from_another_folder_shows_other_names(
    shapecheck: Shapecheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("d/a.py", BAD)
    assert shapecheck("lint", "--output-format", "concise").out.startswith(os.path.join("d", "a.py"))
    monkeypatch.chdir("d")
    assert shapecheck("lint", "--output-format", "concise").out.startswith("a.py:")


def test_a_cached_run_imports_neither_libcst_nor_rules(site: Path, tmp_path: Path) -> None:
    write("a.py", BAD)
    code = (
        "import sys\nfrom importlib.metadata import EntryPoint\nfrom shapecheck.findings import packs\n"
        "packs.entry_points = lambda group: [EntryPoint('made', 'made_rules', group)]\n"
        "sys.argv = ['shapecheck', 'lint', '--cache-dir', 'c', '--output-format', 'json', 'a.py']\n"
        "from shapecheck.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, file=sys.stderr)\n"
        "print(sorted({'libcst', 'made_rules.bad_name.rule', 'rich'} & set(sys.modules)), file=sys.stderr)\n"
    )

    def run() -> list[str]:
        env = {**os.environ, "PYTHONPATH": on_path(site)}
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
        return [ran.stdout, *ran.stderr.splitlines()[-2:]]

    first, second = run(), run()
    assert first[1:] == ["1", "['libcst', 'made_rules.bad_name.rule']"]
    assert second == [first[0], "1", "[]"]


# ------------------------------------------------------------------- fixes


def test_a_patch_is_no_report(shapecheck: Shapecheck) -> None:
    write("a.py", BAD)
    ran = shapecheck("lint", "--diff", "--output-format", "json")
    assert [row["code"] for row in json.loads(ran.out)] == ["SC000"]
    assert (ran.status, ran.err) == (2, "shapecheck: --diff prints a patch, and no json\n")


def test_fix_and_diff(shapecheck: Shapecheck) -> None:
    file = write("a.py", "import torch\r\nbad = torch.zeros(2)  # keep\r\nodd = torch.zeros(3)\r\n")
    before = file.read_bytes()
    ran = shapecheck("lint", "--diff")
    assert ran.status == 1
    assert ran.out.replace("\r", "").splitlines()[:2] == ["--- a.py", "+++ a.py"]
    assert "+bad = good()  # keep" in ran.out
    assert "odd = good()" not in ran.out
    assert "would fix 1 finding in 1 file" in ran.err
    assert file.read_bytes() == before
    file.chmod(0o640)
    ran = shapecheck("lint", "--fix", "--unsafe-fixes")
    assert file.read_bytes() == b"import torch\r\nbad = good()  # keep\r\nodd = good()\r\n"
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_fix_that_never_ends_the_finding_leaves_the_file_as_it_was(shapecheck: Shapecheck, site: Path) -> None:
    rule = (site / "made_rules" / "bad_name" / "rule.py").read_text().replace('"good()"', '"{x} + 1", (("x", site),)')
    (site / "made_rules" / "bad_name" / "rule.py").write_text(rule)
    file = write("a.py", BAD)
    ran = shapecheck("lint", "--fix")
    assert (ran.status, file.read_text()) == (2, BAD)
    assert "a.py: not fixed for ZZ1: its fixes would not come to rest" in ran.err
    assert "can be fixed" not in ran.err


# ------------------------------------------------------------------- other commands


def test_explain_rules_and_version(shapecheck: Shapecheck) -> None:
    assert shapecheck("explain", "ZZ1") == Ran(0, "# bad-name (ZZ1)\n\nFinds bad.\n", "")
    assert shapecheck("explain", "odd-name").out.startswith("# odd-name (ZZ2)")
    ran = shapecheck("explain", "ZZ7")
    assert (ran.status, 'no rule is called "ZZ7"' in ran.err) == (2, True)
    listed = shapecheck("rules").out.splitlines()
    assert listed == ["ZZ1  bad-name  error    finds bad", "ZZ2  odd-name  warning  finds odd"]
    assert [r["code"] for r in json.loads(shapecheck("rules", "--json").out)] == ["ZZ1", "ZZ2"]
    assert shapecheck("--version").out.startswith("shapecheck 0.")


def test_reveal(shapecheck: Shapecheck) -> None:
    write("a.py", "import torch\nx = torch.zeros(2, 3)  # kept\ny = x.t()\n")
    ran = shapecheck("reveal", "a.py")
    assert ran.status == 0
    first, second, third = ran.out.splitlines()
    assert first == "import torch"
    assert second.startswith("x = torch.zeros(2, 3)  # kept  #> x ")
    assert "[2, 3]" in second
    assert "[3, 2]" in third
    assert "[3, 2]" in shapecheck("reveal", "a.py", "--why", "3").out
    for wrong in ("nowhere.py", "bad.py"):
        write("bad.py", "x = (\n")
        ran = shapecheck("reveal", wrong)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith(f"shapecheck: {wrong}:")


def test_reveal_refuses_what_it_cannot_show(shapecheck: Shapecheck, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.py", "import torch\nx = torch.zeros(2, 3)\n")
    write("book.ipynb", "{}")
    for args, says in [
        (("book.ipynb",), "book.ipynb: notebooks are not supported"),
        (("a.py", "--why", "999"), "a.py: there is no line 999: the file has 2 lines"),
        ((".",), ".: cannot be read: it is a folder"),
        (("a.py", "--why", "x"), "--why is a whole number, not 'x'"),
        (("a.py", "--why", "0"), "--why is at least 1, not 0"),
    ]:
        ran = shapecheck("reveal", *args)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith(f"shapecheck: {says}")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"import torch\ny = torch.zeros(4, 5)\n")))
    assert "[4, 5]" in shapecheck("reveal", "-").out


def test_a_report_file_is_written_whole_with_its_mode(shapecheck: Shapecheck) -> None:
    write("a.py", BAD)
    write("out.txt", "old").chmod(0o640)
    shapecheck("lint", "--output-file", "out.txt", "a.py")
    assert Path("out.txt").read_text().startswith("a.py:2:7: error ZZ1")
    assert Path("out.txt").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir()) == [".git", "a.py", "out.txt"]


@pytest.mark.parametrize("form", ["json", "sarif", "github", "gitlab", "junit", "html"])
def test_a_run_that_cannot_begin_says_so_in_its_format(shapecheck: Shapecheck, form: str) -> None:
    write("a.py", BAD)
    ran = shapecheck("lint", "--select", "ZZ9", "--output-format", form)
    assert ran.status == 2
    assert "no rule is called" in ran.out
    assert "no rule is called" in ran.err


# ------------------------------------------------------------------- a real process


def process(*args: str, **more: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "shapecheck", *args]
    if os.name == "posix":  # a build that runs in the background hands its deafness to Ctrl-C down
        more["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)  # type: ignore[call-overload,no-any-return]


def made_process(site: Path, *args: str) -> subprocess.Popen[str]:
    return process(*args, env={**os.environ, "PYTHONPATH": on_path(site)})


def test_a_closed_pipe_is_no_mistake(site: Path) -> None:
    for number in range(300):
        write(f"m{number}.py", BAD)
    run = made_process(site, "lint", "--select", "ZZ", "--no-cache")
    assert run.stdout is not None
    assert run.stderr is not None
    assert run.stdout.readline().startswith("m0.py:2:7")
    run.stdout.close()
    err = run.stderr.read()
    assert run.wait(60) in (1, 141)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")
def test_control_c(site: Path) -> None:
    write_rule(
        site / "made_rules",
        "slow",
        "ZZ3",
        "x",
        text="import time\nfrom shapecheck.engine.facts import Assigned\nfrom shapecheck.findings.rule import Rule, Severity\n"
        "META = Rule('ZZ3', 'slow', Severity.INFO, 's')\n"
        "@META.on(Assigned)\ndef check(fact, facts):\n"
        "    open('started', 'w').close()\n    time.sleep(20)\n    yield from ()\n",
    )
    write("a.py", BAD)
    run = made_process(site, "lint", "--no-cache", "a.py")
    deadline = time.monotonic() + 30
    while not Path("started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=30)
    assert (run.returncode, out) == (130, "")
    assert err.splitlines() == ["no findings, 0 files checked until interrupted", "interrupted"]


def test_spawned_workers_say_the_same(site: Path) -> None:
    """As on systems where processes are not forked."""
    for number in range(3):
        write(f"m{number}.py", BAD + "# padding\n" * 10000)
    code = (
        "import multiprocessing\n"
        "from shapecheck.service import pool\n"
        "pool._context = lambda: multiprocessing.get_context('spawn')\n"
        "if __name__ == '__main__':\n"
        "    from shapecheck.cli import main\n"
        "    main()\n"
    )
    write("start.txt", code)
    command = [
        sys.executable,
        "start.txt",
        "lint",
        "--no-cache",
        "--select",
        "ZZ",
        "-j",
        "2",
        "--output-format",
        "json",
    ]
    env = {**os.environ, "PYTHONPATH": on_path(site)}
    ran = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert ran.returncode == 1, ran.stderr
    assert [d["filename"] for d in json.loads(ran.stdout)] == ["m0.py", "m1.py", "m2.py"]


def test_the_installed_command_is_the_module() -> None:
    command = shutil.which("shapecheck", path=os.path.dirname(sys.executable))
    assert command is not None
    ran = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == process("--version").communicate()[0]
