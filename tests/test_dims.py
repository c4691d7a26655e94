"""Sizes: what text means, how it prints, which laws hold, and that plain integer arithmetic agrees with all of it.

Every table line is also judged by Python's own integers over all small values of its names.
"""

import copy
import os
import pickle
import re
import subprocess
import sys
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shapecheck.dims import (
    ALWAYS,
    NEVER,
    Dim,
    Kind,
    TooComplex,
    as_quotient,
    as_symbol,
    compare,
    evaluate,
    exact_div,
    maximum,
    minimum,
    nonnegative,
    parse,
    positive,
    show,
    solve,
    sometimes,
    substitute,
    symbol,
    symbols,
)

B, G, D = symbol("B"), symbol("G"), symbol("D")


def judge(text, values):
    """The text by Python's own integers; None where that divides by 0."""
    try:
        return eval(text, {"__builtins__": {}, "min": min, "max": max}, dict(values))
    except ZeroDivisionError:
        return None


def value(size, values):
    try:
        return evaluate(size, values)
    except ZeroDivisionError:
        return None


def small(*texts):
    """All values from 1 to 5 for the one-letter names in the texts."""
    names = sorted({name for text in texts for name in re.findall(r"\b[A-Za-z]\b", text)})
    for numbers in product(range(1, 6), repeat=len(names)):
        yield dict(zip(names, numbers))


# ------------------------------------------------------------------ text

PRINTS = [
    ("7", "7"),
    ("-7", "-7"),
    ("B", "B"),
    ("B*G", "B*G"),
    ("G*B", "B*G"),
    ("B*B*G", "B*B*G"),
    ("2*B - 1", "2*B - 1"),
    ("-B", "-B"),
    ("-B + 1", "1 - B"),
    ("-B - 1", "-B - 1"),
    ("1 + B + B*B", "B*B + B + 1"),
    ("B*G + B", "B*(G + 1)"),
    ("2*B*G + 4*B", "2*B*(G + 2)"),
    ("2*B + 2", "2*B + 2"),
    ("B*G - B", "B*(G - 1)"),
    ("B - B*G", "B*(1 - G)"),
    ("n//B", "n//B"),
    ("n//B + 1", "n//B + 1"),
    ("2*(n//B)", "2*(n//B)"),
    ("-(n//B)", "-(n//B)"),
    ("B*(n//B)", "B*(n//B)"),
    ("n//(B*G)", "n//(B*G)"),
    ("(n//B)*(G + 1)", "(n//B)*(G + 1)"),
    ("B*n//G", "B*n//G"),
    ("(B + n)//G", "(B + n)//G"),
    ("n//(B + 1)", "n//(B + 1)"),
    ("n % B", "n % B"),
    ("B*(n % G)", "B*(n % G)"),
    ("(n % B)//G", "(n % B)//G"),
    ("max(Q, B)", "max(B, Q)"),
    ("2*min(B, G)", "2*min(B, G)"),
    ("max(512, n)", "max(n, 512)"),
    ("max(B, G)*(D + 1)", "max(B, G)*(D + 1)"),
]


@pytest.mark.parametrize(("text", "printed"), PRINTS)
def test_text_prints_in_one_form(text, printed):
    assert show(parse(text)) == printed
    assert parse(printed) == parse(text)
    assert all(value(parse(text), v) == judge(text, v) == judge(printed, v) for v in small(text))


@pytest.mark.parametrize(
    "text", ["", "B +", "(B", "B)", "B G", "2 B", "min(B)", "min(B, G", "B ** 2", "B / 2", "1.5", "B $"]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match=r"expected|cannot read"):
        parse(text)


def test_names_are_translated_wherever_they_print():
    names = {"?1": "batch_size", "?2": "group_size"}.get
    size = parse("?1*(?2 + 1) + max(?1, ?2)//2")
    assert show(size, names) == "batch_size*group_size + batch_size + max(batch_size, group_size)//2"
    assert compare(parse("?1*?2"), parse("?1")).when(names) == "group_size = 1"


# ------------------------------------------------------------------ laws

