"""Which files a run is about."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
from pathlib import Path

import pytest

from shapecheck.findings.diagnostic import shown
from shapecheck.service.config import Config, Settings
from shapecheck.service.project import discover


def lay(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("import torch\n")


def excluding(root: Path, *patterns: str) -> Settings:
    return Settings(only=Config(root, root / "shapecheck.toml", exclude=patterns))


def found(root: Path, *paths: str, exclude: tuple[str, ...] = ()) -> list[str]:
    result = discover([str(root / p) for p in paths or ["."]], excluding(root, *exclude))
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
    result = discover([str(tmp_path / "x_pb2.py")], excluding(tmp_path, "*_pb2.py"))
    assert (result.files, result.named) == ([], set())
    assert result.left_out == [(str(tmp_path / "x_pb2.py"), f"as {tmp_path / 'shapecheck.toml'} excludes it")]


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
    result = discover([str(tmp_path / given)], Settings())
    assert [str(problem)[: len(str(tmp_path / given)) + 2 + len(message)] for problem in result.problems] == [
        f"{tmp_path / given}: {message}"
    ]


def test_a_folder_whose_files_are_all_excluded_is_not_an_error(tmp_path: Path) -> None:
    lay(tmp_path, "old/b.py")
    assert discover([str(tmp_path)], excluding(tmp_path, "old/")).problems == []
    assert discover([str(tmp_path)], excluding(tmp_path, "b.py")).problems == []


def test_notebooks_on_the_way_are_counted(tmp_path: Path) -> None:
    lay(tmp_path, "a.py", "n.ipynb", "d/m.ipynb")
    assert discover([str(tmp_path)], Settings()).notebooks == 2


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    lay(tmp_path, "a/x.py")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert found(tmp_path) == ["a/x.py"]


def test_names_are_shown_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(str(tmp_path / "a" / "b.py")) == os.path.join("a", "b.py")
    assert shown("/elsewhere/c.py") == "/elsewhere/c.py"


def test_git_s_other_files_are_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """info/exclude goes before core.excludesFile, and the folders' own files before both."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    root = tmp_path / "repo"
    git(tmp_path, "init", "-q", str(root))
    lay(root, "a.py", "mine.py", "ours.py", "kept_mine.py", "sub/ours.py", "sub/mine.py")
    (root / ".git" / "info" / "exclude").write_text("ours.py\n!kept_mine.py\n")
    (root / "sub" / ".gitignore").write_text("!ours.py\n")
    (tmp_path / "xdg" / "git").mkdir(parents=True)
    (tmp_path / "xdg" / "git" / "ignore").write_text("*mine.py\n")
    assert found(root) == ["a.py", "kept_mine.py", "sub/ours.py"]
    assert found(root, "sub") == ["sub/ours.py"]
    (tmp_path / "set").write_text("a.py\n")
    git(root, "config", "core.excludesFile", str(tmp_path / "set"))
    assert found(root) == ["kept_mine.py", "mine.py", "sub/mine.py", "sub/ours.py"]
    git(root, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x", "--allow-empty")
    git(root, "worktree", "add", "-q", str(tmp_path / "tree"))
    lay(tmp_path / "tree", "ours.py", "b.py")
    assert found(tmp_path / "tree") == ["b.py"]


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", "-C", str(folder), *args], check=True, capture_output=True)


def test_a_link_and_its_file_are_one(tmp_path: Path) -> None:
    lay(tmp_path, "z.py", "real/b.py")
    (tmp_path / "a.py").symlink_to(tmp_path / "z.py")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    assert found(tmp_path) == ["real/b.py", "z.py"]
    assert found(tmp_path, "a.py") == ["a.py"]
    assert found(tmp_path, "a.py", ".") == ["real/b.py", "z.py"]
    assert found(tmp_path, "linked/b.py", "real") == ["real/b.py"]


def test_folders_deeper_than_the_stack(tmp_path: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
        Path("a.py").write_text("import torch\n")
        os.chdir(tmp_path)
        assert len(found(tmp_path)) == 1
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


@pytest.mark.skipif(os.name != "posix", reason="pipes, links and permissions")
@pytest.mark.parametrize("seed", range(40))
def test_every_file_of_a_hostile_tree_is_checked_or_named(tmp_path: Path, seed: int) -> None:
    """Random trees of folders that can't be read, pipes, sockets, links to nowhere and in circles, and files."""
    rng = random.Random(seed)
    folders, expected = [tmp_path], set()
    closed: list[Path] = []
    for number in range(40):
        place = rng.choice(folders) / f"n{number}.py"
        match rng.randrange(9):
            case 0 | 1 | 2:
                place.write_text("import torch\n")
            case 3:
                place.mkdir()  # a folder may be called so, too
                folders.append(place)
            case 4:
                os.mkfifo(place)
            case 5:
                place.symlink_to(rng.choice([place, "nowhere", "/dev/null"]))
            case 6:
                place.with_suffix("").symlink_to(rng.choice(folders))
            case 7:
                place.mkdir()
                (place / "inside.py").write_text("import torch\n")
                place.chmod(rng.choice([0, 0o444, 0o111]))
                closed.append(place)
            case _:
                place.write_text("import torch\n")
                place.chmod(0)
    for folder, _, names in os.walk(tmp_path):
        expected |= {os.path.join(folder, name) for name in names if name.endswith(".py")}
    try:
        files, problems, left_out = as_nobody(tmp_path)
    finally:
        for place in closed:
            place.chmod(0o700)
    for path in expected:
        told = path in files or path in left_out or any(path == p or path.startswith(p + "/") for p in problems)
        assert told, path
    assert all(os.path.isfile(path) and not os.path.islink(path) for path in files)


def as_nobody(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """What is discovered by a user whom permissions bind; root's are looked at in a process of another user."""
    for place in (folder, *folder.parents):
        if place.stat().st_uid == os.getuid() and place != Path(place.root) and os.geteuid() == 0:
            place.chmod(place.stat().st_mode | 0o055)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def body() -> None:
        if os.geteuid() == 0:
            os.setuid(65534)
        result = discover([str(folder)], Settings())
        theirs.send((result.files, [p.path for p in result.problems], [path for path, _ in result.left_out]))

    process = context.Process(target=body)
    process.start()
    assert ours.poll(30), "no answer"
    answer: tuple[list[str], list[str], list[str]] = ours.recv()
    process.join()
    return answer
