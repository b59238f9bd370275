"""Composes the report of a watch: what changed, since when, for how much money, and how we know.

The story: :func:`compose` takes what :func:`claimkit.drift.watch.watch` found. Findings become
sections, most dollars first (:func:`claimkit.reports.sections.finding_section`); the watch list, the payers with what could
be seen of them, the files and the method follow. Nothing is computed anew: every number comes from
a finding, the watch or an import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from claimkit.config import ReportsConfig
from claimkit.drift.findings import Tier
from claimkit.drift.power import PayerState
from claimkit.drift.watch import WatchState
from claimkit.drift.wording import date_words
from claimkit.reports.backtest import backtest_headline, backtest_section
from claimkit.reports.document import KeyFigure, Report, Section, ValueKind
from claimkit.reports.sections import (
    FileSummary,
    files_section,
    finding_section,
    overview_section,
    payers_section,
    stake_of,
    watchlist_section,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.drift.backtest import Backtest
    from claimkit.drift.findings import Finding
    from claimkit.drift.watch import WatchReport

__all__ = ["Volume", "compose", "compose_backtest"]


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
    sections = [finding_section(one, number) for number, one in enumerate(alerts, start=1)]
    if watchlist:
        sections.append(watchlist_section(watchlist))
    if watched.payers:
        sections.append(payers_section(watched.payers))
    if backtest is not None:
        sections.append(backtest_section(backtest))
    if files:
        sections.append(files_section(files))
    sections.append(_method_section(watched))
    return Report(
        title="Payer drift",
        tenant=tenant_name,
        as_of=watched.as_of,
        generated_at=generated_at,
        headline=_headline(watched, alerts),
        key_figures=_key_figures(watched, alerts, volume),
        sections=(overview_section(alerts), *sections) if len(alerts) > 1 else tuple(sections),
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
        sections.append(payers_section(result.payers))
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
    return f"{who} your claims: {stake_of(alerts).words}."


def _key_figures(
    watched: WatchReport, alerts: Sequence[Finding], volume: Volume | None
) -> tuple[KeyFigure, ...]:
    stake = stake_of(alerts)
    figures = [
        KeyFigure(
            label="At risk a month",
            value=stake.lost,
            kind=ValueKind.MONEY,
            note="denied or underpaid",
        ),
        KeyFigure(
            label="Delayed", value=stake.held, kind=ValueKind.MONEY, note="decided later than usual"
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