LAWS = [
    ("(B + G)*D", "B*D + G*D"),
    ("(B - G)*(B + G)", "B*B - G*G"),
    ("B - B + 3", "3"),
    ("(B*G)//B", "G"),
    ("(B*G + B)//B", "G + 1"),
    ("(B*G + B)//(G + 1)", "B"),
    ("(4*B)//2", "2*B"),
    ("(4*B)//6", "(2*B)//3"),
    ("(2*B)//4", "B//2"),
    ("(2*B + 1)//2", "B"),
    ("(2*B + 1)//4", "B//2"),
    ("(2*B*G)//(4*B)", "G//2"),
    ("((2*A - 1)*B)//(2*A - 1)", "B"),
    ("((A + B)*(A + 1))//(A + B)", "A + 1"),
    ("((A + 1)*B + A)//(A + 1)", "B"),
    ("((A + 1)*B + A) % (A + 1)", "A"),
    ("(B*G + n)//B", "G + n//B"),
    ("(n + G*B) % B", "n % B"),
    ("(n//2)//3", "n//6"),
    ("(n//A)//B", "n//(A*B)"),
    ("((n + 1)//2 + 1)//2", "(n + 3)//4"),
    ("(B*n)//(B*k)", "n//k"),
    ("(B*n) % (B*k)", "B*(n % k)"),
    ("(n + k - 1)//k", "-(-n//k)"),
    ("(n + k - 1)//k", "(n - 1)//k + 1"),
    ("(n - 1)//2 + 1", "(n + 1)//2"),
    ("A//(A + 1)", "0"),
    ("A % (A + 1)", "A"),
    ("(n % B)//B", "0"),
    ("(n % B) % B", "n % B"),
    ("(n - n % B)//B", "n//B"),
    ("(n - n % B) % B", "0"),
    ("(B*G + n - n % B)//B", "G + n//B"),
    ("(B*G) % B", "0"),
    ("(4*B) % 2", "0"),
    ("(4*B + 3) % 2", "1"),
    ("(2*B + 1) % 4", "2*(B % 2) + 1"),
    ("(-B) % 2", "B % 2"),
    ("(-n)//(-B)", "n//B"),
    ("n//1", "n"),
    ("n % 1", "0"),
    ("n//(-1)", "-n"),
    ("min(B, B)", "B"),
    ("min(B, G)", "min(G, B)"),
    ("min(B, 1)", "1"),
    ("max(B, 1)", "B"),
    ("min(B + 1, B)", "B"),
    ("max(B*G, B)", "B*G"),
    ("max(B*G, B + G - 1)", "B*G"),
    ("min(min(A, B), A)", "min(A, B)"),
    ("max(min(A, B), A)", "A"),
    ("min(n//2, n)", "n//2"),
    ("max(n - n % B, 0)", "n - n % B"),
    ("min(B*(n//B), n)", "B*(n//B)"),
]


@pytest.mark.parametrize(("left", "right"), LAWS)
def test_law(left, right):
    assert parse(left) == parse(right)
    assert hash(parse(left)) == hash(parse(right))
    for values in small(left, right):
        assert judge(left, values) == judge(right, values) == value(parse(left), values), values


APART = [
    ("B*(n//B)", "n"),
    ("(n//B)*G", "n*G//B"),
    ("((B - 1)*G)//(B - 1)", "G"),  # nothing is divided where B is 1
    ("(n + m)//2", "n//2 + m//2"),
    ("max(B, G)", "B*G"),
    ("n//2", "n"),
]


@pytest.mark.parametrize(("left", "right"), APART)
def test_what_differs_somewhere_stays_apart(left, right):
    assert parse(left) != parse(right)
    assert any(judge(left, v) != judge(right, v) for v in small(left, right))


