"""The report as one html page that needs nothing else: verdicts, pictures, checks, growth, training curves."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from ..charts import lines, picture
from . import growth as growing
from .finding import Grade, Judgement
from .pictures import Picture, actual, expected, heat_map, strongest

if TYPE_CHECKING:
    from .report import Entry
    from .training import Trained

STYLE = (
    "body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.25em .7em;border-bottom:1px solid #ddd;text-align:left;"
    "vertical-align:top}svg text{font:11px system-ui,sans-serif;fill:#444}svg .t{font-size:13px;font-weight:600}"
    ".maps{display:flex;flex-wrap:wrap;gap:1.5em}.verdict{font-size:1.15em;font-weight:600;padding:.5em .8em;"
    "border-left:6px solid}.right{border-color:#2ca02c;background:#f1faf1}.wrong{border-color:#d62728;"
    "background:#fdf2f2}.note{color:#666}code{background:#f4f4f4;padding:0 .25em}svg{max-width:100%;height:auto}"
)
PANEL = (380, 230)


def page_of(entries: list[Entry], growth: bool, trained: Trained | None) -> str:
    """All losses that were named, the fixed one last."""
    parts = [_pictures(entries)]
    parts += [_entry(entry, growth) for entry in entries]
    if trained is not None:
        parts.append(_trained(trained))
    title = " and ".join(entry.spec for entry in entries)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{STYLE}</style></head><body><h1>Is this loss right?</h1>{''.join(_verdict(e) for e in entries)}"
        f"{''.join(parts)}</body></html>\n"
    )


def _verdict(entry: Entry) -> str:
    if entry.judgement is None:
        return f"<p class='verdict wrong'>not judged: {html.escape(entry.error)}</p>"
    tone = "right" if entry.judgement.right else "wrong"
    return (
        f"<p class='verdict {tone}'><code>{html.escape(entry.judgement.spec)}</code><br>"
        f"{html.escape(entry.judgement.verdict)}</p>"
    )


def _pictures(entries: list[Entry]) -> str:
    """Each loss, then what its definition does; all on one scale."""
    shown: list[Picture] = []
    names = ("before", "after") if len(entries) > 1 else ("as it is",)
    for name, entry in zip(names, entries):
        if entry.judgement is not None and entry.subject is not None:
            made = actual(entry.subject, entry.judgement.pictures["working"], name)
            if made is not None:
                shown.append(made)
    last = next((e.judgement for e in reversed(entries) if e.judgement is not None), None)
    if last is not None:
        wanted = expected(last.pictures["working"], last.pictures.get("fit"))
        if wanted is not None:
            shown.append(wanted)
    if not shown:
        return ""
    most = strongest(shown)
    maps = "".join(f"<div>{heat_map(made, most)}</div>" for made in shown)
    return (
        "<h2>Who is pulled to whom</h2><p>Row i is query i, a column a passage, group after group (rows and columns "
        "are embeddings where there are no groups). <b style='color:#1f77b4'>Blue</b>: a step of training pulls two "
        "together; <b style='color:#d62728'>red</b>: it pushes them apart; white: they never meet. Framed: the "
        "query's own group, its positive first. All pictures share one scale (root of d loss / d similarity).</p>"
        f"<div class='maps'>{maps}</div>"
    )


def _entry(entry: Entry, growth: bool) -> str:
    judgement = entry.judgement
    if judgement is None:
        return ""
    parts = [f"<h2><code>{html.escape(judgement.spec)}</code></h2>", _facts(judgement), _checks(judgement)]
    if growth and entry.subject is not None:
        parts.append(_growth(entry, judgement))
    return "".join(parts)


def _facts(judgement: Judgement) -> str:
    found, rows = judgement.found, []
    rows.append(("file", f"{judgement.file}:{judgement.line}" if judgement.file else ""))
    rows.append(("called", judgement.call))
    if judgement.diagnosis is not None and judgement.diagnosis.fix:
        rows.append(("write instead", judgement.diagnosis.fix))
    for name, text in (
        ("computes", found.reading),
        ("layout", found.layout),
        ("similarity", found.similarity),
        ("scale", found.scale),
        ("reduction", found.reduction),
        ("returns", found.returns),
    ):
        rows.append((name, text))
    rows += [("note", note) for note in found.notes]
    for finding in judgement.lint:
        rows.append(("linter", f"{finding.code} line {finding.line}: {finding.message}. {finding.fix or finding.help}"))
    body = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows if text)
    return f"<table>{body}</table>"


def _count(checks: int) -> str:
    return "1 check" if checks == 1 else f"{checks} checks"


def _checks(judgement: Judgement) -> str:
    colours = {Grade.OK: "#2ca02c", Grade.NOTE: "#666", Grade.WRONG: "#d62728"}
    rows = "".join(
        f"<tr><td style='color:{colours[check.grade]}'>{check.grade.value}</td><td>{html.escape(check.name)}</td>"
        f"<td>{html.escape(check.sentence)}</td></tr>"
        for check in judgement.checks
    )
    wrong = any(check.grade is Grade.WRONG for check in judgement.checks)
    return (
        f"<details{' open' if wrong else ''}><summary>{_count(len(judgement.checks))}</summary>"
        f"<table>{rows}</table></details>"
    )


def _growth(entry: Entry, judgement: Judgement) -> str:
    assert entry.subject is not None
    measured = growing.measure(entry.subject, judgement.pictures["working"], judgement.found.mode)
    if measured is None:
        return ""
    panels = []
    for name, points in (("batch", measured.along_batch), ("group", measured.along_group)):
        if points:
            letter = "B" if name == "batch" else "G"
            panels.append(
                lines(f"ms, along {letter}", [[(getattr(p, name), p.milliseconds) for p in points]], PANEL, axis=letter)
            )
            panels.append(
                lines(
                    f"numbers in the largest tensor, along {letter}",
                    [[(getattr(p, name), p.largest) for p in points]],
                    PANEL,
                    axis=letter,
                )
            )
    return f"<h3>Growth</h3><p>{html.escape(measured.sentence)}</p>{picture(panels, PANEL, 2)}"


def _trained(trained: Trained) -> str:
    curves = [(k, seed) for k, curve in enumerate(trained.curves) for seed in curve.quality]
    if not curves:
        return f"<h2>Training</h2><pre>{html.escape(trained.text())}</pre>"
    from ..charts import COLOURS, legend

    colours = [COLOURS[k % len(COLOURS)] for k, _ in curves]
    panels = [
        lines("MRR@10, one line a seed", [list(seed) for _, seed in curves], PANEL, colours=colours),
        lines(
            "loss, one line a seed",
            [list(enumerate(seed)) for curve in trained.curves for seed in curve.losses],
            PANEL,
            colours=colours,
        ),
        legend([curve.name for curve in trained.curves], PANEL),
    ]
    return f"<h2>Training</h2><pre>{html.escape(trained.text())}</pre>{picture(panels, PANEL, 3)}"
