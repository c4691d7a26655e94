"""For people: the code with carets under the operands and their shapes beside them, the evidence, and what to write."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shapecheck.findings.diagnostic import Caret, Diagnostic, Span
from shapecheck.findings.rule import Severity
from shapecheck.formats import Report
from shapecheck.source.text import visible

Piece = tuple[str, str]  # text and its style, "" for none
COLORS = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold blue"}
TAB = "    "


def render(report: Report) -> str:
    pieces = [piece for diagnostic in report.diagnostics for piece in (*explain(diagnostic, report), ("\n", ""))]
    return _colored(pieces) if report.color else "".join(text for text, _ in pieces)


def explain(diagnostic: Diagnostic, report: Report) -> Iterator[Piece]:
    """One diagnostic as pieces of text, its last line ended; no character of it commands a terminal."""
    return ((visible(text, "\n"), style) for text, style in _pieces(diagnostic, report))


def _pieces(diagnostic: Diagnostic, report: Report) -> Iterator[Piece]:
    d, color = diagnostic, COLORS[diagnostic.severity]
    at = f"{visible(d.filename)}:{d.location.row}:{d.location.column}"
    yield from ((f"{at}: ", "bold"), (f"{d.severity.value} {d.code} ", color), (f"{d.name}\n", "bold"))
    yield f"  {d.message}\n", ""
    margin, excerpt = _excerpt(d, report)
    yield from excerpt
    if d.condition:
        yield from ((f"{margin} = ", "blue"), ("only right when: ", "bold"), (f"{d.condition}\n", ""))
    for note in d.notes:
        where = f" ({visible(note.span.filename)}:{note.span.start.row})" if note.span else ""
        yield from ((f"{margin} = ", "blue"), ("note: ", "bold"), (f"{note.message}{where}\n", ""))
    if d.help:
        yield from ((f"{margin} = ", "blue"), ("help: ", "bold green"), (_hang(d.help, margin) + "\n", ""))
    if d.fix:
        flag = "--fix" if d.fix.safe else "--fix --unsafe-fixes"
        yield from ((f"{margin} = ", "blue"), ("fix: ", "bold green"), (f"{d.fix.message} ({flag})\n", ""))
    if d.proof:
        yield from ((f"{margin} = ", "blue"), ("proof: ", "bold green"), (f"{d.proof}\n", ""))


def _hang(text: str, margin: str) -> str:
    return text.replace("\n", "\n" + margin + " " * len(" = help: "))


# -------------------------------------------------------------------- the excerpt


@dataclass(frozen=True, slots=True)
class _Under:
    """Carets from one display column up to another, and the text that belongs to them."""

    start: int
    end: int
    text: str


def _excerpt(d: Diagnostic, report: Report) -> tuple[str, list[Piece]]:
    """The margin's width as blanks, and the lines that the diagnostic and its labels are about."""
    labels = [label for label in d.labels if label.span.path == d.path]
    if not any(label.span.start.row == d.location.row for label in labels):
        labels.append(Caret(d.span, ""))
    lines = report.source(d.path).lines
    rows = sorted({row for row in (label.span.start.row for label in labels) if row <= len(lines)})
    margin = " " * (len(str(rows[-1])) if rows else 1)
    bar = f"{margin} |"
    out: list[Piece] = [(f"{bar}\n", "blue")] if rows else []
    for before, row in zip([rows[0] - 1, *rows] if rows else [], rows):
        if row > before + 1:
            out.append((f"{margin}...\n", "blue"))
        line = lines[row - 1]
        out += [(f"{row:>{len(margin)}} | ", "blue"), (_on_screen(line).rstrip() + "\n", "")]
        here = [_under(label.span, line, label.text) for label in labels if label.span.start.row == row]
        for text in under_lines(here):
            out += [(f"{bar} ", "blue"), (text + "\n", COLORS[d.severity])]
    if rows:
        out.append((f"{bar}\n", "blue"))
    for label in (label for label in d.labels if label.span.path != d.path):
        where = f"{visible(label.span.filename)}:{label.span.start.row}"
        out += [(f"{margin} = ", "blue"), ("at: ", "bold"), (f"{where}: {label.text}\n", "")]
    return margin, out


def _under(span: Span, line: str, text: str) -> _Under:
    start = _width(_on_screen(line[: span.start.column - 1]))
    stop = span.end.column - 1 if span.end.row == span.start.row else len(line.rstrip())
    return _Under(start, max(start + 1, _width(_on_screen(line[:stop]))), visible(text))


def under_lines(labels: Sequence[_Under]) -> list[str]:
    """The caret line and what hangs below it: the last label's text stands beside its carets, the others' below
    their own, side by side where there is room."""
    ordered = sorted(dict.fromkeys(labels), key=lambda u: (u.end, u.start))
    last = ordered[-1]
    carets = [" "] * last.end
    for under in ordered:
        carets[under.start : under.end] = "^" * (under.end - under.start)
    hung: list[dict[int, str]] = []
    for under in sorted(ordered[:-1], key=lambda u: u.start, reverse=True):
        if not under.text:
            continue
        if not hung or under.start + _width(under.text) + 2 > min(hung[-1]):
            hung.append({})
        for above in hung[:-1]:
            above[under.start] = "|"
        hung[-1][under.start] = under.text
    return ["".join(carets) + (f" {last.text}" if last.text else ""), *map(_row, hung)]


def _row(texts: dict[int, str]) -> str:
    row = ""
    for start, text in sorted(texts.items()):
        row += " " * (start - _width(row)) + text
    return row


def _on_screen(line: str) -> str:
    return visible(line, "\t").replace("\t", TAB)


def _width(text: str) -> int:
    """Columns on a screen, of text without tabs."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def _colored(pieces: Sequence[Piece]) -> str:
    from rich.console import Console
    from rich.text import Text

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", soft_wrap=True, legacy_windows=False)
    console.print(Text.assemble(*pieces), end="")
    return out.getvalue()
