"""What each piece of Python becomes, which comment goes where, and that no file brings the reader down."""

import ast
import random
import subprocess
import sys
import sysconfig
import warnings
from collections import Counter
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from shapecheck.source import program as p
from shapecheck.source.lower import Unreadable, parse
from shapecheck.source.program import Program, walk


def lower(source: str | bytes) -> Program:
    return parse(source.encode() if isinstance(source, str) else source, "sample.py")


def brief(thing: object) -> str:
    """`Call(f, [Arg(x)])`: kinds and contents; fields that have their default are left out, comments too."""
    match thing:
        case p.Name(name):
            return name
        case p.Const(value):
            return repr(value)
        case tuple():
            return f"[{', '.join(brief(each) for each in thing)}]"
        case p.Node():
            shown = []
            for each in fields(thing):
                value = getattr(thing, each.name)
                if each.name in ("cst", "comment", "above") or (each.default is not MISSING and value == each.default):
                    continue
                shown.append(f"{each.name}={brief(value)}" if each.default is not MISSING else brief(value))
            return f"{type(thing).__name__}({', '.join(shown)})"
        case str():
            return thing
    return repr(thing)


def only(source: str) -> str:
    return ", ".join(brief(each) for each in lower(source).body)


EXPRESSIONS = [
    ("x", "x"),
    ("True", "True"),
    ("None", "None"),
    ("...", "Ellipsis"),
    ("0x_ff", "255"),
    ("1_000", "1000"),
    ("00", "0"),
    ("1e-3", "0.001"),
    ("2j", "2j"),
    ("-1", "-1"),
    ("- 2.5", "-2.5"),
    ("-(-1)", "1"),
    ("-True", "Op(u-, [True])"),
    ("+1", "Op(u+, [1])"),
    ("~x", "Op(u~, [x])"),
    ("not x", "Op(not, [x])"),
    ("-x ** 2", "Op(u-, [Op(**, [x, 2])])"),
    (r"'a\n'", r"'a\n'"),
    (r"r'\d'", r"'\\d'"),
    (r"'\d'", r"'\\d'"),
    ("u'a'", "'a'"),
    ("b'a'", "b'a'"),
    (r"b'\x00'", r"b'\x00'"),
    ("'''a\r\nb'''", r"'a\nb'"),
    ("'a' \"b\" 'c'", "'abc'"),
    ("b'a' b'b'", "b'ab'"),
    ("f'a{x}b'", "FString(['a', x, 'b'])"),
    ("f'{{{x}}}'", "FString(['{', x, '}'])"),
    (r"f'\t{x}'", r"FString(['\t', x])"),
    (r"rf'\t{x}'", r"FString(['\\t', x])"),
    (r'''f"""\t"{x}"\n" """''', r"""FString(['\t"', x, '"\n" '])"""),
    (r"f'\{x}\N{EM DASH}'", "FString(['\\\\', x, '—'])"),
    ("f'{x!r}'", "FString([Opaque(formatted, parts=[x])])"),
    ("f'{x:>{w}}'", "FString([Opaque(formatted, parts=[x, w])])"),
    ("f'{x=}'", "FString([Opaque(formatted, parts=[x])])"),
    ("'a' f'b{x}' 'c'", "FString(['ab', x, 'c'])"),
    ("f'{x['k']}'", "FString([Index(x, ['k'])])"),
    ("x.y.z", "Attr(Attr(x, y), z)"),
    ("f()", "Call(f, [])"),
    ("f(a, *b, k=c, **d)", "Call(f, [Arg(a), Arg(b, star=*), Arg(c, keyword=k), Arg(d, star=**)])"),
    ("x.view(2)[0].sum()", "Call(Attr(Index(Call(Attr(x, view), [Arg(2)]), [0]), sum), [])"),
    ("f(i for i in x)", "Call(f, [Arg(Comp(gen, i, [CompFor(i, x, [])]))])"),
    ("x[0]", "Index(x, [0])"),
    ("x[0,]", "Index(x, [0], is_tuple=True)"),
    ("x[:, None]", "Index(x, [Slice(None, None, None), None], is_tuple=True)"),
    ("x[1:n:-1]", "Index(x, [Slice(1, n, -1)])"),
    ("x[(i, j)]", "Index(x, [i, j], is_tuple=True)"),
    ("x[..., 0]", "Index(x, [Ellipsis, 0], is_tuple=True)"),
    ("x[*i]", "Index(x, [Star(i)], is_tuple=True)"),
    ("()", "Seq(tuple, [])"),
    ("a, *b", "Seq(tuple, [a, Star(b)])"),
    ("[a, *b]", "Seq(list, [a, Star(b)])"),
    ("{a, *b}", "Seq(set, [a, Star(b)])"),
    ("{a: 1, **b}", "DictLit([[a, 1], [None, b]])"),
    ("a + b * c", "Op(+, [a, Op(*, [b, c])])"),
    ("a - b - c", "Op(-, [Op(-, [a, b]), c])"),
    ("a ** b ** c", "Op(**, [a, Op(**, [b, c])])"),
    ("a / b // c % d @ e", "Op(@, [Op(%, [Op(//, [Op(/, [a, b]), c]), d]), e])"),
    ("a | b ^ c & d << e >> f", "Op(|, [a, Op(^, [b, Op(&, [c, Op(>>, [Op(<<, [d, e]), f])])])])"),
    ("a and b and c or d", "Op(or, [Op(and, [a, b, c]), d])"),
    ("a < b", "Op(<, [a, b])"),
    ("a == b != c", "Op(and, [Op(==, [a, b]), Op(!=, [b, c])])"),
    ("a not in b", "Op(notin, [a, b])"),
    ("a is not None", "Op(isnot, [a, None])"),
    ("a if t else b", "IfExp(t, a, b)"),
    ("lambda: 0", "Lambda([], 0)"),
    (
        "lambda a, /, b=1, *c, d, **e: a",
        "Lambda([Param(a, kind=pos), Param(b, default=1), Param(c, kind=*), Param(d, kind=kw), Param(e, kind=**)], a)",
    ),
    ("[f(x) for x in y if x if z]", "Comp(list, Call(f, [Arg(x)]), [CompFor(x, y, [x, z])])"),
    ("{x for y in z for x in y}", "Comp(set, x, [CompFor(y, z, []), CompFor(x, y, [])])"),
    ("{k: v for k, v in d}", "Comp(dict, v, [CompFor(Seq(tuple, [k, v]), d, [])], key=k)"),
    ("(y := f)", "Walrus(y, f)"),
    ("await x", "Await(x)"),
    ("yield", "Yield(None)"),
    ("yield x", "Yield(x)"),
    ("yield from x", "Yield(x, is_from=True)"),
]

