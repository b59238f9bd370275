"""Composes the report of a period: a week, a month or a quarter, beside the one before.

The story: findings that were open in the period become sections, most dollars first; the cube's
first decisions say what denials were made of and why they moved (:mod:`claimkit.reports.movement`);
what rooms of the site add, files and alerts, follows. Every number names where it comes from in
the last section.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from claimkit.config import ReportsConfig
from claimkit.drift.findings import FindingState, Tier
from claimkit.drift.wording import category_words, date_words, money_words, share_words
from claimkit.reports.comparison import comparison_section
from claimkit.reports.document import (
    Column,
    HeatMap,
    KeyFigure,
    MixChart,
    Report,
    Section,
    Step,
    Table,
    ValueKind,
    Waterfall,
)
from claimkit.reports.movement import LEAST_DECIDED, beyond_chance, movement_of
from claimkit.reports.periods import Period, PeriodKind, period_before
from claimkit.reports.sections import (
    end_of,
    ended_section,
    files_section,
    finding_section,
    overview_section,
    payers_section,
    sources_section,
    stake_of,
    watchlist_section,
)
from claimkit.reports.trace import Told, trace_period

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from claimkit.drift.cube import Cells
    from claimkit.drift.findings import Finding
    from claimkit.drift.power import PayerWatch
    from claimkit.reports.comparison import EarlierReport
    from claimkit.reports.document import Value
    from claimkit.reports.movement import Movement
    from claimkit.reports.sections import FileSummary
    from claimkit.types import Cents

__all__ = ["AlertSummary", "compose_period"]

_TITLES = {
    PeriodKind.WEEKLY: "Weekly payer report",
    PeriodKind.MONTHLY: "Monthly payer report",
    PeriodKind.QUARTERLY: "Quarterly payer report",
    PeriodKind.CUSTOM: "Payer report",
}
#: Payers and procedure groups in a chart; the rest is in the totals.
_PAYERS_SHOWN = 8
_GROUPS_SHOWN = 8
_CATEGORIES_SHOWN = 8
#: The move of a full color.
_FULL_COLOR = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSummary:
    """What became of alerts in the period."""

    opened: int
    resolved: int
    #: Why notifications were not sent → how often.
    muted: tuple[tuple[str, int], ...] = ()
    judged_real: int = 0
    judged_noise: int = 0
    #: Money that people say came back in the period.
    recovered: Cents = 0


def compose_period(
    *,
    tenant_name: str,
    period: Period,
    findings: Sequence[tuple[Finding, FindingState]],
    decisions: Cells,
    generated_at: dt.datetime,
    payers: Sequence[PayerWatch] = (),
    files: Sequence[FileSummary] = (),
    alerts: AlertSummary | None = None,
    earlier: EarlierReport | None = None,
    today: dt.date | None = None,
    config: ReportsConfig | None = None,
) -> Report:
    """Return the report of one period; of one that has not ended, of the days that it has had.

    Args:
        tenant_name: What people call the tenant.
        period: What it is about.
        findings: All findings that may concern it; those that do are chosen.
        decisions: Cells of :data:`~claimkit.drift.cube.DECISIONS` that hold the period and the one
            before; more may be in it.
        generated_at: Aware instant; shown, and no part of the content hash.
        payers: How well each payer is watched.
        files: What was imported in the period.
        alerts: What became of alerts in it, where the site has them.
        earlier: What the report of the period before said, where there is one.
        today: Day of whoever asks; None takes the period for one that has ended.
        config: How many findings to show.
    """
    limit = (config or ReportsConfig()).max_findings
    chosen = _in_period(findings, period)
    current = [one for one, state in chosen if _is_open(one, state, period)]
    told = [one for one in current if one.tier is Tier.ALERT][:limit]
    watchlist = [one for one in current if one.tier is Tier.WATCH][:limit]
    over = [one for one, state in chosen if not _is_open(one, state, period)][:limit]
    seen, before = _seen(period, today)
    moved = movement_of(decisions, seen, before)
    figures = tuple(_key_figures(told, moved, alerts))
    findings_told = (*told, *over, *watchlist)
    sections: list[Section] = []
    if seen is not period:
        sections.append(_unfinished_section(period, seen, before))
    if len(told) > 1:
        sections.append(overview_section(told))
    sections += _movement_sections(moved, before)
    sections += [finding_section(one, number) for number, one in enumerate(told, start=1)]
    if earlier is not None:
        sections.append(comparison_section(figures, findings_told, earlier))
    sections += _other_sections(over, watchlist, alerts, files, payers)
    sections.append(_method_section())
    headline = _headline(told, moved, period)
    report = Report(
        title=_TITLES[period.kind] if seen is period else f"{_TITLES[period.kind]}, so far",
        tenant=tenant_name,
        as_of=seen.last,
        generated_at=generated_at,
        headline=headline if seen is period else f"{headline} {_ends(period)}",
        key_figures=figures,
        sections=tuple(sections),
        findings=findings_told,
    )
    return _traced(
        report,
        Told(
            seen=seen,
            before=before,
            moved=moved,
            alerts=told,
            over=over,
            watchlist=watchlist,
            payers=payers,
            watched_on=min(seen.last, today or seen.last),
            files=files,
            muted=[reason for reason, _ in alerts.muted] if alerts else (),
        ),
    )


def _other_sections(
    over: Sequence[Finding],
    watchlist: Sequence[Finding],
    alerts: AlertSummary | None,
    files: Sequence[FileSummary],
    payers: Sequence[PayerWatch],
) -> Iterator[Section]:
    """Yield what follows the findings, as far as there is something to tell."""
    if over:
        yield ended_section(over)
    if watchlist:
        yield watchlist_section(watchlist)
    if alerts is not None:
        yield _alerts_section(alerts)
    if files:
        yield files_section(files)
    if payers:
        yield payers_section(payers)


def _traced(report: Report, told: Told) -> Report:
    """Return the report with a trace of each number, and a section that tells of them."""
    traces = trace_period(report, told)
    both = (told.seen, told.before)
    sources = sources_section(told.moved, both, report.findings, traces)
    return replace(report, traces=traces, sections=(*report.sections, sources))


def _seen(period: Period, today: dt.date | None) -> tuple[Period, Period]:
    """Return the days that a period has had, and those of the one before that they stand beside.

    The period itself where it has ended; else as many days of the one before as it has had.
    """
    before = period_before(period)
    if today is None or today > period.last:
        return period, before
    last = max(period.first, today)
    days = last - period.first
    return (
        Period(kind=PeriodKind.CUSTOM, first=period.first, last=last),
        Period(
            kind=PeriodKind.CUSTOM, first=before.first, last=min(before.last, before.first + days)
        ),
    )


def _ends(period: Period) -> str:
    return f"So far: {period.words} ends on {date_words(period.last)}."


def _unfinished_section(period: Period, seen: Period, before: Period) -> Section:
    return Section(
        anchor="unfinished",
        heading="This period has not ended",
        paragraphs=(
            f"It ends on {date_words(period.last)}. The report tells what was known on "
            f"{date_words(seen.last)}, beside {date_words(before.first)} to "
            f"{date_words(before.last)}, as many days of the period before. Its numbers will change: "
            "make it again when the period is over.",
        ),
    )


def _in_period(
    findings: Sequence[tuple[Finding, FindingState]], period: Period
) -> list[tuple[Finding, FindingState]]:
    """Return what was found by the end of the period and not over before it, most dollars first."""
    chosen = [
        (one, state)
        for one, state in findings
        if (one.detected_on or one.as_of) <= period.last
        and (state is FindingState.OPEN or (end_of(one) or period.first) >= period.first)
    ]
    return sorted(chosen, key=lambda each: (-each[0].dollars_per_month, each[0].fingerprint))


def _is_open(finding: Finding, state: FindingState, period: Period) -> bool:
    """Whether it was still going on when the period ended."""
    end = end_of(finding)
    return state is FindingState.OPEN or (end is not None and end > period.last)


def _headline(told: Sequence[Finding], moved: Movement, period: Period) -> str:
    if not moved.now.decided and not told:
        return f"No decision is known of {period.words}, so there is nothing to report."
    if not told:
        return f"No payer has changed how it treats your claims in {period.words}."
    payers = {one.segment.payer for one in told}
    who = "1 payer treats" if len(payers) == 1 else f"{len(payers)} payers treat"
    return f"{who} your claims worse than before: {stake_of(told).words}."


def _key_figures(
    told: Sequence[Finding], moved: Movement, alerts: AlertSummary | None
) -> Iterator[KeyFigure]:
    stake = stake_of(told)
    yield KeyFigure(
        label="At risk a month",
        value=stake.lost,
        kind=ValueKind.MONEY,
        note="denied or underpaid",
    )
    yield KeyFigure(
        label="Delayed",
        value=stake.held,
        kind=ValueKind.MONEY,
        note="decided later than usual",
    )
    if alerts is not None:
        yield KeyFigure(
            label="Recovered", value=alerts.recovered, kind=ValueKind.MONEY, note="as judged"
        )
    before = moved.before.denial_rate
    yield KeyFigure(
        label="Denial rate",
        value=moved.now.denial_rate,
        kind=ValueKind.SHARE,
        note="" if before is None else f"{share_words(before)} before",
    )
    yield KeyFigure(
        label="Decided",
        value=moved.now.decided,
        kind=ValueKind.COUNT,
        note=f"{moved.before.decided:,} before",
    )
    yield KeyFigure(label="Paid", value=moved.now.paid, kind=ValueKind.MONEY)


# -- what moved -------------------------------------------------------------------------------


def _movement_sections(moved: Movement, before: Period) -> Iterator[Section]:
    if not moved.now.decided:
        return
    if moved.before.decided:
        yield _money_section(moved, before)
    yield _heat_section(moved)
    if moved.categories:
        yield _reasons_section(moved)


def _money_section(moved: Movement, before: Period) -> Section:
    ranked = moved.by_payer_ranked
    shown = ranked[: _PAYERS_SHOWN - 2]
    rest = sum(value for _, value in ranked[_PAYERS_SHOWN - 2 :])
    parts = [("More or fewer claims", moved.by_volume), ("Another mix of claims", moved.by_mix)]
    parts += [(f"{payer or 'Unnamed payer'}", value) for payer, value in shown]
    if len(ranked) > len(shown):
        parts.append(("Other payers", rest))
    steps = tuple(Step(label=label, value=round(value)) for label, value in parts)
    chart = Waterfall(
        title=f"Denied charges, from {before.words} to this period",
        description="; ".join(f"{one.label}: {money_words(round(one.value))}" for one in steps),
        kind=ValueKind.MONEY,
        start=Step(label="Denied before", value=moved.before.denied_charge),
        steps=steps,
        end=Step(label="Denied now", value=moved.now.denied_charge),
    )
    behavior = sum(value for _, value in moved.by_payer)
    return Section(
        anchor="money",
        heading="Why the denied amount moved",
        paragraphs=(
            f"Payers' own decisions account for {_signed(behavior)}, the mix of claims for "
            f"{_signed(moved.by_mix)}, and the number of claims for {_signed(moved.by_volume)}. "
            "Only what payers decide otherwise is drift; it is what findings are about.",
        ),
        figures=(chart,),
    )


def _signed(cents: float) -> str:
    written = money_words(round(cents))
    return f"+{written}" if cents > 0 else written


def _heat_section(moved: Movement) -> Section:
    payers, groups = moved.payers[:_PAYERS_SHOWN], moved.groups[:_GROUPS_SHOWN]
    values: list[tuple[float | None, ...]] = []
    changes: list[tuple[float | None, ...]] = []
    for row in range(len(payers)):
        cells = [_heat(moved, row, column) for column in range(len(groups))]
        values.append(tuple(value for value, _ in cells))
        changes.append(tuple(change for _, change in cells))
    chart = HeatMap(
        title="Denial rate in percent, by payer and procedure group",
        description=(
            "Colored where it moved by more than chance since the period before; cells with fewer "
            f"than {LEAST_DECIDED} decisions are empty."
        ),
        kind=ValueKind.SHARE,
        rows=tuple(payer or "unnamed payer" for payer in payers),
        columns=tuple(group.replace("_", " ") or "ungrouped" for group in groups),
        values=tuple(values),
        moved=tuple(changes),
        scale=_FULL_COLOR,
    )
    return Section(
        anchor="map",
        heading="Where claims are denied",
        paragraphs=(
            f"The {len(payers)} payers and {len(groups)} procedure groups with most decisions. "
            "Red cells deny more than in the period before, blue ones less.",
        ),
        figures=(chart,),
        tables=(_payer_table(moved),),
    )


def _heat(moved: Movement, row: int, column: int) -> tuple[float | None, float | None]:
    """Return a cell's rate and by how much it moved, 0 where that may be chance."""
    (decided, was_decided), (denied, was_denied) = moved.decided, moved.denied
    n, m = float(decided[row, column]), float(was_decided[row, column])
    if n < LEAST_DECIDED:
        return None, None
    no, was_no = float(denied[row, column]), float(was_denied[row, column])
    return no / n, beyond_chance(no, n, was_no, m)


