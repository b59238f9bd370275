"""How the pages write money, counts, levels and the small chart of a finding."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from claimkit.types import from_cents
from django import template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    return _in_unit(getattr(finding, which), finding.unit)


@register.filter
def evidence_chart(finding: Finding) -> SafeString:
    """Draw what was seen against what was expected, as an SVG that the page's style sheet colors."""
    seen = finding.evidence
    series = (*seen.observed, *seen.expected, *seen.low, *seen.high)
    finite = [value for value in series if math.isfinite(value)]
    if len(seen.days) < 2 or not finite:
        return SafeString("")
    low, high = min(*finite, 0.0 if finding.unit != "log_ratio" else min(finite)), max(finite)
    step = (_WIDTH - _LEFT - 6) / (len(seen.days) - 1)
    span = (high - low) or 1.0

    def at_x(index: float) -> float:
        return _LEFT + index * step

    def at_y(value: float) -> float:
        return 8 + (high - min(max(value, low), high)) / span * (_HEIGHT - _BOTTOM - 8)

    indexes = range(len(seen.days))
    band = [(at_x(i), at_y(seen.high[i])) for i in indexes if _known(seen.low, seen.high, i)]
    band += [
        (at_x(i), at_y(seen.low[i])) for i in reversed(indexes) if _known(seen.low, seen.high, i)
    ]
    onset = at_x((finding.onset - seen.days[0]).days / seen.period_days)
    parts = [
        format_html('<polygon class="band" points="{}"/>', _points(band)),
        _line("expected", seen.expected, at_x, at_y),
        _line("observed", seen.observed, at_x, at_y),
        *(
            format_html(
                '<text x="{}" y="{}" text-anchor="end">{}</text>',
                _LEFT - 5,
                round(at_y(value) + 4),
                _in_unit(value, finding.unit),
            )
            for value in (low, high)
        ),
        format_html('<text x="{}" y="{}">{}</text>', _LEFT, _HEIGHT - 4, f"{seen.days[0]:%b %Y}"),
        format_html(
            '<text x="{}" y="{}" text-anchor="end">{}</text>',
            _WIDTH - 6,
            _HEIGHT - 4,
            f"{seen.days[-1]:%b %Y}",
        ),
    ]
    if _LEFT <= onset <= _WIDTH:
        line = '<line class="onset" x1="{0}" x2="{0}" y1="6" y2="{1}"/>'
        parts.append(format_html(line, round(onset, 1), _HEIGHT - _BOTTOM))
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        _WIDTH,
        _HEIGHT,
        f"From {level(finding, 'baseline')} to {level(finding, 'current')} since {finding.onset:%B %d, %Y}",
        mark_safe("".join(parts)),  # noqa: S308  every part is from format_html
    )


def _line(
    name: str,
    values: Sequence[float],
    at_x: Callable[[float], float],
    at_y: Callable[[float], float],
) -> SafeString:
    points = [
        (at_x(index), at_y(value)) for index, value in enumerate(values) if math.isfinite(value)
    ]
    return format_html('<polyline class="{}" points="{}"/>', name, _points(points))


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _known(low: Sequence[float], high: Sequence[float], index: int) -> bool:
    return index < len(low) and math.isfinite(low[index]) and math.isfinite(high[index])


def _in_unit(value: float, unit: str) -> str:
    match unit:
        case "share":
            return f"{value:.1%}" if abs(value) < 0.1 else f"{value:.0%}"
        case "days":
            return f"{value:.0f} d" if value >= 10 else f"{value:.1f} d"
        case "log_ratio":
            return f"{math.exp(value):.0%} of charge"
        case _:
            return f"{value:,.4g}"
