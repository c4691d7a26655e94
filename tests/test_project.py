"""Which files a run is about."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shapecheck.findings.diagnostic import shown
from shapecheck.service.project import Discovery, Patterns, discover


def lay(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("import torch\n")


def found(root: Path, *paths: str, exclude: tuple[str, ...] = ()) -> list[str]:
    result = discover([str(root / p) for p in paths or ["."]], Patterns(root, exclude))
    return [os.path.relpath(file, root) for file in result.files]


def test_folders_are_walked_and_sorted(tmp_path: Path) -> None:
    lay(tmp_path, "b.py", "a/z.py", "a/b/c.pyi", "notes.txt", "a/data.csv")
    assert found(tmp_path) == ["a/b/c.pyi", "a/z.py", "b.py"]


def test_what_is_not_source_is_left_out(tmp_path: Path) -> None:
    lay(tmp_path, "a.py", ".hidden/b.py", "__pycache__/c.py", "venv/d.py", "node_modules/e.py")
    lay(tmp_path, "env/lib/f.py", "x/site-packages/g.py")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    assert found(tmp_path) == ["a.py"]


def test_gitignore_is_respected_at_every_level(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("build/\n*_gen.py\n/top.py\n")
    lay(tmp_path, "a.py", "build/b.py", "c_gen.py", "top.py", "sub/top.py", "sub/keep_gen.py", "sub/other.py")
    (tmp_path / "sub" / ".gitignore").write_text("!keep_gen.py\nother.py\n")
    assert found(tmp_path) == ["a.py", "sub/keep_gen.py", "sub/top.py"]
    assert found(tmp_path, "sub") == ["sub/keep_gen.py", "sub/top.py"], "the rules above a given folder hold too"


def test_a_named_file_is_taken_though_git_ignores_it(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("a.py\n")
    lay(tmp_path, "a.py", "script")
    assert found(tmp_path, "a.py", "script", "a.py") == ["a.py", "script"]


def test_exclude_holds_for_folders_and_for_named_files(tmp_path: Path) -> None:
    lay(tmp_path, "a.py", "old/b.py", "x_pb2.py")
    assert found(tmp_path, exclude=("old/", "*_pb2.py")) == ["a.py"]
    result = discover([str(tmp_path / "x_pb2.py")], Patterns(tmp_path, ["*_pb2.py"]))
    assert result == Discovery((), frozenset(), excluded=(str(tmp_path / "x_pb2.py"),))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nowhere", "no such file or folder"),
        ("empty", "no Python files in this folder"),
        ("books", "no Python files in this folder (2 notebooks, which are not supported)"),
        ("books/a.ipynb", "notebooks are not supported"),
    ],
)
def test_paths_that_lead_nowhere_are_errors(tmp_path: Path, given: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    lay(tmp_path, "books/a.ipynb", "books/b.ipynb")
    result = discover([str(tmp_path / given)], Patterns(tmp_path, ()))
    assert len(result.errors) == 1
    assert result.errors[0].startswith(f"{tmp_path / given}: {message}")


def test_a_folder_whose_files_are_all_excluded_is_not_an_error(tmp_path: Path) -> None:
    lay(tmp_path, "old/b.py")
    assert discover([str(tmp_path)], Patterns(tmp_path, ["old/"])).errors == ()
    assert discover([str(tmp_path)], Patterns(tmp_path, ["b.py"])).errors == ()


def test_notebooks_on_the_way_are_counted(tmp_path: Path) -> None:
    lay(tmp_path, "a.py", "n.ipynb", "d/m.ipynb")
    assert discover([str(tmp_path)], Patterns(tmp_path, ())).notebooks == 2


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    lay(tmp_path, "a/x.py")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert found(tmp_path) == ["a/x.py"]


def test_names_are_shown_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(str(tmp_path / "a" / "b.py")) == os.path.join("a", "b.py")
    assert shown("/elsewhere/c.py") == "/elsewhere/c.py"
