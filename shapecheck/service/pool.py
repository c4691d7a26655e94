"""Workers for many files. A worker's death or silence costs one file, which is named, and the run goes on.

`concurrent.futures` loses the whole pool with one worker and cannot say which task killed it, hence these few lines.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

# A worker counts the processor's time itself; the parent looks at the clock, for one that does not answer at all. One
# that is still waiting for the processor then, on a busy machine, gets as long again.
PATIENCE, GRACE = 4.0, 5.0

Task = TypeVar("Task")
Work = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Lost:
    """A task without a result, and why."""

    reason: str


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: Any = None
    deadline: float = field(default=float("inf"))
    spent: float = 0.0  # of the processor, before this task


def run(
    tasks: Sequence[Task], prepare: Callable[[], Work], jobs: int, limit: float
) -> Generator[tuple[Task, Any], None, None]:
    """Each task with its result, or with `Lost`, as they come. `prepare` runs once in every worker and gives the
    function that does one task; both must be picklable where processes are not forked."""
    context = _context()
    waiting = list(reversed(tasks))
    workers = [_start(context, prepare) for _ in range(min(jobs, len(tasks)))]
    try:
        for worker in workers:
            _give(worker, waiting, limit)
        while any(worker.task is not None for worker in workers):
            busy = {worker.pipe: worker for worker in workers if worker.task is not None}
            nearest = min(worker.deadline for worker in busy.values())
            ready = wait(list(busy), timeout=max(0.0, nearest - time.monotonic()))
            for pipe, worker in busy.items():
                task = worker.task
                if pipe in ready:
                    try:
                        result = pipe.recv()
                    except (EOFError, OSError):
                        result = Lost(_how_it_died(worker.process))
                elif time.monotonic() < worker.deadline:
                    continue
                elif _starved(worker, limit):
                    worker.deadline = time.monotonic() + _patience(limit)
                    continue
                else:
                    result = Lost(f"gave no answer, and has had its {limit:g} seconds long since (--time-limit)")
                if isinstance(result, Lost):
                    _end(worker)
                    workers.remove(worker)
                    if waiting:
                        workers.append(_start(context, prepare))
                        _give(workers[-1], waiting, limit)
                else:
                    _give(worker, waiting, limit)
                yield task, result
    finally:
        for worker in workers:
            _end(worker)


def _context() -> BaseContext:
    """Forked workers share what the parent has imported; the parent has one thread, so forking is safe."""
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _start(context: BaseContext, prepare: Callable[[], Work]) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, prepare), daemon=True)  # type: ignore[attr-defined]
    with _deaf():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _deaf() -> Iterator[None]:
    """What is started here is not reached by Ctrl-C, which we hear when this is over."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _give(worker: _Worker, waiting: list[Any], limit: float) -> None:
    worker.task, worker.deadline = None, float("inf")
    if waiting:
        worker.task = waiting.pop()
        worker.deadline = time.monotonic() + _patience(limit)
        worker.spent = _processor(worker.process)[1]
        with suppress(OSError):  # dead already: reading from it will say so
            worker.pipe.send(worker.task)


def _patience(limit: float) -> float:
    return PATIENCE * limit + GRACE


def _starved(worker: _Worker, limit: float) -> bool:
    """Whether it would run if it were let, and has not had its time yet."""
    state, spent = _processor(worker.process)
    return state == "R" and spent - worker.spent < limit + GRACE


def _processor(process: BaseProcess) -> tuple[str, float]:
    """The state of a process ("R": runs, or would) and its seconds of the processor so far; unknown but on Linux."""
    try:
        with open(f"/proc/{process.pid}/stat", encoding="utf-8", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return "", 0.0
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _how_it_died(process: BaseProcess) -> str:
    process.join(timeout=5)
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"killed its worker process ({name}{', perhaps out of memory' * (name == 'SIGKILL')})"
    return f"ended its worker process (exit status {code})"


def _serve(pipe: Connection, prepare: Callable[[], Work]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends us
    parent = os.getppid()
    work = prepare()
    while True:
        while not pipe.poll(5):
            if os.getppid() != parent:  # killed without a word: nobody will ever send again
                return
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(work(task))
