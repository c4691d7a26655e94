"""The sizes that one call has bound to axis names, and how a shape is held against a spec.

This is the reference: plain and slow. The guards of `guards.py` do the same in straight lines, and
everything that they refuse is judged again here, to find the words or to accept after all.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shapecheck.dims.mismatch import Binding, Problem, Unbound, WrongRank, WrongSize, WrongSizes
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
    Tree,
    Unary,
    Var,
    Variadic,
)

__all__ = ["Missing", "Scope", "broadcast_shapes", "evaluate", "fit", "settle", "variadic"]

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Late:
    """An expression met before its names had sizes; judged when the call's arguments are all known."""

    subject: str
    spec: Spec
    axis: int
    expr: Expr
    shape: Sizes


@dataclass(slots=True)
class Scope:
    """`sizes` of named axes, `groups` of variadic ones (broadcastable, sizes), who bound each, what still waits.

    `arguments` are what `{...}` may read. `path` is the place within a container, for `?name`.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    groups: dict[str, tuple[bool, Sizes]] = field(default_factory=dict)
    by: dict[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    late: list[Late] = field(default_factory=list)
    path: str = ""
    device: Any = None
    structures: dict[str, Any] = field(default_factory=dict)  # of pytrees, by name

    def copy(self) -> Scope:
        return Scope(
            dict(self.sizes),
            dict(self.groups),
            dict(self.by),
            self.arguments,
            list(self.late),
            self.path,
            self.device,
            dict(self.structures),
        )

    def restore(self, saved: Scope) -> None:
        self.sizes, self.groups, self.by, self.late = saved.sizes, saved.groups, saved.by, saved.late
        self.device = saved.device
        self.structures.clear()  # it may be the frame's own
        self.structures.update(saved.structures)

    def binding(self, name: str) -> Binding:
        return Binding(name, self.sizes[name], self.by.get(name, "an earlier argument"))


class Missing(Exception):
    """Names of an expression that have no size yet."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def fit(spec: Spec, shape: Sequence[int], scope: Scope, subject: str, wait: bool = False) -> Problem | None:
    """Hold a shape against a spec, binding new names in `scope`.

    The scope is changed only when the shape fits. With `wait`, expressions whose names have no
    size yet are put off to `settle`.
    """
    shape = tuple(shape)
    saved = scope.copy()
    problem = _fit(spec, shape, scope, subject, wait)
    if problem is not None:
        scope.restore(saved)
    return problem


def _fit(spec: Spec, shape: Sizes, scope: Scope, subject: str, wait: bool) -> Problem | None:
    many = spec.variadic
    if many is None:
        if len(shape) != len(spec.axes):
            return WrongRank(len(spec.axes), len(shape))
        columns = list(range(len(shape)))
    else:
        if len(shape) < spec.min_rank:
            return WrongRank(spec.min_rank, len(shape), at_least=True)
        tail = len(spec.axes) - many - 1
        columns = [*range(many), *range(len(shape) - tail, len(shape))]
    single: list[Named | Fixed | Anonymous | Expr] = [a for a in spec.axes if not isinstance(a, Anything | Variadic)]

    waiting: list[tuple[int, Expr]] = []
    for column, axis in zip(columns, single, strict=True):
        if isinstance(axis, Expr):  # after the names of the same tensor
            waiting.append((column, axis))
        elif (problem := _one(axis, column, shape[column], scope, subject)) is not None:
            return problem
    if many is not None and isinstance(named := spec.axes[many], Variadic):
        group = shape[many : len(shape) - tail]
        if (problem := _many(named, group, scope, subject)) is not None:
            return problem
    for column, expr in waiting:
        try:
            problem = _computed(expr, column, shape[column], scope)
        except Missing as missing:
            if not wait:
                return Unbound(column, expr.source, missing.names)
            scope.late.append(Late(subject, spec, column, expr, shape))
        else:
            if problem is not None:
                return problem
    return None


def settle(scope: Scope) -> tuple[Late, Problem] | None:
    """Judge the expressions that were put off; the first that disagrees, or None."""
    for late in scope.late:
        try:
            problem = _computed(late.expr, late.axis, late.shape[late.axis], scope)
        except Missing as missing:
            problem = Unbound(late.axis, late.expr.source, missing.names)
        if problem is not None:
            return late, problem
    scope.late.clear()
    return None