STATEMENTS = [
    ("a = b = c", "Bind([a, b], c)"),
    ("a, *b = c", "Bind([Seq(tuple, [a, Star(b)])], c)"),
    ("x.y[0] = c", "Bind([Index(Attr(x, y), [0])], c)"),
    ("a: int", "Bind([a], None, annotation=int)"),
    ("a: 'B D' | None = 1", "Bind([a], 1, annotation=Op(|, ['B D', None]))"),
    ("a += b", "Bind([a], b, aug=+)"),
    ("a @= b", "Bind([a], b, aug=@)"),
    ("a **= b", "Bind([a], b, aug=**)"),
    ("a >>= b", "Bind([a], b, aug=>>)"),
    ("type A = int", "Bind([A], int)"),
    ("f(x)", "Eval(Call(f, [Arg(x)]))"),
    ("a = 1; b = 2", "Bind([a], 1), Bind([b], 2)"),
    ("return", "Return(None)"),
    ("return x", "Return(x)"),
    ("raise", "Raise(None)"),
    ("raise E from e", "Raise(E)"),
    ("assert a, m", "Assert(a, message=m)"),
    ("pass", "Jump(pass)"),
    ("break", "Jump(break)"),
    ("continue", "Jump(continue)"),
    ("global a, b", "Scope(global, [a, b])"),
    ("nonlocal a", "Scope(nonlocal, [a])"),
    ("del a", "Scope(del, [a])"),
    ("del a, (b, c)", "Scope(del, [a, b, c])"),
    ("del a[0], b", "Scope(del, [b]), Eval(Opaque(del, parts=[Index(a, [0])]))"),
    ("import a", "Import([ImportName(a, a, None)])"),
    ("import a.b, c.d as e", "Import([ImportName(a, a, None), ImportName(e, c.d, None)])"),
    ("from a.b import c as d, e", "Import([ImportName(d, a.b, c), ImportName(e, a.b, e)])"),
    ("from .. import a", "Import([ImportName(a, , a, level=2)])"),
    ("from .m import *", "Import([], star=[m, 1])"),
    ("if a: b\nelif c: d\nelse: e", "Branch(a, [Eval(b)], [Branch(c, [Eval(d)], [Eval(e)])])"),
    ("for x in y: a\nelse: b", "Loop(x, y, None, [Eval(a)], [Eval(b)])"),
    ("while x: a\nelse: b", "Loop(None, None, x, [Eval(a)], [Eval(b)])"),
    ("with a as (b, c), d: e", "With([WithItem(a, Seq(tuple, [b, c])), WithItem(d, None)], [Eval(e)])"),
    (
        "try: a\nexcept E as e: b\nexcept: c\nelse: d\nfinally: f",
        "Try([Eval(a)], [Handler(E, e, [Eval(b)]), Handler(None, None, [Eval(c)])], [Eval(d)], [Eval(f)])",
    ),
    ("try: a\nexcept* E: b", "Try([Eval(a)], [Handler(E, None, [Eval(b)])], [], [])"),
    ("def f(): pass", "Function(f, [], [Jump(pass)])"),
    ("async def f(): pass", "Function(f, [], [Jump(pass)], is_async=True)"),
    ("async def f():\n async for x in y: a", "Function(f, [], [Loop(x, y, None, [Eval(a)], [])], is_async=True)"),
    ("async def f():\n async with a: b", "Function(f, [], [With([WithItem(a, None)], [Eval(b)])], is_async=True)"),
    ("@d(1)\ndef f(x: T = 1) -> R: pass", "Function(f, [Param(x, default=1, annotation=T)], [Jump(pass)], "
     "returns=R, decorators=[Call(d, [Arg(1)])])"),
    ("def f[T: int](*a: *T): pass", "Function(f, [Param(a, kind=*, annotation=Star(T))], [Jump(pass)])"),
    ("def f():\n def g(): yield\n return g", "Function(f, [], [Function(g, [], [Eval(Yield(None))], "
     "is_generator=True), Return(g)])"),
    ("def f():\n g = lambda: (yield)\n yield 1", "Function(f, [], [Bind([g], Lambda([], Yield(None))), "
     "Eval(Yield(1))], is_generator=True)"),
    ("def f():\n g = lambda: (yield)", "Function(f, [], [Bind([g], Lambda([], Yield(None)))])"),
    ("class A(B, metaclass=M): x = 1", "Class(A, [Arg(B), Arg(M, keyword=metaclass)], [Bind([x], 1)])"),
    ("class A[T]:\n 'doc'\n def f(self): pass", "Class(A, [], [Function(f, [Param(self)], [Jump(pass)])], "
     "docstring=doc)"),
    ("match x:\n case 1: a\n case _: b", "Match(x, [Case(1, [], None, [Eval(a)]), Case(None, [], None, [Eval(b)])])"),
    ("match x:\n case A.b: a", "Match(x, [Case(Attr(A, b), [], None, [Eval(a)])])"),
    ("match x:\n case y if y > 1: a", "Match(x, [Case(None, [y], Op(>, [y, 1]), [Eval(a)])])"),
    ("match x:\n case None as y: a", "Match(x, [Case(None, [y], None, [Eval(a)])])"),
    ("match x:\n case [a, *b, {'k': c, **d}]: a",
     "Match(x, [Case(Opaque(MatchList, parts=[Opaque(MatchMapping, parts=['k'])]), [a, b, c, d], None, [Eval(a)])])"),
    ("match x:\n case P(a, k=b) | Q(a, b): a",
     "Match(x, [Case(Opaque(MatchOr, parts=[Opaque(MatchClass, parts=[P]), Opaque(MatchClass, parts=[Q])]), "
     "[a, b], None, [Eval(a)])])"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), EXPRESSIONS)