def test_a_constant_is_an_int():
    assert (B - B, type(B - B)) == (0, int)
    assert ((2 * B + 3) - 2 * B, type((2 * B + 3) - 2 * B)) == (3, int)
    assert type(B * 0) is type(B // B) is type(B % B) is type(minimum(B, 1)) is int
    assert B != 1
    assert isinstance(B + 0, Dim)


def test_ints_stand_on_either_side():
    assert 2 * B - 1 == B * 2 - 1 == -1 + B + B
    assert 1 - B == -(B - 1)
    assert show(7 // B) == "7//B"
    assert show(7 % B) == "7 % B"
    assert B**3 == B * B * B
    assert (B + 1) ** 0 == 1


def test_only_the_number_0_divides_with_an_error():
    for divide in (
        lambda: B // 0,
        lambda: B % 0,
        lambda: parse("B//(G - G)"),
        lambda: substitute(parse("n//B"), {"B": 0}),
    ):
        with pytest.raises(ZeroDivisionError):
            divide()
    assert show(parse("n//(B - 1)")) == "n//(B - 1)"
    assert exact_div(B, 0) is None


def test_too_much_is_said_aloud():
    wide = sum((symbol(f"x{i}") for i in range(64)), 0)
    for grow in (lambda: wide + B, lambda: wide * (wide + 1), lambda: B**17, lambda: B * 2**130, lambda: tower(9)):
        with pytest.raises(TooComplex):
            grow()
    assert compare(wide, B * G) == sometimes((wide, B * G))
    assert solve(wide, B * G) is None
    assert not nonnegative(-wide)
    assert positive(wide)


def tower(height):
    size = symbol("n")
    for _ in range(height):
        size = maximum(size % G, D) + 1
    return size


def test_a_stack_of_strided_convolutions_is_one_division():
    size = symbol("L")
    for _ in range(6):
        size = (size + 2 * 1 - 3) // 2 + 1
    assert show(size) == "(L + 63)//64"


# ------------------------------------------------------------- questions

BOUNDS = [  # at least 1, at least 0, neither provable
    ("B", True, True),
    ("B - 1", False, True),
    ("B - 2", False, False),
    ("-B", False, False),
    ("B*G - B", False, True),
    ("B*G - B + 1", True, True),
    ("B*G - B - G + 1", False, True),
    ("2*B - 1", True, True),
    ("B - G", False, False),
    ("n//B", False, True),
    ("n % B", False, True),
    ("B - n % B", True, True),
    ("n - B*(n//B)", False, True),
    ("2*(n//2) + 1 - n", False, True),
    ("n - n//2", True, True),
    ("B - min(B, G)", False, True),
    ("max(B, G) - B", False, True),
    ("max(B, G) - min(B, G)", False, True),
    ("min(B, G)", True, True),
    ("B + G - max(B, G)", True, True),
    ("n//(B - 1)", False, False),
]


@pytest.mark.parametrize(("text", "at_least_1", "at_least_0"), BOUNDS)
def test_bounds(text, at_least_1, at_least_0):
    assert (positive(parse(text)), nonnegative(parse(text))) == (at_least_1, at_least_0)
    numbers = [judge(text, v) for v in small(text)]
    assert not at_least_1 or min(numbers) >= 1
    assert not at_least_0 or min(numbers) >= 0


EXACT = [
    ("B*G", "B", "G"),
    ("B*G + B", "G + 1", "B"),
    ("6*B", "4", None),
    ("6*B", "-3", "-2*B"),
    ("6", "4", None),
    ("6", "3", "2"),
    ("6", "B", None),
    ("0", "B", "0"),
    ("B*B - G*G", "B - G", "B + G"),
    ("n", "B", None),
    ("B*(n//B)", "B", "n//B"),
    ("B*(n//B)", "n", None),
    ("n - n % B", "B", "n//B"),
    ("D*n - D*(n % B)", "B", "D*(n//B)"),
    ("n + n % B", "B", None),
    ("B*G", "B*G*D", None),
]


@pytest.mark.parametrize(("a", "b", "quotient"), EXACT)
def test_exact_division(a, b, quotient):
    assert exact_div(parse(a), parse(b)) == (None if quotient is None else parse(quotient))


SUBSTITUTIONS = [
    ("B*G", {"G": "1"}, "B"),
    ("B*G", {"B": "G", "G": "B"}, "B*G"),
    ("B + G", {"B": "G + 1"}, "2*G + 1"),
    ("n//B", {"n": "B*G"}, "G"),
    ("B*(n//B)", {"n": "B*G"}, "B*G"),
    ("n % B", {"n": "B*G + B"}, "0"),
    ("max(B, n//2)", {"n": "2*B + 4"}, "B + 2"),
    ("min(B, 4)", {"B": "9"}, "4"),
    ("B", {"Q": "3"}, "B"),
    ("7", {"B": "3"}, "7"),
]


@pytest.mark.parametrize(("text", "values", "result"), SUBSTITUTIONS)
def test_substitution(text, values, result):
    assert substitute(parse(text), {n: parse(t) for n, t in values.items()}) == parse(result)


def test_a_lone_division_comes_apart():
    assert as_quotient(parse("n//B")) == (symbol("n"), B)
    assert [as_quotient(parse(t)) for t in ("7", "n", "2*(n//B)", "n//B + 1", "n % B", "(n//B)*(n//B)")] == [None] * 6


def test_a_float_is_no_size():
    for mix in (lambda: B + 1.5, lambda: 1.5 - B, lambda: B * 0.5):
        with pytest.raises(TypeError, match="is no size"):
            mix()


def test_which_names_occur():
    assert symbols(parse("B*(n//G) + max(D, 2)")) == {"B", "n", "G", "D"}
    assert symbols(parse("B - B")) == frozenset()
    assert as_symbol(B) == "B"
    assert [as_symbol(parse(t)) for t in ("7", "2*B", "B + 1", "B*B", "B*G", "n//2")] == [None] * 6


# ------------------------------------------------------------- comparing

VERDICTS = [
    ("B", "B", Kind.ALWAYS, ""),
    ("3", "4", Kind.NEVER, ""),
    ("B", "G", Kind.SOMETIMES, "B = G"),
    ("B", "3", Kind.SOMETIMES, "B = 3"),
    ("3", "B", Kind.SOMETIMES, "B = 3"),
    ("B", "0", Kind.NEVER, ""),
    ("B*G", "B", Kind.SOMETIMES, "G = 1"),
    ("B", "B*G", Kind.SOMETIMES, "G = 1"),
    ("B*G", "G*G", Kind.SOMETIMES, "B = G"),
    ("2*B", "B + 1", Kind.SOMETIMES, "B = 1"),
    ("2*B*G", "4*B", Kind.SOMETIMES, "G = 2"),
    ("B + 2", "Q", Kind.SOMETIMES, "Q = B + 2"),
    ("B*G", "8", Kind.SOMETIMES, "B*G = 8"),
    ("B*G", "1", Kind.SOMETIMES, "B = 1 and G = 1"),
    ("B + G", "2", Kind.SOMETIMES, "B = 1 and G = 1"),
    ("B*B", "4", Kind.SOMETIMES, "B = 2"),
    ("B*B + 4", "5*B", Kind.SOMETIMES, "B*B + 4 = 5*B"),
    ("B*B", "G*G", Kind.SOMETIMES, "B = G"),
    ("B*G + G", "2*B + 2", Kind.SOMETIMES, "G = 2"),
    ("B*(n//B)", "n", Kind.SOMETIMES, "n % B = 0"),
    ("2*(n//2)", "n", Kind.SOMETIMES, "n % 2 = 0"),
    ("n % 2", "0", Kind.SOMETIMES, "n % 2 = 0"),
    ("min(n, 512)", "n", Kind.SOMETIMES, "n = min(n, 512)"),
    ("max(B, G)", "B", Kind.SOMETIMES, "B = max(B, G)"),
    ("B + 1", "B", Kind.NEVER, ""),
    ("2*B", "B", Kind.NEVER, ""),
    ("2*B", "2*C + 1", Kind.NEVER, ""),
    ("2*B*G", "3*B", Kind.NEVER, ""),
    ("3*B", "7", Kind.NEVER, ""),
    ("B*B", "3", Kind.NEVER, ""),
    ("B + G", "1", Kind.NEVER, ""),
    ("B*G + 1", "B", Kind.NEVER, ""),
    ("n//2", "n", Kind.NEVER, ""),
    ("n % B", "B", Kind.NEVER, ""),
    ("n % 2", "2", Kind.NEVER, ""),
    ("2*(n//2)", "2*m + 1", Kind.NEVER, ""),
    ("n - n//2", "(n + 1)//2", Kind.ALWAYS, ""),
    ("-(-n//2)", "(n + 1)//2", Kind.ALWAYS, ""),
    ("B*(n//B) + n % B", "n", Kind.ALWAYS, ""),
    ("n//3 + (n + 1)//3 + (n + 2)//3", "n", Kind.ALWAYS, ""),
    ("min(A, B) + max(A, B)", "A + B", Kind.ALWAYS, ""),
    ("min(A, B)*max(A, B)", "A*B", Kind.ALWAYS, ""),
]


@pytest.mark.parametrize(("a", "b", "kind", "when"), VERDICTS)
def test_comparing(a, b, kind, when):
    verdict = compare(parse(a), parse(b))
    assert (verdict.kind, verdict.when()) == (kind, when)
    assert [verdict.always, verdict.never, verdict.sometimes] == [
        kind is k for k in (Kind.ALWAYS, Kind.NEVER, Kind.SOMETIMES)
    ]
    assert_verdict_holds(verdict, a, b, small(a, b))


def assert_verdict_holds(verdict, a, b, assignments):
    for values in assignments:
        left, right = judge(a, values), judge(b, values)
        if left is None or right is None:
            continue
        match verdict.kind:
            case Kind.ALWAYS:
                assert left == right, values
            case Kind.NEVER:
                assert left != right, values
            case Kind.SOMETIMES:
                says = all(value(p, values) == value(q, values) for p, q in verdict.condition)
                assert says == (left == right), values


def test_the_condition_is_made_of_sizes():
    assert compare(B * G, B).condition == ((G, 1),)
    assert compare(B * G, G * G).condition == ((B, G),)
    assert compare(2 * B, B + 1).condition == ((B, 1),)
    assert (compare(B, B), compare(B + 1, B)) == (ALWAYS, NEVER)


SOLUTIONS = [
    ("?x", "B*G", ("?x", "B*G")),
    ("B*G", "?x", ("?x", "B*G")),
    ("2*?x", "2*B", ("?x", "B")),
    ("?x*B", "B*G", ("?x", "G")),
    ("?x + 1", "B", ("?x", "B - 1")),
    ("B - ?x", "G", ("?x", "B - G")),
    ("?x", "5", ("?x", "5")),
    ("?x", "?y", ("?x", "?y")),
    ("?x", "n//2", ("?x", "n//2")),
    ("?x", "?x + 1", None),
    ("?x", "?x//2", None),
    ("?x + B", "B", None),  # it would be 0
    ("?x*B", "G", None),
    ("2*?x", "B", None),
    ("2*?x", "5", None),
    ("3", "4", None),
    ("B", "G", None),
]


@pytest.mark.parametrize(("a", "b", "solution"), SOLUTIONS)
def test_solving_for_the_preferred(a, b, solution):
    wanted = None if solution is None else (solution[0], parse(solution[1]))
    assert solve(parse(a), parse(b), prefer=lambda n: n.startswith("?"), only_preferred=True) == wanted


def test_solving_takes_others_only_when_allowed():
    assert solve(B, 2 * symbol("?x"), prefer=lambda n: n == "?x") == ("B", parse("2*?x"))
    assert solve(B, 2 * symbol("?x"), prefer=lambda n: n == "?x", only_preferred=True) is None
    assert solve(B, G + 1) == ("B", G + 1)  # G = B - 1 might be 0
    assert solve(B, G, only_preferred=True) is None


# ----------------------------------------------------- any size whatever

LEAVES = st.sampled_from(["A", "B", "n", "A", "B", "n", "0", "1", "2", "3", "7"])
TEXTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner)
        | st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner)
    ),
    max_leaves=8,
)
POINTS = [dict(zip("ABn", p)) for p in product((1, 2, 3, 5), repeat=3)]
POINTS += [{"A": 7, "B": 2, "n": 100}, {"A": 2, "B": 90, "n": 31}, {"A": 64, "B": 8, "n": 513}]
MANY = settings(max_examples=150, deadline=None)


