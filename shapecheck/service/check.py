"""From the bytes of one file to its diagnostics. Start reading here.

bytes -> prefilter -> lower.parse -> engine.analyze -> rules -> covers -> places -> marks -> Diagnostics
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shapecheck.findings.diagnostic import HOME, Diagnostic, Problem
from shapecheck.findings.marks import SkipFile, matches
from shapecheck.findings.marks import read as read_marks
from shapecheck.findings.rule import Checker, Finding, Rule
from shapecheck.service.clock import TimeUp, time_limit
from shapecheck.service.project import Patterns
from shapecheck.source.text import Location, decode

if TYPE_CHECKING:
    from shapecheck.engine.facts import Facts

_TENSORS = re.compile(
    rb"torch|einops|jaxtyping|transformers|[Tt]ensor|\.(?:view|unsqueeze|matmul|bmm|permute|size|shape)\b"
)


@dataclass(frozen=True, slots=True)
class Options:
    """What a check depends on beside the file: which codes count where. Patterns are relative to `root`."""

    root: Path
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unused_ignores: bool = False
    limit: float = 30.0


@dataclass(frozen=True, slots=True)
class Result:
    """What there is to say about one file. `reads` are the other files that the answer rests on."""

    path: str
    diagnostics: tuple[Diagnostic, ...] = ()
    problems: tuple[Problem, ...] = ()
    reads: tuple[str, ...] = ()


def may_concern(source: bytes) -> bool:
    """Whether a file can have anything to do with tensors; a search of its bytes, so that most files cost nothing."""
    return _TENSORS.search(source) is not None


class Check:
    """Checks files one after the other, and keeps the project's parsed modules between them."""

    def __init__(self, rules: Sequence[Rule], options: Options) -> None:
        from shapecheck import engine
        from shapecheck.source import lower
        from shapecheck.source.imports import Project

        self._lower, self._engine = lower, engine
        self._project = Project(lower.parse, (lower.Unreadable,))
        self._rules, self._options = rules, options
        self._ignores = [(Patterns(options.root, [pattern]), codes) for pattern, codes in options.per_file_ignores]

    def __call__(self, path: str, source: bytes) -> Result:
        """Never raises for what is in the file: a fault, also one of ours, is a Problem that names it."""
        try:
            with time_limit(self._options.limit):
                return self._check(path, source)
        except self._lower.Unreadable as error:
            at = None if error.line is None else Location(error.line, error.column or 1)
            return Result(path, problems=(Problem(path, error.reason, at),))
        except TimeUp:
            message = f"not checked: no end after {self._options.limit:g} seconds"
            return Result(path, problems=(Problem(path, message),))
        except Exception as error:
            return Result(path, problems=(internal_error(path, error),))

    def _check(self, path: str, source: bytes) -> Result:
        from shapecheck.findings.places import Places

        if _asks_to_be_skipped(source):
            return Result(path)
        self._project.read = []
        program = self._lower.parse(source, path)
        facts = self._engine.analyze(program, self._project)
        problems: list[Problem] = []
        findings = list(_findings(facts, self._rules, problems))
        places = Places(program, source, self._project)
        kept = [d for d in places.diagnostics(findings) if not self._ignored(d)]
        kept = places.unsilenced(kept, self._active if self._options.unused_ignores else None)
        return Result(path, tuple(sorted(kept, key=lambda d: d.order)), tuple(problems), tuple(self._project.read))

    def _ignored(self, diagnostic: Diagnostic) -> bool:
        return any(
            matches(diagnostic.code, diagnostic.name, codes) and pattern.hit(diagnostic.path)
            for pattern, codes in self._ignores
        )

    @property
    def _active(self) -> frozenset[tuple[str, str]]:
        return frozenset((rule.code, rule.name) for rule in self._rules)


def _asks_to_be_skipped(source: bytes) -> bool:
    if b"skip-file" not in source:
        return False
    try:
        text = decode(source).text
    except (SyntaxError, UnicodeError, LookupError):  # parsing will say what is wrong
        return False
    return any(isinstance(mark, SkipFile) for mark in read_marks(text))


def _findings(facts: Facts, rules: Sequence[Rule], problems: list[Problem]) -> Iterator[Finding]:
    """Every rule's findings; a rule that fails is named and asked no more about this file."""
    by_kind: dict[type, list[tuple[Rule, Checker]]] = {}
    for rule in rules:
        for kind, check in rule.checkers:
            by_kind.setdefault(kind, []).append((rule, check))
    broken: set[str] = set()
    for fact in facts.items:
        for kind in type(fact).__mro__:
            for rule, check in by_kind.get(kind, ()):
                if rule.code in broken:
                    continue
                try:
                    yield from check(fact, facts)
                except Exception as error:
                    broken.add(rule.code)
                    problems.append(internal_error(facts.path, error, f" in rule {rule.code}"))


def internal_error(path: str, error: Exception, where: str = "") -> Problem:
    """What a user sees of a bug of ours: the file, the last frame, and where to report it."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    last = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    what = f"internal error{where}: {type(error).__name__}: {error}{last}; please report it at {HOME}/issues"
    return Problem(path, what)
