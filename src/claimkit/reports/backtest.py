"""The sections of a report that tell what past nights would have brought."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.drift.backtest import Knowledge
from claimkit.drift.findings import Tier
from claimkit.drift.wording import date_words, month_words, signal_words
from claimkit.reports.document import (
    Bar,
    BarChart,
    Column,
    KeyFigure,
    Section,
    Table,
    ValueKind,
)

if TYPE_CHECKING:
    from claimkit.drift.backtest import Backtest
    from claimkit.drift.findings import Finding
    from claimkit.reports.document import Value

__all__ = ["backtest_headline", "backtest_section"]


def backtest_headline(result: Backtest) -> str:
    """Return in one sentence how many alerts there would have been."""
    rate = result.alerts_per_month
    if rate is None:
        return "There was too little history on every one of these nights to find a change."
    count = len(result.alerts)
    alerts = "no alert" if not count else "1 alert" if count == 1 else f"{count:,} alerts"
    since = date_words(result.start)
    return f"Since {since} there would have been {alerts}, {rate:.1f} a month."


def backtest_section(result: Backtest) -> Section:
    """Return what would have been told and when, and how often people would have been alerted."""
    return Section(
        anchor="backtest",
        heading="What past nights would have told",
        paragraphs=(backtest_headline(result), _knowledge(result)),
        key_figures=_key_figures(result),
        figures=(_month_chart(result),) if result.months else (),
        tables=tuple(_tables(result)),
    )


def _knowledge(result: Backtest) -> str:
    nights = f"The nights from {date_words(result.start)} to {date_words(result.end)} were replayed"
    if result.knowledge is Knowledge.THEN:
        return (
            f"{nights}, each with what had been imported by then; history that the first import "
            "brought counts as known in its time."
        )
    return (
        f"{nights}, each with the decisions made by then as they are known today; "
        "corrections that came later are already in them."
    )


def _key_figures(result: Backtest) -> tuple[KeyFigure, ...]:
    rate = result.alerts_per_month
    figures = [
        KeyFigure(label="Alerts", value=len(result.alerts), kind=ValueKind.COUNT),
        KeyFigure(
            label="Alerts a month",
            value="–" if rate is None else f"{rate:.1f}",
            kind=ValueKind.TEXT,
            note=f"over {result.watched_nights:,} watched nights",
        ),
        KeyFigure(
            label="Watch list",
            value=len(result.findings) - len(result.alerts),
            kind=ValueKind.COUNT,
            note="shown, never pushed",
        ),
    ]
    delays = sorted(_delay(one) for one in result.alerts)
    if delays:
        figures.append(
            KeyFigure(
                label="From change to alert",
                value=float(delays[len(delays) // 2]),
                kind=ValueKind.DAYS,
                note="in the middle, by the estimated day of the change",
            )
        )
    return tuple(figures)


def _month_chart(result: Backtest) -> BarChart:
    bars = tuple(
        Bar(label=month_words(one.month), value=one.alerts, tone="high" if one.alerts else "")
        for one in result.months
    )
    told = "; ".join(f"{one.label}: {round(one.value)}" for one in bars)
    return BarChart(
        title="Alerts by month",
        description=f"Number of alerts in each month: {told}.",
        kind=ValueKind.COUNT,
        bars=bars,
    )


def _tables(result: Backtest) -> list[Table]:
    tables = [
        Table(
            caption="By month",
            columns=(
                Column(label="Month"),
                Column(label="Nights", kind=ValueKind.COUNT),
                Column(label="Alerts", kind=ValueKind.COUNT),
                Column(label="Watch list", kind=ValueKind.COUNT),
                Column(label="Resolved", kind=ValueKind.COUNT),
            ),
            rows=tuple(
                (month_words(one.month), one.nights, one.alerts, one.watch, one.resolved)
                for one in result.months
            ),
        )
    ]
    if result.findings:
        tables.append(
            Table(
                caption="What would have been told, and when",
                columns=(
                    Column(label="Told on", kind=ValueKind.DATE),
                    Column(label="As"),
                    Column(label="Payer"),
                    Column(label="What"),
                    Column(label="Since", kind=ValueKind.DATE),
                    Column(label="Days from change", kind=ValueKind.COUNT),
                    Column(label="A month", kind=ValueKind.MONEY),
                    Column(label="Ended", kind=ValueKind.DATE),
                ),
                rows=tuple(map(_row, result.findings)),
            )
        )
    return tables


def _row(finding: Finding) -> tuple[Value, ...]:
    return (
        finding.detected_on,
        "alert" if finding.tier is Tier.ALERT else "watch list",
        finding.segment.payer,
        signal_words(finding.signal),
        finding.onset,
        _delay(finding),
        finding.dollars_per_month,
        finding.ended,
    )


def _delay(finding: Finding) -> int:
    return max(0, ((finding.detected_on or finding.onset) - finding.onset).days)