def test_an_expression_becomes(source: str, expected: str) -> None:
    assert only(f"_ = ({source})") == f"Bind([_], {expected})"


@pytest.mark.parametrize(("source", "expected"), STATEMENTS)
def test_a_statement_becomes(source: str, expected: str) -> None:
    assert only(source) == expected


def test_the_tables_cover_every_kind_of_node() -> None:
    shown = " ".join(expected for _, expected in EXPRESSIONS + STATEMENTS)
    kinds = {kind.__name__ for kind in vars(p).values() if isinstance(kind, type) and issubclass(kind, p.Node)}
    unseen = {kind for kind in kinds - {"Node", "Stmt", "Name", "Const"} if f"{kind}(" not in shown}
    assert unseen == set()


def test_a_wildcard_is_not_the_pattern_none() -> None:
    none, wildcard = lower("match x:\n case None: a\n case _: b").body[0].cases
    assert none.pattern.value is None
    assert wildcard.pattern is None


COMMENTS = [
    ("x = f()  # B G", "B G", None),
    ("x = f()  ## [B, G] ", "[B, G]", None),
    ("x = f()  #", None, None),
    ("# B G\nx = f()", None, "B G"),
    ("# far\n\n# one\n# two\nx = f()  # B", "B", "one\ntwo"),
    ("# far\n\nx = f()", None, None),
    ("    # elsewhere\nx = f()", None, None),
    ("x = f(\n    a,  # inner\n    b,\n)  # B G", "B G", None),
    ("x = (\n    a @ b  # B G\n)", "B G", None),
    ("return (\n    a\n    # not this one\n)", None, None),
    ("a = 1; b = 2  # B", None, None),
    ("if a:  # B G\n    b", "B G", None),
    ("for a in b:  # B G\n    b", "B G", None),
    ("while a:  # B G\n    b", "B G", None),
    ("with a:  # B G\n    b", "B G", None),
    ("try:  # B G\n    b\nfinally:\n    c", "B G", None),
    ("match a:  # B G\n    case b: c", "B G", None),
    ("class A:  # B G\n    b", "B G", None),
    ("# B\n@d\ndef f(): pass", None, "B"),
    ("# B\n@d\n# G\ndef f(): pass", None, "G"),
    ("if a: b  # inner", None, None),
]


