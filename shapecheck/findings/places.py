"""From findings, which point at nodes, to diagnostics, which point at rows and columns.

Positions are computed here and only here: for files with findings alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from shapecheck.engine.values import Site
from shapecheck.findings.diagnostic import UNUSED, Caret, Diagnostic, Remark, Span, TextFix
from shapecheck.findings.fixes import resolve
from shapecheck.findings.marks import Ignore, Malformed, Mark, SkipFile, matches
from shapecheck.findings.marks import read as read_marks
from shapecheck.findings.rule import LEVELS, Finding, Severity
from shapecheck.source.imports import Project
from shapecheck.source.positions import Positions, spans
from shapecheck.source.program import Program
from shapecheck.source.text import Location, Source, decode

Refusal = Callable[[Finding, Exception], None]


class Places:
    """The texts and positions that the findings of one checked file need."""

    def __init__(self, program: Program, source: bytes, project: Project) -> None:
        self._path = program.path
        self._program = program
        self._project = project
        self._sources: dict[str, Source] = {program.path: decode(source)}
        self._spans: dict[int, Span] = {}
        self._read: dict[str, tuple[Mark, ...]] = {}
        self._used: set[tuple[str, int, int]] = set()

    def source(self, path: str) -> Source:
        if path not in self._sources:
            self._sources[path] = decode(Path(path).read_bytes())
        return self._sources[path]

    def span(self, site: Site) -> Span:
        return self._spans[id(site.node)]

    def diagnostics(self, findings: Sequence[Finding], refuse: Refusal) -> Iterator[Diagnostic]:
        """The findings that no other one covers, resolved. Of several with one code at one place the gravest stays.
        One that points at nothing goes to `refuse`, with what is wrong with it."""
        findings = self._resolve(findings, refuse)
        best: dict[tuple[str, Span], Finding] = {}
        for finding in sorted(findings, key=lambda f: -LEVELS[f.severity]):
            best.setdefault((finding.code, self.span(finding.site)), finding)
        covered = {
            (code, span.path, span.start.row)
            for finding in best.values()
            for code in finding.covers
            for span in map(self.span, [finding.site, *(note.site for note in finding.notes if note.site)])
        }
        kept = [
            (finding, span)
            for (_, span), finding in best.items()
            if (finding.code, span.path, span.start.row) not in covered
        ]
        for (finding, span), *others in _by_cause(kept):
            notes = [Remark(note.message, self.span(note.site) if note.site else None) for note in finding.notes]
            try:
                fix = self._fix(finding)
            except Exception as error:  # its fix was a promise that cannot be kept; what was found stands
                fix = None
                refuse(finding, error)
            yield Diagnostic(
                finding.code,
                finding.name,
                finding.severity,
                finding.message,
                span,
                tuple(Caret(self.span(label.site), label.text) for label in finding.labels),
                (*notes, *(Remark("the same here", other) for _, other in others)),
                finding.condition,
                finding.help,
                fix,
            )

    def _fix(self, finding: Finding) -> TextFix | None:
        if finding.fix is None or finding.site.path != self._path:  # another file is fixed when it is checked itself
            return None
        return resolve(finding.fix, self._path, self.span, self.source(self._path))

    def unsilenced(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        """Those that no `# shapecheck: ignore` silences, in no file that asks to be skipped. Remembers the marks that
        silenced one."""
        kept: list[Diagnostic] = []
        for d in diagnostics:
            if any(isinstance(mark, SkipFile) for mark in self._marks(d.path)):
                continue
            silencing = [
                mark
                for mark in self._marks(d.path)
                if isinstance(mark, Ignore) and mark.silences(d.location.row, d.code, d.name)
            ]
            for mark in silencing:
                columns = mark.columns or (mark.column,)
                codes = mark.codes or ("ALL",)
                self._used |= {(d.path, mark.row, c) for c, p in zip(columns, codes) if matches(d.code, d.name, (p,))}
            if not silencing:
                kept.append(d)
        return kept

    @property
    def used_elsewhere(self) -> tuple[tuple[str, int, int], ...]:
        """The codes in marks of other files that silenced something: path, row, column."""
        return tuple(sorted(used for used in self._used if used[0] != self._path))

    def vain(self, ran: Collection[tuple[str, str]], known: Collection[tuple[str, str]]) -> Iterator[Diagnostic]:
        """What the marks of this file say in vain, when of the rules `known` (code and name) `ran` have looked."""
        for mark in self._marks(self._path):
            match mark:
                case Malformed(row, column, text):
                    yield self._told(row, column, len(text), f"`{text}` is no comment that shapecheck knows")
                case Ignore(row, column, (), _, _):
                    if set(ran) >= set(known) and (self._path, row, column) not in self._used:
                        text = self._sources[self._path].lines[row - 1]
                        length = len(text) + 1 - column
                        yield self._told(row, column, length, "this suppression is not needed: nothing is found here")
                case Ignore(row, _, codes, _, _, columns, shared):
                    for column, code in zip(columns, codes):
                        meant = {rule for rule in known if matches(*rule, (code,))}
                        if not meant and shared:
                            continue
                        if not meant:
                            yield self._told(row, column, len(code), f'no rule is called "{code}"')
                        elif meant <= set(ran) and (self._path, row, column) not in self._used:
                            said = f"this suppression is not needed: nothing is found here for {code}"
                            yield self._told(row, column, len(code), said)

    def _marks(self, path: str) -> tuple[Mark, ...]:
        if path not in self._read:
            self._read[path] = read_marks(self._sources[path].text)
        return self._read[path]

    def _told(self, row: int, column: int, length: int, message: str) -> Diagnostic:
        at = Span(self._path, Location(row, column), Location(row, column + length))
        return Diagnostic(*UNUSED, Severity.WARNING, message, at)

    def _resolve(self, findings: Iterable[Finding], refuse: Refusal) -> list[Finding]:
        """Find the places of all that the findings point at; those that are left."""
        trees: dict[str, list[Positions]] = {}
        kept: list[Finding] = []
        for finding in findings:
            try:
                for site in _sites(finding):
                    if site.path not in trees:
                        trees[site.path] = self._trees(site.path)
                    if id(site.node) not in self._spans:
                        self._spans[id(site.node)] = _span(site, trees[site.path])
            except Exception as error:
                refuse(finding, error)
            else:
                kept.append(finding)
        return kept

    def _trees(self, path: str) -> list[Positions]:
        self.source(path)
        program = self._program if path == self._path else self._project.program(path)
        return [] if program is None else [spans(program)]


def _by_cause(found: Sequence[tuple[Finding, Span]]) -> list[list[tuple[Finding, Span]]]:
    """The findings of one cause together, the gravest and then the first of them in front."""
    groups: dict[object, list[tuple[Finding, Span]]] = {}
    for finding, span in sorted(found, key=lambda f: (-LEVELS[f[0].severity], f[1].path, f[1].start.row)):
        key = (finding.code, span.path, *finding.cause) if finding.cause else (finding.code, span)
        groups.setdefault(key, []).append((finding, span))
    return list(groups.values())


def _span(site: Site, trees: Iterable[Positions]) -> Span:
    for tree in trees:
        with suppress(KeyError):
            at = tree.span(site.node)
            return Span(site.path, Location(at.row, at.column), Location(at.end_row, at.end_column))
    raise LookupError(f"a finding points at a {type(site.node).__name__} that is not in {site.path}")


def _sites(finding: Finding) -> Iterator[Site]:
    yield finding.site
    yield from (label.site for label in finding.labels)
    yield from (note.site for note in finding.notes if note.site)
    for edit in finding.fix.edits if finding.fix else ():
        yield edit.site
        yield from (site for _, site in edit.parts)
