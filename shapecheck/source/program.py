"""The small tree that the interpreter reads: what a Python file says, without its spelling.

`lower.py` makes it from libcst. Every node keeps its libcst node in `cst` (outside equality) for spans, comments and
fixes; nothing here imports libcst. What is not understood is `Opaque`: unknown to the interpreter, never an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """One piece of the program. Nodes are compared by identity: two equal texts are two places."""

    cst: Any = field(default=None, repr=False)


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True, eq=False)
class Name(Node):
    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Const(Node):
    """A literal: int, float, complex, str, bytes, bool, None or Ellipsis."""

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Attr(Node):
    value: Expr
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Arg(Node):
    """One call argument; `star` is "", "*" or "**"; `keyword` is None for a positional one."""

    value: Expr
    keyword: str | None = None
    star: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    func: Expr
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Node):
    lower: Expr | None
    upper: Expr | None
    step: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Index(Node):
    """`value[items]`; a lone index is one item, `x[:, None]` is two."""

    value: Expr
    items: tuple[Expr | Slice, ...]
    is_tuple: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Seq(Node):
    """A tuple, list or set display. Starred items are `Star`."""

    kind: str  # "tuple" | "list" | "set"
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DictLit(Node):
    """A dict display; a `**mapping` entry has key None."""

    items: tuple[tuple[Expr | None, Expr], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Star(Node):
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Op(Node):
    """An operator on operands.

    Binary: "+ - * / // % ** @ & | ^ << >>". Unary: "u- u+ u~ not". Boolean (any number of operands): "and or".
    Comparisons (two operands; a chain `a < b < c` is an "and" of pairs): "== != < <= > >= in notin is isnot".
    """

    op: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class IfExp(Node):
    test: Expr
    then: Expr
    orelse: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Param(Node):
    """`kind` is "pos" (positional only), "any", "kw" (keyword only), "*" or "**"."""

    name: str
    kind: str = "any"
    default: Expr | None = None
    annotation: Expr | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Lambda(Node):
    params: tuple[Param, ...]
    body: Expr


@dataclass(frozen=True, slots=True, eq=False)
class CompFor(Node):
    target: Expr
    iter: Expr
    tests: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comp(Node):
    """A comprehension or generator expression; for a dict `element` is the value and `key` the key."""

    kind: str  # "list" | "set" | "dict" | "gen"
    element: Expr
    clauses: tuple[CompFor, ...]
    key: Expr | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Walrus(Node):
    target: Expr
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class FString(Node):
    """An f-string: literal pieces are `Const` strings, the others expressions."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Await(Node):
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Yield(Node):
    value: Expr | None
    is_from: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Opaque(Node):
    """Not understood. `parts` are sub-expressions that still have to be looked at (calls inside them happen)."""

    why: str
    parts: tuple[Expr, ...] = ()


Expr = (
    Name
    | Const
    | Attr
    | Call
    | Index
    | Slice
    | Seq
    | DictLit
    | Star
    | Op
    | IfExp
    | Lambda
    | Comp
    | Walrus
    | FString
    | Await
    | Yield
    | Opaque
)

# ----------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stmt(Node):
    """A statement. `comment`: the trailing comment of its last line, without "#", stripped; `above`: the whole-line
    comments directly before it, joined by newlines, likewise stripped."""

    comment: str | None = None
    above: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Bind(Stmt):
    """`targets[0] = targets[1] = value`; annotated: one target and `annotation` (value may be None);
    augmented: one target and `aug` ("+", "*", ...)."""

    targets: tuple[Expr, ...]
    value: Expr | None
    annotation: Expr | None = None
    aug: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Eval(Stmt):
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Return(Stmt):
    value: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Raise(Stmt):
    value: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Assert(Stmt):
    test: Expr
    message: Expr | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Branch(Stmt):
    test: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Loop(Stmt):
    """`for target in iter` (async too) or `while test` (then target and iter are None)."""

    target: Expr | None
    iter: Expr | None
    test: Expr | None
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Jump(Stmt):
    kind: str  # "break" | "continue" | "pass"


