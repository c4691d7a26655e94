"""What every command does with its streams: findings to stdout, all else to stderr, mistakes in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


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
        sys.stdout.flush()
    except (Wrong, ConfigError, PackError) as error:
        complain([f"shapecheck: {error}"])
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def say(text: str) -> None:
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:  # a terminal with few letters: better with question marks than not at all
        sys.stdout.write(text.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding))


def complain(lines: Iterable[str]) -> None:
    for line in lines:  # stderr escapes what its encoding cannot say
        print(line, file=sys.stderr)


def colored(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def write_whole(file: Path, text: str) -> None:
    """Write a file at once, so that nobody reads half of it; into a pipe or a device as it comes. Raises Unwritable."""
    import tempfile

    from shapecheck.service.files import why

    data = text.encode("utf-8", "surrogateescape")
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
        raise Unwritable(f"{file}: cannot be written: {why(error)}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
