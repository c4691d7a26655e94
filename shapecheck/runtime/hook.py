"""A whole package at once: an import hook that decorates what it imports."""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from types import CodeType, ModuleType, TracebackType
from typing import Any

__all__ = ["Hook", "install"]

NAME = "_shapecheck_shaped"


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
        tree = _Decorate().visit(ast.parse(data, path))
        code: CodeType = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True, optimize=_optimize)
        return code

    def exec_module(self, module: ModuleType) -> None:
        from shapecheck.runtime.decorate import hooked

        vars(module)[NAME] = hooked(self.choices)
        super().exec_module(module)


class _Decorate(ast.NodeTransformer):
    """Functions get the innermost place, so that their own source is what runs; classes the outermost."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        if not any(_last_word(d) in {"overload", "no_type_check", "shaped"} for d in node.decorator_list):
            node.decorator_list.append(_decorator(node))
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.decorator_list.insert(0, _decorator(node))
        return node


def _last_word(decorator: ast.expr) -> str:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def _decorator(node: ast.stmt) -> ast.expr:
    return ast.copy_location(ast.Name(NAME, ast.Load()), node)
