"""The house: a file imports its own floor or lower, the linter imports nothing heavy, and every file is Python 3.10."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

_ROW = re.compile(r"^\| (\d) \| [^|]+ \| ([^|]+) \|$", re.M)
FLOOR = {
    name: int(number)
    for number, names in _ROW.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    for name in re.findall(r"`(\w+)`", names)
}
SIDE_DOORS = {"runtime": 0}  # imports that floor only, and nobody imports it
RUNTIME_NAMES = {"shaped"}  # what `shapecheck/__init__.py` fetches from the runtime layer when it is asked for
FREE = {"__init__", "examples"}

# What an op is made of and what it gives are values; the tables of ops speak of nothing above them but that.
VOCABULARY = {"engine.values": 1}


def modules() -> Iterator[tuple[str, Path]]:
    for file in sorted((ROOT / "shapecheck").rglob("*.py")):
        top = file.relative_to(ROOT / "shapecheck").parts[0].removesuffix(".py")
        if top not in FREE:
            yield top, file


def imported(file: Path) -> Iterator[str]:
    """The dotted names that a file imports when it is run, also inside functions; not those for the type checker."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(file.relative_to(ROOT).parts[: -node.level]) if node.level else ""
            module = ".".join(filter(None, [package, node.module]))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_every_module_has_a_floor() -> None:
    known = FLOOR.keys() | SIDE_DOORS.keys()
    assert sorted({name for name, _ in modules()} - known) == []


@pytest.mark.parametrize(("name", "file"), [pytest.param(n, f, id=str(f.relative_to(ROOT))) for n, f in modules()])
def test_a_file_imports_its_own_floor_or_lower(name: str, file: Path) -> None:
    allowed = SIDE_DOORS.get(name, FLOOR.get(name, -1))
    for dotted in imported(file):
        parts = dotted.split(".")
        assert parts[0] not in ("shapecheck_rules", "rules", "reference_trainer"), (
            f"{dotted}: packs come by entry point"
        )
        if parts[0] != "shapecheck" or len(parts) == 1 or parts[1] == name:
            continue
        assert parts[1] in FLOOR, f"{dotted} is imported by nobody but its users"
        floor = VOCABULARY.get(".".join(parts[1:3]), FLOOR[parts[1]]) if name not in SIDE_DOORS else FLOOR[parts[1]]
        assert floor <= allowed, f"floor {allowed} imports {dotted} from floor {floor}"


def test_only_two_files_speak_to_libcst() -> None:
    speaking = {file.stem for _, file in modules() if any(d.split(".")[0] == "libcst" for d in imported(file))}
    assert speaking <= {"lower", "lower_expr", "fixes"}


def test_the_trainer_and_the_runtime_layer_need_no_linter() -> None:
    for file in [*(ROOT / "reference_trainer").rglob("*.py"), *(ROOT / "shapecheck" / "runtime").rglob("*.py")]:
        tops = {d.split(".")[0] for d in imported(file)}
        assert not tops & {"libcst", "typer.testing", "shapecheck_rules"}, file
        inner = {d.split(".")[1] for d in imported(file) if d.startswith("shapecheck.") and d.count(".")}
        assert inner <= {"runtime", "dims", *RUNTIME_NAMES}, file


def test_rules_import_facts_and_no_reports() -> None:
    for file in (ROOT / "rules").glob("*/rule.py"):
        inner = {d.split(".")[1] for d in imported(file) if d.startswith("shapecheck.")}
        assert max((FLOOR[name] for name in inner), default=0) <= 4, file


def test_linting_imports_neither_torch_nor_jaxtyping(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import torch\nx = torch.zeros(2, 3)\ny = x @ x.t()\n")
    code = (
        "import sys; sys.argv = ['shapecheck', 'lint', '--isolated', '--no-cache', 'a.py']\n"
        "from shapecheck.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    print(end.code)\n"
        "heavy = {'torch', 'jaxtyping', 'numpy', 'beartype', 'rich', 'libcst.matchers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["0", "[]"], ran.stderr


def sources() -> list[Path]:
    folders = ("shapecheck", "rules", "reference_trainer", "tests", "benchmarks", "fixtures")
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 12), (3, 13), (3, 14)])
def test_every_file_is_python_of_that_version(version: tuple[int, int]) -> None:
    """`feature_version` refuses newer grammar as far as the running Python knows it; the names that the standard
    library got later are refused by mypy, which checks for 3.10."""
    for file in sources():
        ast.parse(file.read_text(encoding="utf-8"), str(file), feature_version=version)


def test_no_name_of_python_3_11_is_imported() -> None:
    """For the files that mypy does not read, and for imports that it allows behind a version check."""
    later = {"tomllib", "typing.Self", "typing.Never", "typing.override", "enum.StrEnum", "itertools.batched"}
    for file in sources():
        used = {d for d in imported(file) if d in later or d.split(".")[0] == "tomllib"}
        guarded = "sys.version_info >= (3, 11)" in file.read_text(encoding="utf-8")
        assert not used or guarded, f"{file}: {sorted(used)}"


def _imports_when_loaded(file: Path) -> set[str]:
    """The modules of our own that a file imports at its top, as dotted names below `shapecheck`."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shapecheck."):
            module = (node.module or "").removeprefix("shapecheck.")
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("folder", ["dims", "ops", "source", "engine", "analysis"])
def test_no_circle_of_imports(folder: str) -> None:
    files = {f"{folder}.{file.stem}": file for file in (ROOT / "shapecheck" / folder).glob("*.py")}
    files.pop(f"{folder}.__init__")
    graph = {name: _imports_when_loaded(file) & files.keys() for name, file in files.items()}
    assert any(graph.values())
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError
