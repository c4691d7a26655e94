"""The axis-string language: `"B G"`, `"*b n d"`, `"B*G {self.dim}"`.

A spec is a tuple of axes, one for each word of the string, as in jaxtyping
(https://docs.kidger.site/jaxtyping/api/array/). `parse` accepts every string that jaxtyping
accepts and refuses those that it refuses; it also refuses an expression that could never be
evaluated (`"B+"`, `"sqrt(B)"`), which jaxtyping finds only when the function is called.
Nothing is imported but the standard library: the linter and the runtime layer read the same tree.
"""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from typing import TypeAlias

__all__ = [
    "Anonymous",
    "Anything",
    "Axis",
    "BinOp",
    "CallFn",
    "Expr",
    "FString",
    "Fixed",
    "Named",
    "Num",
    "Python",
    "Spec",
    "SpecError",
    "Tree",
    "Unary",
    "Var",
    "Variadic",
    "parse",
    "tree_names",
]


class SpecError(ValueError):
    """An axis string that means nothing. `column` counts from 0 within `text`."""

    def __init__(self, message: str, text: str, column: int) -> None:
        super().__init__(f"{message}, in {text!r} at column {column}")
        self.message = message
        self.text = text
        self.column = column


# What an expression is made of.


@dataclass(frozen=True, slots=True)
class Num:
    value: int | float

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Var:
    """The size of the axis called `name`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class BinOp:
    op: str  # one of + - * / // % **
    left: Tree
    right: Tree

    def __str__(self) -> str:
        return _render(self)


@dataclass(frozen=True, slots=True)
class Unary:
    op: str  # - or +
    operand: Tree

    def __str__(self) -> str:
        return _render(self)


@dataclass(frozen=True, slots=True)
class CallFn:
    """A Python builtin applied to sizes: `min(a,b)`."""

    name: str
    args: tuple[Tree, ...]

    def __str__(self) -> str:
        return f"{self.name}({','.join(map(str, self.args))})"


@dataclass(frozen=True, slots=True)
class FString:
    """Text with `{...}` parts, which are Python over the call's arguments: `{self.dim}`.

    A part that stands alone as an operand is a leaf of the tree; where it is glued to other text
    (`dim{i}`) the whole word is one FString, to be formatted first and evaluated afterwards.
    """

    text: str

    @property
    def code(self) -> str | None:
        """The Python between the braces when the text is one part and nothing else."""
        parts = _braces(self.text)
        if parts is None or len(parts) != 1 or parts[0] != (0, len(self.text)):
            return None
        return self.text[1:-1]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Python:
    """Any other Python expression over axis names, kept as text: `a==b`."""

    source: str

    def __str__(self) -> str:
        return self.source


Tree: TypeAlias = Num | Var | BinOp | Unary | CallFn | FString | Python


# What a spec is made of.


@dataclass(frozen=True, slots=True)
class Named:
    """`B`; `#B` (broadcast: size 1 fits too); `?B` (treepath: one size for each leaf of a tree)."""

    name: str
    broadcast: bool = False
    treepath: bool = False

    def __str__(self) -> str:
        return _prefix(self.broadcast, self.treepath) + (self.name or "=")


@dataclass(frozen=True, slots=True)
class Fixed:
    """`4`, also written `rows=4`."""

    value: int
    broadcast: bool = False

    def __str__(self) -> str:
        return _prefix(self.broadcast) + str(self.value)


@dataclass(frozen=True, slots=True)
class Anonymous:
    """`_`, also with a word for the reader: `_features`. One axis of any size."""

    def __str__(self) -> str:
        return "_"


@dataclass(frozen=True, slots=True)
class Anything:
    """`...`: any number of axes of any size."""

    def __str__(self) -> str:
        return "..."


@dataclass(frozen=True, slots=True)
class Variadic:
    """`*batch`: any number of axes, bound together to one name."""

    name: str
    broadcast: bool = False
    treepath: bool = False

    def __str__(self) -> str:
        return _prefix(self.broadcast, self.treepath) + "*" + self.name


@dataclass(frozen=True, slots=True)
class Expr:
    """`B*G`: a size computed from other axes. `source` is as written, outside equality."""

    source: str = field(compare=False)
    tree: Tree
    broadcast: bool = False

    def __str__(self) -> str:
        tree = f"({self.tree})" if isinstance(self.tree, Var) else str(self.tree)  # a bare name would bind
        if "," in tree and "(" not in tree:  # such a word needs a bracket somewhere: a name for the reader may hold it
            tree = f"(={tree}"
        return _prefix(self.broadcast) + tree

    @property
    def names(self) -> tuple[str, ...]:
        """The axis names that the expression reads, in order of appearance."""
        return tree_names(self.tree)


Axis: TypeAlias = Named | Fixed | Anonymous | Anything | Variadic | Expr


@dataclass(frozen=True, slots=True)
class Spec:
    """The axes of one tensor, outermost first. `str(spec)` parses back to an equal spec."""

    axes: tuple[Axis, ...]

    def __str__(self) -> str:
        return " ".join(map(str, self.axes))

    @property
    def variadic(self) -> int | None:
        """The index of the axis that stands for many (`...` or `*name`), if there is one."""
        for index, axis in enumerate(self.axes):
            if isinstance(axis, Anything | Variadic):
                return index
        return None

    @property
    def rank(self) -> int | None:
        """The number of axes; None when one of them is variadic."""
        return len(self.axes) if self.variadic is None else None

    @property
    def min_rank(self) -> int:
        """The fewest axes that fit."""
        return len(self.axes) - (self.variadic is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the spec binds or reads, in order of first appearance."""
        found: dict[str, None] = {}
        for axis in self.axes:
            match axis:
                case Named(name) | Variadic(name):
                    found[name] = None
                case Expr():
                    found.update(dict.fromkeys(axis.names))
        return tuple(found)

    @property
    def binds(self) -> tuple[str, ...]:
        """The names that a tensor of this spec gives a size to."""
        return tuple(dict.fromkeys(a.name for a in self.axes if isinstance(a, Named | Variadic)))

    @property
    def reads(self) -> tuple[str, ...]:
        """The names whose sizes the expressions of the spec need."""
        return tuple(dict.fromkeys(n for a in self.axes if isinstance(a, Expr) for n in a.names))