def _payer_table(moved: Movement) -> Table:
    own = dict(moved.by_payer)
    rows: list[tuple[Value, ...]] = []
    for at, payer in enumerate(moved.payers):
        sums = [float(cube[at].sum()) for cube in (*moved.decided, *moved.denied)]
        decided, was_decided, denied, was_denied = sums
        rows.append(
            (
                payer or "unnamed payer",
                round(decided),
                denied / decided if decided else None,
                was_denied / was_decided if was_decided else None,
                round(own[payer]),
            )
        )
    return Table(
        caption="Payers, this period and the one before",
        columns=(
            Column(label="Payer"),
            Column(label="Decided", kind=ValueKind.COUNT),
            Column(label="Denial rate", kind=ValueKind.SHARE),
            Column(label="Before", kind=ValueKind.SHARE),
            Column(label="Denied charges by its own doing", kind=ValueKind.MONEY),
        ),
        rows=tuple(rows),
    )


def _reasons_section(moved: Movement) -> Section:
    now, before = max(1, moved.now.denied), max(1, moved.before.denied)
    rows = [
        (category_words(name), was / before, here / now) for name, was, here in moved.categories
    ]
    first = rows[0]
    chart = MixChart(
        title="Why claims are denied: share of denials",
        description=(
            f"{first[0]} is {share_words(first[2])} of denials, {share_words(first[1])} before."
        ),
        rows=tuple(rows[:_CATEGORIES_SHOWN]),
    )
    return Section(anchor="reasons", heading="Why claims are denied", figures=(chart,))


