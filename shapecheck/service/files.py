"""Reading and replacing a user's files: only files are opened, and nothing that somebody else wrote is lost."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

MAX_BYTES = 50_000_000
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
REASONS = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ELOOP: "its links lead in a circle",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.ENOTDIR: "a part of the path is no folder",
    errno.EISDIR: "it is a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMFILE: "too many files are open",
    errno.EIO: "the disk has failed to answer",
    errno.EEXIST: "a file is in the way",
    errno.EFBIG: "a file may not grow so large",
    errno.ENXIO: "it is no file",
    errno.EBADF: "it is not open for that",
    errno.ESTALE: "the disk is no longer there",
}
_EXCHANGE = 2  # RENAME_EXCHANGE
_HERE = -100  # AT_FDCWD


class Unusable(Exception):
    """A file that cannot be read or written; the message says why, and does not name it."""


def why(error: OSError) -> str:
    """What went wrong, in words that are the same on every system."""
    return REASONS.get(error.errno or 0) or f"the system says {errno.errorcode.get(error.errno or 0, 'nothing')}"


def read_file(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file. Raises Unusable for all else: opening a pipe or a device could wait for ever."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as stream:
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                raise Unusable(f"it is {KINDS.get(stat.S_IFMT(state.st_mode), 'no file')}")
            data = stream.read(limit + 1)
    except OSError as error:
        if error.errno == errno.EACCES and os.path.isdir(path):
            raise Unusable("it is a folder") from error
        raise Unusable(why(error)) from error
    except ValueError as error:  # a null byte in the name
        raise Unusable("the name holds a null byte") from error
    if len(data) > limit:
        raise Unusable(f"it has more than {limit:,} bytes")
    return data


def replace_file(path: Path, before: bytes, after: bytes) -> None:
    """Put `after` in the place of the file's `before`, at once, with its mode and owner; a link stays a link.

    Raises Unusable, and leaves the file alone, when it may not be written or no longer holds `before`: whoever changed
    it since goes first. Where the system can exchange two names, an edit made at the very moment is seen too.
    """
    import tempfile

    try:
        target = path.resolve(strict=True)
        _check(target, before)
        state = target.stat()
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".shapecheck")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(after)
                stream.flush()
                os.fsync(handle)
            with suppress(OSError, AttributeError):  # only root may give files away
                os.chown(name, state.st_uid, state.st_gid)
            os.chmod(name, stat.S_IMODE(state.st_mode))
        except BaseException:
            os.unlink(name)  # a half of it is nobody's
            raise
        try:
            _swap_in(name, target, before, after)
        finally:
            _forget(name, (before, after))
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise Unusable(why(error) if isinstance(error, OSError) else REASONS[errno.ELOOP]) from error


def _check(target: Path, before: bytes) -> None:
    if read_file(target) != before:
        raise Unusable("it was changed while this ran")
    if not os.access(target, os.W_OK) or not target.stat().st_mode & 0o222:
        raise Unusable("permission to write is denied")


def _swap_in(name: str, target: Path, before: bytes, after: bytes) -> None:
    """Exchange the two files, and look at what came out: were it an edit made since, it goes back."""
    if not _exchange(name, target):
        _check(target, before)
        os.replace(name, target)
        return
    came = Path(name).read_bytes()
    if came == before:
        return
    ours = after
    for _ in range(10):  # an editor that saves again may come between these, too: its last word goes back
        _exchange(name, target)
        ours, came, out = came, Path(name).read_bytes(), ours
        if came == out:
            break
    raise Unusable("it was changed while this ran")


def _forget(name: str, ours: tuple[bytes, bytes]) -> None:
    """Remove the other file, unless it holds what somebody else wrote."""
    with suppress(OSError):
        if Path(name).read_bytes() in ours:
            os.unlink(name)


def _exchange(a: str | Path, b: str | Path) -> bool:
    """Give each the name of the other in one step; False where the system cannot."""
    call = _renameat2()
    return call is not None and call(_HERE, os.fsencode(a), _HERE, os.fsencode(b), _EXCHANGE) == 0


@cache
def _renameat2() -> Callable[..., int] | None:
    import ctypes  # 10 ms that only a fix should cost

    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or an old C library
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    call.restype = ctypes.c_int
    return call
