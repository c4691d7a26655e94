"""Python within text: string annotations and commented-out assertions, read into the program tree.

`ast` parses and never runs anything. These nodes have no `cst`: they stand in no file.
"""

from __future__ import annotations

import ast

from shapecheck.source.program import Arg, Attr, Call, Const, Expr, FString, Index, Name, Op, Opaque, Seq, Slice, Star

__all__ = ["read_expression"]

_BINARY: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitOr: "|", ast.BitAnd: "&", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>", ast.MatMult: "@",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "notin", ast.Is: "is", ast.IsNot: "isnot", ast.And: "and", ast.Or: "or",
    ast.USub: "u-", ast.UAdd: "u+", ast.Invert: "u~", ast.Not: "not",
}  # fmt: skip


def read_expression(text: str) -> Expr | None:
    """The expression that `text` is, or None where Python does not take it for one."""
    if len(text) > 1000:  # nesting costs; no annotation is that long
        return None
    try:
        return _expr(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _expr(node: ast.expr) -> Expr:
    match node:
        case ast.Name(id=name):
            return Name(name)
        case ast.Constant(value=value):
            return Const(value)
        case ast.Attribute(value=value, attr=name):
            return Attr(_expr(value), name)
        case ast.Subscript(value=value, slice=ast.Tuple(elts=items)):
            return Index(_expr(value), tuple(map(_item, items)), is_tuple=True)
        case ast.Subscript(value=value, slice=item):
            return Index(_expr(value), (_item(item),))
        case ast.Tuple(elts=items):
            return Seq("tuple", tuple(map(_expr, items)))
        case ast.List(elts=items):
            return Seq("list", tuple(map(_expr, items)))
        case ast.Starred(value=value):
            return Star(_expr(value))
        case ast.Call(func=func, args=args, keywords=keywords):
            named = (Arg(_expr(k.value), k.arg, "" if k.arg else "**") for k in keywords)
            return Call(_expr(func), (*map(_arg, args), *named))
        case ast.BinOp(left=left, op=op, right=right):
            return Op(_BINARY[type(op)], (_expr(left), _expr(right)))
        case ast.UnaryOp(op=op, operand=operand):
            return Op(_BINARY[type(op)], (_expr(operand),))
        case ast.BoolOp(op=op, values=values):
            return Op(_BINARY[type(op)], tuple(map(_expr, values)))
        case ast.Compare(left=left, ops=ops, comparators=others):
            chain = [_expr(left), *map(_expr, others)]
            pairs = tuple(Op(_BINARY[type(op)], (a, b)) for op, a, b in zip(ops, chain, chain[1:]))
            return pairs[0] if len(pairs) == 1 else Op("and", pairs)
        case ast.JoinedStr(values=parts):
            return FString(tuple(_expr(p.value) if isinstance(p, ast.FormattedValue) else _expr(p) for p in parts))
    return Opaque(type(node).__name__)


def _arg(node: ast.expr) -> Arg:
    return Arg(_expr(node.value), None, "*") if isinstance(node, ast.Starred) else Arg(_expr(node))


def _item(node: ast.expr) -> Expr:
    if isinstance(node, ast.Slice):
        lower, upper, step = (None if n is None else _expr(n) for n in (node.lower, node.upper, node.step))
        return Slice(lower, upper, step)
    return _expr(node)
