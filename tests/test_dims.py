"""Sizes: what text means, how it prints, which laws hold, and that plain integer arithmetic agrees with all of it."""

import pytest

from shapecheck.dims import Kind, compare, parse, show

PRINTS = [
    ("((2*A - 1)*B)//(2*A - 1)", "B"),
    ("(B*G)//B", "G"),
    ("(4*B)//2", "2*B"),
    ("(B*G + B)//B", "G + 1"),
    ("B*(n//B)", "B*(n//B)"),
    ("B*G + B", "B*(G + 1)"),
    ("2*B - 1", "2*B - 1"),
    ("-B + 1", "1 - B"),
    ("max(Q, B)", "max(B, Q)"),
    ("min(B + 1, B)", "B"),
]

VERDICTS = [
    ("B*G", "B", Kind.SOMETIMES, "G = 1"),
    ("B*G", "G*G", Kind.SOMETIMES, "B = G"),
    ("2*B", "B + 1", Kind.SOMETIMES, "B = 1"),
    ("B + 1", "B", Kind.NEVER, ""),
    ("2*B", "B", Kind.NEVER, ""),
    ("2*B", "2*C + 1", Kind.NEVER, ""),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_prints(text, printed):
    assert show(parse(text)) == printed
    assert parse(printed) == parse(text)


@pytest.mark.parametrize(("a", "b", "kind", "when"), VERDICTS)
def test_compares(a, b, kind, when):
    verdict = compare(parse(a), parse(b))
    assert (verdict.kind, verdict.when()) == (kind, when)
