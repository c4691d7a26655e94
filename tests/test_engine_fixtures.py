"""fixtures/engine: each line that ends in `# shape: B B*G` gives a name a tensor of that shape, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import ROOT, name_of

from shapecheck.engine import analyze
from shapecheck.engine.facts import Assigned, Facts
from shapecheck.engine.values import Axis, Partial, Tensor
from shapecheck.findings.marks import ShapeMark, read
from shapecheck.source.imports import Project
from shapecheck.source.lower import Unreadable, parse
from shapecheck.source.positions import spans

FILES = sorted((ROOT / "fixtures" / "engine").glob("*.py"))


def shape(tensor: Tensor, facts: Facts) -> str:
    """`B B*G`, `... 96`: sizes in the author's names, without spaces in them."""
    names = facts.names()

    def told(axes: tuple[Axis, ...]) -> list[str]:
        return [names.axis(axis).replace(" ", "") for axis in axes]

    if isinstance(tensor.shape, Partial):
        return " ".join([*told(tensor.shape.head), "...", *told(tensor.shape.tail)])
    return " ".join(told(tensor.shape))


def computed(path: Path) -> dict[int, set[str]]:
    """For each line the shapes that the tensors bound there have, over all ways through it."""
    program = parse(path.read_bytes(), str(path))
    facts = analyze(program, Project(parse, (Unreadable,)))
    places = spans(program)
    found: dict[int, set[str]] = {}
    for fact in facts.of(Assigned):
        if fact.site.path == str(path) and isinstance(fact.value, Tensor):
            found.setdefault(places.span(fact.site.node).row, set()).add(shape(fact.value, facts))
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_lines_have_the_shapes_that_they_are_marked_with(path: Path) -> None:
    marked = {m.row: {m.text} for m in read(path.read_text(encoding="utf-8")) if isinstance(m, ShapeMark)}
    have = computed(path)
    assert {row: have.get(row) for row in marked} == marked


def test_each_topic_has_marks() -> None:
    bare = [p.name for p in FILES if not any(isinstance(m, ShapeMark) for m in read(p.read_text(encoding="utf-8")))]
    assert bare == ["shared_scoring.py"]
