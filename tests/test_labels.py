"""Which words of a line get the carets."""

from __future__ import annotations

import pytest

from shapecheck import engine
from shapecheck.analysis.labels import operand_labels
from shapecheck.analysis.origin import base
from shapecheck.engine.facts import Called
from shapecheck.engine.values import Tensor
from shapecheck.source import lower
from shapecheck.source.imports import Project
from shapecheck.source.positions import spans

HEAD = """\
import torch
import torch.nn.functional as F
def f(q, p, B, G, D):
    q = q.view(B, D)
    docs = p.view(B, G, D)
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("q @ docs.mT", [("q", "[B, D]"), ("docs.mT", "[B, D, G]")]),
        ("torch.matmul(q, p.view(B, G, D).mT)", [("q", "[B, D]"), ("p.view(B, G, D).mT", "[B, D, G]")]),
        ("q.float().matmul(docs.mT)", [("q.float()", "[B, D]"), ("docs.mT", "[B, D, G]")]),
        ("torch.matmul(input=q, other=docs.mT)", [("q", "[B, D]"), ("docs.mT", "[B, D, G]")]),
        ("torch.matmul(F.normalize(q), docs.mT)", [("F.normalize(q)", "[B, D]"), ("docs.mT", "[B, D, G]")]),
        ("torch.matmul(*(q, docs.mT))", []),
    ],
)  # fmt: skip
def test_operands_of_a_product(line: str, expected: list[tuple[str, str]]) -> None:
    program = lower.parse(f"{HEAD}    return {line}\n".encode(), "/a.py")
    facts = engine.analyze(program, Project(lower.parse, (lower.Unreadable,)))
    fact = next(f for f in facts.of(Called) if f.op == "matmul")
    tensors = [t for t in (fact.args["input"], fact.args["other"]) if isinstance(t, Tensor)]
    assert [base(t).rank for t in tensors] == [2, 3]
    labels = operand_labels(fact.site, tensors, facts, facts.names())
    places = spans(program)
    assert [(places.text(label.site.node), label.text) for label in labels] == expected
