"""Composes the report of a watch: what changed, since when, for how much money, and how we know.

The story: :func:`compose` takes what :func:`claimkit.drift.watch.watch` found. Findings become
sections, most dollars first (:func:`_finding_section`); the watch list, the payers with what could
be seen of them, the files and the method follow. Nothing is computed anew: every number comes from
a finding, the watch or an import.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claimkit.config import ReportsConfig
from claimkit.drift.findings import Signal, Tier
from claimkit.drift.power import PayerState
from claimkit.drift.watch import WatchState
from claimkit.drift.wording import (
    category_words,
    date_words,
    money_words,
    share_words,
    signal_words,
)
from claimkit.reports.backtest import backtest_headline, backtest_section
from claimkit.reports.document import (
    Bar,
    BarChart,
    Column,
    KeyFigure,
    MixChart,
    Report,
    RunChart,
    Section,
    Table,
    ValueKind,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.drift.backtest import Backtest
    from claimkit.drift.findings import Finding
    from claimkit.drift.power import PayerWatch
    from claimkit.drift.watch import WatchReport
    from claimkit.reports.document import Figure, Value

__all__ = ["FileSummary", "Volume", "compose", "compose_backtest"]

#: Units of findings that are no shares.
_KINDS = {"days": ValueKind.DAYS, "claims": ValueKind.COUNT}
_STATES = {
    PayerState.WATCHED: "watched",
    PayerState.LEARNING: "learning",
    PayerState.SPARSE: "too few claims",
    PayerState.SILENT: "silent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSummary:
    """One imported file, for the section on data quality."""

    name: str
    claims: int
    rejected: int
    #: Notice code → how often.
    notices: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """How much the report is about; money in cents."""

    claims: int
    pending: int
    charge: int
    paid: int


def compose(
    *,
    tenant_name: str,
    watched: WatchReport,
    generated_at: dt.datetime,
    volume: Volume | None = None,
    files: Sequence[FileSummary] = (),
    backtest: Backtest | None = None,
    config: ReportsConfig | None = None,
) -> Report:
    """Return the report of one watch.

    Args:
        tenant_name: What people call the tenant.
        watched: What the watch saw and found.
        generated_at: Aware instant; shown, and no part of the content hash.
        volume: Totals over the tenant's claims.
        files: What was imported for this report, if that is of interest.
        backtest: What past nights would have told, if that was asked for.
        config: How many findings to show.
    """
    limit = (config or ReportsConfig()).max_findings
    ranked = sorted(watched.findings, key=lambda one: (-one.dollars_per_month, one.fingerprint))
    alerts = [one for one in ranked if one.tier is Tier.ALERT][:limit]
    watchlist = [one for one in ranked if one.tier is Tier.WATCH][:limit]
    sections = [_finding_section(one, number) for number, one in enumerate(alerts, start=1)]
    if watchlist:
        sections.append(_watchlist_section(watchlist))
    if watched.payers:
        sections.append(_payers_section(watched.payers))
    if backtest is not None:
        sections.append(backtest_section(backtest))
    if files:
        sections.append(_files_section(files))
    sections.append(_method_section(watched))
    return Report(
        title="Payer drift",
        tenant=tenant_name,
        as_of=watched.as_of,
        generated_at=generated_at,
        headline=_headline(watched, alerts),
        key_figures=_key_figures(watched, alerts, volume),
        sections=(_overview_section(alerts), *sections) if len(alerts) > 1 else tuple(sections),
        findings=(*alerts, *watchlist),
    )


def compose_backtest(*, tenant_name: str, result: Backtest, generated_at: dt.datetime) -> Report:
    """Return the report of one backtest: how often, what and when, and what could be seen.

    Args:
        tenant_name: What people call the tenant.
        result: What the replayed nights told.
        generated_at: Aware instant; shown, and no part of the content hash.
    """
    sections = [backtest_section(result)]
    if result.payers:
        sections.append(_payers_section(result.payers))
    return Report(
        title="Payer drift, looking back",
        tenant=tenant_name,
        as_of=result.end,
        generated_at=generated_at,
        headline=backtest_headline(result),
        sections=tuple(sections),
        findings=result.findings,
    )


def _headline(watched: WatchReport, alerts: Sequence[Finding]) -> str:
    if watched.state is WatchState.EMPTY:
        return "No payer has decided a claim yet, so there is nothing to watch."
    if watched.state is WatchState.LEARNING:
        ready = [one.ready_on for one in watched.payers if one.ready_on]
        since = f" until {date_words(min(ready))}" if ready else ""
        return f"Still learning what is normal{since}: too little history to find a change."
    if not alerts:
        return "No payer has changed how it treats your claims."
    payers = {one.segment.payer for one in alerts}
    who = (
        "1 payer has changed how it treats"
        if len(payers) == 1
        else (f"{len(payers)} payers have changed how they treat")
    )
    money = sum(max(0, one.dollars_per_month) for one in alerts)
    return f"{who} your claims: about {money_words(money)} a month."


def _key_figures(
    watched: WatchReport, alerts: Sequence[Finding], volume: Volume | None
) -> tuple[KeyFigure, ...]:
    lost = sum(
        max(0, one.dollars_per_month) for one in alerts if one.signal is not Signal.DECISION_TIME
    )
    held = sum(
        max(0, one.dollars_per_month) for one in alerts if one.signal is Signal.DECISION_TIME
    )
    figures = [
        KeyFigure(
            label="At risk a month", value=lost, kind=ValueKind.MONEY, note="denied or underpaid"
        ),
        KeyFigure(
            label="Delayed", value=held, kind=ValueKind.MONEY, note="decided later than usual"
        ),
        KeyFigure(label="Payers watched", value=_watched(watched), kind=ValueKind.COUNT),
        KeyFigure(label="Decisions read", value=watched.decisions, kind=ValueKind.COUNT),
    ]
    if volume is not None:
        figures.append(
            KeyFigure(
                label="Claims",
                value=volume.claims,
                kind=ValueKind.COUNT,
                note=f"{volume.pending:,} not decided yet",
            )
        )
    return tuple(figures)


def _watched(watched: WatchReport) -> int:
    return sum(one.state is PayerState.WATCHED for one in watched.payers)


def _overview_section(alerts: Sequence[Finding]) -> Section:
    bars = tuple(
        Bar(
            label=f"{one.segment.payer}: {signal_words(one.signal)}",
            value=max(0, one.dollars_per_month),
            tone=one.severity,
        )
        for one in alerts
    )
    told = "; ".join(f"{one.label}, {money_words(round(one.value))}" for one in bars)
    chart = BarChart(
        title="Dollars a month by change",
        description=f"Bars of dollars a month, largest first: {told}.",
        kind=ValueKind.MONEY,
        bars=bars,
    )
    return Section(anchor="overview", heading="What changed", figures=(chart,))


def _finding_section(finding: Finding, number: int) -> Section:
    return Section(
        anchor=f"finding-{number}",
        heading=f"{finding.segment.payer}: {signal_words(finding.signal)}",
        tone=finding.severity,
        paragraphs=(finding.summary,),
        key_figures=_finding_figures(finding),
        figures=_finding_charts(finding),
        tables=_finding_tables(finding),
        points=finding.why,
    )


def _finding_figures(finding: Finding) -> tuple[KeyFigure, ...]:
    low, high = finding.interval
    effect, kind = finding.effect, _difference_kind(finding)
    if finding.unit == "log_ratio":
        effect, low, high = math.expm1(effect), math.expm1(low), math.expm1(high)
    note = f"95 % interval {_difference(low, kind)} to {_difference(high, kind)}"
    if finding.preliminary:
        note += ", preliminary"
    return (
        KeyFigure(label="A month", value=finding.dollars_per_month, kind=ValueKind.MONEY),
        KeyFigure(
            label="Since", value=finding.onset, kind=ValueKind.DATE, note=_first_seen(finding)
        ),
        KeyFigure(label="Change", value=_difference(effect, kind), kind=ValueKind.TEXT, note=note),
        KeyFigure(label="Claims since", value=finding.claims, kind=ValueKind.COUNT),
    )


def _first_seen(finding: Finding) -> str:
    return (
        f"first night it showed: {date_words(finding.detected_on)}" if finding.detected_on else ""
    )


def _difference_kind(finding: Finding) -> ValueKind:
    if finding.unit in _KINDS:
        return _KINDS[finding.unit]
    return ValueKind.SHARE if finding.unit == "log_ratio" else ValueKind.POINTS


def _difference(value: float, kind: ValueKind) -> str:
    if kind is ValueKind.DAYS:
        return f"{value:+.1f} days"
    if kind is ValueKind.COUNT:
        return f"{value:+,.0f} claims a week"
    unit = "%" if kind is ValueKind.SHARE else "pp"
    return f"{100 * value:+.1f} {unit}"


def _finding_charts(finding: Finding) -> tuple[Figure, ...]:
    evidence = finding.evidence
    charts: list[Figure] = []
    if len(evidence.days) > 1:
        charts.append(_run_chart(finding))
    labels = {*evidence.reasons_before, *evidence.reasons_since}
    if labels:
        before, since = evidence.reasons_before, evidence.reasons_since
        rows = [(category_words(one), before.get(one, 0.0), since.get(one, 0.0)) for one in labels]
        rows.sort(key=lambda row: (row[1] - row[2], row[0]))
        gained = rows[0]
        charts.append(
            MixChart(
                title="Why it denies: share of denials before and since",
                description=(
                    f"{gained[0]} went from {share_words(gained[1])} to {share_words(gained[2])} "
                    "of denials."
                ),
                rows=tuple(rows[:8]),
            )
        )
    return tuple(charts)


def _run_chart(finding: Finding) -> RunChart:
    evidence = finding.evidence
    series = (evidence.observed, evidence.expected, evidence.low, evidence.high)
    kind = _KINDS.get(finding.unit, ValueKind.SHARE)
    if finding.unit == "log_ratio":
        series = tuple(tuple(map(math.exp, one)) for one in series)  # type: ignore[assignment]
    observed, expected, low, high = series
    what = {
        Signal.ALLOWED_AMOUNT: "Allowed, as a share of charges",
        Signal.DECISION_TIME: "Days to decision",
        Signal.VOLUME: "Decided claims",
    }.get(finding.signal, "Denied, as a share of decisions")
    return RunChart(
        title=f"{what}, by week",
        description=(
            f"Weekly values from {date_words(evidence.days[0])}; the last is "
            f"{_written(observed[-1], kind)} where {_written(expected[-1], kind)} was expected. "
            f"The change is marked at {date_words(finding.onset)}."
        ),
        kind=kind,
        days=evidence.days,
        observed=observed,
        expected=expected,
        low=low,
        high=high,
        onset=finding.onset,
    )


def _written(value: float, kind: ValueKind) -> str:
    if kind is ValueKind.COUNT:
        return f"{value:,.0f}"
    return f"{value:.1f} days" if kind is ValueKind.DAYS else share_words(value)


def _finding_tables(finding: Finding) -> tuple[Table, ...]:
    groups = finding.evidence.groups
    if not groups or finding.signal not in (Signal.DENIAL_RATE, Signal.DENIAL_REASON_MIX):
        return ()
    rows = sorted(
        (
            (name, size, round(seen), seen / size if size else None, usual / size if size else None)
            for name, (seen, usual, size) in groups.items()
        ),
        key=lambda row: (-((row[3] or 0) - (row[4] or 0)) * row[1], row[0]),
    )
    return (
        Table(
            caption="By procedure group, since the change",
            columns=(
                Column(label="Procedure group"),
                Column(label="Decisions", kind=ValueKind.COUNT),
                Column(label="Denied", kind=ValueKind.COUNT),
                Column(label="Denial rate", kind=ValueKind.SHARE),
                Column(label="Expected", kind=ValueKind.SHARE),
            ),
            rows=tuple(rows),
        ),
    )


def _watchlist_section(findings: Sequence[Finding]) -> Section:
    return Section(
        anchor="watch-list",
        heading="Watch list",
        paragraphs=(
            "Weaker signs that nobody is alerted of; about one a month is expected by chance.",
        ),
        tables=(
            Table(
                caption="Possible changes",
                columns=(
                    Column(label="What"),
                    Column(label="Since", kind=ValueKind.DATE),
                    Column(label="A month", kind=ValueKind.MONEY),
                ),
                rows=tuple((one.summary, one.onset, one.dollars_per_month) for one in findings),
            ),
        ),
    )


def _payers_section(payers: Sequence[PayerWatch]) -> Section:
    rows: list[tuple[Value, ...]] = [
        (
            one.payer,
            _STATES[one.state],
            one.decisions,
            one.denial_rate,
            one.smallest_change,
            one.until,
        )
        for one in payers
    ]
    return Section(
        anchor="payers",
        heading="Payers, and what could be seen",
        paragraphs=(
            "The smallest change is the rise of a payer's denial rate that four weeks of its decisions "
            "would show. Smaller changes take longer; changes of one reason or procedure group show earlier.",
        ),
        tables=(
            Table(
                caption="Payers by volume",
                columns=(
                    Column(label="Payer"),
                    Column(label="State"),
                    Column(label="Decisions, 28 days", kind=ValueKind.COUNT),
                    Column(label="Denial rate", kind=ValueKind.SHARE),
                    Column(label="Smallest change", kind=ValueKind.POINTS),
                    Column(label="Last decision", kind=ValueKind.DATE),
                ),
                rows=tuple(rows),
            ),
        ),
    )


def _files_section(files: Sequence[FileSummary]) -> Section:
    rejected = sum(one.rejected for one in files)
    said = (
        "Every row was taken."
        if not rejected
        else (
            f"{rejected:,} rows could not be taken and are missing from what follows from the files."
        )
    )
    return Section(
        anchor="files",
        heading="Data quality",
        paragraphs=(said,),
        tables=(
            Table(
                caption="Files",
                columns=(
                    Column(label="File"),
                    Column(label="Claims", kind=ValueKind.COUNT),
                    Column(label="Rejected", kind=ValueKind.COUNT),
                    Column(label="Notices"),
                ),
                rows=tuple(
                    (
                        one.name,
                        one.claims,
                        one.rejected,
                        ", ".join(f"{code} ({count:,})" for code, count in one.notices) or "none",
                    )
                    for one in files
                ),
            ),
        ),
    )


def _method_section(watched: WatchReport) -> Section:
    history = "There are no decisions to compare yet."
    if watched.since and watched.until:
        history = (
            f"Decisions from {date_words(watched.since)} to {date_words(watched.until)} were read; "
            f"the nights since {date_words(watched.scanned_from)} were looked at one by one."
        )
    return Section(
        anchor="method",
        heading="Method and limits",
        paragraphs=(
            history,
            "Each payer's decisions are compared with what its own history predicts for claims of "
            "the same age and procedure mix, so that busy weeks, slow weeks and a changed case mix "
            "do not look like drift. Only first decisions count: resubmissions would count a denial twice.",
            "All payers, procedure groups and reasons share one budget of false alerts. A first "
            "estimate of a change tends to be high; it is measured again from later decisions.",
            "Money at risk compares what was seen since the change with what was expected. It is an "
            "estimate, and part of what is denied is recovered on appeal.",
        ),
    )