@lru_cache(maxsize=4096)
def parse(text: str) -> Spec:
    """Read an axis string.

    Raises SpecError, which says what is wrong and at which column.
    """
    axes: list[Axis] = []
    many: str | None = None
    for word in re.finditer(r"\S+", text):
        axis = _axis(word.group(), text, word.start())
        if isinstance(axis, Anything | Variadic):
            if many is not None:
                raise SpecError(f"only one axis can stand for many, and {many!r} already does", text, word.start())
            many = word.group()
        axes.append(axis)
    return Spec(tuple(axes))


_MARKS = {"#": "broadcast", "*": "variadic", "_": "anonymous", "?": "treepath"}


def _axis(word: str, text: str, column: int) -> Axis:
    def wrong(message: str) -> SpecError:
        return SpecError(message, text, column)

    if "," in word and "(" not in word:
        raise wrong("axes are separated by spaces, not commas")
    if word.endswith("#"):
        raise wrong("`#` goes before the axis, as in `#B`")
    if "..." in word:
        if word != "...":
            raise wrong(f"`...` stands alone, got {word!r}")
        return Anything()

    marks: set[str] = set()
    rest = word
    while rest:
        mark = _MARKS.get(rest[0])
        if mark is not None:
            if mark in marks:
                raise wrong(f"`{rest[0]}` is written twice in {word!r}")
            marks.add(mark)
            rest = rest[1:]
        elif rest.count("=") == 1:  # `rows=4`: the left side is for the reader
            rest = rest.partition("=")[2]
        else:
            break

    broadcast, treepath = "broadcast" in marks, "treepath" in marks
    if not rest or rest.isidentifier():
        if "anonymous" in marks:
            if broadcast:
                raise wrong(f"an axis without a name cannot be broadcast, got {word!r}")
            return Anything() if "variadic" in marks else Anonymous()
        return (Variadic if "variadic" in marks else Named)(rest, broadcast, treepath)

    kind, value = "an expression", _integer(rest)
    if value is not None:
        kind = "a fixed size"
    for mark, sign in (("variadic", "*"), ("anonymous", "_"), ("treepath", "?")):
        if mark in marks:
            raise wrong(f"`{sign}` cannot go with {kind}, got {word!r}")
    if value is not None:
        return Fixed(value, broadcast)
    tree = _expression(rest, text, column + len(word) - len(rest))
    match tree:
        case Num(int() as size):  # `(4)`, `0x10`
            return Fixed(size, broadcast)
        case Unary(op, Num(int() as size)):
            return Fixed(-size if op == "-" else size, broadcast)
    return Expr(rest, tree, broadcast)


def _integer(word: str) -> int | None:
    try:
        return int(word)
    except ValueError:
        return None


def _prefix(broadcast: bool, treepath: bool = False) -> str:
    return "#" * broadcast + "?" * treepath


# Expressions.

_OPS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "**": 4}
_UNARY_PRECEDENCE = 3
_HOLE = "BRACES_{}_"