def read(text):
    try:
        return parse(text)
    except (ZeroDivisionError, TooComplex):
        assume(False)


@MANY
@given(TEXTS)
def test_arithmetic_is_that_of_the_integers(text):
    size = read(text)
    for values in POINTS:
        number = judge(text, values)
        assert number is None or number == evaluate(size, values), values


@MANY
@given(TEXTS)
def test_printing_is_read_back(text):
    size = read(text)
    assert parse(show(size)) == size
    assert pickle.loads(pickle.dumps(size)) == copy.deepcopy(size) == size


@MANY
@given(TEXTS, TEXTS)
def test_verdicts_hold(a, b):
    assert_verdict_holds(compare(read(a), read(b)), a, b, POINTS)


@MANY
@given(TEXTS, st.sampled_from(["{0}*{1}", "{0} + {1}//2", "{0} + {1} % 3", "min({0}, {1})", "{0}*{1}//2"]), TEXTS)
def test_verdicts_hold_between_sizes_that_share_much(a, shape, b):
    c = shape.format(a, b)
    assert_verdict_holds(compare(read(a), read(c)), a, c, POINTS)


@MANY
@given(TEXTS)
def test_bounds_hold(text):
    size = read(text)
    numbers = [number for number in (judge(text, v) for v in POINTS) if number is not None]
    assert not positive(size) or all(number >= 1 for number in numbers)
    assert not nonnegative(size) or all(number >= 0 for number in numbers)


