"""A run, or several overlaid, as one html file that needs nothing else: curves as inline SVG, figures as tables."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import journal

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf")
METRICS = ("mrr@10", "ndcg@10", "recall@10", "recall@100", "group_accuracy")
CURVES = (
    ("loss", "loss (dashed: log C, what equal embeddings would give)"),
    ("tokens_per_second", "tokens per second"),
    ("memory_mb", "peak memory, MB"),
)


@dataclass(frozen=True)
class History:
    """What a run's folder tells: name, settings, logged steps and evaluations."""

    name: str
    settings: dict[str, Any]
    steps: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]


def read_history(out: Path) -> History:
    """Read a run's log and settings. FileNotFoundError without them."""
    records = journal.read(out)
    settings = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    steps = [r for r in records if r["kind"] == "step"]
    return History(out.name, settings, steps, [r for r in records if r["kind"] == "eval"])


def label(history: History) -> str:
    bug, mode = history.settings["train"]["replay_bug"], history.settings["loss"]["mode"]
    return f"{history.name} ({mode}{f', replayed bug {bug}' if bug else ''})"


def write_report(outs: list[Path], path: Path) -> None:
    """One page for all runs: a table of qualities and costs, then curves over steps."""
    histories = [read_history(out) for out in outs]
    parts = [_summary(histories)]
    parts += [_chart(title, [_curve(h, key) for h in histories], histories, key == "loss") for key, title in CURVES]
    for metric in METRICS:
        curves = [[(r["step"], r[metric]) for r in h.evaluations] for h in histories]
        if any(len(curve) > 1 for curve in curves):
            parts.append(_chart(metric, curves, histories, False))
    parts += [
        f"<details><summary>settings of {html.escape(h.name)}</summary><pre>{_settings(h)}</pre></details>"
        for h in histories
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_page("".join(parts)), encoding="utf-8")


def _curve(history: History, key: str) -> list[tuple[float, float]]:
    return [(record["step"], record[key]) for record in history.steps]


def _summary(histories: list[History]) -> str:
    head = "".join(f"<th>{name}</th>" for name in (
        "run", "first loss", "last loss", "log C", *METRICS, "seconds", "tokens/s", "peak MB",
    ))  # fmt: skip
    rows = []
    for colour, history in zip(COLOURS * len(histories), histories):
        first, last = history.steps[0], history.steps[-1]
        cells = [f"<td style='color:{colour}'>{html.escape(label(history))}</td>"]
        cells += [f"<td>{value:.3f}</td>" for value in (first["loss"], last["loss"], last["level"])]
        for metric in METRICS:
            values = [f"{r[metric]:.3f}" for r in (history.evaluations[:1] + history.evaluations[1:][-1:])]
            cells.append(f"<td>{' &rarr; '.join(values) or '-'}</td>")
        seconds = sum(record["seconds"] for record in history.steps)
        speed = sum(r["seconds"] * r["tokens_per_second"] for r in history.steps) / seconds
        cells += [f"<td>{seconds:.1f}</td>", f"<td>{speed:,.0f}</td>", f"<td>{last['memory_mb']:.0f}</td>"]
        rows.append("<tr>" + "".join(cells) + "</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _chart(title: str, curves: list[list[tuple[float, float]]], histories: list[History], levels: bool) -> str:
    marks = [h.steps[-1]["level"] for h in histories] if levels else []
    points = [point for curve in curves for point in curve]
    high = max([y for _, y in points] + marks) * 1.05 or 1.0
    right = max(x for x, _ in points) or 1.0
    width, height, left = 720, 260, 60

    def place(x: float, y: float) -> str:
        return f"{left + x / right * (width - left - 10):.1f},{height - 30 - y / high * (height - 50):.1f}"

    body = []
    for k in range(5):
        value = high * k / 4
        _, y = place(0, value).split(",")
        body.append(f"<line x1='{left}' x2='{width - 10}' y1='{y}' y2='{y}' stroke='#ddd'/>")
        body.append(f"<text x='{left - 6}' y='{y}' text-anchor='end' dominant-baseline='middle'>{value:.3g}</text>")
    body.append(f"<text x='{width - 10}' y='{height - 8}' text-anchor='end'>step {right:.0f}</text>")
    for colour, curve in zip(COLOURS * len(curves), curves):
        path = " ".join(place(x, y) for x, y in curve)
        body.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>")
    for colour, level in zip(COLOURS * len(marks), marks):
        _, y = place(0, level).split(",")
        body.append(f"<line x1='{left}' x2='{width - 10}' y1='{y}' y2='{y}' stroke='{colour}' stroke-dasharray='6 4'/>")
    return f"<h2>{html.escape(title)}</h2><svg viewBox='0 0 {width} {height}' width='{width}'>{''.join(body)}</svg>"


def _settings(history: History) -> str:
    return html.escape(json.dumps(history.settings, indent=1))


def _page(body: str) -> str:
    style = (
        "body{font:14px system-ui;margin:2em;max-width:72em}table{border-collapse:collapse}"
        "td,th{padding:.3em .6em;border-bottom:1px solid #ddd;text-align:right}td:first-child{text-align:left}"
        "svg text{font-size:11px;fill:#555}"
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>training report</title>"
        f"<style>{style}</style></head><body><h1>training report</h1>{body}</body></html>"
    )
