"""What the user named: `file.py:name` or `package.module:name`, imported."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any


class CannotCall(ValueError):
    """The function could not be found, built or called: nothing is said about whether it is right."""


@dataclass(frozen=True)
class Target:
    """An object of the user's, the text that named it, and where it is written."""

    spec: str
    found: Any
    owner: Any
    file: str
    line: int

    @property
    def name(self) -> str:
        return self.spec.rpartition(":")[2] or getattr(self.found, "__name__", type(self.found).__name__)


def find_target(spec: str) -> Target:
    """Import what `spec` names (dots allowed after the colon). CannotCall if it isn't there or its file fails."""
    place, colon, name = spec.rpartition(":")
    if not colon or not name:
        where = Path(spec)
        known = _names_in(where) if where.suffix == ".py" and where.is_file() else ""
        raise CannotCall(f"{spec}: expected file.py:name or package.module:name{known}")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_package(place)
    found: Any = module
    owner: Any = None
    for part in name.split("."):
        if not hasattr(found, part):
            raise CannotCall(f"{spec}: {place} has no {name}{_names_of(module)}")
        owner, found = found, getattr(found, part)
    return of_object(found, spec, owner if isinstance(owner, type) else None)


def of_object(found: Any, spec: str = "", owner: Any = None) -> Target:
    """The target of an object that is at hand."""
    code = getattr(found, "__code__", None)
    file, line = "", 0
    try:
        import inspect

        plain = inspect.unwrap(found) if callable(found) else found
        shown = plain if isinstance(plain, type) or hasattr(plain, "__code__") else type(plain)
        file = inspect.getsourcefile(shown) or ""
        line = inspect.getsourcelines(shown)[1]
    except (TypeError, OSError, ValueError):
        if code is not None:
            file, line = code.co_filename, code.co_firstlineno
    name = getattr(found, "__qualname__", type(found).__name__)
    return Target(spec or name, found, owner, file, line)


def _from_package(name: str) -> ModuleType:
    with _importable(Path.cwd()):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
                raise CannotCall(f"{name}: there is no module {error.name}, looked up from {Path.cwd()} too") from None
            raise CannotCall(f"{name} can't be imported: {own_line(error)}") from error
        except (Exception, SystemExit) as error:
            raise CannotCall(f"{name} can't be imported: {own_line(error)}") from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise CannotCall(f"{path}: no such file")
    path = path.resolve()
    try:
        return _alone(path)
    except ImportError as error:
        if "relative import" not in str(error):
            raise CannotCall(f"{path.name} can't be imported: {own_line(error)}") from error
    except (Exception, SystemExit) as error:
        raise CannotCall(f"{path.name} can't be imported: {own_line(error)}") from error
    top, parts = path.parent, [path.stem]
    while (top / "__init__.py").is_file():
        parts.insert(0, top.name)
        top = top.parent
    if len(parts) == 1:
        top, parts = path.parent.parent, [path.parent.name, path.stem]
    with _importable(top):
        try:
            return importlib.import_module(".".join(parts))
        except (Exception, SystemExit) as error:
            raise CannotCall(f"{path.name} can't be imported: {own_line(error)}") from error


def _alone(path: Path) -> ModuleType:
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_{abs(hash(str(path)))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CannotCall(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _importable(path.parent, Path.cwd()):
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return module


@contextmanager
def _importable(*folders: Path) -> Iterator[None]:
    """The folders stay on the path: what is imported late, inside a function, must be found too. What the file prints
    goes to stderr: stdout is the report's, which may be json."""
    for folder in reversed(folders):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    with redirect_stdout(sys.stderr):
        yield


def own_line(error: BaseException) -> str:
    """The error, and the last line of the user's own code that it passed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}: {type(error).__name__}: {error.msg}"
    text = " ".join(str(error).split()) or "no message"
    text = text if len(text) <= 300 else text[:297] + "..."
    outside = ("site-packages", "dist-packages", "/lib/python3", "<frozen", "reference_trainer")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not any(part in frame.filename for part in outside):
            line = f" `{frame.line}`" if frame.line else ""
            return f"{Path(frame.filename).name}:{frame.lineno}{line}: {type(error).__name__}: {text}"
    return f"{type(error).__name__}: {text}"


def _names_of(module: ModuleType) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    return f"; it has {', '.join(names[:12])}" if names else ""


def _names_in(path: Path) -> str:
    try:
        return _names_of(_from_file(path))
    except CannotCall:
        return ""
