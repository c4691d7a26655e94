"""torch judges what a finding shows: each labelled expression has, when its sample runs, the shape beside the caret,
and sentence, labels, notes and help call one axis by one name."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import bundled, diagnostics
from twins import REFUSALS, Case, cases, load, run

from shapecheck.dims import spec
from shapecheck.findings.diagnostic import Caret, Diagnostic

SHAPE = re.compile(r"\[([^\[\]]*)\]")
RUNS = [
    pytest.param(item.folder / "bad.py", case, sizes, id=f"{item.folder.name}-{case.name}-{number}")
    for item in bundled()
    if (item.folder / "bad.py").exists()
    for case in cases((item.folder / "bad.py").read_text(encoding="utf-8"))
    for number, (_, sizes) in enumerate(case.runs)
]


class _Probing(ast.NodeTransformer):
    """Each expression that stands where a label points is noted as it is evaluated."""

    def __init__(self, wanted: Mapping[tuple[int, int, int, int], int]) -> None:
        self.wanted = wanted
        self.placed: set[int] = set()

    def visit(self, node: ast.AST) -> ast.AST:
        place = None
        if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
        number = None if place is None else self.wanted.get(place)  # type: ignore[arg-type]
        self.generic_visit(node)
        if number is None or number in self.placed:
            return node
        self.placed.add(number)
        called = ast.Call(ast.Name("noted__", ast.Load()), [ast.Constant(number), node], [])  # type: ignore[list-item]
        return ast.copy_location(called, node)


def labels_within(path: Path, case: Case) -> list[tuple[Diagnostic, Caret]]:
    return [
        (d, label)
        for d in diagnostics(path)
        if d.location.row in case.rows
        for label in d.labels
        if label.span.path == str(path) and SHAPE.fullmatch(label.text)
    ]


def shapes_at(path: Path, case: Case, sizes: Mapping[str, int], labels: list[Caret]) -> dict[int, list[list[int]]]:
    """What each labelled expression was, each time that it was evaluated."""
    wanted = {
        (at.start.row, at.start.column - 1, at.end.row, at.end.column - 1): number
        for number, at in enumerate(label.span for label in labels)
    }
    noted: dict[int, list[list[int]]] = {}

    def note(number: int, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            noted.setdefault(number, []).append(list(value.shape))
        return value

    text = path.read_text(encoding="utf-8")
    assert text.isascii(), "columns of ast are bytes"
    tree = ast.fix_missing_locations(_Probing(wanted).visit(ast.parse(text)))
    module = load(path, "")
    module.__dict__["noted__"] = note
    exec(compile(tree, str(path), "exec"), module.__dict__)
    with suppress(*REFUSALS):  # what was evaluated before it was refused was noted
        run(module, case.call, sizes)
    return noted


def fits(text: str, shape: list[int], names: dict[str, int]) -> bool:
    """Can the written shape be this one, where the names have the sizes that they had before? New names are bound."""
    axes = [a.strip() for a in SHAPE.fullmatch(text)[1].split(", ")] if text != "[]" else []  # type: ignore[index]
    if "..." in axes:
        at = axes.index("...")
        behind = len(axes) - at - 1
        if len(shape) < at + behind:
            return False
        axes, shape = axes[:at] + axes[at + 1 :], [*shape[:at], *shape[len(shape) - behind :]]
    if len(axes) != len(shape):
        return False
    for axis, size in sorted(zip(axes, shape), key=lambda pair: not pair[0].isidentifier()):
        if axis.isidentifier():
            if names.setdefault(axis, size) != size:
                return False
        elif (known := value_of(axis, names)) is not None and known != size:
            return False
    return True


def value_of(axis: str, names: Mapping[str, int]) -> int | None:
    text = axis.replace("'", "_")
    try:
        return int(
            eval(text, {"min": min, "max": max, "__builtins__": {}}, {k.replace("'", "_"): v for k, v in names.items()})
        )
    except (NameError, SyntaxError, AttributeError, TypeError):
        return None


@pytest.mark.parametrize(("path", "case", "sizes"), RUNS)
def test_labels_are_what_torch_has_there(path: Path, case: Case, sizes: dict[str, int]) -> None:
    found = labels_within(path, case)
    noted = shapes_at(path, case, sizes, [label for _, label in found])
    names: dict[int, dict[str, int]] = {}
    for number, (diagnostic, label) in enumerate(found):
        for shape in noted.get(number, ())[:1]:
            own = names.setdefault(id(diagnostic), {})
            where = f"{path.parent.name} line {label.span.start.row}: {diagnostic.code} says {label.text}, torch has {shape}"
            assert fits(label.text, shape, own), f"{where} ({own})"


def test_most_labels_are_judged() -> None:
    """A probe that is never reached would prove nothing."""
    labelled = judged = 0
    for parameter in RUNS:
        path, case, sizes = parameter.values
        found = labels_within(path, case)  # type: ignore[arg-type]
        noted = shapes_at(path, case, sizes, [label for _, label in found])  # type: ignore[arg-type]
        labelled, judged = labelled + len(found), judged + len(noted)
    assert judged > 100
    assert judged >= 0.8 * labelled


@pytest.mark.parametrize("item", bundled(), ids=lambda item: item.folder.name)
def test_one_axis_has_one_name(item: Any) -> None:
    """What the notes and the help call an axis, the sentence, a label or the code calls it too."""
    path = item.folder / "bad.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    for d in diagnostics(path):
        shown = _names([d.message, d.condition, *(label.text for label in d.labels)])
        if not d.labels:
            continue
        head = max(
            n for n, line in enumerate(lines[: d.location.row]) if line.lstrip().startswith(("def ", "class ")) or not n
        )
        code = " ".join(lines[head : d.end_location.row])
        told = _names([d.help, *(n.message for n in d.notes)])
        strange = {n for n in told - shown if not re.search(rf"(?<!\w){re.escape(n)}(?!\w)", code)}
        assert not strange, f"{path.parent.name} line {d.location.row}: {strange} of {told}, elsewhere {shown}"


@pytest.mark.parametrize("item", bundled(), ids=lambda item: item.folder.name)
def test_what_is_meant_has_the_axes_of_the_product_that_is_offered(item: Any) -> None:
    """A help that offers `bd,bgd->bg` says "to get" two axes, as many as the product has without the second batch."""
    path = item.folder / "bad.py"
    for d in diagnostics(path):
        meant, offered = re.search(r"to get (\[[^\]]*\])", d.help), re.search(r"einsum\('[a-z,]*->([a-z]*)'", d.help)
        if meant and offered:
            assert len(meant[1].split(",")) == len(offered[1]), f"{path.parent.name} line {d.location.row}: {d.help}"


def _names(texts: list[str]) -> set[str]:
    """The names of axes in the shapes `[B, D]` of a text."""
    shapes = (axes for text in texts for axes in SHAPE.findall(text))
    return {name for axes in shapes if _is_shape(axes) for name in re.findall(r"[A-Za-z_]\w*'*", axes)}


def _is_shape(axes: str) -> bool:
    try:
        spec.parse(axes.replace(",", " "))
    except spec.SpecError:
        return False
    return "," in axes
