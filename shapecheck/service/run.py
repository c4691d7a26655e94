"""A whole run: many files, the cache, the workers; and what comes out of it."""

from __future__ import annotations

import ast
import contextlib
import functools
import gc
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shapecheck.findings import packs
from shapecheck.findings.diagnostic import UNUSED, Diagnostic, Problem
from shapecheck.service import config, interrupt
from shapecheck.service.cache import Answer, Cache, digest, own_state
from shapecheck.service.files import Unusable, read_file
from shapecheck.source.imports import look_again, roots_of

if TYPE_CHECKING:
    from shapecheck.engine.evidence import Evidence
    from shapecheck.findings.rule import Rule
    from shapecheck.service.check import Check, Options, Result
    from shapecheck.service.recorded import Recorded

# trees and facts are many and live long: looking at them took a quarter of the time
GC_THRESHOLD = (1_000_000, 20, 100)
ALONE_BYTES = 200_000  # below this much source, starting workers costs more than it brings


@dataclass(slots=True)
class Outcome:
    """What a run found. `checked` are the files that were looked at and understood, or left alone since nothing in them
    speaks of tensors; `sources` has the bytes of those that were checked, `answers` what the check of each said.
    `interrupted`: what is here is what was found until then."""

    checked: set[str] = field(default_factory=set)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    sources: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    cache_fault: str = ""
    interrupted: bool = False


OptionsOf = Callable[[str], "Options"]
Shows = Callable[[Diagnostic, bytes], bool]  # whether a finding in this text is one that the user is told of


def run(
    files: Sequence[str],
    options_of: OptionsOf,
    *,
    named: Collection[str] = (),
    given: Mapping[str, bytes] | None = None,
    jobs: int = 0,
    cache_folder: Path | None = None,
    tick: Callable[[int, int], None] | None = None,
    recorded: Recorded | None = None,
) -> Outcome:
    """Check `files` (absolute paths), each with its own options. `given` has the text of files that are not to be read
    from disk, `named` those that the user wrote out: their syntax is checked even where nothing in them concerns us.
    Ctrl-C ends the run with what was found so far. Raises packs.PackError."""
    from shapecheck.service.check import may_concern

    found = packs.find()
    cache = None if cache_folder is None else Cache(cache_folder)
    in_general = functools.cache(lambda options: _setting(options, found))

    def setting(path: str, options: Options) -> str:
        return "\n".join([in_general(options), *roots_of(path), *([recorded.digest] if recorded else [])])

    look_again()
    outcome = Outcome()
    answers = outcome.answers
    tasks: list[Task] = []
    asked: dict[Options, None] = {}
    known: set[Options] = set()  # those that an answer in the cache shows to be good
    try:
        for path in files:
            try:
                source = given[path] if given and path in given else read_file(path)
            except Unusable as error:
                outcome.problems.append(Problem(path, f"cannot be read: {error}"))
                continue
            options = options_of(path)
            asked[options] = None
            if not may_concern(source) and not (path in named and not _parses(source)):
                outcome.checked.add(path)
                continue
            cached = cache.get(path, source, setting(path, options)) if cache else None
            if cached is not None:
                known.add(options)
                answers[path] = cached
                outcome.sources[path] = source
                outcome.checked.add(path)
            else:
                tasks.append(Task(path, source, options))
        if tasks or asked.keys() - known:  # a run that finds everything in the cache imports neither libcst nor rules
            with interrupt.shielded():
                checks = make_checks(asked, recorded.evidence if recorded else None)
                flaws = packs.flaws(found)
            outcome.problems += [Problem(path, f"this rule is left out: {why}", partly=True) for path, why in flaws]
            for task, result in _results(tasks, checks, jobs or os.cpu_count() or 1, tick, recorded):
                answer = Answer(result.diagnostics, result.used, result.rests_on, result.unfinished)
                answers[task.path] = answer
                outcome.sources[task.path] = task.source
                outcome.problems += result.problems
                if all(problem.partly for problem in result.problems):
                    outcome.checked.add(task.path)
                if cache and not result.problems and not flaws:
                    cache.put(task.path, task.source, setting(task.path, task.options), answer)
        if cache and tasks:
            cache.forget_old()
    except KeyboardInterrupt:
        outcome.interrupted = True
    outcome.cache_fault = cache.fault if cache else ""
    outcome.diagnostics = _merged(answers, options_of)
    outcome.problems.sort(key=lambda p: (p.path, p.message))
    return outcome


