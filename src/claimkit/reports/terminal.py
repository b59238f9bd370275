"""The report for a terminal: what changed, since when, how much money, in a screenful."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from claimkit.drift.findings import Tier
from claimkit.drift.wording import month_words, share_words
from claimkit.reports.backtest import backtest_headline
from claimkit.reports.document import RunChart, ValueKind, format_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from claimkit.drift.backtest import Backtest
    from claimkit.drift.calibration import Calibration
    from claimkit.drift.risk import RiskReport, RiskScore
    from claimkit.reports.document import Report, Section

__all__ = ["render_backtest", "render_calibration", "render_risk", "render_text", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_BOLD, _RED, _DIM, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[2m", "\x1b[0m"


def render_text(report: Report, *, width: int = 80, color: bool = False) -> str:
    """Return the report as lines of at most ``width`` columns.

    Args:
        report: What to show.
        width: Columns of the terminal, at least 40.
        color: Whether to use ANSI styles.
    """
    width = max(40, min(width, 100))
    about = f"{report.tenant}, as of {format_value(report.as_of, ValueKind.DATE)}"
    lines = [
        *(_styled(one, _DIM, color=color) for one in textwrap.wrap(about, width)),
        *(_styled(one, _BOLD, color=color) for one in textwrap.wrap(report.headline, width)),
    ]
    findings = [one for one in report.sections if one.anchor.startswith("finding-")]
    for number, section in enumerate(findings, start=1):
        lines += ["", *_finding(section, number, width, color=color)]
    watched = [one for one in report.findings if one.tier is Tier.WATCH]
    if watched:
        lines += ["", *textwrap.wrap("Watch list (weaker signs, nobody is alerted):", width)]
        for one in watched:
            lines += textwrap.wrap(
                one.summary, width, initial_indent="  - ", subsequent_indent="    "
            )
    return "\n".join(lines)


def render_risk(report: RiskReport) -> str:
    """Return how probable a denial of each planned claim is, and why."""
    return "\n".join(line for one in report.scores for line in _risk(one))


def _risk(score: RiskScore) -> Iterator[str]:
    said = "too little history"
    if score.probability is not None and score.interval is not None:
        low, high = score.interval
        said = f"{share_words(score.probability)} ({share_words(low)} to {share_words(high)})"
    yield f"{score.claim.reference}: {said}"
    for one in score.reasons:
        yield f"  {one}"


def render_calibration(found: Calibration | None) -> str:
    """Return how good probabilities of denial were, with their reliability table."""
    if found is None:
        return "too little history to say how good such probabilities were"
    rows = [
        f"{found.claims:,} decisions from {found.first} to {found.last}, foretold from what came before",
        f"Brier {found.brier:.4f} = reliability {found.reliability:.4f} - resolution"
        f" {found.resolution:.4f} + uncertainty {found.uncertainty:.4f} {found.within:+.4f} in bins",
        f"{100 * found.skill:.1f} % better than the average",
        "  claims    said  denied  95 % interval",
    ]
    rows += [
        f"  {one.claims:>6,}  {100 * one.predicted:4.1f} %  {100 * one.observed:4.1f} %"
        f"  {100 * one.low:.1f} to {100 * one.high:.1f} %"
        for one in found.bins
    ]
    return "\n".join(rows)


def render_backtest(result: Backtest, *, name: str, width: int = 80, color: bool = False) -> str:
    """Return a backtest as lines: the rate of alerts, the months, and each alert with its night.

    Args:
        result: What the replayed nights told.
        name: What people call the tenant.
        width: Columns of the terminal, at least 40.
        color: Whether to use ANSI styles.
    """
    width = max(40, min(width, 100))
    span = " to ".join(format_value(day, ValueKind.DATE) for day in (result.start, result.end))
    lines = [
        _styled(f"{name}, nights from {span}", _DIM, color=color),
        *(
            _styled(one, _BOLD, color=color)
            for one in textwrap.wrap(backtest_headline(result), width)
        ),
        "",
        f"{'Month':<9}{'Alerts':>7}{'Watch list':>12}{'Resolved':>10}",
        *(
            f"{month_words(one.month)} {one.alerts:>7}{one.watch:>12}{one.resolved:>10}"
            for one in result.months
        ),
    ]
    for one in result.alerts:
        told = format_value(one.detected_on, ValueKind.DATE)
        lines += ["", _styled(f"Told on {told} ({one.severity})", _RED, color=color)]
        lines += textwrap.wrap(one.summary, width, initial_indent="  ", subsequent_indent="  ")
    seen = [one for one in result.payers if one.smallest_change is not None]
    if seen:
        lines += ["", "Smallest rise of the denial rate that four weeks would show:"]
        lines += [
            f"  {format_value(one.smallest_change, ValueKind.POINTS):>9}  {one.payer}"
            for one in seen
        ]
    return "\n".join(lines)


def sparkline(values: Sequence[float]) -> str:
    """Return values as block characters, from the lowest to the highest of them.

    >>> sparkline([1, 1, 2, 8])
    '▁▁▂█'
    """
    if not values:
        return ""
    low, high = min(values), max(values)
    if high == low:
        return _BLOCKS[0] * len(values)
    return "".join(
        _BLOCKS[round((one - low) / (high - low) * (len(_BLOCKS) - 1))] for one in values
    )


def _finding(section: Section, number: int, width: int, *, color: bool) -> Iterator[str]:
    money = next((one for one in section.key_figures if one.kind is ValueKind.MONEY), None)
    amount = f"{format_value(money.value, money.kind)} a month" if money else ""
    lines = textwrap.wrap(f"{number}. {section.heading}", width, subsequent_indent="   ")
    if len(lines[-1]) + len(amount) >= width:
        lines.append("  ")
    room = width - len(lines[-1]) - len(amount)
    lines[-1] += f"{' ' * room}{amount}" if amount else ""
    for line in lines:
        yield _styled(line, _RED, color=color)
    for paragraph in section.paragraphs:
        yield from textwrap.wrap(paragraph, width, initial_indent="   ", subsequent_indent="   ")
    for figure in section.figures:
        if isinstance(figure, RunChart):
            yield from _run(figure, width)


def _run(chart: RunChart, width: int) -> Iterator[str]:
    size = min(len(chart.days), width - 40)
    if size < 2:
        return
    days, values = chart.days[-size:], chart.observed[-size:]
    first, last = format_value(values[0], chart.kind), format_value(values[-1], chart.kind)
    yield f"   {first} {sparkline(values)} {last}"
    if chart.onset is not None and days[0] <= chart.onset:
        at = sum(day <= chart.onset for day in days) - 1
        yield f"   {' ' * len(first)} {' ' * at}↑ {format_value(chart.onset, ValueKind.DATE)}"


def _styled(text: str, style: str, *, color: bool) -> str:
    return f"{style}{text}{_PLAIN}" if color else text
