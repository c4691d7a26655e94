"""Ctrl-C at any moment: status 130 and no traceback, never in the middle of a write, and what was found is kept.

Before there is anything to keep, and at the second Ctrl-C, the process ends at once. While files are checked, Ctrl-C
raises KeyboardInterrupt; inside `shielded`, when that is over.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 130

_listening = 0
_shields = 0
_rung = False


def install() -> None:
    """For the process that is the command. Whoever started it deaf to Ctrl-C has it stay so."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _ring)


def over() -> None:
    """The work is done and said: while Python takes itself down, Ctrl-C has nothing to stop."""
    if signal.getsignal(signal.SIGINT) is _ring:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _ring(number: int, frame: FrameType | None) -> None:
    global _rung
    if _rung or not _listening:
        leave()
    _rung = True
    if not _shields:
        raise KeyboardInterrupt


def leave() -> None:
    """End the process here and now: threads of a parser would not survive an orderly end."""
    os.write(2, b"interrupted\n")
    os._exit(STATUS)


def check() -> None:
    """Raise KeyboardInterrupt if somebody has asked to end and it was lost on the way."""
    if _rung:
        raise KeyboardInterrupt


@contextmanager
def listening() -> Iterator[None]:
    """The body can be ended by KeyboardInterrupt, and has something to show for itself then."""
    global _listening
    _listening += 1
    try:
        yield
    finally:
        _listening -= 1


@contextmanager
def shielded(raises: bool = True) -> Iterator[None]:
    """The body is not to be torn: an import, a file being replaced. Ctrl-C is heard after it, or by `check`."""
    global _shields
    _shields += 1
    try:
        yield
    finally:
        _shields -= 1
    if raises:
        check()