def _merged(answers: Mapping[str, Answer], options_of: OptionsOf) -> list[Diagnostic]:
    """All findings in order. Two files can lead to one place, and that place's own configuration and marks hold."""
    from shapecheck.service.check import counts

    used = {mark for answer in answers.values() for mark in answer.used}
    unique = {
        (d.span, d.code): d
        for path in sorted(answers)
        for d in answers[path].diagnostics
        if d.path == path or counts(d, options_of)
    }
    kept = (d for d in unique.values() if d.code != UNUSED[0] or (d.path, *astuple(d.location)) not in used)
    return sorted(kept, key=lambda d: d.order)


@dataclass(frozen=True, slots=True)
class Repair:
    """One file's text before and after its fixes, what is found in either, and what cannot be fixed. `fixing`: else
    what is found is not mended, but silenced."""

    path: str
    before: bytes
    after: bytes
    found: tuple[Diagnostic, ...]
    left: tuple[Diagnostic, ...]
    unsafe: bool = False
    fixing: bool = True

    @property
    def fixed(self) -> int:
        """How many of the findings that had a fix are gone, or of all that were to be silenced."""
        if not self.fixing:
            return len(self.found) - len(self.left)
        was, still = Counter(d.code for d in self.found), Counter(d.code for d in self.left)
        had_fix = Counter(d.code for d in self.found if d.fix and (self.unsafe or d.fix.safe))
        return sum(min(number, max(0, was[code] - still[code])) for code, number in had_fix.items())


def repair(outcome: Outcome, options_of: OptionsOf, unsafe: bool, shows: Shows) -> Iterator[Repair | Problem]:
    """The fixed texts, not yet written, of findings that `shows` takes in; and what could not be fixed.

    Raises packs.PackError.
    """
    fixable = {p: ds for p, ds in _shown(outcome, shows).items() if any(d.fix and (unsafe or d.fix.safe) for d in ds)}
    if not fixable:
        return
    checks = make_checks([options_of(path) for path in fixable])
    for path, found in fixable.items():
        yield from _repaired(checks.of(options_of(path)), path, outcome.sources[path], found, unsafe, shows)


def _repaired(
    check: Check,
    path: str,
    source: bytes,
    found: Sequence[Diagnostic],
    unsafe: bool,
    shows: Shows,
) -> Iterator[Repair | Problem]:
    from shapecheck.findings.fixes import fix_text

    def recheck(text: bytes) -> Sequence[Diagnostic] | None:
        result = check(path, text)
        if any(not problem.partly for problem in result.problems):
            return None
        return [d for d in result.diagnostics if d.path == path and shows(d, text)]

    restless: frozenset[str] = frozenset()
    fixed = fix_text(source, found, unsafe, recheck)
    while fixed.restless - restless:
        restless |= fixed.restless
        fixed = fix_text(source, found, unsafe, recheck, restless)
    if restless:
        codes = ", ".join(sorted(restless))
        yield Problem(path, f"not fixed for {codes}: its fixes would not come to rest", partly=True)
    if fixed.source != source:
        yield Repair(path, source, fixed.source, tuple(found), fixed.left, unsafe)


def silence(outcome: Outcome, shows: Shows) -> Iterator[Repair | Problem]:
    """The texts, not yet written, in which comments silence the findings that `shows` takes in; and where none can."""
    from shapecheck.findings.silencing import silenced
    from shapecheck.source.text import decode

    for path, found in _shown(outcome, shows).items():
        before = decode(outcome.sources[path])
        said, left = silenced(before, found)
        try:
            text = before.with_text(said).encode() if before.encode() == outcome.sources[path] else None
        except UnicodeError:
            text = None
        if text is None:
            yield Problem(path, f"not silenced: {before.encoding} would spell the text in other bytes", partly=True)
        elif text != outcome.sources[path]:
            yield Repair(path, outcome.sources[path], text, tuple(found), left, fixing=False)


def _shown(outcome: Outcome, shows: Shows) -> dict[str, list[Diagnostic]]:
    """The findings that `shows` takes in, by the file that was checked."""
    by_path: dict[str, list[Diagnostic]] = {}
    for d in outcome.diagnostics:
        if d.path in outcome.sources and shows(d, outcome.sources[d.path]):
            by_path.setdefault(d.path, []).append(d)
    return by_path


