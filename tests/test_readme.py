"""The README and the documentation say what is true: their commands, their output, their configuration."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from shapecheck.findings import packs
from shapecheck.service import config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINT = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
HOSTED = r"https://(?:github|raw\.githubusercontent)\.com/torch-shapecheck/torch-shapecheck(?:/blob)?/main"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def shapecheck(*args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "shapecheck", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env, check=False)


def commands() -> list[str]:
    return [line for block in blocks(README, "sh") for line in block.splitlines()]


def test_the_two_commands_set_everything_up_themselves() -> None:
    lint, test = [line for line in commands() if line.startswith("python3 -m venv ")]
    start = "python3 -m venv .venv && . .venv/bin/activate && pip install -e "
    assert lint.startswith(f"{start}. && shapecheck lint ")
    assert re.fullmatch(rf"{re.escape(start)}'\.\[test\]' && python -m pytest[ \w-]*", test)


def test_the_extras_that_are_named_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {e for page in PAGES for e in re.findall(r"\[([\w,]+)\]'", page.read_text(encoding="utf-8"))}
    assert named <= set(extras)
    assert "test" in named


def test_the_example_prints_what_the_readme_shows() -> None:
    (line,) = [line for line in commands() if "&& shapecheck lint " in line]
    ran = shapecheck(*shlex.split(line.rpartition("&& shapecheck ")[2]), "--no-cache")
    shown, help_text = blocks(README, "text")
    assert ran.returncode == 1, ran.stderr
    assert ran.stdout.strip() + "\n" == shown
    assert "SC101" in ran.stdout
    assert help_text.startswith("Usage: shapecheck lint ")


def test_the_fixed_example_is_clean() -> None:
    ran = shapecheck("lint", "--no-cache", "shapecheck/examples/in_group_retriever_fixed.py")
    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("shapecheck ")])
def test_every_command_is_accepted(line: str, tmp_path: Path) -> None:
    """Run in a folder that has what the line names."""
    (tmp_path / "src").mkdir()
    for name in ("train.py", "src/train.py"):
        (tmp_path / name).write_text("import torch\nx = torch.zeros(2)\n")
    ran = subprocess.run(
        [sys.executable, "-m", *shlex.split(line)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("text", [*blocks(README, "toml"), *blocks(LINT, "toml")])
def test_the_configuration_is_accepted(text: str, tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text)
    found = config.read(file)
    assert found is not None
    patterns = [*found.select, *found.ignore, *(code for _, codes in found.per_file_ignores for code in codes)]
    packs.check_patterns(packs.load(packs.find()), patterns)


def test_options_in_the_documentation_exist() -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", shapecheck("lint", "--help").stdout)) | {"--why", "--json", "--version"}
    assert set(re.findall(r"`(--[a-z][a-z-]+)", LINT)) <= known


def test_the_hook_is_the_one_that_the_readme_names() -> None:
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text()
    (hook,) = re.findall(r"^- id: (\S+)$", hooks, re.MULTILINE)
    assert f"- id: {hook}\n" in README
    (entry,) = re.findall(r"^  entry: (.+)$", hooks, re.MULTILINE)
    command, *arguments = shlex.split(entry)
    assert command in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert shapecheck(*arguments, "--help").returncode == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"(?:\]\(|^\[[^\]]+\]: )([^)#\s]+)", text, re.MULTILINE):
        own = re.fullmatch(rf"{HOSTED}/(.+)", target)
        assert own is None or (ROOT / own[1]).is_file(), target
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_readme_holds_on_a_package_index() -> None:
    """There, a path relative to the repository leads nowhere."""
    targets = re.findall(r"(?:\]\(|^\[[^\]]+\]: )(\S+)", README, re.MULTILINE)
    assert targets
    assert [t for t in targets if not t.startswith("https://")] == []


def test_what_is_quoted_is_up_to_date() -> None:
    """The index of rules, the example's output and the help."""
    for page, text in runpy.run_path(str(ROOT / "docs" / "refresh.py"))["pages"]().items():
        assert page.read_text(encoding="utf-8") == text, f"{page.name}: run `python docs/refresh.py`"


def test_every_rule_of_the_bundled_pack_has_its_files() -> None:
    (bundled,) = [pack for pack in packs.find() if pack.package == "shapecheck_rules"]
    for item in packs.load([bundled]):
        for name in ("README.md", "bad.py", "good.py"):
            assert (item.folder / name).is_file(), f"{item.folder.name} has no {name}"
        assert item.rule.name == item.folder.name.replace("_", "-")
        assert item.rule.code in item.readme