@pytest.mark.parametrize(("source", "comment", "above"), COMMENTS)
def test_a_comment_belongs_to(source: str, comment: str | None, above: str | None) -> None:
    first = lower(source).body[0]
    assert (first.comment, first.above) == (comment, above)


def test_a_line_of_statements_gives_its_comments_to_both_ends() -> None:
    a, b = lower("# above\na = 1; b = 2  # behind").body
    assert (a.above, a.comment, b.above, b.comment) == ("above", None, None, "behind")


def test_a_one_line_body_keeps_its_comment() -> None:
    branch = lower("if a: b  # inner").body[0]
    assert branch.body[0].comment == "inner"


def test_elif_has_comments_of_its_own() -> None:
    branch = lower("if a:\n    b\n# above\nelif c:  # behind\n    d\n").body[0]
    assert (branch.orelse[0].above, branch.orelse[0].comment) == ("above", "behind")


def test_comments_around_a_function() -> None:
    function = lower(
        "def f(\n"
        "    self, x,  # B D\n"
        "    y: T,  # B G\n"
        "    a, b,  # whose?\n"
        "    /,\n"
        "    c,  # C\n"
        "    *,\n"
        "    d=1,  # D\n"
        "    **e  # E\n"
        ") -> T:  # B\n"
        "    # before the docstring\n"
        "    'doc'\n"
        "    # first\n"
        "    return x  # last\n"
        "    # footer\n"
    ).body[0]
    comments = {param.name: param.comment for param in function.params}
    assert comments == {"self": None, "x": "B D", "y": "B G", "a": None, "b": None, "c": "C", "d": "D", "e": "E"}
    assert (function.return_comment, function.comment) == ("B", "B")
    assert [(each.above, each.comment) for each in function.body] == [("first", "last")]