@MANY
@given(TEXTS, TEXTS)
def test_exact_quotients_multiply_back(a, b):
    left, right = read(a), read(b)
    quotient = exact_div(left, right)
    if quotient is not None:
        for values in POINTS:
            numbers = value(quotient, values), judge(a, values), judge(b, values)
            assert None in numbers or numbers[0] * numbers[2] == numbers[1], values


@MANY
@given(TEXTS, TEXTS)
def test_a_product_is_divided_exactly(a, b):
    left, right = read(a), read(b)
    assume(right != 0)
    try:
        assert exact_div(left * right, right) == left
    except TooComplex:
        assume(False)


@MANY
@given(TEXTS, TEXTS)
def test_substitution_commutes_with_evaluation(text, inserted):
    size, part = read(text), read(inserted)
    try:
        result = substitute(size, {"A": part, "n": 3})
    except (ZeroDivisionError, TooComplex):
        assume(False)
    for values in POINTS:
        number = judge(inserted, values)
        if number is not None and number >= 1:  # what a symbol may stand for
            expected = judge(text, {**values, "A": number, "n": 3})
            assert expected is None or expected == evaluate(result, values), values


@MANY
@given(TEXTS, TEXTS)
def test_solutions_solve(a, b):
    solution = solve(read(a), read(b))
    if solution is None:
        return
    name, definition = solution
    assert name not in symbols(definition)
    for values in POINTS:
        number = value(definition, values)
        if number is not None and number >= 1:
            there = {**values, name: number}
            left, right = judge(a, there), judge(b, there)
            assert left == right or left is None or right is None, there


def test_order_and_hash_do_not_depend_on_the_process():
    sizes = [parse(t) for t, _ in PRINTS]
    code = """if True:
        import pickle, sys
        from shapecheck.dims import parse, show
        sizes = pickle.loads(sys.stdin.buffer.read())
        assert all(s == parse(show(s)) and hash(s) == hash(parse(show(s))) for s in sizes)
        sys.stdout.write("|".join(map(show, sizes)))
    """
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            input=pickle.dumps(sizes),
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
        assert ran.stdout.decode() == "|".join(map(show, sizes))


def test_what_nobody_can_tell_apart_is_not_said_to_be_proven() -> None:
    from shapecheck.dims.verdict import ALWAYS, UNSHOWN

    assert UNSHOWN.always
    assert UNSHOWN != ALWAYS
    assert not UNSHOWN.proven
    b, g = symbol("B"), symbol("G")
    assert compare(b * g // g, b).proven
    assert not compare(b, g).never
