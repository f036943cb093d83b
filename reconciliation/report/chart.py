"""Server-side SVG: the match rate of the last runs, and the bars of breaks by class and age.

No script and no font is loaded; every point carries a `<title>`, so that a reader without a mouse finds the figures in
the table beside it and one with a mouse finds them in the chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from reconciliation.report.amounts import format_day, format_rate
from reconciliation.report.model import RunPoint

WIDTH, HEIGHT = 540, 230
LEFT, RIGHT, TOP, BOTTOM = 60, 96, 12, 28
PALETTE = ("#1f5f8b", "#b4552d", "#4f7d3a", "#7a4f8f", "#9a7b1c", "#3a7d7c", "#a33b5a", "#5b6470")
LABEL_GAP = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line: a provider and currency; `values` holds (index of the run, basis points)."""

    label: str
    color: str
    values: tuple[tuple[int, int], ...]


def series_of(history: Sequence[RunPoint], leg: str) -> tuple[Series, ...]:
    """Return one series for every (provider, currency) of a leg of `history`, in that order."""
    keys = sorted({(rate.provider, rate.currency) for point in history for rate in point.rates if rate.leg == leg})
    return tuple(
        Series(
            label=f"{provider} {currency}",
            color=PALETTE[index % len(PALETTE)],
            values=_values(history, leg, provider, currency),
        )
        for index, (provider, currency) in enumerate(keys)
    )


def rate_chart(history: Sequence[RunPoint], leg: str) -> str:
    """Return the line chart of a leg's match rate, oldest run first; empty text when there is nothing to draw."""
    lines = series_of(history, leg)
    points = [value for line in lines for _, value in line.values]
    if not points:
        return ""
    floor = _floor(min(points))
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Match rate of leg {leg} over the last {len(history)} runs, by provider and currency">'
    ]
    parts += _grid(floor)
    parts += _days(history)
    for line in lines:
        parts.append(_polyline(line, floor, len(history)))
        parts += _dots(line, floor, history)
    parts += _labels(lines, floor)
    parts.append("</svg>")
    return "".join(parts)


def bar(counts: Sequence[int], most: int) -> str:
    """Return one stacked bar, a segment for each age bucket, on the scale where `most` fills the width."""
    width, height, x = 220, 12, 0
    parts = [f'<svg class="bar" viewBox="0 0 {width} {height}" aria-hidden="true" preserveAspectRatio="none">']
    for index, count in enumerate(counts):
        if not count:
            continue
        length = max(2, count * width // max(most, 1))
        parts.append(f'<rect class="age{index}" x="{x}" y="0" width="{length}" height="{height}"/>')
        x += length
    parts.append("</svg>")
    return "".join(parts)


def _values(history: Sequence[RunPoint], leg: str, provider: str, currency: str) -> tuple[tuple[int, int], ...]:
    return tuple(
        (index, rate.basis_points)
        for index, point in enumerate(history)
        for rate in point.rates
        if (rate.leg, rate.provider, rate.currency) == (leg, provider, currency) and rate.basis_points is not None
    )


def _floor(lowest: int) -> int:
    """Return where the axis begins: the next whole 5 % below, so that one bad day does not flatten all others."""
    return max(0, min(9_500, (lowest - 1) // 500 * 500))


def _x(index: int, count: int) -> int:
    span = WIDTH - LEFT - RIGHT
    return LEFT + (span * index // (count - 1) if count > 1 else span // 2)


def _y(value: int, floor: int) -> int:
    span = HEIGHT - TOP - BOTTOM
    return TOP + span * (10_000 - value) // (10_000 - floor)


def _grid(floor: int) -> list[str]:
    parts = []
    for step in range(5):
        value = floor + (10_000 - floor) * step // 4
        y = _y(value, floor)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="axis" x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{format_rate(value)}</text>')
    return parts


def _days(history: Sequence[RunPoint]) -> list[str]:
    every = max(1, (len(history) + 5) // 6)
    shown = range(len(history) - 1, -1, -every)
    return [
        f'<text class="axis" x="{_x(index, len(history))}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{format_day(history[index].as_of).rsplit(' ', 1)[0]}</text>"
        for index in shown
    ]


def _polyline(line: Series, floor: int, count: int) -> str:
    points = " ".join(f"{_x(index, count)},{_y(value, floor)}" for index, value in line.values)
    return f'<polyline fill="none" stroke="{line.color}" stroke-width="2" points="{points}"/>'


def _dots(line: Series, floor: int, history: Sequence[RunPoint]) -> list[str]:
    return [
        f'<circle cx="{_x(index, len(history))}" cy="{_y(value, floor)}" r="3" fill="{line.color}">'
        f"<title>{escape(line.label)}, {format_day(history[index].as_of)}: {format_rate(value)}</title></circle>"
        for index, value in line.values
    ]


def _labels(lines: Sequence[Series], floor: int) -> list[str]:
    """Return each line's name at its right end, pushed apart where they would overlap."""
    ends = sorted(
        ((_y(line.values[-1][1], floor), line) for line in lines if line.values), key=lambda end: (end[0], end[1].label)
    )
    parts, previous = [], TOP - LABEL_GAP
    for wanted, line in ends:
        y = max(wanted, previous + LABEL_GAP)
        previous = y
        parts.append(
            f'<text class="label" x="{WIDTH - RIGHT + 8}" y="{y + 4}" fill="{line.color}">{escape(line.label)}</text>'
        )
    return parts
