"""From what is written after the colon to a type: strings, locals, closures, names under TYPE_CHECKING."""

from __future__ import annotations

import ast
import inspect
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any

__all__ = ["annotations_of", "frame_names", "names_of", "resolve", "type_checking_names"]

# Modules that may be imported for an annotation while the program still loads: none of them imports the user's code.
_HARMLESS = {"collections", "jaxtyping", "numpy", "torch", "typing", "typing_extensions"}


def frame_names(depth: int) -> dict[str, Any]:
    """The local names around a decorator, class bodies included. `depth` frames up from the caller."""
    frame: types.FrameType | None = sys._getframe(depth + 1)
    names: dict[str, Any] = {}
    while frame is not None and frame.f_locals is not frame.f_globals:
        names = {**frame.f_locals, **names}
        if frame.f_code.co_flags & inspect.CO_NEWLOCALS and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            break  # a function: what surrounds it comes through the closure
        frame = frame.f_back
    return names


def names_of(fn: types.FunctionType, around: Mapping[str, Any]) -> dict[str, Any]:
    """What the annotations of a function may name: what surrounds it, then its closure."""
    closure = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or ()):
        try:
            closure[name] = cell.cell_contents
        except ValueError:  # not filled yet: a function being defined, or `__class__`
            continue
    return {**around, **closure}


def annotations_of(thing: Any) -> dict[str, Any]:
    """The annotations of a function or class as written, its own only; NameError passes through."""
    found: dict[str, Any] = inspect.get_annotations(thing)
    return found


def resolve(annotation: Any, module: Mapping[str, Any], names: Mapping[str, Any], late: bool = False) -> Any:
    """The type that an annotation means.

    `late`: the program has loaded, so what `if TYPE_CHECKING:` imports can be imported.
    Raises NameError for a name that does not exist yet, and what evaluating the annotation raises.
    """
    extra: dict[str, Any] = {}
    while True:
        try:
            return _evaluate(annotation, module, {**names, **extra})
        except NameError as error:
            name = error.name or ""
            if name in extra:
                raise
            found = type_checking_names(module, name, late)
            if not found:
                raise
            extra.update(found)


def _evaluate(annotation: Any, module: Mapping[str, Any], names: Mapping[str, Any]) -> Any:
    def holder() -> None:
        """get_type_hints reads annotations off an object."""

    holder.__annotations__ = {"value": annotation}
    return typing.get_type_hints(holder, dict(module), dict(names), include_extras=True)["value"]


def type_checking_names(module: Mapping[str, Any], name: str, late: bool) -> dict[str, Any]:
    """`name` as imported under `if TYPE_CHECKING:`; empty where it is not, or not safely yet."""
    spec_name = module.get("__name__", "")
    try:
        source = inspect.getsource(sys.modules[spec_name])
    except (KeyError, OSError, TypeError):
        return {}
    for statement in _guarded_imports(ast.parse(source)):
        for alias in statement.names:
            bound = alias.asname or alias.name.partition(".")[0]
            if bound != name:
                continue
            if not late and not _harmless(statement, alias):
                return {}
            single = type(statement)(**{**_fields(statement), "names": [alias]})
            program = ast.fix_missing_locations(ast.Module([single], []))
            scope = {"__name__": spec_name, "__package__": module.get("__package__")}
            exec(compile(program, "<TYPE_CHECKING>", "exec"), scope)
            return {name: scope[name]}
    return {}


def _fields(node: ast.AST) -> dict[str, Any]:
    return dict(ast.iter_fields(node))


def _harmless(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return not statement.level and (statement.module or "").partition(".")[0] in _HARMLESS
    return alias.name.partition(".")[0] in _HARMLESS


def _guarded_imports(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    found: list[ast.Import | ast.ImportFrom] = []
    for node in ast.walk(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), body=body):
                found += [s for s in body if isinstance(s, ast.Import | ast.ImportFrom)]
    return found