def _one(axis: Named | Fixed | Anonymous, column: int, size: int, scope: Scope, subject: str) -> Problem | None:
    if isinstance(axis, Anonymous) or (axis.broadcast and size == 1):
        return None
    if isinstance(axis, Fixed):
        return None if size == axis.value else WrongSize(column, str(axis.value), axis.value, size)
    name = f"{axis.name}{scope.path}" if axis.treepath else axis.name
    if name not in scope.sizes:
        scope.sizes[name] = size
        scope.by[name] = f"{subject}, axis {column}"
        return None
    if scope.sizes[name] == size:
        return None
    return WrongSize(column, name, scope.sizes[name], size, (scope.binding(name),))


def _many(axis: Variadic, group: Sizes, scope: Scope, subject: str) -> Problem | None:
    name = f"{axis.name}{scope.path}" if axis.treepath else axis.name
    before = scope.groups.get(name)
    after = variadic(before, axis.broadcast, group)
    if after is None:
        assert before is not None  # the first group always fits
        by = scope.by.get("*" + name, "an earlier argument")
        return WrongSizes("*" + name, before[1], group, by, broadcast=axis.broadcast or before[0])
    if before is None:
        scope.by["*" + name] = subject
    scope.groups[name] = after
    return None


def variadic(before: tuple[bool, Sizes] | None, broadcast: bool, group: Sizes) -> tuple[bool, Sizes] | None:
    """What `*name` (`#*name` when `broadcast`) stands for after it met `group`; None when it disagrees.

    The rules are jaxtyping's: two plain groups are equal; a plain group and a broadcast one broadcast
    to the plain one; two broadcast groups broadcast with each other.
    """
    group = tuple(group)
    if before is None:
        return broadcast, group
    loose, sizes = before
    if not loose and not broadcast:
        return before if sizes == group else None
    together = broadcast_shapes(sizes, group)
    if together is None:
        return None
    if loose:
        if not broadcast and together != group:
            return None
        return broadcast, together
    return before if together == sizes else None


def broadcast_shapes(a: Sizes, b: Sizes) -> Sizes | None:
    """The shape to which both broadcast, or None."""
    rank = max(len(a), len(b))
    sizes = []
    for x, y in zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True):
        if x != y and x != 1 and y != 1:
            return None
        sizes.append(y if x == 1 else x)
    return tuple(sizes)


def _computed(expr: Expr, column: int, size: int, scope: Scope) -> Problem | None:
    if expr.broadcast and size == 1:
        return None
    try:
        value = evaluate(expr.tree, scope)
    except Missing:
        raise
    except Exception as error:  # the expression is the user's: whatever it raises, it has no size
        return WrongSize(
            column, expr.source, f"impossible ({type(error).__name__}: {error})", size, _reads(expr, scope)
        )
    if value == size:
        return None
    return WrongSize(column, expr.source, value, size, _reads(expr, scope))


def _reads(expr: Expr, scope: Scope) -> tuple[Binding, ...]:
    return tuple(scope.binding(name) for name in expr.names if name in scope.sizes)


def evaluate(tree: Tree, scope: Scope) -> Any:
    """The value of an expression. Raises Missing for names without a size, and what the expression raises."""
    missing = tuple(name for name in _names(tree) if name not in scope.sizes)
    if missing:
        raise Missing(missing)
    return _value(tree, scope)


def _names(tree: Tree) -> tuple[str, ...]:
    return Expr("", tree).names


_ARITHMETIC = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
}


def _value(tree: Tree, scope: Scope) -> Any:
    match tree:
        case Num(value):
            return value
        case Var(name):
            return scope.sizes[name]
        case BinOp(op, left, right):
            return _ARITHMETIC[op](_value(left, scope), _value(right, scope))
        case Unary(op, operand):
            value = _value(operand, scope)
            return -value if op == "-" else +value
        case CallFn(name, args):
            return getattr(builtins, name)(*(_value(arg, scope) for arg in args))
        case FString(text):
            return _formatted(text, scope)
        case Python(source):
            return eval(source, {}, dict(scope.sizes))


def _formatted(text: str, scope: Scope) -> Any:
    """Python's own f-string over the arguments gives text; that text is an expression over the axes."""
    if (code := FString(text).code) is not None:
        formatted = f"{eval(code, {}, dict(scope.arguments))}"
    else:
        formatted = eval("f" + repr(text), {}, dict(scope.arguments))
    try:
        return eval(formatted, {}, dict(scope.sizes))
    except NameError as error:
        raise Missing((error.name or formatted,)) from error
