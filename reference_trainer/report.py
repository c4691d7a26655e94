"""A run, or several overlaid, as one html file that needs nothing else: curves as inline SVG, figures as tables."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import journal
from .charts import COLOURS, bars, legend, lines, picture
from .whole import write_text

METRICS = ("mrr@10", "ndcg@10", "recall@10", "recall@100", "group_accuracy")
CURVES = {"loss": "loss (dashed: log C)", "tokens_per_second": "tokens per second", "memory_mb": "peak memory, MB"}
PANEL = (360, 230)


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
    if bug:
        return f"{history.name} ({mode}, replayed bug {bug})"
    return history.name if history.name == mode else f"{history.name} ({mode})"


def milliseconds(history: History) -> float:
    """Mean time of a step, evaluations and saves left out."""
    seconds, steps = (sum(float(r[name]) for r in history.steps) for name in ("seconds", "steps"))
    return 1e3 * seconds / steps


def side_by_side(histories: list[History]) -> str:
    """The picture: loss, quality, time and memory of all runs, as one SVG."""
    begun = [h.evaluations[0] for h in histories if h.evaluations]
    panels = [_lines("loss", histories)]
    for metric, title in (("mrr@10", "MRR@10, whole corpus"), ("group_accuracy", "accuracy within the own group")):
        if any(metric in evaluation for evaluation in begun):
            values = [h.evaluations[-1].get(metric, 0.0) if h.evaluations else 0.0 for h in histories]
            panels.append(bars(title, values, PANEL, begun[0].get(metric, 0.0)))
    panels.append(bars("ms a step", [milliseconds(h) for h in histories], PANEL))
    panels.append(bars("peak memory, MB", [h.steps[-1]["memory_mb"] for h in histories], PANEL))
    panels.append(legend([label(h) for h in histories], PANEL))
    return picture(panels, PANEL, 3)


def _lines(key: str, histories: list[History]) -> str:
    levels = [h.steps[-1]["level"] for h in histories] if key == "loss" else []
    curves = [[(record["step"], record[key]) for record in h.steps] for h in histories]
    return lines(CURVES[key], curves, PANEL, levels)


def write_report(outs: list[Path], path: Path) -> None:
    """One page for all runs: a table of qualities and costs, then curves over steps."""
    histories = [read_history(out) for out in outs]
    panels = [_lines(key, histories) for key in ("tokens_per_second", "memory_mb")]
    for metric in METRICS:
        curves = [[(r["step"], r[metric]) for r in h.evaluations if metric in r] for h in histories]
        if any(len(curve) > 1 for curve in curves):
            panels.append(lines(metric, curves, PANEL))
    parts = [_summary(histories), side_by_side(histories), "<h2>over the steps</h2>", picture(panels, PANEL, 3)]
    parts += [
        f"<details><summary>settings of {html.escape(h.name)}</summary><pre>{_settings(h)}</pre></details>"
        for h in histories
    ]
    write_text(path, _page("".join(parts)))


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
            ends = history.evaluations[:1] + history.evaluations[1:][-1:]
            values = [f"{r[metric]:.3f}" for r in ends if metric in r]
            cells.append(f"<td>{' &rarr; '.join(values) or '-'}</td>")
        seconds = sum(record["seconds"] for record in history.steps)
        speed = sum(r["seconds"] * r["tokens_per_second"] for r in history.steps) / seconds
        cells += [f"<td>{seconds:.1f}</td>", f"<td>{speed:,.0f}</td>", f"<td>{last['memory_mb']:.0f}</td>"]
        rows.append("<tr>" + "".join(cells) + "</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _settings(history: History) -> str:
    return html.escape(json.dumps(history.settings, indent=1))


def _page(body: str) -> str:
    style = (
        "body{font:14px system-ui;margin:2em;max-width:72em}table{border-collapse:collapse}"
        "td,th{padding:.3em .6em;border-bottom:1px solid #ddd;text-align:right}td:first-child{text-align:left}"
        "svg{max-width:100%;height:auto}"
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>training report</title>"
        f"<style>{style}</style></head><body><h1>training report</h1>{body}</body></html>"
    )
