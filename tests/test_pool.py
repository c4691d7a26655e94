"""Workers that die, hang or fail cost their own task only."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable

import pytest

from shapecheck.service import clock, pool

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="signals of POSIX systems")


def prepare() -> Callable[[str], str]:
    def work(task: str) -> str:
        match task:
            case "segfault":
                faulthandler.disable()  # pytest would print a stack that is no concern of this test
                os.kill(os.getpid(), signal.SIGSEGV)
            case "memory":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(3)
            case "hang":
                time.sleep(60)
            case "busy":
                end = time.process_time() + 1.5
                while time.process_time() < end:
                    pass
        return f"{task} done"

    return work


def test_every_task_is_done_once() -> None:
    tasks = [f"t{i}" for i in range(50)]
    assert sorted(pool.run(tasks, prepare, jobs=3, limit=30)) == sorted((t, f"{t} done") for t in tasks)


def test_workers_that_are_spawned_do_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_context", lambda: multiprocessing.get_context("spawn"))
    results = dict(pool.run(["a", "exit", "b"], prepare, jobs=1, limit=30))
    assert results == {"a": "a done", "exit": pool.Lost("ended its worker process (exit status 3)"), "b": "b done"}


def test_deaths_are_named_and_the_rest_goes_on() -> None:
    tasks = ["a", "segfault", "b", "memory", "c", "exit", "d"]
    results = dict(pool.run(tasks, prepare, jobs=2, limit=30))
    assert {t: r for t, r in results.items() if isinstance(r, str)} == {t: f"{t} done" for t in "abcd"}
    assert results["segfault"] == pool.Lost("killed its worker process (SIGSEGV)")
    assert results["memory"] == pool.Lost("killed its worker process (SIGKILL, perhaps out of memory)")
    assert results["exit"] == pool.Lost("ended its worker process (exit status 3)")


def test_one_worker_survives_deaths_too() -> None:
    results = dict(pool.run(["segfault", "segfault2", "a"], prepare, jobs=1, limit=30))
    assert isinstance(results["segfault"], pool.Lost)
    assert results["a"] == "a done"


def test_a_worker_that_never_answers_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "GRACE", 0.3)
    results = dict(pool.run(["hang", "a", "b"], prepare, jobs=2, limit=0.2))
    assert isinstance(results["hang"], pool.Lost)
    assert "gave no answer" in results["hang"].reason
    assert results["a"] == "a done"
    assert results["b"] == "b done"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process waits for")
def test_a_worker_that_waits_for_the_processor_is_given_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "GRACE", 0.3)
    monkeypatch.setattr(pool, "PATIENCE", 0.0)
    assert dict(pool.run(["busy"], prepare, jobs=1, limit=30)) == {"busy": "busy done"}
    assert "gave no answer" in dict(pool.run(["busy"], prepare, jobs=1, limit=0.1))["busy"].reason


def test_no_worker_outlives_the_run() -> None:
    results = pool.run(["a", "hang", "b"], prepare, jobs=3, limit=30)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


def test_the_time_limit_ends_python_code() -> None:
    def spin() -> None:
        with clock.time_limit(0.05):
            while True:
                pass

    with pytest.raises(clock.TimeUp):
        spin()
    with clock.time_limit(5):
        assert signal.getitimer(signal.ITIMER_PROF)[0] > 4
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0