# -- the rest ---------------------------------------------------------------------------------


def _alerts_section(alerts: AlertSummary) -> Section:
    muted = sum(count for _, count in alerts.muted)
    rows: list[tuple[Value, ...]] = [
        ("Opened", alerts.opened),
        ("Resolved", alerts.resolved),
        ("Judged real", alerts.judged_real),
        ("Judged noise", alerts.judged_noise),
        *((f"Not sent: {reason.replace('_', ' ')}", count) for reason, count in alerts.muted),
    ]
    said = (
        f"{muted:,} notifications were not sent, for the reasons below."
        if muted
        else "Nothing was muted: whoever should be told was told."
    )
    return Section(
        anchor="alerts",
        heading="Alerts, and what was muted",
        paragraphs=(said,),
        tables=(
            Table(
                caption="Alerts",
                columns=(Column(label="What"), Column(label="How often", kind=ValueKind.COUNT)),
                rows=tuple(rows),
            ),
        ),
    )


def _method_section() -> Section:
    return Section(
        anchor="method",
        heading="Method and limits",
        paragraphs=(
            "A finding compares a payer's decisions with what its own history predicts for claims of "
            "the same age and procedure mix; all findings share one budget of false alerts.",
            "The denied amount is taken apart at the mean of both periods into the number of claims, "
            "their mix over payers and procedure groups, and each payer's own rates. The latter "
            "contain chance: only findings are tested.",
            "Only first decisions count. Claims that are not decided yet are in no rate, and the "
            "latest weeks of a period change a little as late decisions come in. Denied charges are "
            "not lost money: part of them is recovered on appeal.",
        ),
    )
