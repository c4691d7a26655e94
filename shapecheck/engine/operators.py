"""Operators on values: sizes stay symbolic, tensors become ops, and what is unknown may be either."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from shapecheck.dims import Size, TooComplex, nonnegative, positive
from shapecheck.engine import attributes, branching
from shapecheck.engine.calls import call
from shapecheck.engine.running import met, run_op
from shapecheck.engine.state import join_value
from shapecheck.engine.values import (
    FALSE,
    TRUE,
    UNKNOWN,
    Closure,
    Items,
    Lit,
    Many,
    Num,
    Ref,
    Tensor,
    Unknown,
    Value,
)
from shapecheck.ops import helpers
from shapecheck.ops.counts import EACH, SIZE
from shapecheck.source.program import (
    Expr,
    Op,
)

if TYPE_CHECKING:
    from shapecheck.engine.machine import Machine

TORCH_OPERATOR = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "truediv",
    "//": "floordiv",
    "%": "mod",
    "**": "pow",
    "@": "matmul",
    "&": "and_",
    "|": "or_",
    "^": "xor",
    "<<": "lshift",
    ">>": "rshift",
    "==": "eq",
    "!=": "ne",
    "<": "lt",
    "<=": "le",
    ">": "gt",
    ">=": "ge",
    "u-": "neg",
    "u~": "invert",
    "u+": "pos",
}
DUNDER = {
    "+": "__add__",
    "-": "__sub__",
    "*": "__mul__",
    "/": "__truediv__",
    "//": "__floordiv__",
    "%": "__mod__",
    "@": "__matmul__",
    "**": "__pow__",
    "u-": "__neg__",
}


def operator(m: Machine, expr: Op) -> Value:
    op = expr.op
    if op in ("and", "or"):
        return _boolean(m, expr)
    if op == "not":
        truth = branching.truth(m, expr)
        return Unknown("bool", m.fresh()) if truth is None else (TRUE if truth else FALSE)
    # the second operand may tell what the first one is: `x / x.norm(dim=-1)`
    values = [m.resolve(v) for v in [m.eval(o) for o in expr.operands]]
    if op in ("is", "isnot", "in", "notin"):
        truth = branching.compare_values(m, op, values[0], values[1])
        return Unknown("bool", m.fresh()) if truth is None else (TRUE if truth else FALSE)
    return apply(m, op, values, expr)


def _boolean(m: Machine, expr: Op) -> Value:
    """`a or b`, `a and b` as values: the first operand that settles it, else any of them."""
    last: Value = UNKNOWN
    possible: list[Value] = []
    seen = branching.Seen()
    for operand in expr.operands:
        truth = branching.truth(m, operand, seen)
        last = seen.value(m, operand)
        if truth is None:
            possible.append(last)
        elif truth == (expr.op == "or"):
            break
    else:
        if possible and possible[-1] is last:
            possible.pop()
    if all(isinstance(p, Unknown) and p.hint == "bool" for p in possible) and isinstance(last, (Lit, Unknown)):
        return Unknown("bool", m.fresh()) if possible else last
    for p in possible:
        last = join_value(last, p, m.fresh)
    return last


def apply(m: Machine, op: str, values: list[Value], expr: Expr) -> Value:
    """A binary, unary or comparison operator on values."""

    if op in _MEETING and len(values) == 2:
        met(m, values, expr)
    if any(isinstance(v, Tensor) for v in values):
        values = [helpers.settled(m.kit, v) for v in values]
        # an unknown operand may be a number or a tensor: only a tensor of unknown shape covers both
        operands = [_operand(v) for v in values]
        if op == "/" and isinstance(values[1], Unknown) and isinstance(values[0], Tensor) and values[0].rank != 0:
            operands[1] = Unknown("float", values[1].key)  # a temperature, a count: nobody divides by more axes
        if op == "@":
            operands = [attributes.as_tensor(v) or v for v in values]
        return run_op(m, "operator." + TORCH_OPERATOR[op], operands, {}, expr)
    elif any(isinstance(v, Unknown) and v.hint == "array" for v in values):
        return Unknown("array", m.fresh())
    if isinstance(values[0], Ref) and op in DUNDER:
        method = attributes.attribute(m, values[0], DUNDER[op], expr)
        if isinstance(method, Closure):
            return call(m, method, values[1:], {}, expr)
    if op == "@" and all(isinstance(v, Unknown) for v in values):
        tensors = [attributes.as_tensor(v) or Tensor() for v in values]
        return run_op(m, "operator.matmul", list(tensors), {}, expr)
    match op, values:
        case "+", [Items() as a, Items() as b]:
            return Items(a.kind if a.kind != "size" else "tuple", a.items + b.items)
        case "+", [(Items() | Many()) as a, (Items() | Many()) as b]:
            return join_value(Many(_member(m, a), None, a.kind), Many(_member(m, b), None, a.kind), m.fresh)
        case "*", [Items() as a, Num(size=int(n))] | [Num(size=int(n)), Items() as a] if 0 <= n * len(a.items) <= 64:
            return Items(a.kind if a.kind != "size" else "tuple", a.items * n)
        case "*", [Items() as a, Num(size=n)] | [Num(size=n), Items() as a] if len(a.items) == 1:
            return Many(a.items[0], n, a.kind)
        case "*", [Items() as a, Unknown()] | [Unknown(), Items() as a] if len(a.items) == 1:
            return Many(a.items[0], m.kit.size(values[1] if values[0] is a else values[0]), a.kind)
        case "+", [Lit(value=str(x)), Lit(value=str(y))]:
            return Lit(x + y)
        case "%", [Lit(value=str()), _]:
            return Unknown("str")
    if len(values) == 2 and op in ("==", "!=", "<", "<=", ">", ">="):
        truth = branching.compare_values(m, op, values[0], values[1])
        if truth is None:
            maybe = any(isinstance(v, Unknown) and v.hint == "" and not _numberish(v) for v in values)
            return Unknown("" if maybe else "bool", m.fresh())
        return TRUE if truth else FALSE
    return arithmetic(m, op, values, expr)


_MEETING = frozenset("+-*/")


def _operand(v: Value) -> Value:
    if not isinstance(v, Unknown):
        return v
    if _numberish(v):
        return Unknown("float", v.key) if v.hint == "" else v
    return attributes.as_tensor(v) or Tensor(dtype=None)


def arithmetic(m: Machine, op: str, values: list[Value], node: Expr | None = None) -> Value:
    """Numbers: sizes stay symbolic, floats are unknown unless both are literals."""
    result = _number(m, op, values, node)
    open_ = [v.key for v in values if isinstance(v, Unknown)]
    if isinstance(result, Unknown) and result.hint == "" and result.key is not None and len(open_) == 1 and open_[0]:
        m.facts.like[result.key] = open_[0]
    return result


def _number(m: Machine, op: str, values: list[Value], node: Expr | None) -> Value:
    floats = [v for v in values if (isinstance(v, Lit) and isinstance(v.value, float)) or _is_float(v)]
    if floats or op == "/":
        known = [v.value if isinstance(v, Lit) else v.size if isinstance(v, Num) else None for v in values]
        if op == "/" and len(known) == 2 and all(isinstance(k, (int, float)) for k in known) and known[1]:
            return Lit(float(known[0] / known[1]))  # type: ignore[operator]
        if op == "u-" and isinstance(known[0], float):
            return Lit(-known[0])
        # an unknown operand that nothing calls a number may be a tensor or an array
        sure = all(not isinstance(v, Unknown) or _numberish(v) or _sizelike(v) for v in values)
        if not sure:
            return m.unknown()
        quotient = Unknown("float", m.fresh())
        if op == "/" and not floats:
            _note_floor(m, quotient, values)
        return quotient
    if not all(isinstance(v, (Num, Unknown)) or v in (TRUE, FALSE) for v in values):
        return m.unknown()
    sizes = [m.kit.size(v) for v in values]
    if any(s is None for s in sizes):
        return m.unknown()
    if any(isinstance(v, Unknown) and v.hint != "int" and (not _sizelike(v) or _of_each(v)) for v in values):
        return _perhaps_a_size(m, op, [s for s in sizes if s is not None])
    try:
        result = _compute(op, [s for s in sizes if s is not None])
    except (TooComplex, ZeroDivisionError):
        return m.unknown("int")
    if result is None:
        return m.unknown("int")
    origin = next((v.origin for v in values if isinstance(v, Num) and v.origin), None)
    match op, values:
        case "//", [Num() as left, Num() as right]:
            return Num(result, origin, ratio=(left, right, m.site if node is None else m.at(node)))
    return Num(result, origin)


def _perhaps_a_size(m: Machine, op: str, sizes: list[Size]) -> Unknown:
    """Of `a * b` nothing is known, not even that it is a number; but where a size is needed, it is this one."""
    made = m.unknown()
    try:
        whole = op == "//" and nonnegative(sizes[0]) and positive(sizes[1])
        size = _compute(op, sizes) if whole or op in ("+", "-", "*") else None
    except (TooComplex, ZeroDivisionError):
        size = None
    if size is not None and made.key is not None:
        m.computed[made.key] = size
    return made


def _note_floor(m: Machine, quotient: Unknown, values: list[Value]) -> None:
    """`int(hidden_size / heads)` is a size: of two that are not negative the floor quotient."""
    a, b = (m.kit.size(v) for v in values)
    if a is None or b is None or quotient.key is None or not nonnegative(a) or not positive(b):
        return
    with suppress(TooComplex, ZeroDivisionError):
        m.computed[quotient.key] = a // b


def _is_float(v: Value) -> bool:
    return isinstance(v, Unknown) and v.hint == "float"


def _compute(op: str, sizes: list[Size]) -> Size | None:
    match op, sizes:
        case "u-", [a]:
            return 0 - a
        case "u+", [a]:
            return a
        case "+", [a, b]:
            return a + b
        case "-", [a, b]:
            return a - b
        case "*", [a, b]:
            return a * b
        case "//", [a, b]:
            return a // b
        case "%", [a, b]:
            return a % b
        case "**", [int(a), int(b)] if 0 <= b <= 64 and abs(a) <= 1 << 16:
            return math.prod([a] * b)
        case "**", [a, int(b)] if 1 <= b <= 4:
            out = a
            for _ in range(b - 1):
                out = out * a
            return out
        case "<<", [int(a), int(b)] if 0 <= b <= 32:
            return a << b
        case ">>", [int(a), int(b)] if 0 <= b <= 64:
            return a >> b
        case "&", [int(a), int(b)]:
            return a & b
        case _:
            return None


def _numberish(v: Unknown) -> bool:
    """Is it a Python number or a 0-d tensor: by what is known of it, else by a name that all code uses for those."""
    if v.hint in ("float", "int", "bool"):
        return True
    return v.key is not None and _SCALAR.search(v.key) is not None


def _sizelike(v: Unknown) -> bool:
    """Has the unknown thing a name that code gives to counts and sizes: `args.batch_size`, `n_views`, `dim`?"""
    return v.hint == "" and v.key is not None and SIZE.search(v.key) is not None


def _of_each(v: Unknown) -> bool:
    """Is it called as a count, but as well as a tensor of all examples is: `src_len`, `tokens`, `features`?"""
    return v.key is not None and EACH.search(v.key) is not None


_SCALAR = re.compile(
    r"(?:^|[._\[' ])(?:logit_?)?(?:temp(?:erature)?|tau|scale|margin|eps(?:ilon)?|alpha|beta|gamma|lambda?_?)"
    r"(?:'\])?(?:@\d+)?$"
)


def _member(m: Machine, v: Items | Many) -> Value:
    if isinstance(v, Many):
        return v.item
    if not v.items:
        return m.unknown()
    out = v.items[0]
    for i in v.items[1:]:
        out = join_value(out, i, m.fresh)
    return out
