"""What a file learns of the globals of the modules that it imports: each is made when something asks for it."""

from __future__ import annotations

import random
import textwrap
from pathlib import Path

import pytest

from shapecheck.engine.entry import run
from shapecheck.engine.facts import Assigned
from shapecheck.engine.values import Tensor
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse

USE = """
def f(x):
  y = pick(x)
"""

# what stands in other.py, what main.py imports of it, and the sizes of y; None where nothing may be said
CASES = [
    ("one assignment", "import torch\nWIDE = torch.zeros(3, 4)\n", "from other import WIDE\npick = lambda x: WIDE", (3, 4)),
    ("one after another", "import torch\nN = 3\nWIDE = torch.zeros(N, N + 1)\n", "import other\npick = lambda x: other.WIDE", (3, 4)),
    ("unpacked", "import torch\nA, B = torch.zeros(3), torch.zeros(5)\n", "from other import B\npick = lambda x: B", (5,)),
    ("a name that changes", "import torch\nN = 3\nN += 1\nWIDE = torch.zeros(N)\n", "from other import WIDE\npick = lambda x: WIDE", (4,)),
    ("a dict that is filled", "import torch\nBY = {}\nBY['a'] = torch.zeros(3)\n", "from other import BY\npick = lambda x: BY['a']", (3,)),
    ("bound in both arms", "import torch\nimport sys\nif sys.argv:\n  T = torch.zeros(3)\nelse:\n  T = torch.zeros(4)\n",
     "from other import T\npick = lambda x: T", None),
    ("a definition put anew", "import torch\ndef pick(x):\n  return torch.zeros(3)\npick = lambda x: torch.zeros(4)\n",
     "from other import pick", (4,)),
    ("all names", "import torch\ndef pick(x):\n  return torch.zeros(7)\n", "from other import *", (7,)),
    ("a circle", "from main import *\nimport torch\nT = torch.zeros(3)\n", "from other import *\npick = lambda x: T", (3,)),
    ("no private names", "import torch\n_T = torch.zeros(3)\n", "from other import *\npick = lambda x: _T", None),
    ("an import that may fail", "try:\n  from third import T\nexcept ImportError:\n  T = None\n", "from other import T\npick = lambda x: T", (9,)),
]  # fmt: skip


@pytest.mark.parametrize(("other", "main", "sizes"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_global_is_what_the_module_makes_of_it(
    tmp_path: Path, other: str, main: str, sizes: tuple[int, ...] | None
) -> None:
    (tmp_path / "other.py").write_text(other)
    (tmp_path / "third.py").write_text("import torch\nT = torch.zeros(9)\n")
    path = tmp_path / "main.py"
    path.write_text(main + "\n" + textwrap.dedent(USE))
    program = parse(path.read_bytes(), str(path))
    facts = run(program, Project(parse, (Unreadable,))).facts
    found = [f.value.sizes for f in facts.of(Assigned) if f.name == "y" and isinstance(f.value, Tensor)]
    if sizes is None:
        assert not any(s and all(isinstance(n, int) for n in s) for s in found)
    else:
        assert found == [sizes]


def test_imports_in_circles_end(tmp_path: Path) -> None:
    """Packages whose modules take names from each other at random, stars and the package itself among them: nothing is
    a bug of ours, and what has a value is found."""
    names = ["__init__", "a", "b", "c", "d"]
    known = 0
    for seed in range(60):
        rng = random.Random(seed)
        package = tmp_path / f"p{seed}"
        package.mkdir()
        for name in names:
            kinds = ["from . import {0}", "from .{0} import *", "from .{0} import {1}", "from . import *",
                     "import p{2}.{0} as {1}", "from p{2} import {1} as {0}", "{1} = torch.zeros(3)"]  # fmt: skip
            lines = [rng.choice(kinds).format(*rng.choices("abcd", k=2), seed) for _ in range(rng.randint(1, 4))]
            body = "\n".join(["import torch", *lines, "def f(x):", *(f"  y{n} = {n}" for n in "abcd")])
            (package / f"{name}.py").write_text(body + "\n")
        project = Project(parse, (Unreadable,))
        for name in names:
            path = package / f"{name}.py"
            facts = run(parse(path.read_bytes(), str(path)), project).facts
            assert facts.faults == {}, (seed, name)
            known += sum(isinstance(f.value, Tensor) for f in facts.of(Assigned))
    assert known > 100


def test_a_module_is_not_read_for_what_nobody_asks(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("import heavy\nUSED = 3\nUNUSED = heavy.thing(4)\n")
    (tmp_path / "heavy.py").write_text("def thing(n):\n  return n\n")
    path = tmp_path / "main.py"
    path.write_text("import torch\nfrom other import USED\ndef f():\n  y = torch.zeros(USED)\n")
    project = Project(parse, (Unreadable,))
    run(parse(path.read_bytes(), str(path)), project)
    read = project.read_for(str(path))
    assert str(tmp_path / "other.py") in read
    assert str(tmp_path / "heavy.py") not in read


def test_what_is_installed_beside_a_package_is_not_its_project(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "site-packages"
    for package in ("mine", "theirs"):
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text("")
    own = str(site / "mine" / "a.py")
    project = Project(parse, (Unreadable,))
    assert project.resolve("mine", 0, own) == str(site / "mine" / "__init__.py")
    assert project.resolve("theirs", 0, own) is None
