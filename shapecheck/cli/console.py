"""What every command does with its streams: findings to stdout, all else to stderr, mistakes in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from shapecheck.findings.diagnostic import shown
from shapecheck.service.files import why
from shapecheck.source.text import visible


class Wrong(Exception):
    """What was asked for cannot be done."""


class Unwritable(Wrong):
    """A report has nowhere to go."""


@contextmanager
def faults() -> Iterator[None]:
    """A user's mistake is one line on stderr and status 2, Ctrl-C status 130; a closed pipe is no mistake."""
    from shapecheck.findings.packs import PackError
    from shapecheck.service.config import ConfigError

    try:
        yield
        if _is_open(sys.stdout):
            with _writing() as out:
                out.flush()
    except (Wrong, ConfigError, PackError) as error:
        complain([f"shapecheck: {error}"])
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def keep_numbers() -> None:
    """No file of ours takes the number of a standard stream that was closed: what is printed would go there."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)


def say(text: str) -> None:
    """To stdout. Raises Unwritable."""
    with _writing() as out:
        try:
            out.write(text)
        except UnicodeEncodeError:  # a terminal with few letters: better with question marks than not at all
            out.write(text.encode(out.encoding, "replace").decode(out.encoding))


def say_bytes(data: bytes) -> None:
    """To stdout, whatever its encoding. Raises Unwritable."""
    with _writing() as out:
        out.flush()
        out.buffer.write(data)


@contextmanager
def _writing() -> Iterator[TextIO]:
    if not _is_open(sys.stdout):
        raise Unwritable("stdout: cannot be written: it is closed")
    try:
        yield sys.stdout
    except BrokenPipeError:
        raise
    except OSError as error:  # what Python still has to write goes nowhere, or it would fail once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Unwritable(f"stdout: cannot be written: {why(error)}") from error


def _is_open(stream: TextIO | None) -> bool:
    """Python has None for a stream that was closed before it began."""
    return stream is not None


def complain(lines: Iterable[str]) -> None:
    """To stderr, each in one line; a disk that is full there leaves nobody to be told."""
    try:
        for line in lines if _is_open(sys.stderr) else ():  # stderr escapes what its encoding cannot say
            print(visible(line, "\t"), file=sys.stderr)
    except BrokenPipeError:
        raise
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def read_stdin() -> bytes:
    """Raises Wrong."""
    if not _is_open(sys.stdin):
        raise Wrong("stdin cannot be read: it is closed")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise Wrong(f"stdin cannot be read: {why(error)}") from error


def colored(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (on_terminal(stream) and os.environ.get("TERM") != "dumb")


def on_terminal(stream: TextIO) -> bool:
    return _is_open(stream) and stream.isatty()


def write_whole(file: Path, text: str | bytes) -> None:
    """Write a file at once, so that nobody reads half of it; into a pipe or a device as it comes. Raises Unwritable."""
    import tempfile

    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    try:
        if file.exists() and not file.is_file():
            file.write_bytes(data)
            return
        target = file.resolve()
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            os.chmod(name, target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask())
            os.replace(name, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise Unwritable(f"{shown(str(file))}: cannot be written: {why(error)}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
