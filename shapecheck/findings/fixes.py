"""Fixes: a rule's edits turned into replaced text, and applied to a file without touching anything else.

Only the replaced spans change, so comments, encoding, byte-order mark and newlines stay as they are.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from shapecheck.engine.values import Site
from shapecheck.findings.diagnostic import Diagnostic, Span, TextEdit, TextFix
from shapecheck.findings.patch import Part, smallest
from shapecheck.findings.rule import Edit, Fix
from shapecheck.source.program import Await, IfExp, Lambda, Op, Star, Walrus, Yield
from shapecheck.source.text import Location, Source, decode

ROUNDS = 10
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")


# -------------------------------------------------------------- from a rule's fix to text


def resolve(fix: Fix, path: str, span: Callable[[Site], Span], source: Source) -> TextFix | None:
    """The fix as text; None when it reaches into another file than `path`, which a run about this file leaves alone."""
    sites = [site for edit in fix.edits for site in (edit.site, *(part for _, part in edit.parts))]
    if not fix.edits or any(site.path != path for site in sites):
        return None
    edits: list[TextEdit] = []
    for edit in fix.edits:
        if edit.remark:
            at = _remark(span(edit.site), edit.remark, source)
            if at is None:
                return None
            edits.append(TextEdit(at, edit.text))
            continue
        for change in smallest(_part(span(edit.site), source), list(_pieces(edit, span, source))):
            at = Span(path, source.location(change.start), source.location(change.end))
            edits.append(TextEdit(at, change.text))
    places = tuple(span(edit.site) for edit in fix.edits)
    return TextFix(fix.message, fix.safe, tuple(edits), fix.imports, places)


def _remark(at: Span, text: str, source: Source) -> Span | None:
    """Where the text stands in the comment behind a node, or in the lines of comment right above it."""
    above = range(at.start.row - 1, 0, -1)
    rows = [at.end.row, *takewhile(lambda row: source.lines[row - 1].lstrip().startswith("#"), above)]
    for row in rows:
        line = source.lines[row - 1]
        begin = line.find("#", at.end.column - 1 if row == at.end.row else 0)
        column = line.find(text, begin) if begin >= 0 else -1
        if column >= 0:
            return Span(at.path, Location(row, column + 1), Location(row, column + 1 + len(text)))
    return None


def _part(at: Span, source: Source) -> Part:
    return Part(source.offset(at.start), source.offset(at.end), source.between(at.start, at.end))


def _pieces(edit: Edit, span: Callable[[Site], Span], source: Source) -> Iterator[str | Part]:
    """The new text: the rule's own, and quoted parts, in brackets where they would fall apart."""
    parts = dict(edit.parts)
    end = 0
    for match in _PLACEHOLDER.finditer(edit.text):
        site = parts.get(match[1])
        if site is None:  # braces of the new text's own
            continue
        yield edit.text[end : match.start()]
        end = match.end()
        before, after = edit.text[: match.start()].rstrip()[-1:], edit.text[match.end() :].lstrip()[:1]
        alone = before in ("", "(", "[", ",", "=") and after in ("", ")", "]", ",")
        part = _part(span(site), source)
        bare = alone or not _binds_loosely(site)
        yield from (part,) if bare else ("(", part, ")")
    yield edit.text[end:]


def _binds_loosely(site: Site) -> bool:
    return isinstance(site.node, Op | IfExp | Lambda | Await | Yield | Walrus | Star)


# ---------------------------------------------------------------------- applying


@dataclass(frozen=True, slots=True)
class Fixed:
    """New text of a file, the diagnostics whose fixes made it, and those that are left. `restless`: codes whose fixes
    went on and on."""

    source: bytes
    applied: tuple[Diagnostic, ...]
    left: tuple[Diagnostic, ...]
    restless: frozenset[str] = frozenset()


Recheck = Callable[[bytes], "Sequence[Diagnostic] | None"]


def fix_text(
    source: bytes, diagnostics: Sequence[Diagnostic], unsafe: bool, check: Recheck, but: Collection[str] = ()
) -> Fixed:
    """Apply fixes, less those of the codes in `but`, and check again until nothing changes. `check` gives the
    diagnostics of a text, None where it cannot be read: then the fixes that break it are told apart and dropped."""
    applied: list[Diagnostic] = []
    broken: set[tuple[str, str, str]] = set()
    chosen: list[Diagnostic] = []
    for _ in range(ROUNDS):
        lines = decode(source).lines
        allowed = (d for d in diagnostics if d.code not in but and _known_by(d, lines) not in broken)
        chosen = choose(allowed, unsafe)
        if not chosen:
            return Fixed(source, tuple(applied), tuple(diagnostics))
        step = _step(source, chosen, check)
        if step is None:
            works = [_step(source, [one], check) is not None for one in chosen]
            broken.update(_known_by(one, lines) for one, good in zip(chosen, works) if not good)
            chosen = [one for one, good in zip(chosen, works) if good]
            step = _step(source, chosen, check) or _step(source, chosen := chosen[:1], check)
        if step is not None:
            source, diagnostics = step
            applied += chosen
    return Fixed(source, tuple(applied), tuple(diagnostics), frozenset(d.code for d in chosen))


