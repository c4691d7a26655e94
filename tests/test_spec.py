"""The axis-string language: what parses to what, what is refused, and that jaxtyping says the same."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shapecheck.dims.spec import (
    Anonymous,
    Anything,
    BinOp,
    CallFn,
    Expr,
    Fixed,
    FString,
    Named,
    Num,
    Python,
    Spec,
    SpecError,
    Unary,
    Var,
    Variadic,
    parse,
)

B, G = Var("B"), Var("G")


def expr(tree, broadcast=False):
    return Expr("", tree, broadcast)


AXES = [
    ("B", Named("B")),
    ("#B", Named("B", broadcast=True)),
    ("?B", Named("B", treepath=True)),
    ("#?B", Named("B", broadcast=True, treepath=True)),
    ("batch=B", Named("B")),
    ("=", Named("")),  # jaxtyping takes a name without letters
    ("4", Fixed(4)),
    ("#4", Fixed(4, broadcast=True)),
    ("rows=4", Fixed(4)),
    ("1_000", Fixed(1000)),
    ("-1", Fixed(-1)),
    ("(4)", Fixed(4)),
    ("_", Anonymous()),
    ("_rows", Anonymous()),
    ("...", Anything()),
    ("*_", Anything()),
    ("_*rest", Anything()),
    ("*b", Variadic("b")),
    ("*#b", Variadic("b", broadcast=True)),
    ("#*b", Variadic("b", broadcast=True)),
    ("*?b", Variadic("b", treepath=True)),
    ("B*G", expr(BinOp("*", B, G))),
    ("#B*G", expr(BinOp("*", B, G), broadcast=True)),
    ("(B)", expr(B)),
    ("2*B-1", expr(BinOp("-", BinOp("*", Num(2), B), Num(1)))),
    ("B//(G+1)", expr(BinOp("//", B, BinOp("+", G, Num(1))))),
    ("-B", expr(Unary("-", B))),
    ("min(B,G)", expr(CallFn("min", (B, G)))),
    ("{self.g}", expr(FString("{self.g}"))),
    ("{self.g}*B", expr(BinOp("*", FString("{self.g}"), B))),
    ("{d[0]}+1", expr(BinOp("+", FString("{d[0]}"), Num(1)))),
    ("dim{i}", expr(FString("dim{i}"))),  # glued: format first
    ("{n:d}", expr(FString("{n:d}"))),
    ("B==G", expr(Python("B==G"))),
    ("B.bit_length()", expr(Python("B.bit_length()"))),
]


@pytest.mark.parametrize(("text", "axis"), AXES, ids=[text for text, _ in AXES])
def test_one_axis(text, axis):
    spec = parse(text)
    assert spec == Spec((axis,))
    assert parse(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("  B   G ", "B G"),
        ("", ""),
        ("rows=4 *_", "4 ..."),
        ("B*(G+1)", "B*(G+1)"),
        ("(B*G)+1", "B*G+1"),
        ("B-(G-1)", "B-(G-1)"),
        ("(-B)**G", "(-B)**G"),
        ("B**-G", "B**-G"),
        ("(B**G)**2", "(B**G)**2"),
        ("B**G**2", "B**G**2"),
        ("B%(G*2)", "B%(G*2)"),
        ("max(B,G)//2", "max(B,G)//2"),
        ("*#b _x ?n", "#*b _ ?n"),
    ],
)
def test_printing_is_canonical(text, printed):
    assert str(parse(text)) == printed


@pytest.mark.parametrize(
    ("text", "rank", "min_rank", "names", "binds", "reads"),
    [
        ("", 0, 0, (), (), ()),
        ("B G", 2, 2, ("B", "G"), ("B", "G"), ()),
        ("B*G D", 2, 2, ("B", "G", "D"), ("D",), ("B", "G")),
        ("*b n d", None, 2, ("b", "n", "d"), ("b", "n", "d"), ()),
        ("... 3 _", None, 2, (), (), ()),
        ("{self.g} min(B,len(G))", 2, 2, ("B", "G"), (), ("B", "G")),
        ("B==G", 1, 1, ("B", "G"), (), ("B", "G")),
    ],
)
def test_what_a_spec_knows(text, rank, min_rank, names, binds, reads):
    spec = parse(text)
    assert (spec.rank, spec.min_rank, spec.names, spec.binds, spec.reads) == (rank, min_rank, names, binds, reads)


def test_braces_give_their_code():
    assert FString("{self.g}").code == "self.g"
    assert FString("dim{i}").code is None
    assert FString("{n:d}").code is None


REFUSED_BY_BOTH = {
    "B,G": 0,
    "B G#": 2,
    "B ...G": 2,
    "##B": 0,
    "**B": 0,
    "__B": 0,
    "??B": 0,
    "*4": 0,
    "_4": 0,
    "?4": 0,
    "#_": 0,
    "*B+1": 0,
    "_B+1": 0,
    "?B+1": 0,
    "*a *b": 3,
    "... B *c": 6,
}
# jaxtyping takes these as annotations and fails, or never agrees, at the call
REFUSED_EARLIER = {
    "B+": 0,
    "B G)": 2,
    "sqrt(B)": 0,
    "(_a)+1": 0,
    "{self.}": 0,
    "{B": 0,
    "4#G": 0,
    "(B,G)": 0,
    "if+1": 0,
}


@pytest.mark.parametrize(("text", "column"), [*REFUSED_BY_BOTH.items(), *REFUSED_EARLIER.items()])
def test_refusals_name_the_column(text, column):
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert caught.value.column == column
    assert caught.value.text == text
    assert "\n" not in str(caught.value)


def jaxtyping_accepts(text):
    jaxtyping = pytest.importorskip("jaxtyping")
    np = pytest.importorskip("numpy")
    try:
        jaxtyping.Float[np.ndarray, text]
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", [text for text, _ in AXES])
def test_jaxtyping_accepts_it_too(text):
    assert jaxtyping_accepts(text)


@pytest.mark.parametrize("text", REFUSED_BY_BOTH)
def test_jaxtyping_refuses_it_too(text):
    assert not jaxtyping_accepts(text)


@pytest.mark.parametrize("text", REFUSED_EARLIER)
def test_jaxtyping_finds_it_only_at_the_call(text):
    assert jaxtyping_accepts(text)


def agree(text):
    """Both accept, both refuse, or we refuse what no call could ever evaluate."""
    try:
        spec = parse(text)
    except SpecError as error:
        unevaluable = ("neither a name", "not a Python builtin", "is anonymous, so", "axis, got")
        return not jaxtyping_accepts(text) or any(reason in str(error) for reason in unevaluable)
    return jaxtyping_accepts(text) and parse(str(spec)) == spec


@settings(max_examples=1500, deadline=None)
@given(st.text(alphabet="#*_?=ab4-+,({}). ", max_size=8))
@example("b=,")
@example("(=,{{")
def test_any_text_is_judged_as_jaxtyping_judges_it(text):
    assert agree(text)


words = st.sampled_from(
    ["B", "G", "#B", "*b", "#*b", "_", "...", "3", "n=3", "B*G", "{x.y}", "?t", "2*(B+1)", "B//2%G"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(words, max_size=5))
def test_sensible_text_round_trips(parts):
    assert agree(" ".join(parts))
