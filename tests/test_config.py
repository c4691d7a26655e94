"""[tool.shapecheck] and shapecheck.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from shapecheck.findings.rule import Severity
from shapecheck.service.config import Config, ConfigError, at_least, nearest, read

FULL = """
[tool.shapecheck]
select = ["SC1", "SC701"]
ignore = ["SC102"]
exclude = ["third_party/"]
severity = "warning"
fail-on = "error"
[tool.shapecheck.per-file-ignores]
"tests/*" = ["SC9"]
"""


def test_every_key_is_read(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(FULL)
    assert read(file) == Config(
        root=tmp_path,
        source=file,
        select=("SC1", "SC701"),
        ignore=("SC102",),
        exclude=("third_party/",),
        per_file_ignores=(("tests/*", ("SC9",)),),
        severity=Severity.WARNING,
        fail_on=Severity.ERROR,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('selct = ["SC1"]', 'unknown key "selct" (did you mean "select"?)'),
        ("colour = 1", 'unknown key "colour" (known keys: select, ignore'),
        ('select = "SC1"', "select is a list of strings, not 'SC1'"),
        ("select = [1]", "select is a list of strings"),
        ('severity = "fatal"', 'severity is "error", "warning" or "info", not \'fatal\''),
        ('per-file-ignores = ["a"]', "per-file-ignores is a table"),
        ('per-file-ignores = {"a" = "SC1"}', "per-file-ignores.a is a list of strings"),
        ("select = [", "shapecheck.toml: "),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "shapecheck.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)


def test_the_nearest_file_holds(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.shapecheck]\nselect = ["SC1"]\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert nearest([inner]).select == ("SC1",)
    (tmp_path / "a" / "shapecheck.toml").write_text('select = ["SC2"]\n')
    assert nearest([inner, inner / "x.py"]).select == ("SC2",)
    assert nearest([inner, tmp_path]).select == ("SC1",), "the common folder of all paths decides"


def test_shapecheck_toml_goes_before_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.shapecheck]\nselect = ["SC1"]\n')
    (tmp_path / "shapecheck.toml").write_text('select = ["SC2"]\n')
    assert nearest([tmp_path]).select == ("SC2",)


def test_a_pyproject_without_our_table_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.shapecheck]\nselect = ["SC1"]\n')
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert nearest([tmp_path / "a"]).select == ("SC1",)
    with pytest.raises(ConfigError, match=r"no \[tool.shapecheck\] table"):
        read(tmp_path / "a" / "pyproject.toml")


def test_the_search_ends_at_the_repository(tmp_path: Path) -> None:
    (tmp_path / "shapecheck.toml").write_text('select = ["SC1"]\n')
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    found = nearest([tmp_path / "repo"])
    assert (found.select, found.root) == ((), tmp_path / "repo")


def test_a_missing_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        read(tmp_path / "nowhere.toml")


def test_severities_are_ordered() -> None:
    assert at_least(Severity.ERROR, Severity.WARNING)
    assert at_least(Severity.WARNING, Severity.WARNING)
    assert not at_least(Severity.INFO, Severity.WARNING)


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    config = Config(tmp_path, select=("SC1",), ignore=("SC2",))
    assert config.with_(select=("SC7",), ignore=None) == Config(tmp_path, select=("SC7",), ignore=("SC2",))
