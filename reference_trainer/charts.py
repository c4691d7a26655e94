"""Curves and bars as SVG text, nothing else needed to show them."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from itertools import cycle

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf")
Curve = Sequence[tuple[float, float]]

_STYLE = "<style>text{font:11px system-ui,sans-serif;fill:#444}.title{font-size:13px;font-weight:600}</style>"
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 26, 26


def picture(panels: Sequence[str], size: tuple[int, int], columns: int) -> str:
    """Panels of one size, side by side, as one SVG element."""
    width, height = size
    rows = -(-len(panels) // columns)
    placed = [
        f"<g transform='translate({k % columns * width},{k // columns * height})'>{panel}</g>"
        for k, panel in enumerate(panels)
    ]
    across, down = columns * width, rows * height
    return (
        f"<svg viewBox='0 0 {across} {down}' width='{across}' height='{down}'>"
        f"{_STYLE}<rect width='{across}' height='{down}' fill='white'/>{''.join(placed)}</svg>"
    )


def as_file(svg: str) -> str:
    """An SVG element as a file of its own, which has to say what it is."""
    return svg.replace("<svg ", "<svg xmlns='http://www.w3.org/2000/svg' ", 1)


def legend(labels: Sequence[str], size: tuple[int, int]) -> str:
    """Which colour is which."""
    lines = []
    for k, (colour, label) in enumerate(zip(cycle(COLOURS), labels)):
        y = _TOP + 22 * k
        lines.append(f"<rect x='{_LEFT}' y='{y}' width='14' height='14' fill='{colour}'/>")
        lines.append(f"<text x='{_LEFT + 20}' y='{y + 11}'>{html.escape(label)}</text>")
    return "".join(lines)


def lines(
    title: str,
    curves: Sequence[Curve],
    size: tuple[int, int],
    levels: Sequence[float] = (),
    axis: str = "step",
    colours: Sequence[str] = COLOURS,
) -> str:
    """Curves over steps (or what `axis` names) from zero up; levels are dashed, in the colour of their curve."""
    width, height = size
    high, grid = _grid([*(y for curve in curves for _, y in curve), *levels], size)
    last = max((x for curve in curves for x, _ in curve), default=1.0) or 1.0
    body = [_title(title), grid]

    def place(x: float, y: float) -> str:
        return f"{_LEFT + x / last * (width - _LEFT - _RIGHT):.1f},{_down(y, high, height):.1f}"

    for colour, curve in zip(cycle(colours), curves):
        points = " ".join(place(x, y) for x, y in curve)
        body.append(f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='2'/>")
        if len(curve) < 30:
            body += [
                f"<circle cx='{at[0]}' cy='{at[1]}' r='2.5' fill='{colour}'/>"
                for at in (place(x, y).split(",") for x, y in curve)
            ]
    for number, (colour, level) in enumerate(zip(cycle(COLOURS), levels)):
        y, shift = _down(level, high, height), 6 * number  # levels that coincide stay visible
        body.append(
            f"<line x1='{_LEFT}' x2='{width - _RIGHT}' y1='{y:.1f}' y2='{y:.1f}' stroke='{colour}' "
            f"stroke-dasharray='6 12' stroke-dashoffset='{-shift}'/>"
        )
    body.append(f"<text x='{width - _RIGHT}' y='{height - 8}' text-anchor='end'>{axis} {last:,.0f}</text>")
    return "".join(body)


def bars(title: str, values: Sequence[float], size: tuple[int, int], start: float | None = None) -> str:
    """One bar a run with its number on top; start, where everyone began, is a dotted line."""
    width, height = size
    high, grid = _grid([*values, start or 0.0], size)
    body, room = [_title(title), grid], (width - _LEFT - _RIGHT) / max(1, len(values))
    for k, (colour, value) in enumerate(zip(cycle(COLOURS), values)):
        x, y = _LEFT + (k + 0.15) * room, _down(value, high, height)
        tall = height - _BOTTOM - y
        body.append(f"<rect x='{x:.1f}' y='{y:.1f}' width='{0.7 * room:.1f}' height='{tall:.1f}' fill='{colour}'/>")
        middle = x + 0.35 * room
        body.append(f"<text x='{middle:.1f}' y='{y - 4:.1f}' text-anchor='middle'>{_number(value, high)}</text>")
    if start is not None:
        y = _down(start, high, height)
        right = width - _RIGHT
        body.append(
            f"<line x1='{_LEFT}' x2='{right}' y1='{y:.1f}' y2='{y:.1f}' stroke='#444' stroke-dasharray='2 3'/>"
            f"<text x='{right}' y='{height - 8}' text-anchor='end'>dotted: the start, {_number(start, high)}</text>"
        )
    return "".join(body)


def _title(title: str) -> str:
    return f"<text class='title' x='{_LEFT}' y='14'>{html.escape(title)}</text>"


def _down(y: float, high: float, height: int) -> float:
    return height - _BOTTOM - y / high * (height - _TOP - _BOTTOM)


def _grid(values: Sequence[float], size: tuple[int, int]) -> tuple[float, str]:
    """The top of the axis, and its lines and numbers: three to six of them."""
    width, height = size
    most = max([v for v in values if math.isfinite(v)], default=0.0) * 1.1 or 1.0
    power = 10.0 ** math.floor(math.log10(most / 5))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= most / 5)
    parts = []
    for k in range(math.floor(most / step) + 1):
        y = _down(k * step, most, height)
        parts.append(f"<line x1='{_LEFT}' x2='{width - _RIGHT}' y1='{y:.1f}' y2='{y:.1f}' stroke='#ddd'/>")
        parts.append(f"<text x='{_LEFT - 6}' y='{y + 4:.1f}' text-anchor='end'>{_number(k * step, most)}</text>")
    return most, "".join(parts)


def _number(value: float, high: float) -> str:
    return f"{value:,.0f}" if high >= 100 else f"{value:.3g}"
