"""Tests: what is decided, what a decision teaches, and how equal tests on one path stay correlated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shapecheck.dims import ALWAYS, NEVER, Size, TooComplex, compare, positive, symbols
from shapecheck.engine.values import (
    Axis,
    Bound,
    ClassVal,
    Closure,
    Extern,
    Items,
    Layer,
    Lit,
    Many,
    Mapping,
    Method,
    ModuleVal,
    Num,
    Partial,
    Ref,
    ShapeOf,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.source.program import Expr, Op

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

_FLIP = {"!=": "==", "isnot": "is", "notin": "in", ">=": "<", "<=": ">"}
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "is", "isnot", "in", "notin")


class Seen:
    """What the parts of one test were found to be, so that deciding it need not run them again. It holds until
    something is learned: `x is not None and x.ndim == 2` shows more of x in its second part."""

    __slots__ = ("_known", "_values")

    def __init__(self) -> None:
        self._values: dict[Expr, Value] = {}
        self._known = -1

    def value(self, m: Machine, expr: Expr) -> Value:
        state = m.state
        value = self._values.get(expr)
        known = len(state.narrowed) + len(state.shapes) + len(state.sizes)
        if value is not None and known == self._known:
            return m.resolve(value)
        value = m.eval(expr)
        if known != self._known:
            self._values.clear()
        self._values[expr] = value
        state = m.state
        self._known = len(state.narrowed) + len(state.shapes) + len(state.sizes)
        return m.resolve(value)


def truth(m: Machine, expr: Expr, seen: Seen | None = None) -> bool | None:
    """Is the test true, false, or (None) undecided here?"""
    seen = seen or Seen()
    if isinstance(expr, Op):
        if expr.op == "not":
            inner = truth(m, expr.operands[0], seen)
            return None if inner is None else not inner
        if expr.op in ("and", "or"):
            settles = expr.op == "or"
            undecided = False
            for operand in expr.operands:
                t = truth(m, operand, seen)
                if t is settles:
                    return settles
                undecided = undecided or t is None
            return _together(m, expr, seen) if undecided else not settles
        if expr.op in _COMPARISONS and len(expr.operands) == 2:
            a, b = (seen.value(m, o) for o in expr.operands)
            known = compare_values(m, expr.op, a, b)
            if known is None and _left_out(m, expr.op, a, b):
                return expr.op == "is"
            if known is None:
                key, flipped = comparison_key(m, expr.op, a, b)
                decided = m.state.path.get(key) if key else None
                return None if decided is None else decided != flipped
            return known
    return value_truth(m, seen.value(m, expr))


_FEW = 3  # so few ways are told apart that what is rarely given counts as left out


def _left_out(m: Machine, op: str, a: Value, b: Value) -> bool:
    """Is this the test of an optional argument (a cache, a configuration) where there is no room for both ways? Then
    it is None from here on, as its default says."""
    if op not in ("is", "isnot") or b != Lit(None) or not isinstance(a, Unknown) or a.key not in m.optional:
        return False
    if m.narrowness < _FEW or f"{a.key} is None" in m.state.path:
        return False
    m.state.path[f"{a.key} is None"] = True
    m.state.narrowed[a.key] = Lit(None)
    return True


def value_truth(m: Machine, value: Value) -> bool | None:
    match value:
        case Lit(value=v):
            return bool(v)
        case Num(size=int(n)):
            return n != 0
        case Items(items=items):
            return bool(items)
        case Mapping(items=items, rest=None):
            return bool(items)
        case Closure() | ClassVal() | Layer() | ModuleVal() | Method() | Bound() | Ref():
            return True
        case Extern(name=name):  # a function, class or module is true; of another package's constant nothing is known
            return True if name.startswith(("torch.", "builtins.")) else m.state.path.get("value " + name)
        case Unknown(key=str(key)):
            return m.state.path.get("value " + key)
        case _:
            return None


def _together(m: Machine, expr: Op, seen: Seen) -> bool | None:
    """What an earlier test on this path found of `a and b` as a whole, where it is not known of each part."""
    if not any(f" {expr.op} " in test for test in m.state.path):
        return None
    return m.state.path.get(f" {expr.op} ".join(_keys(m, list(expr.operands), seen)))


def _keys(m: Machine, tests: list[Expr], seen: Seen) -> list[str]:
    """What names each test on this path, each once; nothing if anything does not name one of them."""
    keys = [_key(m, test, seen) for test in tests]
    return list(dict.fromkeys(keys)) if all(keys) else []


def _key(m: Machine, expr: Expr, seen: Seen) -> str:
    match expr:
        case Op(op="not", operands=(inner,)):
            key = _key(m, inner, seen)
            return f"not {key}" if key else ""
        case Op(op="and" | "or" as op, operands=operands):
            keys = [_key(m, operand, seen) for operand in operands]
            return f"({f' {op} '.join(keys)})" if all(keys) else ""
        case Op(op=op, operands=(left, right)) if op in _COMPARISONS:
            key, flipped = comparison_key(m, op, seen.value(m, left), seen.value(m, right))
            return f"not {key}" if key and flipped else key
        case _:
            value = seen.value(m, expr)
            return f"value {value.key}" if isinstance(value, Unknown) and value.key is not None else ""


def decide(m: Machine, expr: Expr, outcome: bool, seen: Seen | None = None) -> None:
    """Note on the present state that the test came out so, with what that teaches."""
    seen = seen or Seen()
    if isinstance(expr, Op):
        if expr.op == "not":
            decide(m, expr.operands[0], not outcome, seen)
            return
        if expr.op in ("and", "or"):
            if outcome == (expr.op == "and"):
                for operand in expr.operands:
                    decide(m, operand, outcome, seen)
            else:
                undecided = [o for o in expr.operands if truth(m, o, seen) is None]
                if len(undecided) == 1 or len(_keys(m, undecided, seen)) == 1:
                    decide(m, undecided[0], outcome, seen)
                elif keys := _keys(m, list(expr.operands), seen):
                    m.state.path[f" {expr.op} ".join(keys)] = outcome
            return
        if expr.op in _COMPARISONS and len(expr.operands) == 2:
            a, b = (seen.value(m, o) for o in expr.operands)
            _decide_comparison(m, expr.op, a, b, outcome)
            return
    value = seen.value(m, expr)
    if isinstance(value, Extern):
        m.state.path["value " + value.name] = outcome
    if isinstance(value, Unknown) and value.key is not None:
        m.state.path["value " + value.key] = outcome
        if value.key.startswith("isinstance "):
            _, key, kind = value.key.split(" ", 2)
            if outcome and kind.rsplit(".", 1)[-1] == "Tensor":
                m.state.narrowed[key] = Tensor(Partial(key=key))


def _decide_comparison(m: Machine, op: str, a: Value, b: Value, outcome: bool) -> None:
    key, flipped = comparison_key(m, op, a, b)
    if key:
        m.state.path[key] = outcome != flipped
    op, outcome = (_FLIP[op], not outcome) if op in ("!=", "isnot") else (op, outcome)
    if op == "is" and b == Lit(None) and isinstance(a, Unknown) and a.key is not None:
        if outcome:
            m.state.narrowed[a.key] = Lit(None)
        else:
            m.used(a)
        return
    if op == "==" and outcome:
        _equal(m, a, b)


def _equal(m: Machine, a: Value, b: Value) -> None:
    match a, b:
        case (Unknown(key=str(key)), Num(size=int(rank))) | (Num(size=int(rank)), Unknown(key=str(key))) if (
            key.startswith("rank ")
        ):
            m.kit.rank(Tensor(Partial(key=key[5:])), rank)
        case Unknown(key=str(key)), (Lit() | Num()) as known if not key.startswith("rank "):
            m.state.narrowed[key] = known
        case (Lit() | Num()) as known, Unknown(key=str(key)) if not key.startswith("rank "):
            m.state.narrowed[key] = known
        case Num(size=x), Num(size=y):
            m.kit.agree(x, y)
        case Items(items=xs), Items(items=ys) if len(xs) == len(ys):
            for left, right in zip(xs, ys):
                _equal(m, left, right)
        case (ShapeOf(tensor=t), Items(items=items)) | (Items(items=items), ShapeOf(tensor=t)):
            sizes = [m.kit.size(i) for i in items]
            if all(s is not None for s in sizes):
                m.kit.refine(t, tuple(Axis(s) for s in sizes if s is not None))


def comparison_key(m: Machine, op: str, a: Value, b: Value) -> tuple[str, bool]:
    """A text that names this test on this path (or ""), and whether the test is its negation."""
    flipped = op in _FLIP
    base = _FLIP.get(op, op)
    x, y = _name(m, a), _name(m, b)
    return (f"{x} {base} {y}", flipped) if x and y else ("", flipped)


def _name(m: Machine, v: Value) -> str:
    match v:
        case Unknown(key=str(key)):
            return key
        case Num(size=size):
            return str(m.size(size))
        case Lit(value=value):
            return repr(value)
        case Extern(name=name):
            return name
        case Items(items=items):
            parts = [_name(m, i) for i in items]
            return f"({', '.join(parts)})" if all(parts) else ""
        case Ref(id=i):
            return f"object {i}"
        case ShapeOf(tensor=Tensor(shape=Partial(key=str(key)))):
            return f"shape {key}"
        case _:
            return ""


def compare_values(m: Machine, op: str, a: Value, b: Value) -> bool | None:
    """The outcome of a comparison of two values, or None."""
    if op in ("isnot", "notin", "!="):
        known = compare_values(m, _FLIP[op], a, b)
        return None if known is None else not known
    if op in ("is", "==") and isinstance(a, Extern) and isinstance(b, Extern):
        if a == b or any(e.name.startswith("builtins.") for e in (a, b)):
            return a == b
        return None  # of a parameter's type nobody knows whether it is Tensor or a class made of it
    if op == "is":
        if isinstance(a, Lit) and isinstance(b, Lit):
            return a.value is b.value
        if isinstance(b, Lit) and not isinstance(a, Unknown):
            return False
        if isinstance(a, (ClassVal, Extern, Closure)) and isinstance(b, (ClassVal, Extern, Closure)):
            return a == b
        return None
    if op == "in":
        return _contains(m, b, a)
    if op == "==":
        match a, b:
            case Num(size=x), Num(size=y):
                return sizes_equal(m, x, y)
            case Lit(value=v), Lit(value=w):
                return bool(v == w)
            case (Lit(value=None | str()), Num() | Items() | Tensor()) | (
                Num() | Items() | Tensor(),
                Lit(value=None | str()),
            ):
                return False if not isinstance(a, Tensor) and not isinstance(b, Tensor) else None
            case Items(items=xs), Items(items=ys):
                if len(xs) != len(ys):
                    return False
                each = [compare_values(m, "==", x, y) for x, y in zip(xs, ys)]
                return False if False in each else (True if all(each) else None)
            case Unknown(key=str(k)), Unknown(key=str(j)) if k == j:
                return True
        return None
    match a, b:
        case Num(size=int(x)), Num(size=int(y)):
            return {"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y}[op]
        case Num(size=x), Num(size=y):
            return _ordered(m, op, x, y)
        case Lit(value=(int() | float()) as v), Lit(value=(int() | float()) as w):
            return {"<": v < w, "<=": v <= w, ">": v > w, ">=": v >= w}[op]
    return None


def sizes_equal(m: Machine, a: Size, b: Size) -> bool | None:
    """True, False or None (undecided). Sizes that hold a Python int of unknown value decide nothing."""
    a, b = m.size(a), m.size(b)
    if a == b:
        return True
    verdict = compare(a, b)
    if any(s.startswith("$") for s in symbols(a) | symbols(b)):
        return None
    return True if verdict == ALWAYS else False if verdict == NEVER else None


def _ordered(m: Machine, op: str, x: object, y: object) -> bool | None:
    """`<` and its like on symbolic sizes: only what holds for all sizes."""
    a, b = m.size(x), m.size(y)  # type: ignore[arg-type]
    if any(s.startswith("$") for s in symbols(a) | symbols(b)):
        return None
    if op in (">", ">="):
        a, b, op = b, a, {">": "<", ">=": "<="}[op]
    try:
        if op == "<":
            return True if positive(b - a) else False if positive(a - b + 1) else None
        return True if positive(b - a + 1) else False if positive(a - b) else None
    except TooComplex:
        return None


def _contains(m: Machine, box: Value, item: Value) -> bool | None:
    match box, item:
        case Items(items=items), _:
            each = [compare_values(m, "==", item, i) for i in items]
            return True if True in each else (False if all(e is False for e in each) else None)
        case Mapping(items=items, rest=rest), Lit(value=str(k)):
            if any(k == name for name, _ in items):
                return True
            return False if rest is None else None
        case Lit(value=str(text)), Lit(value=str(part)):
            return part in text
        case Many(), _:
            return None
    return None
