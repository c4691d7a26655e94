"""Runs a program as Python would have: its arguments, its path, its `__main__`, and what it raises."""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType, TracebackType


class NoProgram(Exception):
    """There is no such script or module."""


@dataclass(frozen=True, slots=True)
class Program:
    """A script, or the module of `-m`, ready to be run. `path`: the file of its code."""

    path: str
    code: CodeType
    spec: importlib.machinery.ModuleSpec | None = None


def script(name: str) -> Program:
    """The program of a file, or of a folder with a `__main__.py`. Raises NoProgram, SyntaxError."""
    file = os.path.join(name, "__main__.py") if os.path.isdir(name) else name
    if not os.path.isfile(file):
        raise NoProgram(f"{name}: there is no such file")
    file = os.path.abspath(file)
    return Program(file, compile(Path(file).read_bytes(), file, "exec", dont_inherit=True))


def module(name: str) -> Program:
    """The program of `python -m name`. Raises NoProgram, and what importing its packages raises."""
    sys.path[0] = os.getcwd()
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name = f"{name}.__main__"
            spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        raise NoProgram(f"-m {name}: {error}") from error
    loader = None if spec is None else spec.loader
    code = loader.get_code(name) if isinstance(loader, importlib.machinery.SourceFileLoader) else None
    if spec is None or code is None or spec.origin is None:
        raise NoProgram(f"-m {name}: there is no such module in Python")
    return Program(spec.origin, code, spec)


def run(program: Program, name: str, args: list[str], around: Callable[[], AbstractContextManager[object]]) -> Ended:
    """Run it to its end, inside of what `around` makes. `name`: how the user called it."""
    main = ModuleType("__main__")
    main.__dict__.update(__file__=program.path, __builtins__=builtins, __spec__=program.spec, __loader__=None)
    if program.spec is not None:
        main.__dict__.update(__package__=program.spec.parent, __loader__=program.spec.loader)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(program.path))
    sys.modules["__main__"] = main
    sys.argv = [program.path if program.spec is not None else name, *args]
    try:
        with around():
            exec(program.code, main.__dict__)
    except SystemExit as end:
        return Ended(end)
    except BaseException as error:
        return Ended(error, _own(error.__traceback__))
    return Ended()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: by itself, or by something that it raised, with the traceback of its own code."""

    error: BaseException | None = None
    traceback: TracebackType | None = None

    def leave(self, status: int = 0) -> None:
        """End the process as the program did; by `status` where it ended well."""
        error = self.error
        if isinstance(error, SystemExit):
            raise error if error.code or not status else SystemExit(status)
        if isinstance(error, KeyboardInterrupt):
            raise SystemExit(130)
        raise SystemExit(1 if error is not None else status)

    def tell(self) -> None:
        """Print what it raised, as Python would have."""
        if self.error is not None and not isinstance(self.error, SystemExit):
            error = self.error.with_traceback(self.traceback)
            sys.excepthook(type(error), error, self.traceback)


def _own(traceback: TracebackType | None) -> TracebackType | None:
    """Without the frames of this file at its beginning."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback
