"""From the bytes of one file to its diagnostics. Start reading here.

bytes -> prefilter -> lower.parse -> engine.analyze -> rules -> covers -> places -> marks -> Diagnostics
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from shapecheck.findings.diagnostic import HOME, Diagnostic, Problem, shown
from shapecheck.findings.marks import SkipFile, matches
from shapecheck.findings.marks import read as read_marks
from shapecheck.findings.rule import Checker, Finding, Rule
from shapecheck.service import interrupt
from shapecheck.service.clock import TimeUp, time_limit
from shapecheck.service.config import ConfigError
from shapecheck.service.project import Patterns
from shapecheck.source.text import Location, decode

if TYPE_CHECKING:
    from shapecheck.engine.facts import Fact, Facts
    from shapecheck.engine.faults import Fault
    from shapecheck.source.imports import Project
    from shapecheck.source.program import Program

_TENSORS = re.compile(
    rb"\A(?:\xff\xfe|\xfe\xff)|torch|einops|jaxtyping|transformers|[Tt]ensor|\.(?:view|unsqueeze|matmul|bmm|permute|size|shape)\b"
)


@dataclass(frozen=True, slots=True)
class Options:
    """What a check depends on beside the file: which codes count where. Patterns are relative to `root`; `source` is
    the configuration file that says so. `left_out`: nothing there is to be told, also when another file leads to it."""

    root: Path
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unused_ignores: bool = False
    limit: float = 30.0
    source: Path | None = None
    strict: bool = False  # nothing that rests on an assumption
    left_out: bool = False

    def off(self, path: str) -> tuple[str, ...]:
        """What per-file-ignores switches off in this file."""
        return tuple(
            code for pattern, codes in self.per_file_ignores if _pattern(self.root, pattern).hit(path) for code in codes
        )


_pattern = lru_cache(maxsize=1000)(lambda root, pattern: Patterns(root, [pattern]))


def counts(d: Diagnostic, options_of: Callable[[str], Options]) -> bool:
    """Whether the configuration of the place where a finding stands wants it: it may come from another file's check."""
    try:
        options = options_of(d.path)
    except ConfigError:
        return True
    wanted = not options.left_out and (not options.select or matches(d.code, d.name, options.select))
    return wanted and not matches(d.code, d.name, (*options.ignore, *options.off(d.path)))


@dataclass(frozen=True, slots=True)
class Result:
    """What there is to say about one file. `rests_on` are other files that were read, and paths that were looked for in
    vain; `used` are marks of other files, by path, row and column, that silenced something."""

    path: str
    diagnostics: tuple[Diagnostic, ...] = ()
    problems: tuple[Problem, ...] = ()
    rests_on: tuple[str, ...] = ()
    used: tuple[tuple[str, int, int], ...] = ()
    unfinished: int = 0  # functions that the step limit broke off


def may_concern(source: bytes) -> bool:
    """Whether a file can have anything to do with tensors; a search of its bytes, so that most files cost nothing.
    UTF-16 hides every word."""
    return _TENSORS.search(source) is not None