def test_a_comment_at_the_start_of_a_body_belongs_to_its_first_statement() -> None:
    assert lower("def f():\n    # B G\n    return x").body[0].body[0].above == "B G"


DOCSTRINGS = [
    ("def f():\n    'doc'", "doc"),
    ("def f():\n    'a' 'b'\n    return", "ab"),
    ('def f():\n    """Say.\n\n        x: B D\n    y: B\n    """\n    return', "Say.\n\n    x: B D\ny: B"),
    ("def f(): 'doc'; return", "doc"),
    ("def f():\n    f'doc'", None),
    ("def f():\n    b'doc'", None),
    ("def f():\n    pass\n    'late'", None),
    ("class f:\n    r'\\d'", r"\d"),
    ("async def f():\n    'doc'", "doc"),
]


@pytest.mark.parametrize(("source", "expected"), DOCSTRINGS)
def test_a_docstring_leaves_the_body(source: str, expected: str | None) -> None:
    block = lower(source).body[0]
    assert block.docstring == expected
    assert not any(isinstance(each, p.Eval) for each in block.body) or expected is None


def test_a_module_has_a_docstring_too() -> None:
    program = lower('#!/usr/bin/env python\n"""Doc."""\n# B\nx = 1\n')
    assert (program.docstring, len(program.body), program.body[0].above) == ("Doc.", 1, "B")


FILES = [
    (b"", 0),
    (b"\n\n", 0),
    (b"# only a comment", 0),
    (b"\xef\xbb\xbfx = 1\n", 1),
    (b"x = 1", 1),
    (b"x = 1\r\ny = 2\r\n", 2),
    (b"x = 1\ry = 2\r", 2),
    (b"x = 1\n\x0c\ny = 2\n", 2),
    (b"\x0cx = 1\n", 1),
    (b"if x:\n\ty = 1\n", 1),
    (b"x = \\\n  1\n", 1),
]


@pytest.mark.parametrize(("source", "count"), FILES)
def test_odd_but_right_files(source: bytes, count: int) -> None:
    assert len(lower(source).body) == count


def test_a_cookie_names_the_encoding() -> None:
    program = lower("# -*- coding: latin-1 -*-\nx = 'é'  # ü\n".encode("latin-1"))
    assert brief(program.body) == "[Bind([x], 'é')]"
    assert program.body[0].comment == "ü"
    assert program.module.encoding == "iso-8859-1"


@pytest.mark.parametrize("links", [10, 49, 50, 99, 300])
@pytest.mark.parametrize("link", [" + f(x)", ".a(f(x))", "[f(x)]", " and f(x)", " if f(x) else f(x)", " ** f(x)"])
def test_long_chains_are_bounded_and_their_calls_not_lost(link: str, links: int) -> None:
    program = lower(f"y = f(x){link * links}")
    assert depth(program) <= 110
    calls = sum(isinstance(node, p.Call) and brief(node.func) == "f" for node in walk(program))
    assert calls >= links or link in (" if f(x) else f(x)", " ** f(x)")  # what leans right is cut off at the limit


def depth(node: Program | p.Node) -> int:
    deepest, pending = 0, [(node, 0)]
    while pending:
        top, level = pending.pop()
        deepest = max(deepest, level)
        pending += [(each, level + 1) for each in p.children(top)]
    return deepest


def test_chains_inside_chains_do_not_double_at_every_level() -> None:
    source = "x"
    for _ in range(60):
        source = f"a < ({source}) < b"
    assert sum(1 for _ in walk(lower(f"y = {source}"))) < 1000


