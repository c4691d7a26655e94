"""Every kind of mismatch has its sentence, and the sentence is what the reader sees."""

import pytest

from shapecheck.dims.mismatch import (
    Binding,
    Mismatch,
    NotATensor,
    RowsLeak,
    Unbound,
    WrongDevice,
    WrongDtype,
    WrongRank,
    WrongSize,
    WrongSizes,
    sentence,
)

CALL = (("q", (4, 16)), ("p", (4, 8, 16)))
BY_Q = Binding("B", 4, "argument q, axis 0")
BY_P = Binding("G", 8, "argument p, axis 1")

SENTENCES = [
    (
        Mismatch("line 12: s", WrongRank(2, 3), "B G", (4, 4, 8), CALL, "similarity"),
        'line 12: s: "B G" has 2 axes, the value has 3; its shape is (4, 4, 8); '
        "similarity was called with q (4, 16), p (4, 8, 16)",
    ),
    (
        Mismatch("argument p", WrongRank(1, 0, at_least=True), "*b D", ()),
        'argument p: "*b D" has at least 1 axis, the value has 0; its shape is ()',
    ),
    (
        Mismatch("argument p", WrongSize(0, "B", 4, 5, (BY_Q,)), "B G D", (5, 8, 16)),
        'argument p: axis 0 of "B G D" is 5, but B = 4 by argument q, axis 0; its shape is (5, 8, 16)',
    ),
    (
        Mismatch("argument p", WrongSize(1, "3", 3, 5), "B 3", (4, 5)),
        'argument p: axis 1 of "B 3" is 5, not 3; its shape is (4, 5)',
    ),
    (
        Mismatch("return value", WrongSize(1, "B*G", 32, 8, (BY_Q, BY_P)), "B B*G", (4, 8)),
        'return value: axis 1 of "B B*G" is 8, but B*G = 32 with B = 4 by argument q, axis 0, '
        "G = 8 by argument p, axis 1; its shape is (4, 8)",
    ),
    (
        Mismatch("argument p", WrongSize(1, "{self.g}", 7, 8), "B {self.g}", (4, 8)),
        'argument p: axis 1 of "B {self.g}" is 8, but {self.g} = 7; its shape is (4, 8)',
    ),
    (  # the linter's sizes are symbols, and it knows when they agree
        Mismatch("`scores`", WrongSize(1, "G", "G", "B*G", when="B = 1"), "B G", ("B", "B*G"), where="loss"),
        '`scores`: axis 1 of "B G" is B*G, not G (equal only when B = 1); its shape is (B, B*G); in loss',
    ),
    (
        Mismatch("argument p", WrongSizes("*b", (2, 3), (2,), "argument q"), "*b D", (2, 16)),
        'argument p: *b of "*b D" is (2,), which is not (2, 3) by argument q; its shape is (2, 16)',
    ),
    (
        Mismatch("argument p", WrongSizes("#*b", (3,), (2,), "argument q", broadcast=True), "#*b D", (2, 16)),
        'argument p: #*b of "#*b D" is (2,), which does not broadcast with (3,) by argument q; its shape is (2, 16)',
    ),
    (
        Mismatch("argument p", Unbound(1, "B*G", ("B", "G")), "N B*G", (4, 8)),
        'argument p: axis 1 of "N B*G" needs B and G, which nothing in the call has bound; its shape is (4, 8)',
    ),
    (Mismatch("argument q", WrongDtype("Float", "int64")), "argument q: dtype is int64, Float was declared"),
    (
        Mismatch("argument p", WrongDevice("cpu", "meta", "argument q")),
        "argument p: device is meta, not cpu like argument q",
    ),
    (
        Mismatch("return value", RowsLeak("B", 0, "argument p", 3, "other values there change it"), where="score"),
        "return value: row 0 along B depends on row 3 of argument p, and rows were declared independent "
        "(other values there change it); in score",
    ),
    (
        Mismatch("item 3 of argument ps", NotATensor("Tensor", "int")),
        "item 3 of argument ps: int where Tensor was declared",
    ),
]


@pytest.mark.parametrize(("mismatch", "text"), SENTENCES)
def test_sentence(mismatch, text):
    assert sentence(mismatch) == text == str(mismatch)


def test_a_variadic_binding_names_itself_with_a_star():
    wrong = WrongSize(1, "sum(b)", 5, 4, (Binding("b", (2, 3), "argument q"),))
    assert "with *b = (2, 3) by argument q" in sentence(Mismatch("return value", wrong))


def test_facts_are_frozen_and_hashable():
    assert len({mismatch for mismatch, _ in SENTENCES}) == len(SENTENCES)
