"""How the pages write money, counts, levels and the small chart of a finding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from claimkit.types import from_cents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.drift.findings import Finding

register = template.Library()

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 320, 150, 40, 20


@register.filter
def dollars(cents: int | None) -> str:
    """Write cents as whole dollars: ``$148,210``."""
    if cents is None:
        return "—"
    whole = round(from_cents(cents))
    return f"−${-whole:,}" if whole < 0 else f"${whole:,}"


@register.filter
def count(number: int | None) -> str:
    """Write a count with thousands separators."""
    return f"{number or 0:,}"


@register.filter
def words(code: str) -> str:
    """Write a code as words: ``denial_rate`` becomes ``denial rate``."""
    return str(code).replace("_", " ")


@register.filter
def level(finding: Finding, which: str) -> str:
    """Write a finding's ``baseline`` or ``current`` in its unit."""
    text = _in_unit(getattr(finding, which), finding.unit)
    return f"{text} of charge" if finding.unit == "log_ratio" else text


@register.filter
def evidence_chart(finding: Finding) -> SafeString:
    """Draw what was seen against what was expected, as an SVG that the page's style sheet colors."""
    plot = _Plot.of(finding)
    if plot is None:
        return SafeString("")
    seen = finding.evidence
    parts = [
        format_html('<polygon class="band" points="{}"/>', _points(plot.band())),
        plot.line("expected", seen.expected),
        plot.line("observed", seen.observed),
        *(
            _text(_LEFT - 5, plot.y(value) + 4, "end", _in_unit(value, finding.unit))
            for value in (plot.low, plot.high)
        ),
        _text(_LEFT, _HEIGHT - 4, "start", f"{seen.days[0]:%b %Y}"),
        _text(_WIDTH - 6, _HEIGHT - 4, "end", f"{seen.days[-1]:%b %Y}"),
        plot.onset(),
    ]
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        _WIDTH,
        _HEIGHT,
        f"From {level(finding, 'baseline')} to {level(finding, 'current')} since {finding.onset:%B %d, %Y}",
        mark_safe("".join(parts)),  # noqa: S308  every part is from format_html
    )


@dataclass(frozen=True, slots=True)
class _Plot:
    """Where the numbers of a finding are on the drawing."""

    finding: Finding
    low: float
    high: float

    @classmethod
    def of(cls, finding: Finding) -> _Plot | None:
        """Return the plot, None where there is nothing to draw."""
        seen = finding.evidence
        series = (*seen.observed, *seen.expected, *seen.low, *seen.high)
        finite = [value for value in series if math.isfinite(value)]
        if len(seen.days) < 2 or not finite:
            return None
        # Shares and days are read against zero; a ratio of amounts has no such floor.
        floor = min(finite) if finding.unit == "log_ratio" else min(*finite, 0.0)
        return cls(finding, floor, max(finite))

    def x(self, index: float) -> float:
        return _LEFT + index * (_WIDTH - _LEFT - 6) / (len(self.finding.evidence.days) - 1)

    def y(self, value: float) -> float:
        share = (self.high - min(max(value, self.low), self.high)) / (self.high - self.low or 1.0)
        return 8 + share * (_HEIGHT - _BOTTOM - 8)

    def line(self, name: str, values: Sequence[float]) -> SafeString:
        points = [(self.x(at), self.y(one)) for at, one in enumerate(values) if math.isfinite(one)]
        return format_html('<polyline class="{}" points="{}"/>', name, _points(points))

    def band(self) -> list[tuple[float, float]]:
        seen = self.finding.evidence
        known = [
            (at, low, high)
            for at, (low, high) in enumerate(zip(seen.low, seen.high, strict=False))
            if math.isfinite(low) and math.isfinite(high)
        ]
        upper = [(self.x(at), self.y(high)) for at, _, high in known]
        return upper + [(self.x(at), self.y(low)) for at, low, _ in reversed(known)]

    def onset(self) -> SafeString:
        seen = self.finding.evidence
        x = self.x((self.finding.onset - seen.days[0]).days / seen.period_days)
        if not _LEFT <= x <= _WIDTH:
            return SafeString("")
        line = '<line class="onset" x1="{0}" x2="{0}" y1="6" y2="{1}"/>'
        return format_html(line, round(x, 1), _HEIGHT - _BOTTOM)


def _text(x: float, y: float, anchor: str, words: str) -> SafeString:
    text = '<text x="{}" y="{}" text-anchor="{}">{}</text>'
    return format_html(text, round(x), round(y), anchor, words)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _in_unit(value: float, unit: str) -> str:
    match unit:
        case "share":
            return f"{value:.1%}" if abs(value) < 0.1 else f"{value:.0%}"
        case "days":
            return f"{value:.0f} d" if value >= 10 else f"{value:.1f} d"
        case "log_ratio":
            return f"{math.exp(value):.0%}"
        case _:
            return f"{value:,.4g}"