def test_importing_the_program_does_not_import_libcst() -> None:
    code = "import sys, shapecheck.source.program, shapecheck.source.gate, shapecheck.source.literals; print('libcst' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def stdlib_files(count: int, seed: int) -> list[Path]:
    root = Path(sysconfig.get_paths()["stdlib"])
    files = [
        file for file in sorted(root.rglob("*.py")) if file.stat().st_size < 60_000 and "site-packages" not in str(file)
    ]
    return random.Random(seed).sample(files, count)


@pytest.mark.parametrize("seed", range(5))
def test_the_standard_library_says_the_same_as_ast(seed: int) -> None:
    opaque = nodes = 0
    for file in stdlib_files(30, seed):
        source = file.read_bytes()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = words_of_ast(ast.parse(source))
        except (SyntaxError, ValueError):
            with pytest.raises(Unreadable):
                parse(source, str(file))
            continue
        program = parse(source, str(file))
        inside = {id(node): node for node in walk(program)}.values()
        assert words(inside) == expected, file
        nodes += len(inside)
        opaque += sum(isinstance(node, p.Opaque) for node in inside)
    assert nodes > 5000
    assert opaque < nodes / 100


def words(nodes: object) -> Counter[object]:
    """What a program names, calls and counts, place by place."""
    found: Counter[object] = Counter()
    for node in nodes:  # type: ignore[attr-defined]
        match node:
            case p.Name(id=name) | p.Attr(name=name) | p.Param(name=name) | p.Function(name=name) | p.Class(name=name):
                found[type(node).__name__, name] += 1
            case p.Arg(keyword=name):
                found["Arg", name] += 1
            case p.Scope("del", names=names):
                found.update(("Name", name) for name in names)
            case p.Case(binds=names):
                found.update(("bind", name) for name in set(names))
            case p.ImportName(name=name, attr=attr):
                found["import", name, attr] += 1
            case p.Const(int() | float() | complex() as value):
                found[type(value), abs(value) if value == value else "nan"] += 1
            case p.Call() | p.Index() | p.IfExp() | p.CompFor() | p.Return() | p.Raise() | p.Loop() | p.Branch():
                found[type(node).__name__] += 1
    return found


def words_of_ast(tree: ast.Module) -> Counter[object]:
    """The same, from Python's own parser."""
    found: Counter[object] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            node.cause = None  # a Raise doesn't keep it
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name):
                found["Name", name] += 1
            case ast.Attribute(attr=name):
                found["Attr", name] += 1
            case ast.arg(arg=name):
                found["Param", name] += 1
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found["Function", name] += 1
            case ast.ClassDef(name=name):
                found["Class", name] += 1
                found.update(("Arg", None) for _ in node.bases)
                found.update(("Arg", each.arg) for each in node.keywords)
            case ast.Call():
                found["Call"] += 1
                found.update(("Arg", None) for _ in node.args)
                found.update(("Arg", each.arg) for each in node.keywords)
            case ast.match_case(pattern=pattern):
                names = {getattr(each, "name", None) or getattr(each, "rest", None) for each in ast.walk(pattern)}
                found.update(("bind", name) for name in names - {None})
            case ast.Import(names):
                for each in names:
                    module = each.name.partition(".")[0]
                    found["import", each.asname or module, None] += 1
            case ast.ImportFrom(names=names):
                found.update(("import", each.asname or each.name, each.name) for each in names if each.name != "*")
            case ast.Constant(value=int() | float() | complex() as value):
                found[type(value), abs(value) if value == value else "nan"] += 1
            case ast.Subscript():
                found["Index"] += 1
            case ast.comprehension():
                found["CompFor"] += 1
            case ast.For() | ast.AsyncFor() | ast.While():
                found["Loop"] += 1
            case ast.If():
                found["Branch"] += 1
            case ast.IfExp() | ast.Return() | ast.Raise():
                found[type(node).__name__] += 1
    return found
