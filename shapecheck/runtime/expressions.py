"""Axis expressions as Python: `B*G` over the variables that hold the sizes, `{self.dim}` over the arguments.

A `{...}` part counts as the value that it has; jaxtyping pastes its text, which differs for a negative
number under `**` and for text that is itself an expression (the reference then has the last word).
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shapecheck.dims.spec import BinOp, CallFn, Expr, FString, Num, Python, Tree, Unary, Var, Variadic
from shapecheck.runtime.contract import Contract, tensors

__all__ = ["braces_in", "calm", "code", "loose_in", "rename", "risky"]


def code(
    tree: Tree, axis: Callable[[str], str], const: Callable[[str, Any], str], renamed: Mapping[str, str]
) -> str | None:
    """The expression over variables; None where text has to be formatted first (`dim{i}`).

    `axis` gives the variable of an axis, `const` one that holds a builtin, `renamed` those of arguments
    that the body rebinds.
    """

    def write(part: Tree) -> str:
        match part:
            case Num(value):
                return repr(value)
            case Var(name):
                return axis(name)
            case BinOp(op, left, right):
                return f"({write(left)} {op} {write(right)})"
            case Unary(op, operand):
                return f"({op}{write(operand)})"
            case CallFn(name, args):
                return f"{const(name, getattr(builtins, name))}({', '.join(map(write, args))})"
            case FString():
                return f"({rename(part.code or '', renamed)})"
            case Python(source):
                return f"({rename(source, {name: axis(name) for name in Expr('', part).names})})"

    return None if any(text.code is None for text in _fstrings(tree)) else write(tree)


def loose_in(contracts: Iterable[Contract]) -> set[str]:
    """The names that some `#*name` of the contracts broadcasts."""
    axes = (axis for contract in contracts for tensor in tensors(contract) for axis in tensor.spec.axes)
    return {axis.name for axis in axes if isinstance(axis, Variadic) and axis.broadcast}


def braces_in(contracts: Iterable[Contract]) -> set[str]:
    """The names that the `{...}` parts of the contracts read."""
    found: set[str] = set()
    for contract in contracts:
        for tensor in tensors(contract):
            for axis in tensor.spec.axes:
                if isinstance(axis, Expr):
                    for text in _fstrings(axis.tree):
                        tree = ast.parse(text.code if text.code is not None else "f" + repr(text.text), mode="eval")
                        found |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    return found


def _fstrings(tree: Tree) -> list[FString]:
    match tree:
        case FString():
            return [tree]
        case BinOp(_, left, right):
            return _fstrings(left) + _fstrings(right)
        case Unary(_, operand):
            return _fstrings(operand)
        case CallFn(_, args):
            return [text for arg in args for text in _fstrings(arg)]
        case _:
            return []


def risky(tree: Tree) -> bool:
    """Whether evaluating may raise: division, powers, calls, and whatever stands in braces."""
    match tree:
        case Num() | Var():
            return False
        case BinOp(op, left, right):
            return op not in "+-*" or risky(left) or risky(right)
        case Unary(_, operand):
            return risky(operand)
        case _:
            return True


def calm(tree: Tree) -> bool:
    """Whether evaluating raises nothing but what an attribute of an argument raises: `B*{self.dim}`."""
    match tree:
        case Num() | Var():
            return True
        case BinOp(op, left, right):
            return op in "+-*" and calm(left) and calm(right)
        case Unary(_, operand):
            return calm(operand)
        case FString():
            return tree.code is not None and tree.code.replace(".", "").isidentifier()
        case _:
            return False


def rename(source: str, names: Mapping[str, str]) -> str:
    tree = ast.parse(source, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    return ast.unparse(tree)