def after(outcome: Outcome, made: Sequence[Repair], options_of: OptionsOf, look_again: bool) -> None:
    """Let the outcome tell of the repaired texts. `look_again`: they are written, so what rests on them is checked
    anew."""
    if not made:
        return
    new = {one.path: one.after for one in made}
    outcome.sources.update(new)
    left = [d for one in made for d in one.left]
    hidden = [d for d in outcome.diagnostics if d.path not in new]
    outcome.diagnostics = sorted([*hidden, *left], key=lambda d: d.order)
    if not look_again:
        return
    rest_on_them = {p for p, answer in outcome.answers.items() if not new.keys().isdisjoint(answer.rests_on)}
    touched = new.keys() | rest_on_them
    again = run(sorted(touched), options_of, given={p: outcome.sources[p] for p in touched}, jobs=1)
    outcome.answers.update(again.answers)
    outcome.diagnostics = _merged(outcome.answers, options_of)
    outcome.problems += [p for p in again.problems if p not in outcome.problems]


def make_check(options: Options) -> Check:
    """A check with the chosen rules of all installed packs. Raises packs.PackError."""
    return make_checks([options]).of(options)


def make_checks(options: Iterable[Options], evidence: Evidence | None = None) -> Checks:
    """A check for each of these options, that know the project's modules together, and what was seen of them when they
    ran. Raises packs.PackError."""
    from shapecheck.service.check import Check
    from shapecheck.source import lower
    from shapecheck.source.imports import Project

    look_again()
    loaded = packs.load(packs.find())
    rules = [item.rule for item in loaded]
    project = Project(lower.parse, (lower.Unreadable,))
    project.evidence = evidence
    return Checks({one: Check(_chosen(loaded, one), one, project, rules) for one in dict.fromkeys(options)})


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of a run, by their options."""

    by_options: Mapping[Options, Check]

    def of(self, options: Options) -> Check:
        return self.by_options[options]

    def __call__(self, task: Task) -> Result:
        return self.by_options[task.options](task.path, task.source)


def _chosen(loaded: Sequence[packs.Loaded], options: Options) -> tuple[Rule, ...]:
    """The rules that these options ask for. Raises UnknownRule for a pattern that fits no rule, or
    ConfigError where a configuration has it."""
    try:
        packs.check_patterns(loaded, [code for _, codes in options.per_file_ignores for code in codes])
        return packs.choose(loaded, options.select, options.ignore)
    except packs.UnknownRule as error:
        blamed = None if options.source is None else config.blamed(options.source, error.pattern, str(error))
        raise blamed or error from error


def _setting(options: Options, found: Sequence[packs.Pack]) -> str:
    """What the cache's answers depend on beside the files."""
    version = ".".join(map(str, sys.version_info[:3]))
    return digest(repr(options).encode(), _own_state().encode(), packs.fingerprint(found).encode(), version.encode())


_own_state = functools.cache(own_state)


@dataclass(frozen=True, slots=True)
class Task:
    """One file to be checked."""

    path: str
    source: bytes
    options: Options


def _results(
    tasks: Sequence[Task],
    checks: Checks,
    jobs: int,
    tick: Callable[[int, int], None] | None,
    recorded: Recorded | None,
) -> Iterator[tuple[Task, Result]]:
    """Each file's result as it comes. `checks` is at hand here also where workers do the work: they are forked with all
    of it imported."""
    from shapecheck.service.check import Result
    from shapecheck.service.pool import Lost
    from shapecheck.service.pool import run as run_pool

    if not tasks:
        return
    gc.freeze()  # what is imported stays: the collector need not look at it, nor copy a worker's pages
    small = sum(len(task.source) for task in tasks) < ALONE_BYTES
    if not small:
        gc.enable()  # `main` starts without it
        gc.set_threshold(*GC_THRESHOLD)
    if small:  # else a worker does even one file: the parser hears no Ctrl-C, and may die
        for number, task in enumerate(tasks, 1):
            yield task, checks(task)
            if tick:
                tick(number, len(tasks))
        return
    largest_first = sorted(tasks, key=lambda task: -len(task.source))
    prepare = functools.partial(make_checks, tuple(checks.by_options), recorded.evidence if recorded else None)
    limit = max(task.options.limit for task in tasks)
    with contextlib.closing(run_pool(largest_first, prepare, jobs, limit)) as pool:
        for number, (task, result) in enumerate(pool, 1):
            if isinstance(result, Lost):
                result = Result(task.path, problems=(Problem(task.path, f"not checked: {result.reason}"),))
            yield task, result
            if tick:
                tick(number, len(tasks))


def _parses(source: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
