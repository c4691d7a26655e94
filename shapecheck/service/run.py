"""A whole run: many files, the cache, the workers; and what comes out of it."""

from __future__ import annotations

import ast
import functools
import gc
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shapecheck.findings import packs
from shapecheck.findings.diagnostic import Diagnostic, Problem
from shapecheck.findings.rule import Severity
from shapecheck.service.cache import Cache, digest, own_state
from shapecheck.service.config import at_least

if TYPE_CHECKING:
    from shapecheck.service.check import Check, Options, Result

GC_THRESHOLD = (100_000, 20, 100)  # trees and facts are many and live long: looking at them took a quarter of the time
ALONE_BYTES = 200_000  # below this much source, starting workers costs more than it brings


@dataclass(slots=True)
class Outcome:
    """What a run found. `files` counts the files looked at, `sources` has the bytes of those that were checked."""

    files: int = 0
    diagnostics: list[Diagnostic] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    sources: dict[str, bytes] = field(default_factory=dict)


def run(
    files: Sequence[str],
    options: Options,
    *,
    named: frozenset[str] = frozenset(),
    given: dict[str, bytes] | None = None,
    jobs: int = 0,
    cache_folder: Path | None = None,
    tick: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Check `files` (absolute paths). `given` has the text of files that are not to be read from disk, `named` those
    that the user wrote out: their syntax is checked even where nothing in them concerns us. Raises packs.PackError."""
    from shapecheck.service.check import may_concern

    found = packs.find()
    cache = None if cache_folder is None else Cache(cache_folder, setting(options, found))
    outcome = Outcome()
    results: dict[str, Sequence[Diagnostic]] = {}
    tasks: list[tuple[str, bytes]] = []
    for path in files:
        try:
            source = given[path] if given and path in given else Path(path).read_bytes()
        except OSError as error:
            outcome.problems.append(Problem(path, f"cannot be read: {error.strerror or error}"))
            continue
        outcome.files += 1
        if not may_concern(source) and not (path in named and not _parses(source)):
            continue
        cached = cache.get(path, source) if cache else None
        if cached is not None:
            results[path] = cached
            outcome.sources[path] = source
        else:
            tasks.append((path, source))
    sources = dict(tasks)
    if tasks or not results:  # a run that finds everything in the cache imports neither libcst nor rules
        make = functools.partial(make_check, options)
        flaws = [Problem(path, f"this rule is left out: {flaw}") for path, flaw in packs.flaws(found)]
        outcome.problems += flaws
        for path, result in _results(tasks, make, jobs or os.cpu_count() or 1, options.limit, tick):
            results[path] = result.diagnostics
            outcome.sources[path] = sources[path]
            outcome.problems += result.problems
            if cache and not result.problems and not flaws:
                cache.put(path, sources[path], result.diagnostics, result.reads)
    if cache and tasks:
        cache.forget_old()
    unique = {(d.span, d.code): d for path in sorted(results) for d in results[path]}  # two files can lead to one place
    outcome.diagnostics = sorted(unique.values(), key=lambda d: d.order)
    outcome.problems.sort(key=lambda p: (p.path, p.message))
    return outcome


@dataclass(frozen=True, slots=True)
class Repair:
    """One file's text before and after its fixes, and how many were made."""

    path: str
    before: bytes
    after: bytes
    fixes: int


def repair(outcome: Outcome, options: Options, unsafe: bool, floor: Severity = Severity.INFO) -> list[Repair]:
    """The fixed texts, not yet written: of findings at or above `floor`. The outcome then tells of the fixed texts.

    Raises packs.PackError.
    """
    from shapecheck.findings.fixes import choose, fix_text

    repairs: list[Repair] = []
    check: Check | None = None
    outcome.diagnostics = [d for d in outcome.diagnostics if at_least(d.severity, floor)]
    for path in sorted({d.path for d in choose(outcome.diagnostics, unsafe)}):
        check = check or make_check(options)
        checker = check

        def recheck(text: bytes, path: str = path, checker: Check = checker) -> Sequence[Diagnostic] | None:
            result = checker(path, text)
            return None if result.problems else [d for d in result.diagnostics if at_least(d.severity, floor)]

        source = outcome.sources[path]
        fixed = fix_text(source, [d for d in outcome.diagnostics if d.path == path], unsafe, recheck)
        if not fixed.settled:
            codes = ", ".join(sorted({d.code for d in fixed.applied}))
            message = f"left as it was: its fixes did not come to rest ({codes})"
            outcome.problems.append(Problem(path, message))
        elif fixed.source != source:
            repairs.append(Repair(path, source, fixed.source, len(fixed.applied)))
            outcome.sources[path] = fixed.source
            outcome.diagnostics = sorted(
                [*(d for d in outcome.diagnostics if d.path != path), *fixed.left], key=lambda d: d.order
            )
    return repairs


def make_check(options: Options) -> Check:
    """A check with the chosen rules of all installed packs. Raises packs.PackError."""
    from shapecheck.service.check import Check

    return Check(packs.choose(packs.load(packs.find()), options.select, options.ignore), options)


def setting(options: Options, found: Sequence[packs.Pack]) -> str:
    """What the cache's answers depend on beside the files."""
    version = ".".join(map(str, sys.version_info[:3]))
    return digest(repr(options).encode(), own_state().encode(), packs.fingerprint(found).encode(), version.encode())


def _results(
    tasks: Sequence[tuple[str, bytes]],
    make: Callable[[], Check],
    jobs: int,
    limit: float,
    tick: Callable[[int, int], None] | None,
) -> list[tuple[str, Result]]:
    from shapecheck.service.check import Result
    from shapecheck.service.pool import Lost
    from shapecheck.service.pool import run as run_pool

    check = make()  # also where workers do the work: they are forked with all imported, and a bad pack shows here
    if not tasks:
        return []
    gc.freeze()  # what is imported stays: the collector need not look at it, nor copy a worker's pages
    small = sum(len(source) for _, source in tasks) < ALONE_BYTES
    if not small:
        gc.enable()  # `main` starts without it
        gc.set_threshold(*GC_THRESHOLD)
    if small or jobs == 1 or len(tasks) == 1:
        done = []
        for number, (path, source) in enumerate(tasks, 1):
            done.append((path, check(path, source)))
            if tick:
                tick(number, len(tasks))
        return done
    done = []
    largest_first = sorted(tasks, key=lambda task: -len(task[1]))
    for (path, _), result in run_pool(largest_first, functools.partial(_worker, make), jobs, limit):
        if isinstance(result, Lost):
            result = Result(path, problems=(Problem(path, f"not checked: {result.reason}"),))
        done.append((path, result))
        if tick:
            tick(len(done), len(tasks))
    return done


def _worker(make: Callable[[], Check]) -> Callable[[tuple[str, bytes]], Result]:
    check = make()
    return lambda task: check(*task)


def _parses(source: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
