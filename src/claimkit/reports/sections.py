"""Sections that reports share: one finding, the watch list, the payers, the files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claimkit.drift.findings import Signal
from claimkit.drift.power import PayerState
from claimkit.drift.wording import (
    category_words,
    date_words,
    money_words,
    share_words,
    signal_words,
)
from claimkit.reports.document import (
    Bar,
    BarChart,
    Column,
    KeyFigure,
    MixChart,
    RunChart,
    Section,
    Table,
    ValueKind,
)
from claimkit.reports.origins import method_words, origin_words

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.drift.findings import Finding
    from claimkit.drift.power import PayerWatch
    from claimkit.reports.document import Figure, Value
    from claimkit.reports.movement import Movement, Totals
    from claimkit.reports.origins import Trace
    from claimkit.reports.periods import Period

__all__ = [
    "FileSummary",
    "Stake",
    "end_of",
    "ended_section",
    "files_section",
    "finding_section",
    "overview_section",
    "payers_section",
    "sources_section",
    "stake_of",
    "watchlist_section",
]

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
    #: Identifier of the upload, where the site keeps uploads.
    upload: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """Money that findings are about, in cents; the two are no sum, for what comes late is owed."""

    #: Denied or underpaid a month.
    lost: int
    #: Decided later than usual.
    held: int

    @property
    def words(self) -> str:
        """What a headline says of it.

        >>> Stake(lost=1_825_000, held=0).words, Stake(lost=0, held=4_200_000).words
        ('about $18,000 a month', 'about $42,000 held up by late decisions')
        >>> Stake(lost=1_825_000, held=4_200_000).words
        'about $18,000 a month, and about $42,000 held up by late decisions'
        """
        held = f"about {money_words(self.held)} held up by late decisions"
        if self.held and not self.lost:
            return held
        lost = f"about {money_words(self.lost)} a month"
        return f"{lost}, and {held}" if self.held else lost


def stake_of(findings: Sequence[Finding]) -> Stake:
    """Return what findings cost; those in days hold money up, all others lose it."""
    lost = sum(max(0, one.dollars_per_month) for one in findings if one.unit != "days")
    held = sum(max(0, one.dollars_per_month) for one in findings if one.unit == "days")
    return Stake(lost=lost, held=held)


def overview_section(alerts: Sequence[Finding]) -> Section:
    """Return the section that puts all changes side by side, in dollars a month."""
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
    said = "What is decided later is held up and still owed; it is no part of what is lost."
    return Section(
        anchor="overview",
        heading="What changed",
        paragraphs=(said,) if any(one.unit == "days" for one in alerts) else (),
        figures=(chart,),
    )


def finding_section(finding: Finding, number: int) -> Section:
    """Return the section of one finding: what, how much, since when, and why it fired."""
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
        KeyFigure(
            # What comes late is still owed: no sum a month.
            label="Held up" if finding.unit == "days" else "A month",
            value=finding.dollars_per_month,
            kind=ValueKind.MONEY,
        ),
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
        Signal.PAYMENT_TIME: "Days from decision to payment",
        Signal.UNDERPAYMENT: "Allowed, as a share of the contract",
        Signal.MEASURE: finding.detector.replace("_", " "),
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


def watchlist_section(findings: Sequence[Finding]) -> Section:
    """Return the section of findings that nobody is alerted of."""
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


def end_of(finding: Finding) -> dt.date | None:
    """Return the last day of a finding, None while it goes on."""
    return finding.ended or finding.accepted_on


def ended_section(findings: Sequence[Finding]) -> Section:
    """Return the section of findings that are over."""
    return Section(
        anchor="ended",
        heading="Over in this period",
        tables=(
            Table(
                caption="Changes that ended, or that somebody took as normal",
                columns=(
                    Column(label="What"),
                    Column(label="Since", kind=ValueKind.DATE),
                    Column(label="Until", kind=ValueKind.DATE),
                    Column(label="A month", kind=ValueKind.MONEY),
                ),
                rows=tuple(
                    (one.summary, one.onset, end_of(one), one.dollars_per_month) for one in findings
                ),
            ),
        ),
    )


def payers_section(payers: Sequence[PayerWatch]) -> Section:
    """Return the section of payers, with what could be seen of each."""
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


def files_section(files: Sequence[FileSummary]) -> Section:
    """Return the section on the files that were read."""
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


def sources_section(
    moved: Movement,
    both: tuple[Period, Period],
    findings: Sequence[Finding],
    traces: Sequence[Trace],
) -> Section:
    """Return the section on where the numbers come from: by cells and findings, and key figures."""
    rows: list[tuple[Value, ...]] = [
        (f"First decisions, {date_words(one.first)} to {date_words(one.last)}", _counted(totals))
        for one, totals in zip(both, (moved.now, moved.before), strict=True)
    ]
    rows += [
        (f"Finding {one.fingerprint}", f"{one.detector}, {one.signal}, as of {one.as_of}")
        for one in findings
    ]
    figures = tuple(
        (one.label, method_words(one), "; ".join(map(origin_words, one.origins)) or "no finding")
        for one in traces
        if one.at.startswith("/key_figures/")
    )
    return Section(
        anchor="sources",
        heading="Where the numbers come from",
        paragraphs=(
            f"Each of the {len(traces):,} numbers of this report names what it is made of: in the "
            "report as JSON, on the last sheet of the workbook, and over the API, which leads on to "
            "the claims and the files.",
        ),
        tables=(
            Table(
                caption="Cells and findings",
                columns=(Column(label="Source"), Column(label="What it holds")),
                rows=tuple(rows),
            ),
            Table(
                caption="Key figures",
                columns=tuple(Column(label=label) for label in ("Figure", "How", "Made of")),
                rows=figures,
            ),
        ),
    )


def _counted(totals: Totals) -> str:
    return f"{totals.decided:,} decided, {totals.denied:,} denied"
