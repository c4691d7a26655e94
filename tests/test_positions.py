"""The place and text of a node are those of the file."""

import random

import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from test_lower import brief, stdlib_files

from shapecheck.source import program as p
from shapecheck.source.lower import Unreadable, parse
from shapecheck.source.positions import Span, spans
from shapecheck.source.program import Program, walk


def lower(source: str | bytes) -> Program:
    return parse(source.encode() if isinstance(source, str) else source, "sample.py")


TEXTS = [
    ("x = a.b(c, d)[0]", p.Index, "a.b(c, d)[0]", Span(1, 5, 1, 17)),
    ("x = (a +\n  b)", p.Op, "a +\n  b", Span(1, 6, 2, 4)),
    ("é = 'ü' + b", p.Op, "'ü' + b", Span(1, 5, 1, 12)),
    ("\n\nif a:\n\treturn b # c", p.Return, "return b", Span(4, 2, 4, 10)),
    ("f(a, k = b , *c)", p.Arg, "a", Span(1, 3, 1, 4)),
    ("f( * c )", p.Arg, "* c", Span(1, 4, 1, 7)),
    ("f(k = b , )", p.Arg, "k = b", Span(1, 3, 1, 8)),
    ("def f(a : int = 1 , b=2): pass", p.Param, "a", Span(1, 7, 1, 8)),
    ("x[ a : b , 0]", p.Slice, "a : b", Span(1, 4, 1, 9)),
    ("[x for x in y if z ]", p.CompFor, "for x in y if z", Span(1, 4, 1, 19)),
    ("with a as b , c: d", p.WithItem, "a as b", Span(1, 6, 1, 12)),
    ("@d\ndef f():  # c\n    return 1\n\n", p.Function, "def f():  # c\n    return 1", Span(2, 1, 3, 13)),
    ("a = 1; b = 2", p.Bind, "a = 1", Span(1, 1, 1, 6)),
    ("a < b < c", p.Op, "a < b < c", Span(1, 1, 1, 10)),
    ("x = 'a' 'b'", p.Const, "'a' 'b'", Span(1, 5, 1, 12)),
    ("x = -1", p.Const, "-1", Span(1, 5, 1, 7)),
    ("import a as b , c", p.ImportName, "a as b", Span(1, 8, 1, 14)),
    ("try: a\nexcept E: b\n", p.Handler, "except E: b", Span(2, 1, 2, 12)),
    ("\ufeffx = y", p.Bind, "x = y", Span(1, 1, 1, 6)),
    ("a\r\nb + c\r\n", p.Op, "b + c", Span(2, 1, 2, 6)),
    ("a\rb + c", p.Op, "b + c", Span(2, 1, 2, 6)),
    ("\x0cb + c", p.Op, "b + c", Span(1, 2, 1, 7)),
    ("def f():\n\x0c    x = 1\n    b + c\n", p.Op, "b + c", Span(3, 5, 3, 10)),
    ("f'{a !r : }' + b\nc", p.Op, "f'{a !r : }' + b", Span(1, 1, 1, 17)),
    ("f'{a !r : }'; b = c", p.Bind, "b = c", Span(1, 15, 1, 20)),
]


@pytest.mark.parametrize(("source", "kind", "text", "span"), TEXTS)
def test_the_first_of_its_kind_stands_at(source: str, kind: type[p.Node], text: str, span: Span) -> None:
    program = lower(source)
    positions = spans(program)
    node = next(node for node in walk(program) if isinstance(node, kind))
    assert (positions.text(node), positions.span(node)) == (text, span)


EXPRESSIONS = (p.Name, p.Attr, p.Call, p.Index, p.Seq, p.DictLit, p.Op, p.IfExp, p.Lambda, p.Comp, p.FString, p.Await)


def test_positions_agree_with_libcst_and_texts_lower_to_the_same_node() -> None:
    chosen = random.Random(1)
    checked = 0
    for file in stdlib_files(30, seed=99):
        source = file.read_bytes()
        try:
            program = parse(source, str(file))
        except Unreadable:
            continue
        positions = spans(program)
        assert program.text.encode(program.module.encoding) == source
        expected = MetadataWrapper(program.module, unsafe_skip_copy=True).resolve(PositionProvider)
        exact = program.module.code == program.text  # libcst loses form feeds, and then its columns are off
        nodes = list(walk(program))
        for node in nodes:
            if isinstance(node, p.CompFor) or not exact:
                continue
            span, other = positions.span(node), expected[node.cst]
            assert (span.row, span.column - 1) == (other.start.line, other.start.column)
            assert (span.end_row, span.end_column - 1) == (other.end.line, other.end.column)
        first = {id(node.cst): node for node in reversed(nodes)}  # the pairs of a chained comparison share a place
        whole = [node for node in first.values() if isinstance(node, EXPRESSIONS)]
        for node in chosen.sample(whole, min(20, len(whole))):
            (again,) = lower(f"_ = (\n{positions.text(node)}\n)").body
            assert brief(again) == f"Bind([_], {brief(node)})"
            checked += 1
    assert checked > 300


def test_a_long_expression_has_positions_too() -> None:
    program = lower("y = x" + " + x" * 900)
    assert spans(program).span(program.body[0]) == Span(1, 1, 1, 3606)


def test_a_node_of_another_program_has_no_place() -> None:
    positions = spans(lower("x = 1"))
    with pytest.raises(KeyError):
        positions.span(lower("y = 2").body[0])


def test_a_program_without_its_tree_has_no_places() -> None:
    with pytest.raises(ValueError, match=r"^lost\.py: "):
        spans(Program("lost.py", ()))