def _step(source: bytes, chosen: Sequence[Diagnostic], check: Recheck) -> tuple[bytes, Sequence[Diagnostic]] | None:
    after = apply(source, chosen) if chosen else None
    left = None if after is None else check(after)
    return None if after is None or left is None else (after, left)


def _known_by(diagnostic: Diagnostic, lines: Sequence[str]) -> tuple[str, str, str]:
    """What a finding keeps when lines above it move."""
    return diagnostic.code, diagnostic.message, lines[diagnostic.location.row - 1]


def possible(source: bytes, diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The same, without the fixes that cannot be made: so what is offered is what a run with --fix makes."""
    fixable = [d for d in diagnostics if d.fix is not None]
    if not fixable:
        return list(diagnostics)
    if all(_can_import(source, d) for d in fixable) and _makes_code(source, choose(fixable, unsafe=True)):
        return list(diagnostics)
    return [d if d.fix is None or _makes_code(source, [d]) else replace(d, fix=None) for d in diagnostics]


def _makes_code(source: bytes, chosen: Sequence[Diagnostic]) -> bool:
    after = apply(source, chosen)
    return after is not None and (_is_code(after) or not _is_code(source))  # newer than this Python: not for us to say


def _can_import(source: bytes, diagnostic: Diagnostic) -> bool:
    return diagnostic.fix is None or import_edits(decode(source), "", diagnostic.fix.imports) is not None


def _is_code(source: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def choose(diagnostics: Iterable[Diagnostic], unsafe: bool) -> list[Diagnostic]:
    """Those with a fix that is allowed, less every one that overlaps one before it."""
    chosen: list[Diagnostic] = []
    taken: list[Span] = []
    for diagnostic in diagnostics:
        fix = diagnostic.fix
        if fix is None or not (fix.safe or unsafe):
            continue
        spans = [*fix.places, *(edit.span for edit in fix.edits)]
        if not any(_overlap(a, b) for a in spans for b in taken):
            chosen.append(diagnostic)
            taken += spans
    return chosen


def _overlap(a: Span, b: Span) -> bool:
    if a.path != b.path:
        return False
    if a.start == a.end or b.start == b.end:  # what is inserted at an edge may belong to either side
        return a.start <= b.end and b.start <= a.end
    return a.start < b.end and b.start < a.end


def apply(source: bytes, chosen: Iterable[Diagnostic]) -> bytes | None:
    """The bytes after these fixes, which must not overlap. None when they cannot be written so: a name that a new
    import needs means something else here, the file's encoding has no room for the new text, or it would spell the old
    text in other bytes."""
    before = decode(source)
    fixes = [d.fix for d in chosen if d.fix is not None]
    text = before.text
    added = import_edits(before, "", dict.fromkeys(line for fix in fixes for line in fix.imports))
    if added is None:
        return None
    edits = [*added, *(edit for fix in fixes for edit in fix.edits)]
    for edit in sorted(edits, key=lambda e: (e.span.start, e.span.end), reverse=True):
        start, end = before.offset(edit.span.start), before.offset(edit.span.end)
        text = text[:start] + re.sub(r"\r\n|\r|\n", before.newline, edit.content) + text[end:]
    try:
        return before.with_text(text).encode() if before.encode() == source else None
    except UnicodeError:
        return None


def import_edits(source: Source, path: str, lines: Iterable[str]) -> tuple[TextEdit, ...] | None:
    """The insertion, after the last top-level import, of those import lines that are missing. None when the file cannot
    be read by this Python or already gives one of the names another meaning."""
    lines = tuple(lines)
    if not lines:
        return ()
    try:
        tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    present = {name: what for node in tree.body for name, what in _bound(node).items()}
    taken = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    taken |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    taken |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    missing = []
    for line in lines:
        wanted = _bound(ast.parse(line).body[0])
        if any(name in taken or present.get(name, what) != what for name, what in wanted.items()):
            return None
        if any(name not in present for name in wanted):
            missing.append(line)
    if not missing:
        return ()
    at = source.location(_import_place(tree, source))
    lead = "\n" if at.column > 1 else ""
    return (TextEdit(Span(path, at, at), lead + "".join(f"{line}\n" for line in missing)),)


def _import_place(tree: ast.Module, source: Source) -> int:
    """The offset where a new import line goes."""
    rows = [node.end_lineno or node.lineno for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if rows:
        row = rows[-1]
    elif ast.get_docstring(tree, clean=False) is not None:
        row = tree.body[0].end_lineno or 1
    else:  # below the shebang, the encoding line and the licence
        row = next((i for i, text in enumerate(source.lines) if not text.startswith("#")), 0)
    return source.offset(Location(row + 1, 1)) if row < len(source.lines) else len(source.text)


def _bound(node: ast.stmt) -> dict[str, str]:
    match node:
        case ast.Import(names):
            whole = {a.asname: a.name for a in names if a.asname}
            return whole | {top: top for top in (a.name.partition(".")[0] for a in names if not a.asname)}
        case ast.ImportFrom(module, names, level):
            return {a.asname or a.name: f"{'.' * level}{module or ''}.{a.name}" for a in names}
    return {}
