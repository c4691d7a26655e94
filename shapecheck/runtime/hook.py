"""A whole package at once: an import hook that decorates what it imports."""

from __future__ import annotations

import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from types import CodeType, ModuleType, TracebackType
from typing import Any, TypeVar

from shapecheck.runtime.source import keep

__all__ = ["Hook", "imported", "install"]

NAME = "_shapecheck_shaped"
N = TypeVar("N", bound=ast.AST)


def install(packages: str | Iterable[str], **choices: Any) -> Hook:
    """From now on, functions and classes of the packages are `@shaped` as they are imported.

    `choices` are those of `shaped`; what cannot be checked is listed by `report()` unless `strict=True`.
    Use it before the package is imported, alone or as `with install("package"): import package`.
    Raises ValueError for a package that is already imported.
    """
    names = (packages,) if isinstance(packages, str) else tuple(packages)
    for name in names:
        if name in sys.modules:
            raise ValueError(f"{name} is already imported: install the hook before")
    hook = Hook(names, {"strict": False, **choices})
    sys.meta_path.insert(0, hook)
    return hook


class Hook(importlib.abc.MetaPathFinder):
    """The finder in `sys.meta_path`; `uninstall` takes it out, and so does leaving its `with` block."""

    def __init__(self, packages: Sequence[str], choices: dict[str, Any]) -> None:
        self.packages = packages
        self.choices = choices

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not any(fullname == name or fullname.startswith(name + ".") for name in self.packages):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path, self.choices)
        return spec

    def uninstall(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def __enter__(self) -> Hook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.uninstall()


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, choices: dict[str, Any]) -> None:
        super().__init__(fullname, path)
        self.choices = choices

    def get_code(self, fullname: str) -> CodeType:
        # always from source: the cached bytecode of this file has no decorators
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def source_to_code(  # type: ignore[override]  # typeshed makes a static method of it, the import system does not
        self, data: Any, path: Any, *, _optimize: int = -1
    ) -> CodeType:
        tree = ast.parse(data, path)
        marked = ast.Module([_decorated(statement) for statement in tree.body], tree.type_ignores)
        code: CodeType = compile(marked, path, "exec", dont_inherit=True, optimize=_optimize)
        # what decorates the functions needs the same tree and code: the module is read once
        keep(path, importlib.util.decode_source(data), tree, code)
        return code

    def exec_module(self, module: ModuleType) -> None:
        from shapecheck.runtime.decorate import hooked

        imported.add(module.__name__)
        vars(module)[NAME] = hooked(self.choices)
        super().exec_module(module)


imported: set[str] = set()  # the modules that some hook has decorated


def _decorated(statement: ast.stmt) -> ast.stmt:
    """A statement of a module or class with its definitions decorated, as a new one.

    Functions get the innermost place, so that their own source is what runs; classes the outermost. Functions
    within functions stay as they are: they would be decorated again at each call.
    """
    match statement:
        case ast.FunctionDef(decorator_list=found) | ast.AsyncFunctionDef(decorator_list=found):
            if any(_last_word(d) in {"overload", "no_type_check", "shaped"} for d in found):
                return statement
            return _with(statement, decorator_list=[*found, _decorator(statement, statement.lineno)])
        case ast.ClassDef(decorator_list=found, body=body):
            first = min((d.lineno for d in found), default=statement.lineno)
            decorators = [_decorator(statement, first), *found]
            return _with(statement, decorator_list=decorators, body=[_decorated(s) for s in body])
    changes: dict[str, Any] = {
        part: [_decorated(s) for s in block]
        for part in ("body", "orelse", "finalbody")
        if isinstance(block := getattr(statement, part, None), list) and block
    }
    if isinstance(statement, ast.Try):
        changes["handlers"] = [_with(h, body=[_decorated(s) for s in h.body]) for h in statement.handlers]
    return _with(statement, **changes) if changes else statement


def _with(node: N, **changes: Any) -> N:
    new = copy.copy(node)
    for name, value in changes.items():
        setattr(new, name, value)
    return new


def _last_word(decorator: ast.expr) -> str:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def _decorator(node: ast.stmt, line: int) -> ast.expr:
    name = ast.copy_location(ast.Name(NAME, ast.Load()), node)
    name.lineno = name.end_lineno = line
    return name
