"""The body of a function: found in its source, and compiled again with other lines in it."""

from __future__ import annotations

import ast
import copy
import inspect
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from shapecheck.runtime.source import COMPILER_FLAGS, FunctionNode, NoSource, source_of
from shapecheck.runtime.syntax import Facts, facts_of

N = TypeVar("N", bound=ast.AST)

__all__ = ["Body", "compile_body", "read_body"]


@dataclass(frozen=True, slots=True)
class Body:
    """A function's own syntax tree, with the line numbers of its file. It is shared: never written to."""

    node: FunctionNode
    fn: types.FunctionType
    class_name: str | None  # for `__private` names and `super()`
    facts: Facts


def read_body(fn: types.FunctionType) -> Body:
    """Find the syntax tree that a function was compiled from. Raises NoSource."""
    code = fn.__code__
    if hasattr(fn, "__wrapped__") or code.co_name == "<lambda>":
        raise NoSource("it is a lambda, or wrapped by another decorator")
    if not code.co_filename or code.co_filename == "<string>":
        raise NoSource("its source is not at hand")
    source = source_of(code.co_filename, fn.__globals__, code.co_flags)
    key = (code.co_name, code.co_firstlineno)
    nodes = source.functions.get(key, [])
    if len(nodes) != 1:
        raise NoSource("its source is not a function definition of its own line")
    if code not in source.codes.get(key, []):
        rewritten = any(name.startswith("@py") for name in _names_in(code))  # pytest's assertions
        if not (rewritten and _but_for_assertions(nodes[0], code)):
            raise NoSource("its source is not what runs: the file changed, or the code was rewritten")
    return Body(nodes[0], fn, _class_name(fn), facts_of(nodes[0]))


def _but_for_assertions(node: FunctionNode, code: types.CodeType) -> bool:
    """Whether code that pytest rewrote is the node's: all that the statements other than `assert` name is in it."""
    plain = copy.deepcopy(node)
    for parent in ast.walk(plain):
        for part in ("body", "orelse", "finalbody"):
            block = getattr(parent, part, None)
            if isinstance(block, list):
                kept = [s for s in block if not isinstance(s, ast.Assert)]
                setattr(parent, part, kept or [ast.Pass()])
    for argument in ast.walk(plain):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    plain.decorator_list, plain.returns, plain.args.defaults = [], None, [ast.Constant(None)] * len(plain.args.defaults)
    module = ast.fix_missing_locations(ast.Module([plain], []))
    again = _find(compile(module, "<again>", "exec", code.co_flags & COMPILER_FLAGS, dont_inherit=True), node.name)
    consts = {repr(c) for c in code.co_consts}
    return _names_in(again) <= _names_in(code) | {"__class__"} and all(
        isinstance(c, types.CodeType) or c is None or repr(c) in consts for c in again.co_consts
    )


def _names_in(code: types.CodeType) -> set[str]:
    names = {*code.co_varnames, *code.co_names, *code.co_freevars, *code.co_cellvars}
    return names.union(*(_names_in(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def _class_name(fn: types.FunctionType) -> str | None:
    """The class whose `__private` names the body means: that of the outermost function around it."""
    parts = fn.__qualname__.split(".")
    while len(parts) > 2 and parts[-2] == "<locals>":
        parts = parts[:-2]
    return parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else None


def compile_body(node: FunctionNode, body: Body, constants: Mapping[str, Any]) -> types.FunctionType:
    """A function like `body.fn` with the code of `node`, whose extra free variables are `constants`."""
    fn = body.fn
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or ()))
    node = _bare(node)
    node.name = _TWIN  # a function that calls itself means its global or its cell
    outer: ast.stmt = node
    if body.class_name is not None:
        # `__x` is `_Net__x` in a class `_Net` too, and `Net` in the body still means what it meant
        name, taken = f"_{body.class_name}", _names_in(fn.__code__)
        while name in taken:
            name = f"_{name}"
        outer = ast.ClassDef(name=name, bases=[], keywords=[], body=[node], decorator_list=[])
        ast.copy_location(outer, node)
        if sys.version_info >= (3, 12):
            outer.type_params = []
    free = [name for name in (*cells, *constants) if name != "__class__"]
    module = ast.Module([_factory(free, outer)], [])
    flags = fn.__code__.co_flags & COMPILER_FLAGS
    inner = _find(compile(module, fn.__code__.co_filename, "exec", flags, dont_inherit=True), _TWIN)
    inner = inner.replace(co_name=fn.__code__.co_name)
    if sys.version_info >= (3, 11):
        inner = inner.replace(co_qualname=fn.__code__.co_qualname)
    cells.update({name: types.CellType(value) for name, value in constants.items()})
    if missing := [name for name in inner.co_freevars if name not in cells]:
        raise NoSource(f"{', '.join(missing)} would have to come from somewhere else")
    new = types.FunctionType(
        inner, fn.__globals__, fn.__name__, fn.__defaults__, tuple(cells[name] for name in inner.co_freevars)
    )
    new.__kwdefaults__ = fn.__kwdefaults__
    return new


_TWIN = "_sc_twin"


def _factory(free: list[str], inner: ast.stmt) -> ast.FunctionDef:
    """A function around the definition, whose arguments are the free variables of it."""
    arguments = [ast.arg(name, lineno=inner.lineno, col_offset=0) for name in free]
    signature = ast.arguments(posonlyargs=[], args=arguments, kwonlyargs=[], kw_defaults=[], defaults=[])
    factory = ast.FunctionDef("_factory", signature, [inner], [])
    if sys.version_info >= (3, 12):
        factory.type_params = []
    return ast.copy_location(factory, inner)


def _bare(node: FunctionNode) -> FunctionNode:
    """The definition without what is evaluated around it: decorators, annotations, defaults."""

    def plain(one: ast.arg) -> ast.arg:
        return ast.copy_location(ast.arg(one.arg), one)

    old = node.args
    arguments = ast.arguments(
        posonlyargs=[plain(a) for a in old.posonlyargs],
        args=[plain(a) for a in old.args],
        vararg=plain(old.vararg) if old.vararg else None,
        kwonlyargs=[plain(a) for a in old.kwonlyargs],
        kw_defaults=[None if d is None else ast.copy_location(ast.Constant(None), d) for d in old.kw_defaults],
        kwarg=plain(old.kwarg) if old.kwarg else None,
        defaults=[ast.copy_location(ast.Constant(None), d) for d in old.defaults],
    )
    new = type(node)(name=node.name, args=arguments, body=node.body, decorator_list=[], returns=None)
    if sys.version_info >= (3, 12):
        new.type_params = []
    return ast.copy_location(new, node)


def _find(code: types.CodeType, name: str) -> types.CodeType:
    """The code of the function in its factory, perhaps within a class."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if constant.co_name == name and constant.co_flags & inspect.CO_OPTIMIZED:
                return constant
            if constant.co_name != name or not constant.co_flags & inspect.CO_OPTIMIZED:
                try:
                    return _find(constant, name)
                except NoSource:
                    continue
    raise NoSource("the compiled body was not found")
