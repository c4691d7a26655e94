"""Fixes: a rule's edits turned into replaced text, and applied to a file without touching anything else.

Only the replaced spans change, so comments, encoding, byte-order mark and newlines stay as they are.
"""

from __future__ import annotations

import ast
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shapecheck.engine.values import Site
from shapecheck.findings.diagnostic import Diagnostic, Span, TextEdit, TextFix
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
    edits = tuple(TextEdit(span(edit.site), _fill(edit, span, source)) for edit in fix.edits)
    return TextFix(fix.message, fix.safe, edits, fix.imports)


def _fill(edit: Edit, span: Callable[[Site], Span], source: Source) -> str:
    parts = dict(edit.parts)

    def quote(match: re.Match[str]) -> str:
        site = parts.get(match[1])
        if site is None:  # braces of the new text's own
            return match[0]
        place = span(site)
        text = source.between(place.start, place.end)
        before, after = edit.text[: match.start()].rstrip()[-1:], edit.text[match.end() :].lstrip()[:1]
        alone = before in ("", "(", "[", ",", "=") and after in ("", ")", "]", ",")
        if _binds_loosely(site) and not alone:
            return f"({text})"
        return text

    return _PLACEHOLDER.sub(quote, edit.text)


def _binds_loosely(site: Site) -> bool:
    return isinstance(site.node, Op | IfExp | Lambda | Await | Yield | Walrus | Star)


# ---------------------------------------------------------------------- applying


@dataclass(frozen=True, slots=True)
class Fixed:
    """New text of a file, the diagnostics whose fixes made it, and those that are left. `settled`: a further check
    would find nothing to fix."""

    source: bytes
    applied: tuple[Diagnostic, ...]
    left: tuple[Diagnostic, ...]
    settled: bool = True


Recheck = Callable[[bytes], "Sequence[Diagnostic] | None"]


def fix_text(source: bytes, diagnostics: Sequence[Diagnostic], unsafe: bool, check: Recheck) -> Fixed:
    """Apply fixes and check again until nothing changes. `check` gives the diagnostics of a text, None where it cannot
    be read; then the fixes are tried one by one, and one that breaks the file is dropped."""
    applied: list[Diagnostic] = []
    broken: set[tuple[str, str]] = set()
    for _ in range(ROUNDS):
        chosen = choose((d for d in diagnostics if (d.code, d.message) not in broken), unsafe)
        for attempt in [chosen, *([one] for one in chosen)] if chosen else ():
            after = apply(source, attempt)
            left = None if after is None else check(after)
            if after is not None and left is not None:
                source, diagnostics = after, left
                applied += attempt
                break
            broken.update((d.code, d.message) for d in attempt if len(attempt) == 1)
        else:
            return Fixed(source, tuple(applied), tuple(diagnostics))
    return Fixed(source, tuple(applied), tuple(diagnostics), settled=False)


def choose(diagnostics: Iterable[Diagnostic], unsafe: bool) -> list[Diagnostic]:
    """Those with a fix that is allowed, less every one that overlaps one before it."""
    chosen: list[Diagnostic] = []
    taken: list[Span] = []
    for diagnostic in diagnostics:
        fix = diagnostic.fix
        if fix is None or not (fix.safe or unsafe):
            continue
        spans = [edit.span for edit in fix.edits]
        if not any(_overlap(a, b) for a in spans for b in taken):
            chosen.append(diagnostic)
            taken += spans
    return chosen


def _overlap(a: Span, b: Span) -> bool:
    return a == b or (a.start < b.end and b.start < a.end)


def apply(source: bytes, chosen: Iterable[Diagnostic]) -> bytes | None:
    """The bytes after these fixes, which must not overlap. None when they cannot be written so: a name that a new
    import needs means something else here, or the file's encoding has no room for the new text."""
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
        return before.with_text(text).encode()
    except UnicodeEncodeError:
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


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` in the place of the file at once, keeping its mode; a link stays a link. Raises OSError."""
    import tempfile

    target = path.resolve()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, stat.S_IMODE(target.stat().st_mode))
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