@dataclass(frozen=True, slots=True, eq=False)
class WithItem(Node):
    value: Expr
    target: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class With(Stmt):
    items: tuple[WithItem, ...]
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Handler(Node):
    type: Expr | None
    name: str | None
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Try(Stmt):
    body: tuple[Stmt, ...]
    handlers: tuple[Handler, ...]
    orelse: tuple[Stmt, ...]
    final: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Case(Node):
    """One `case`. `pattern` is a `Const`/dotted name for a value pattern, None for the wildcard or a bare capture,
    else `Opaque`; `binds` are all names that the pattern captures."""

    pattern: Expr | None
    binds: tuple[str, ...]
    guard: Expr | None
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Match(Stmt):
    subject: Expr
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ImportName(Node):
    """`name` as bound here; `attr` None binds a module (`import a.b` binds "a" to module "a"; with an alias to a.b)."""

    name: str
    module: str
    attr: str | None
    level: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Import(Stmt):
    names: tuple[ImportName, ...]
    star: tuple[str, int] | None = None  # (module, level) of `from module import *`


@dataclass(frozen=True, slots=True, eq=False)
class Scope(Stmt):
    """`global` / `nonlocal` names, or `del` targets that are plain names (kind says which)."""

    kind: str  # "global" | "nonlocal" | "del"
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Function(Stmt):
    name: str
    params: tuple[Param, ...]
    body: tuple[Stmt, ...]
    returns: Expr | None = None
    decorators: tuple[Expr, ...] = ()
    docstring: str | None = None
    is_async: bool = False
    is_generator: bool = False
    return_comment: str | None = None  # the comment that trails the line of the colon


@dataclass(frozen=True, slots=True, eq=False)
class Class(Stmt):
    name: str
    bases: tuple[Arg, ...]
    body: tuple[Stmt, ...]
    decorators: tuple[Expr, ...] = ()
    docstring: str | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """One file. `module` is the libcst module (None after unpickling); `text` the decoded file, no byte-order mark."""

    path: str
    body: tuple[Stmt, ...]
    docstring: str | None = None
    module: Any = field(default=None, repr=False, compare=False)
    text: str = field(default="", repr=False, compare=False)


def text_of(target: Expr) -> str:
    """A name, or a chain of attributes and items of one, as the code writes it; "" for all else."""
    match target:
        case Name(id=name):
            return name
        case Attr(value=value, name=name):
            return f"{text_of(value)}.{name}"
        case Index(value=value):
            return text_of(value) + "[...]"
        case _:
            return ""


_NO_NODES = {"cst", "module", "text", "path", "comment", "above", "docstring", "return_comment"}
_INNER: dict[type[Node | Program], tuple[str, ...]] = {}  # by class, filled when first asked for
_FROM_BEHIND: dict[type[Node | Program], tuple[str, ...]] = {}


def children(node: Node | Program) -> Iterator[Node]:
    """The nodes directly inside, in field order. The middle of a chained comparison comes twice."""
    kind = type(node)
    if kind not in _INNER:
        _INNER[kind] = tuple(each.name for each in fields(kind) if each.name not in _NO_NODES)
    for name in _INNER[kind]:
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Node):
                    yield item
                elif isinstance(item, tuple):  # an entry of a dict
                    yield from (each for each in item if isinstance(each, Node))


def walk(node: Node | Program) -> Iterator[Node]:
    """All nodes inside, each before what it contains. Recursion-free."""
    pending: list[Node] = []
    _push(node, pending)
    while pending:
        top = pending.pop()
        yield top
        _push(top, pending)


def _push(node: Node | Program, pending: list[Node]) -> None:
    """Put the children on a stack, the first of them on top."""
    kind = type(node)
    names = _FROM_BEHIND.get(kind)
    if names is None:
        next(children(node), None)  # fills the table
        names = _FROM_BEHIND[kind] = _INNER[kind][::-1]
    for name in names:
        value = getattr(node, name)
        if value.__class__ is tuple:
            for item in reversed(value):
                if item.__class__ is tuple:  # an entry of a dict
                    pending += [each for each in reversed(item) if isinstance(each, Node)]
                elif isinstance(item, Node):
                    pending.append(item)
        elif isinstance(value, Node):
            pending.append(value)