def _expression(source: str, text: str, column: int) -> Tree:
    if "#" in source:  # to Python the rest would be a remark
        raise SpecError(f"`#` goes before the axis, got {source!r}", text, column)
    parts = _braces(source)
    if parts is None:  # escaped, nested or unbalanced braces: Python's own f-string rules apply
        _parse_python("f" + repr(source), source, text, column)
        return FString(source)
    for start, end in parts:
        _parse_python(source[start + 1 : end - 1], source, text, column + start)
        # `{n:d}` and `{n!r}` are not Python, `dim{i}` glues text: leave both to formatting
    holes: dict[str, str] = {}
    pieces, at = [], 0
    for index, (start, end) in enumerate(parts):
        glued = source[start - 1 : start] + source[end : end + 1]
        if any(c.isalnum() or c in "_.{}'\"" for c in glued):
            return FString(source)
        holes[_HOLE.format(index)] = source[start:end]
        pieces += [source[at:start], _HOLE.format(index)]
        at = end
    code = "".join([*pieces, source[at:]])
    node = _parse_python(code, source, text, column)
    _check_names(node, holes, source, text, column)
    tree = _tree(node, holes)
    if tree is None:
        return FString(source) if holes else Python(source)
    return tree


def _parse_python(code: str, source: str, text: str, column: int) -> ast.expr:
    try:
        node = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise SpecError(f"{source!r} is neither a name, a number nor an expression", text, column) from error
    if isinstance(node, ast.Tuple):
        raise SpecError(f"{source!r} is neither a name, a number nor an expression", text, column)
    return node


def _check_names(node: ast.expr, holes: dict[str, str], source: str, text: str, column: int) -> None:
    for part in ast.walk(node):
        match part:
            case ast.Name(id=name) if name.startswith("_"):
                raise SpecError(f"{name!r} is anonymous, so {source!r} has no size to read", text, column)
            case ast.Call(func=ast.Name(id=name)) if not hasattr(builtins, name) and name not in holes:
                raise SpecError(f"{name!r} in {source!r} is not a Python builtin", text, column)


def _tree(node: ast.expr, holes: dict[str, str]) -> Tree | None:
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as value) if isfinite(value):
            return Num(value)
        case ast.Name(id=name):
            return FString(holes[name]) if name in holes else Var(name)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPS:
            a, b = _tree(left, holes), _tree(right, holes)
            return None if a is None or b is None else BinOp(_OPS[type(op)], a, b)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            a = _tree(operand, holes)
            return None if a is None else Unary("-" if isinstance(sign, ast.USub) else "+", a)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name not in holes:
            trees = [_tree(arg, holes) for arg in args]
            known = tuple(t for t in trees if t is not None)
            return CallFn(name, known) if len(known) == len(trees) else None
        case _:
            return None


def _braces(source: str) -> list[tuple[int, int]] | None:
    """The spans of the `{...}` parts, or None where they need Python's own f-string reader."""
    spans: list[tuple[int, int]] = []
    depth = start = 0
    for index, char in enumerate(source):
        if char == "{":
            if depth == 0:
                start = index
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                spans.append((start, index + 1))
        elif depth and char in ":!":  # a format spec, a conversion, or a slice
            return None
        if depth not in (0, 1):
            return None
    return spans if depth == 0 else None


def _render(tree: Tree) -> str:
    match tree:
        case BinOp(op, left, right):
            level = _PRECEDENCE[op]
            tight_left, tight_right = (level + 1, _UNARY_PRECEDENCE) if op == "**" else (level, level + 1)
            return _enclose(left, tight_left) + op + _enclose(right, tight_right)
        case Unary(op, operand):
            return op + _enclose(operand, _UNARY_PRECEDENCE)
        case _:
            return str(tree)


def _enclose(tree: Tree, at_least: int) -> str:
    match tree:
        case BinOp(op):
            level = _PRECEDENCE[op]
        case Unary():
            level = _UNARY_PRECEDENCE
        case Num(value) if value < 0:
            level = _UNARY_PRECEDENCE
        case _:
            return str(tree)
    return _render(tree) if level >= at_least else f"({_render(tree)})"


def tree_names(tree: Tree) -> tuple[str, ...]:
    """The axis names that an expression reads, in order; the insides of `{...}` are arguments, not axes."""
    found: dict[str, None] = {}

    def visit(node: Tree) -> None:
        match node:
            case Var(name):
                found[name] = None
            case BinOp(_, left, right):
                visit(left)
                visit(right)
            case Unary(_, operand):
                visit(operand)
            case CallFn(_, args):
                for arg in args:
                    visit(arg)
            case Python(source):
                loads = [n for n in ast.walk(ast.parse(source, mode="eval")) if isinstance(n, ast.Name)]
                stores = {n.id for n in loads if not isinstance(n.ctx, ast.Load)}
                for n in sorted(loads, key=lambda n: n.col_offset):
                    if n.id not in stores and not hasattr(builtins, n.id):
                        found[n.id] = None

    visit(tree)
    return tuple(found)
