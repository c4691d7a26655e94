"""[tool.shapecheck] and shapecheck.toml."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from shapecheck.findings.rule import Severity
from shapecheck.service.config import Config, ConfigError, Settings, at_least, read
from shapecheck.service.project import discover

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
        ('select = ["SC1", ""]', "shapecheck.toml:1:1: select has an empty string in it"),
        (
            '# ours\n[tool.shapecheck]\nselect = ["SC1"]',
            "shapecheck.toml:2:1: in a shapecheck.toml the keys stand without [tool.shapecheck]",
        ),
        ("[colours.sea]\nblue = 1", 'shapecheck.toml:1:1: unknown key "colours"'),
        ('severity = "fatal"', 'severity is "error", "warning" or "info", not \'fatal\''),
        ('per-file-ignores = ["a"]', "per-file-ignores is a table"),
        ('per-file-ignores = {"a" = "SC1"}', "per-file-ignores.a is a list of strings"),
        ("select = [", "shapecheck.toml:1:11: it is not TOML: something else is expected here"),
        ("ignore = []\nselect = 1 2\n", "shapecheck.toml:2:12: it is not TOML"),
        ("x = " + "[" * 9000, "it is not TOML: its values are nested too deeply"),
        ("ignore = []\n\n  colour = 1", "shapecheck.toml:3:3: unknown key"),
        ('[per-file-ignores]\n"a" = []\n"b c" = "SC1"\n', "shapecheck.toml:3:1: per-file-ignores.b c is a list"),
        ("per-file-ignores.a = 3", "shapecheck.toml:1:1: per-file-ignores.a is a list"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "shapecheck.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)


def test_the_line_of_a_mistake_in_pyproject(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[project]\nseverity = 1\n[tool.ruff]\nseverity = 1\n[tool.shapecheck]\nseverity = "x"\n')
    with pytest.raises(ConfigError, match=r"pyproject\.toml:6:1: severity is"):
        read(file)
    file.write_text("tool.shapecheck = 3\n")
    with pytest.raises(ConfigError, match=r"pyproject\.toml:1:1: tool\.shapecheck is not a table"):
        read(file)


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "shapecheck.toml"
    file.write_bytes(b"# one\n# \xff\n")
    with pytest.raises(ConfigError, match=r"shapecheck\.toml:2:1: the bytes are not UTF-8"):
        read(file)


def at(folder: Path) -> Config:
    return Settings().at(str(folder))


def test_the_nearest_file_holds(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.shapecheck]\nselect = ["SC1"]\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert at(inner).select == ("SC1",)
    (tmp_path / "a" / "shapecheck.toml").write_text('select = ["SC2"]\n')
    settings = Settings()
    assert settings.of(str(inner / "x.py")).select == ("SC2",)
    assert settings.of(str(tmp_path / "y.py")).select == ("SC1",)


def test_shapecheck_toml_goes_before_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.shapecheck]\nselect = ["SC1"]\n')
    (tmp_path / "shapecheck.toml").write_text('select = ["SC2"]\n')
    assert at(tmp_path).select == ("SC2",)


def test_a_pyproject_without_our_table_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.shapecheck]\nselect = ["SC1"]\n')
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert at(tmp_path / "a").select == ("SC1",)
    with pytest.raises(ConfigError, match=r"no \[tool.shapecheck\] table"):
        read(tmp_path / "a" / "pyproject.toml")


def test_the_search_ends_at_the_repository(tmp_path: Path) -> None:
    (tmp_path / "shapecheck.toml").write_text('select = ["SC1"]\n')
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    found = at(tmp_path / "repo")
    assert (found.select, found.root) == ((), tmp_path / "repo")


def test_one_configuration_may_hold_everywhere(tmp_path: Path) -> None:
    (tmp_path / "shapecheck.toml").write_text('select = ["SC1"]\n')
    assert Settings(only=Config(tmp_path)).at(str(tmp_path)).select == ()


def test_folders_are_left_out_by_the_configuration_above_them_and_files_by_their_own(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "shapecheck.toml").write_text('exclude = ["old/", "*_pb2.py"]\n')
    for name in ("old", "own"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shapecheck.toml").write_text('exclude = ["x.py"]\n')
    settings = Settings()
    who = {
        name: settings.excluded(str(tmp_path / name))
        for name in ("a.py", "a_pb2.py", "old/y.py", "own/y.py", "own/x.py", "own/y_pb2.py")
    }
    root, own = str(tmp_path / "shapecheck.toml"), str(tmp_path / "own" / "shapecheck.toml")
    assert who == {
        "a.py": None, "a_pb2.py": root, "old/y.py": root, "own/y.py": None, "own/x.py": own, "own/y_pb2.py": None
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_what_holds_for_a_file_does_not_depend_on_where_a_run_starts(tmp_path: Path, seed: int) -> None:
    """Random trees of configurations: each file, asked alone, from its folder and from the top."""
    rng = random.Random(seed)
    folders = [tmp_path]
    for _ in range(8):
        folders.append(rng.choice(folders) / rng.choice("abc"))
        folders[-1].mkdir(exist_ok=True)
    for folder in set(folders):
        (folder / "x.py").write_text("import torch\n")
        (folder / "y.py").write_text("import torch\n")
        if rng.random() < 0.5:
            lines = [f'select = ["SC{rng.randrange(9)}"]']
            if rng.random() < 0.7:
                patterns = rng.choice(['"a/"', '"x.py"', '"b/y.py"', '"*.py", "!x.py"', '"/c"'])
                lines.append(f"exclude = [{patterns}]")
            (folder / "shapecheck.toml").write_text("\n".join(lines))
    whole = discover([str(tmp_path)], Settings())
    settings = Settings()
    for folder in set(folders):
        below = discover([str(folder)], Settings()).files
        assert below == [f for f in whole.files if Path(f).is_relative_to(folder)]
        for name in ("x.py", "y.py"):
            file = str(folder / name)
            alone = discover([file], fresh := Settings())
            assert (file in alone.files) == (file in whole.files)
            assert fresh.of(file) == settings.of(file)


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
