"""Charts as SVG: run charts with their band, bars, mixes, waterfalls and heat maps.

Hides geometry. Colors are CSS classes, so the page decides on light and dark; every chart has a title
and a description for those who do not see it. Standard library only: what people see is ours.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from claimkit.reports.document import (
    BarChart,
    MixChart,
    RunChart,
    ValueKind,
    Waterfall,
    format_value,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.reports.document import Figure, HeatMap

__all__ = ["CSS", "draw"]

#: Styles of the charts; the page sets the custom properties for light and dark.
CSS = """
.chart{display:block;width:100%;height:auto;font:13px system-ui,sans-serif}
.chart text{fill:var(--muted)}
.chart .value{fill:var(--ink);font-weight:600}
.chart .label{fill:var(--ink)}
.chart .grid{stroke:var(--line);stroke-width:1}
.chart .axis{stroke:var(--line-strong);stroke-width:1}
.chart .band{fill:var(--band)}
.chart .expected{fill:none;stroke:var(--muted);stroke-width:1.5;stroke-dasharray:5 4}
.chart .observed{fill:none;stroke:var(--accent);stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}
.chart .dot{fill:var(--accent);stroke:var(--paper);stroke-width:1.5}
.chart .dot.out{fill:var(--alarm)}
.chart .onset{stroke:var(--alarm);stroke-width:1.5}
.chart .onset-label{fill:var(--alarm);font-weight:600}
.chart .bar{fill:var(--accent)}
.chart .bar.critical,.chart .bar.high{fill:var(--alarm)}
.chart .bar.medium{fill:var(--warn)}
.chart .before{fill:var(--line-strong)}
.chart .since{fill:var(--accent)}
.chart .total{fill:var(--line-strong)}
.chart .rise{fill:var(--alarm)}
.chart .fall{fill:var(--accent)}
.chart .link{stroke:var(--line-strong);stroke-width:1}
.chart .cell{fill:var(--panel)}
"""

_WIDTH = 680
#: Drawings narrower than this are laid out for the screen of a phone.
_NARROW = 480
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def draw(figure: Figure, *, identity: str, width: int = _WIDTH) -> str:
    """Return a figure as an ``<svg>`` element.

    Args:
        figure: What to draw.
        identity: Unique on the page; names the title and description for assistive technology.
        width: In pixels of its text; where it is narrow, run charts, bars and mixes leave out what
            does not fit. Waterfalls and heat maps keep theirs.
    """
    if isinstance(figure, RunChart):
        body, height = _run_chart(figure, width)
    elif isinstance(figure, BarChart):
        body, height = _bar_chart(figure, width)
    elif isinstance(figure, MixChart):
        body, height = _mix_chart(figure, width)
    elif isinstance(figure, Waterfall):
        (body, height), width = _waterfall(figure), _WIDTH
    else:
        (body, height), width = _heat_map(figure), _WIDTH
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {width} {height}" '
        f'aria-labelledby="{identity}-title {identity}-desc">'
        f'<title id="{identity}-title">{escape(figure.title)}</title>'
        f'<desc id="{identity}-desc">{escape(figure.description)}</desc>{"".join(body)}</svg>'
    )


# -- run chart --------------------------------------------------------------------------------

_TOP, _BOTTOM = 34, 30
#: Room for one date under the axis.
_DATE_WIDTH = 64


def _run_chart(chart: RunChart, width: int) -> tuple[list[str], int]:
    ticks = _ticks([*chart.observed, *chart.expected, *chart.low, *chart.high], chart.kind)
    plot = _Plot(chart.days, ticks[0], ticks[-1], width)
    body = [*_y_axis(plot, ticks, chart.kind), *_x_axis(plot)]
    upper = [plot.at(day, value) for day, value in zip(chart.days, chart.high, strict=True)]
    lower = [plot.at(day, value) for day, value in zip(chart.days, chart.low, strict=True)]
    body.append(f'<path class="band" d="{_line([*upper, *reversed(lower)])}Z"/>')
    expected = [plot.at(day, value) for day, value in zip(chart.days, chart.expected, strict=True)]
    observed = [plot.at(day, value) for day, value in zip(chart.days, chart.observed, strict=True)]
    body.append(f'<path class="expected" d="{_line(expected)}"/>')
    if chart.onset is not None:
        body += _onset(plot, chart.onset)
    body.append(f'<path class="observed" d="{_line(observed)}"/>')
    body += [
        f'<circle class="dot{"" if low <= value <= high else " out"}" cx="{x:.1f}" cy="{y:.1f}" r="4">'
        f"<title>Week of {_day(day)}: {_number(value, chart.kind)}</title></circle>"
        for (x, y), value, low, high, day in zip(
            observed, chart.observed, chart.low, chart.high, chart.days, strict=True
        )
    ]
    body += _end_labels(chart, plot, observed[-1][1], expected[-1][1])
    return body, plot.height


class _Plot:
    """Where a day and a value are on the paper."""

    def __init__(self, days: Sequence[dt.date], low: float, high: float, width: int) -> None:
        self.days = days
        is_narrow = width < _NARROW
        self.left, self.height = (44, 220) if is_narrow else (56, 270)
        self.right = width - (84 if is_narrow else 112)
        self._first = days[0].toordinal()
        self._span = max(1, days[-1].toordinal() - self._first)
        self._low, self._range = low, (high - low) or 1.0

    def x(self, day: dt.date) -> float:
        share = (day.toordinal() - self._first) / self._span
        return self.left + share * (self.right - self.left)

    def y(self, value: float) -> float:
        share = (value - self._low) / self._range
        return self.height - _BOTTOM - share * (self.height - _BOTTOM - _TOP)

    def at(self, day: dt.date, value: float) -> tuple[float, float]:
        return self.x(day), self.y(value)


def _y_axis(plot: _Plot, ticks: Sequence[float], kind: ValueKind) -> list[str]:
    parts = []
    for tick in ticks:
        y = plot.y(tick)
        style = "axis" if tick == ticks[0] else "grid"
        parts.append(
            f'<line class="{style}" x1="{plot.left}" x2="{plot.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{plot.left - 8}" y="{y + 4:.1f}" text-anchor="end">{_tick(tick, kind)}</text>'
        )
    return parts


def _x_axis(plot: _Plot) -> list[str]:
    most = min(6, (plot.right - plot.left) // _DATE_WIDTH)
    step = max(1, math.ceil(len(plot.days) / most))
    return [
        f'<text x="{plot.x(day):.1f}" y="{plot.height - 10}" text-anchor="middle">{_day(day)}</text>'
        for day in plot.days[::step]
    ]


def _onset(plot: _Plot, onset: dt.date) -> list[str]:
    day = min(max(onset, plot.days[0]), plot.days[-1])
    x = plot.x(day)
    anchor = "end" if x > (plot.left + plot.right) / 2 else "start"
    shift = -6 if anchor == "end" else 6
    return [
        f'<line class="onset" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 16}" y2="{plot.height - _BOTTOM}"/>',
        f'<text class="onset-label" x="{x + shift:.1f}" y="{_TOP - 12}" text-anchor="{anchor}">'
        f"changed {_day(onset)}</text>",
    ]


def _end_labels(chart: RunChart, plot: _Plot, observed_y: float, expected_y: float) -> list[str]:
    gap = 34.0
    if abs(observed_y - expected_y) < gap:
        middle = (observed_y + expected_y) / 2
        up = observed_y <= expected_y
        observed_y, expected_y = (
            (middle - gap / 2, middle + gap / 2) if up else (middle + gap / 2, middle - gap / 2)
        )
    # Two lines of text stay above the dates under the axis.
    lowest = plot.height - _BOTTOM - 16
    if max(observed_y, expected_y) > lowest:
        observed_y, expected_y = (
            (min(observed_y, lowest - gap), lowest)
            if observed_y <= expected_y
            else (lowest, min(expected_y, lowest - gap))
        )
    x = plot.right + 12
    return [
        f'<text class="value" x="{x}" y="{observed_y:.1f}">{_number(chart.observed[-1], chart.kind)}</text>'
        f'<text x="{x}" y="{observed_y + 15:.1f}">observed</text>',
        f'<text class="label" x="{x}" y="{expected_y:.1f}">{_number(chart.expected[-1], chart.kind)}</text>'
        f'<text x="{x}" y="{expected_y + 15:.1f}">expected</text>',
    ]


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _ticks(values: Sequence[float], kind: ValueKind) -> list[float]:
    """Return two to seven round values that span the data; shares and days start at zero if near."""
    low, high = min(values), max(values)
    if kind is not ValueKind.SHARE or low < 0.3:
        low = min(0.0, low)
    span = (high - low) or abs(high) or 1.0
    raw = span / 4
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(one * magnitude for one in (1, 2, 2.5, 5, 10) if one * magnitude >= raw)
    first = math.floor(low / step)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [at * step for at in range(first, last + 1)]


def _tick(value: float, kind: ValueKind) -> str:
    if kind is ValueKind.SHARE:
        return f"{100 * value:.4g} %"
    return f"{value:.4g} d" if kind is ValueKind.DAYS else f"{value:,.4g}"


def _number(value: float, kind: ValueKind) -> str:
    return format_value(value, kind)


def _day(day: dt.date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]}"


# -- bars -------------------------------------------------------------------------------------

_BAR_STEP = 44


def _bar_chart(chart: BarChart, width: int) -> tuple[list[str], int]:
    longest = max((bar.value for bar in chart.bars), default=0) or 1
    body = []
    for at, bar in enumerate(chart.bars):
        y = at * _BAR_STEP
        length = max(2.0, bar.value / longest * (width - 110))
        body.append(
            f'<text class="label" x="0" y="{y + 14}">{escape(_short(bar.label, min(72, width // 8)))}</text>'
            f'<rect class="bar {escape(bar.tone)}" x="0" y="{y + 20}" width="{length:.1f}" height="14" rx="3"/>'
            f'<text class="value" x="{length + 8:.1f}" y="{y + 32}">'
            f"{escape(format_value(bar.value, chart.kind))}</text>"
        )
    return body, max(1, len(chart.bars)) * _BAR_STEP


def _mix_chart(chart: MixChart, width: int) -> tuple[list[str], int]:
    longest = max((max(before, since) for _, before, since in chart.rows), default=0) or 1
    # Where there is no room beside the bars, labels stand above them.
    is_narrow = width < _NARROW
    left, right, step = (0, 60, 52) if is_narrow else (250, 60, 34)
    body = [
        f'<rect class="before" x="{left}" y="2" width="10" height="10" rx="2"/>'
        f'<text x="{left + 16}" y="11">before</text>'
        f'<rect class="since" x="{left + 76}" y="2" width="10" height="10" rx="2"/>'
        f'<text x="{left + 92}" y="11">since</text>'
    ]
    for at, (label, before, since) in enumerate(chart.rows):
        y = 24 + at * step
        text = escape(_short(label, 40 if is_narrow else 32))
        if is_narrow:
            body.append(f'<text class="label" x="0" y="{y + 13}">{text}</text>')
            y += 20
        else:
            body.append(
                f'<text class="label" x="{left - 10}" y="{y + 17}" text-anchor="end">{text}</text>'
            )
        for shift, style, share in ((0, "before", before), (12, "since", since)):
            length = max(1.0, share / longest * (width - left - right))
            text = "value" if style == "since" else "share"
            body.append(
                f'<rect class="{style}" x="{left}" y="{y + shift}" width="{length:.1f}" height="10" rx="2"/>'
                f'<text class="{text}" x="{left + length + 6:.1f}" y="{y + shift + 9}">{100 * share:.0f} %</text>'
            )
    return body, 30 + step * max(1, len(chart.rows))


def _short(text: str, longest: int = 72) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


# -- waterfall --------------------------------------------------------------------------------

_STEP_HEIGHT, _LABELS, _VALUES = 34, 230, 96


def _waterfall(chart: Waterfall) -> tuple[list[str], int]:
    """Bars from where the one before ended, downwards, so that labels have room."""
    levels = [0.0, chart.start.value]
    for step in chart.steps:
        levels.append(levels[-1] + step.value)
    low, high = min(0.0, *levels, chart.end.value), max(*levels, chart.end.value, 0.0)
    scale = (_WIDTH - _LABELS - _VALUES) / ((high - low) or 1.0)
    spans = [(0.0, chart.start.value, "total")]
    for step, begin, end in zip(chart.steps, levels[1:], levels[2:], strict=False):
        spans.append((begin, end, "rise" if step.value > 0 else "fall"))
    spans.append((0.0, chart.end.value, "total"))
    body = []
    for at, (step, (begin, end, style)) in enumerate(
        zip((chart.start, *chart.steps, chart.end), spans, strict=True)
    ):
        y = at * _STEP_HEIGHT
        left = _LABELS + (min(begin, end) - low) * scale
        width = max(2.0, abs(end - begin) * scale)
        written = format_value(step.value, chart.kind)
        signed = f"+{written}" if style == "rise" else written
        body.append(
            f'<text class="label" x="{_LABELS - 12}" y="{y + 19}" text-anchor="end">'
            f"{escape(_short(step.label, 28))}</text>"
            f'<rect class="{style}" x="{left:.1f}" y="{y + 6}" width="{width:.1f}" height="18" rx="2"/>'
            f'<text class="value" x="{left + width + 8:.1f}" y="{y + 19}">{escape(signed)}</text>'
        )
        if at + 1 < len(spans):
            x = _LABELS + (end - low) * scale
            body.append(
                f'<line class="link" x1="{x:.1f}" x2="{x:.1f}" y1="{y + 24}" y2="{y + 40}"/>'
            )
    return body, _STEP_HEIGHT * len(spans) + 4


# -- heat map ---------------------------------------------------------------------------------

_CELL_HEIGHT, _HEAD, _ROW_LABELS = 30, 96, 200


def _heat_map(chart: HeatMap) -> tuple[list[str], int]:
    """Cells with their value written in, colored by how far they moved."""
    width = (_WIDTH - _ROW_LABELS - 40) / max(1, len(chart.columns))
    body = []
    for at, label in enumerate(chart.columns):
        x = _ROW_LABELS + (at + 0.5) * width
        body.append(
            f'<text x="{x:.1f}" y="{_HEAD - 8}" transform="rotate(-35 {x:.1f} {_HEAD - 8})">'
            f"{escape(_short(label, 18))}</text>"
        )
    for row, label in enumerate(chart.rows):
        y = _HEAD + row * _CELL_HEIGHT
        body.append(
            f'<text class="label" x="{_ROW_LABELS - 10}" y="{y + 19}" text-anchor="end">'
            f"{escape(_short(label, 22))}</text>"
        )
        for at, (value, moved) in enumerate(zip(chart.values[row], chart.moved[row], strict=True)):
            if value is None:
                continue
            x = _ROW_LABELS + at * width
            body.append(_heat_cell(x, y, width, value, moved or 0.0, chart))
    return body, _HEAD + _CELL_HEIGHT * max(1, len(chart.rows)) + 4


def _heat_cell(x: float, y: float, width: float, value: float, moved: float, chart: HeatMap) -> str:
    strength = min(1.0, abs(moved) / chart.scale) if chart.scale else 0.0
    style = "rise" if moved > 0 else "fall"
    box = f'x="{x + 1:.1f}" y="{y + 1}" width="{width - 2:.1f}" height="{_CELL_HEIGHT - 2}" rx="3"'
    color = f'<rect class="{style}" {box} fill-opacity="{0.6 * strength:.2f}"/>' if strength else ""
    text = f"{100 * value:.0f}" if chart.kind is ValueKind.SHARE else _number(value, chart.kind)
    return (
        f'<rect class="cell" {box}/>{color}'
        f'<text class="label" x="{x + width / 2:.1f}" y="{y + 19}" text-anchor="middle">{text}</text>'
    )