class Check:
    """Checks files one after the other, and keeps the project's parsed modules between them."""

    def __init__(
        self, rules: Sequence[Rule], options: Options, project: Project | None = None, known: Sequence[Rule] = ()
    ) -> None:
        """`known` are all rules that are installed, also those that do not run."""
        from shapecheck import engine
        from shapecheck.source import lower
        from shapecheck.source.imports import Project

        self._lower, self._engine = lower, engine
        self._project = project or Project(lower.parse, (lower.Unreadable,))
        self._rules, self._options = rules, options
        self._known = {(rule.code, rule.name) for rule in known or rules}

    def __call__(self, path: str, source: bytes) -> Result:
        """Never raises for what is in the file: a fault, also one of ours, is a Problem that names it."""
        try:
            with time_limit(self._options.limit):
                return self._check(path, source)
        except self._lower.Unreadable as error:
            at = None if error.line is None else Location(error.line, error.column or 1)
            return Result(path, problems=(Problem(path, error.reason, at),))
        except TimeUp:
            self._project.forget()  # it may be half made
            message = f"not checked: no end after {self._options.limit:g} seconds (--time-limit)"
            return Result(path, problems=(Problem(path, message),))
        except Exception as error:
            self._project.forget()
            interrupt.check()  # Ctrl-C may have come out as something else
            return Result(path, problems=(internal_error(path, error),))

    def _check(self, path: str, source: bytes) -> Result:
        from shapecheck.findings.fixes import possible
        from shapecheck.findings.places import Places

        if _asks_to_be_skipped(source):
            return Result(path)
        program = self._project.known(path, source) or self._lower.parse(source, path)
        facts = self._engine.analyze(program, self._project)
        problems = [_of_fault(program, fault) for fault in facts.faults.values()]
        broken: set[str] = set()
        findings = self._settled(program, facts, list(_findings(facts, self._rules, problems, broken)))
        places = Places(program, source, self._project)

        def refuse(finding: Finding, error: Exception) -> None:
            broken.add(finding.code)
            problems.append(internal_error(path, error, f"rule {finding.code}"))

        kept = [d for d in places.diagnostics(findings, refuse) if not self._ignored(d)]
        kept = possible(source, places.unsilenced(kept))
        if self._options.unused_ignores:
            off = self._options.off(path)
            ran = {(r.code, r.name) for r in self._rules if r.code not in broken and not matches(r.code, r.name, off)}
            kept += places.vain(ran, self._known)
        kept.sort(key=lambda d: d.order)
        rests_on = tuple(self._project.read_for(path))
        return Result(
            path, tuple(kept), tuple(dict.fromkeys(problems)), rests_on, places.used_elsewhere, len(facts.unfinished)
        )

    def _settled(self, program: Program, facts: Facts, found: list[tuple[Finding, Fact]]) -> list[Finding]:
        """What was found, with what has to be assumed for it: whatever a second run that supposes nothing lacks."""
        from shapecheck.analysis.resting import outdated, settled, written_against

        if tried := written_against(found):
            seen = self._engine.analyze(program, self._project, tried=tried)
            found = list(outdated(found, facts, seen.refuted))
        by_custom = () if self._options.strict else tuple(self._by_custom(facts, found))
        if not found or not facts.assumed:
            return [*(finding for finding, _ in found), *by_custom]
        bare = self._engine.analyze(program, self._project, supposing=False)
        proven = (finding for finding, _ in _findings(bare, self._rules, [], set()))
        return [*settled(found, proven, facts, strict=self._options.strict), *by_custom]

    def _by_custom(self, facts: Facts, found: Sequence[tuple[Finding, Fact]]) -> Iterator[Finding]:
        """What is found only where names mean what they customarily do. What is written is not held against that."""
        from shapecheck.analysis.resting import settled
        from shapecheck.engine.facts import Beside, Contract

        told = {(f.code, id(node)) for f, fact in found for node in (f.site.node, fact.site.node)}
        for world in facts.in_worlds():
            more: list[tuple[Finding, Fact]] = []
            for f, fact in _findings(world, self._rules, [], set()):
                places = {(f.code, id(f.site.node)), (f.code, id(fact.site.node))}
                if not told & places and not isinstance(fact, (Beside, Contract)):
                    more.append((f, fact))
            told |= {(f.code, id(node)) for f, fact in more for node in (f.site.node, fact.site.node)}
            yield from settled(more, (), world, strict=False)

    def _ignored(self, d: Diagnostic) -> bool:
        return matches(d.code, d.name, self._options.off(d.path))


def _asks_to_be_skipped(source: bytes) -> bool:
    if b"skip-file" not in source:
        return False
    try:
        text = decode(source).text
    except (SyntaxError, UnicodeError, LookupError):  # parsing will say what is wrong
        return False
    return any(isinstance(mark, SkipFile) for mark in read_marks(text))


def _findings(
    facts: Facts, rules: Sequence[Rule], problems: list[Problem], broken: set[str]
) -> Iterator[tuple[Finding, Fact]]:
    """Every rule's findings, each with its fact. A rule that fails at a fact has nothing to say of it; each failure is
    told once."""
    from shapecheck.findings.wellformed import checked

    by_kind: dict[type, list[tuple[Rule, Checker]]] = {}
    for rule in rules:
        for kind, check in rule.checkers:
            by_kind.setdefault(kind, []).append((rule, check))
    asked: dict[type, list[tuple[Rule, Checker]]] = {}
    for fact in facts.items:
        checks = asked.get(type(fact))
        if checks is None:
            checks = asked[type(fact)] = [each for kind in type(fact).__mro__ for each in by_kind.get(kind, ())]
        for rule, check in checks:
            try:
                for finding in check(fact, facts):
                    yield checked(rule, finding), fact
            except Exception as error:
                broken.add(rule.code)
                problem = internal_error(facts.path, error, f"rule {rule.code}")
                if problem not in problems:
                    problems.append(problem)


def _of_fault(program: Program, fault: Fault) -> Problem:
    """A bug of the engine's, with the place in the linted file that it met."""
    from shapecheck.source.positions import spans

    try:
        place = spans(program).span(fault.site.node)
    except KeyError:  # in a file that this one imports
        return Problem(program.path, _report(fault, f", met in {shown(fault.site.path)}"), partly=True)
    return Problem(program.path, _report(fault), Location(place.row, place.column), partly=True)


def internal_error(path: str, error: Exception, doing: str = "") -> Problem:
    """What a user sees of a bug of ours: the file, what was at work, the line of ours, and where to report it. With
    nothing at work that it would cost alone, the file is unchecked."""
    from shapecheck.engine.faults import Fault

    return Problem(path, _report(Fault.of(error, doing)), partly=bool(doing))


def _report(fault: Fault, where: str = "") -> str:
    doing, place = f" in {fault.doing}" if fault.doing else "", f" ({fault.place})" if fault.place else ""
    return f"internal error{doing}{where}: {fault.error}{place}; please report it at {HOME}/issues"
