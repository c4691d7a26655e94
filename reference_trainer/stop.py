"""SIGINT and SIGTERM: the first asks for a checkpoint after the running step, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

import torch
import torch.distributed as dist

from .world import World

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal has ended the run; the message says which, and what was saved. code is what a shell expects.

    Like KeyboardInterrupt it is no Exception: it may come anywhere, and nobody's `except Exception` is meant for it.
    """

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__(f"{signal.Signals(number).name}: {sentence}")
        self.code = 128 + number


class Stop:
    """Whether this run was asked to end. Until `patient`, a signal ends it where it stands: nothing is trained yet."""

    def __init__(self) -> None:
        self.number = 0
        self.patient = False
        self._before: torch.Tensor | None = None

    def begin(self) -> None:
        """Training begins. A signal that came where Python keeps no exception, as in a `__del__` or while it collects
        garbage, ends the run here."""
        if self.number:
            raise Stopped(self.number, "no step was made")
        self.patient = True

    def everywhere(self, world: World, device: torch.device) -> int:
        """The signal's number on any process, or 0; every process gets the same answer, one step late if many."""
        if world.size == 1:
            return self.number
        known = 0 if self._before is None else int(self._before)
        self._before = torch.tensor(self.number, device=device)
        dist.all_reduce(self._before, dist.ReduceOp.MAX)
        return known

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.patient:
            self.number = number
            raise Stopped(number, "no step was made")
        if self.number:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # the cursor, which the progress bar hides
            os._exit(128 + number)
        self.number = number
        os.write(2, f"\n{signal.Signals(number).name}: saving after this step; again ends at once\n".encode())


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """Take the signals while the block runs. Only the main thread can; in another one they keep their meaning."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop._handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
