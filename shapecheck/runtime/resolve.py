"""From what is written after the colon to a type: strings, locals, closures, names under TYPE_CHECKING."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shapecheck.runtime.source import NoSource, source_of

__all__ = [
    "Absent",
    "Own",
    "annotations_of",
    "frame_names",
    "holds_axes",
    "imported_names",
    "names_of",
    "own_classes",
    "resolve",
]

# Modules that may be imported for an annotation while the program still loads: none of them imports the user's code.
_HARMLESS = {"collections", "jaxtyping", "numpy", "torch", "typing", "typing_extensions"}


class Absent(type):
    """A class that stands for a name which does not exist at run time. `axes`: it was subscripted with axes."""

    axes = False

    def __getitem__(cls, item: Any) -> Absent:
        array, words = item if isinstance(item, tuple) and len(item) == 2 else (None, None)
        if isinstance(words, str) and hasattr(array, "shape"):
            return Absent(f"{cls.__name__}[..., {words!r}]", (), {"axes": True})
        return cls

    def __getattr__(cls, name: str) -> Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{cls.__name__}.{name}", (), {})

    def __instancecheck__(cls, value: object) -> bool:
        return True  # beartype asks: nobody knows, so nothing is refused

    def __subclasscheck__(cls, kind: type) -> bool:
        return True


class Own(type):
    """A class that stands for the one whose methods name it before it exists: its instances are told by its name."""

    def __new__(cls, qualname: str, module: str) -> Own:
        new = super().__new__(cls, qualname.rpartition(".")[2], (), {})
        new.__qualname__, new.__module__ = qualname, module
        return new

    def __init__(cls, qualname: str, module: str) -> None:
        super().__init__(cls.__name__, (), {})

    def __instancecheck__(cls, value: object) -> bool:
        return any((c.__qualname__, c.__module__) == (cls.__qualname__, cls.__module__) for c in type(value).__mro__)


def own_classes(fn: types.FunctionType) -> dict[str, Any]:
    """The classes around a method, by their plain names."""
    parts = fn.__qualname__.split(".")[:-1]
    return {
        part: Own(".".join(parts[: number + 1]), fn.__module__)
        for number, part in enumerate(parts)
        if part != "<locals>" and parts[number + 1 : number + 2] != ["<locals>"]
    }


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
    parameters = {p.__name__: p for p in getattr(fn, "__type_params__", ())}
    return {**around, **parameters, **closure}


def annotations_of(thing: Any) -> dict[str, Any]:
    """The annotations of a function or class as written, its own only; NameError passes through."""
    if sys.version_info >= (3, 14):
        import annotationlib

        found: dict[str, Any] = annotationlib.get_annotations(thing, format=annotationlib.Format.FORWARDREF)
        return found
    found = inspect.get_annotations(thing)
    return found


def resolve(
    annotation: Any,
    module: Mapping[str, Any],
    names: Mapping[str, Any],
    late: bool = False,
    missing: list[str] | None = None,
    own: Mapping[str, Any] | None = None,
) -> Any:
    """The type that an annotation means.

    `late`: the program has loaded, so what `if TYPE_CHECKING:` imports from the user's own package can be imported.
    `own`: what names mean that do not exist yet, the classes being defined.
    `missing`: takes the names that do not exist, for which `Absent` then stands; without it they raise NameError.
    Raises what evaluating the annotation raises.
    """
    extra: dict[str, Any] = {}
    while True:
        try:
            return _evaluate(annotation, module, {**names, **extra})
        except NameError as error:
            name = error.name or ""
            if name in extra:
                raise
            found = (own or {}).get(name) or _hidden(module, name, late)
            if found is None:
                if missing is None or not name:
                    raise
                missing.append(name)
                found = Absent(name, (), {})
            extra[name] = found


def _evaluate(annotation: Any, module: Mapping[str, Any], names: dict[str, Any]) -> Any:
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation
    # a class as the holder, for `ClassVar` and `Final` are legal in one only
    holder = type("Holder", (), {"__annotations__": {"value": annotation}, "__module__": __name__})
    return typing.get_type_hints(holder, dict(module), names, include_extras=True)["value"]


def holds_axes(annotation: Any, module: Mapping[str, Any], names: Mapping[str, Any]) -> bool:
    """Whether some part of an annotation that cannot be evaluated speaks of axes."""
    from jaxtyping import AbstractArray, AbstractDtype

    if not isinstance(annotation, str):
        return False
    try:
        tree = ast.parse(annotation.strip(), mode="eval")
    except SyntaxError:
        return False
    scope = {**module, **names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            try:
                kind = eval(compile(ast.Expression(node), "<annotation>", "eval"), scope)
            except Exception:  # a name that does not exist holds no axes
                continue
            if isinstance(kind, type) and issubclass(kind, AbstractDtype | AbstractArray):
                return True
    return False


def _hidden(module: Mapping[str, Any], name: str, late: bool) -> Any:
    """`name` as imported under `if TYPE_CHECKING:`; None where it is not, or not safely."""
    home = module.get("__name__", "")
    file = module.get("__file__")
    if not file:
        return None
    try:
        imports = source_of(file, typing.cast("dict[str, Any]", module)).hidden_imports
    except NoSource:
        return None
    for statement in imports:
        for alias in statement.names:
            if (alias.asname or alias.name.partition(".")[0]) == name:
                try:
                    return _imported(statement, alias, home, module.get("__package__") or "", late)
                except Exception:  # the module is not installed, or does not import: the name is absent
                    return None
    return None


def _imported(statement: ast.Import | ast.ImportFrom, alias: ast.alias, home: str, package: str, late: bool) -> Any:
    """A module that is loaded already, or is harmless, or (late) is the user's own."""
    if isinstance(statement, ast.Import):
        target, attribute = alias.name, None
    else:
        target, attribute = "." * statement.level + (statement.module or ""), alias.name
    full = importlib.util.resolve_name(target, package) if target.startswith(".") else target
    own = late and full.partition(".")[0] == home.partition(".")[0]
    get: Callable[[str], Any] = importlib.import_module
    if full.partition(".")[0] not in _HARMLESS and not own:
        get = sys.modules.__getitem__
    loaded = get(full)
    if attribute is None:
        return loaded if alias.asname else get(full.partition(".")[0])
    return getattr(loaded, attribute) if hasattr(loaded, attribute) else get(f"{full}.{attribute}")


def imported_names(imports: Iterable[ast.Import | ast.ImportFrom], module: Mapping[str, Any]) -> dict[str, Any]:
    """What a function imports for itself, as far as that is loaded or harmless."""
    found: dict[str, Any] = {}
    for node in imports:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            try:
                found[name] = _imported(node, alias, module.get("__name__", ""), module.get("__package__") or "", False)
            except Exception:  # not loaded: the name stays unknown
                continue
    return found
