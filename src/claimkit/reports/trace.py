"""Gives each number of the report of a period its origins.

The story: :func:`trace_period` walks the document in the order in which
:func:`claimkit.reports.period.compose_period` made it, and says of every number where it stands,
what it is made of and how. Numbers in texts repeat those beside them, and have no trace of their own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from claimkit.drift.findings import ALL_PAYERS, Signal
from claimkit.drift.history import OTHER_GROUPS
from claimkit.drift.power import RECENT_DAYS
from claimkit.drift.wording import category_words
from claimkit.reports.document import MixChart, RunChart, ValueKind
from claimkit.reports.origins import (
    AlertOrigin,
    CellOrigin,
    FileOrigin,
    FindingOrigin,
    Method,
    Trace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from claimkit.drift.findings import Finding
    from claimkit.drift.power import PayerWatch
    from claimkit.reports.document import (
        BarChart,
        HeatMap,
        Report,
        Section,
        Table,
        Value,
        Waterfall,
    )
    from claimkit.reports.movement import Movement
    from claimkit.reports.origins import Origin
    from claimkit.reports.periods import Period
    from claimkit.reports.sections import FileSummary

__all__ = ["Told", "trace_period"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What the report of a period was composed of, in the order in which it is told."""

    seen: Period
    before: Period
    moved: Movement
    alerts: Sequence[Finding]
    over: Sequence[Finding]
    watchlist: Sequence[Finding]
    payers: Sequence[PayerWatch]
    #: Evening that ``payers`` look back from.
    watched_on: dt.date
    files: Sequence[FileSummary]
    #: Reasons for muting, in the order of the table.
    muted: Sequence[str]


def trace_period(report: Report, told: Told) -> tuple[Trace, ...]:
    """Return a trace for each number of a report of a period, in the order of the document."""
    tracer = _Tracer(told)
    traces = list(tracer.key_figures(report))
    for at, section in enumerate(report.sections):
        traces += tracer.section(section, f"/sections/{at}")
    return tuple(traces)


def _trace(
    at: str,
    words: tuple[str, ...],
    value: Value | tuple[float, ...],
    kind: ValueKind,
    method: Method,
    *origins: Origin,
    named: str = "",
) -> Trace:
    name = "\x1f".join((named, *words) if named else words)
    return Trace(
        id=f"num_{hashlib.sha256(name.encode()).hexdigest()[:16]}",
        at=at,
        label=": ".join(words),
        kind=kind,
        value=value,
        method=method,
        origins=origins,
    )


class _Tracer:
    def __init__(self, told: Told) -> None:
        self._told = told

    # -- origins ------------------------------------------------------------------------------

    def _cells(self, measure: str, *, then: bool = False, **narrowed: str | None) -> CellOrigin:
        """Return a sum over the period, or over the one before."""
        period = self._told.before if then else self._told.seen
        payer, group = narrowed.get("payer"), narrowed.get("group")
        return CellOrigin(
            measure=measure,
            first=period.first,
            last=period.last,
            payers=() if payer is None else (payer,),
            procedure_groups=() if group is None else (group,),
            outcome=narrowed.get("outcome") or "",
        )

    def _share(self, *, then: bool = False, **narrowed: str | None) -> tuple[CellOrigin, ...]:
        """Return denied and decided claims."""
        return (
            self._cells("claims", then=then, outcome="denied", **narrowed),
            self._cells("claims", then=then, **narrowed),
        )

    def _parts(self, payers: Sequence[str] = ()) -> tuple[CellOrigin, ...]:
        """Return denied charges of the period and of the one before."""
        return tuple(
            CellOrigin(
                measure="charge",
                first=period.first,
                last=period.last,
                payers=tuple(payers),
                outcome="denied",
            )
            for period in (self._told.seen, self._told.before)
        )

    def _alerted(self, counted: str) -> AlertOrigin:
        seen = self._told.seen
        return AlertOrigin(counted=counted, first=seen.first, last=seen.last)

    # -- key figures --------------------------------------------------------------------------

    def key_figures(self, report: Report) -> Iterator[Trace]:
        late = [one for one in self._told.alerts if one.unit == "days"]
        lost = [one for one in self._told.alerts if one.unit != "days"]
        dollars = ("dollars_per_month",)
        made: Mapping[str, tuple[Method, tuple[Origin, ...]]] = {
            "At risk a month": (
                Method.POSITIVE_SUM,
                tuple(_of(one, *dollars) for one in lost),
            ),
            "Delayed": (Method.POSITIVE_SUM, tuple(_of(one, *dollars) for one in late)),
            "Recovered": (Method.VALUE, (self._alerted("recovered"),)),
            "Denial rate": (Method.SHARE, self._share()),
            "Decided": (Method.VALUE, (self._cells("claims"),)),
            "Paid": (Method.VALUE, (self._cells("paid"),)),
        }
        for at, figure in enumerate(report.key_figures):
            method, origins = made[figure.label]
            where = f"/key_figures/{at}/value"
            yield _trace(where, (figure.label,), figure.value, figure.kind, method, *origins)

    # -- sections -----------------------------------------------------------------------------

    def section(self, section: Section, at: str) -> Iterator[Trace]:
        if section.anchor.startswith("finding-"):
            finding = self._told.alerts[int(section.anchor.removeprefix("finding-")) - 1]
            yield from _finding(section, at, finding)
            return
        walk = {
            "overview": self._overview,
            "money": self._money,
            "map": self._map,
            "reasons": self._reasons,
            "ended": self._ended,
            "watch-list": self._watchlist,
            "alerts": self._alerts,
            "files": self._files,
            "payers": self._payers,
        }.get(section.anchor)
        if walk is not None:
            yield from walk(section, at)

    def _overview(self, section: Section, at: str) -> Iterator[Trace]:
        chart: BarChart = section.figures[0]  # type: ignore[assignment]
        for place, (bar, finding) in enumerate(zip(chart.bars, self._told.alerts, strict=True)):
            yield _trace(
                f"{at}/figures/0/bars/{place}/value",
                (section.heading, bar.label),
                bar.value,
                chart.kind,
                Method.POSITIVE_SUM,
                _of(finding, "dollars_per_month"),
                named=finding.fingerprint,
            )

    def _money(self, section: Section, at: str) -> Iterator[Trace]:
        chart: Waterfall = section.figures[0]  # type: ignore[assignment]
        where, heading = f"{at}/figures/0", section.heading
        ranked = [name for name, _ in self._told.moved.by_payer_ranked]
        shown = ranked[: len(chart.steps) - 2]
        if len(ranked) > len(shown):
            shown = shown[:-1]
        rest = ranked[len(shown) :]
        made = [(Method.VOLUME, self._parts()), (Method.MIX, self._parts())]
        made += [(Method.BEHAVIOR, self._parts((payer,))) for payer in shown]
        made += [(Method.BEHAVIOR, self._parts(rest))] if rest else []
        then, now = (self._cells("charge", then=one, outcome="denied") for one in (True, False))
        words, kind = (heading, chart.start.label), chart.kind
        yield _trace(f"{where}/start/value", words, chart.start.value, kind, Method.VALUE, then)
        for place, (step, (method, origins)) in enumerate(zip(chart.steps, made, strict=True)):
            there = f"{where}/steps/{place}/value"
            yield _trace(there, (heading, step.label), step.value, kind, method, *origins)
        words = (heading, chart.end.label)
        yield _trace(f"{where}/end/value", words, chart.end.value, kind, Method.VALUE, now)

    def _map(self, section: Section, at: str) -> Iterator[Trace]:
        chart: HeatMap = section.figures[0]  # type: ignore[assignment]
        moved = self._told.moved
        for row, values in enumerate(chart.values):
            for column, value in enumerate(values):
                if value is None:
                    continue
                place = f"{at}/figures/0/{{}}/{row}/{column}"
                words = (section.heading, chart.rows[row], chart.columns[column])
                payer, group = moved.payers[row], moved.groups[column]
                share = self._share(payer=payer, group=group)
                yield _trace(place.format("values"), words, value, chart.kind, Method.SHARE, *share)
                yield _trace(
                    place.format("moved"),
                    (*words, "moved"),
                    chart.moved[row][column],
                    ValueKind.POINTS,
                    Method.MOVED,
                    *share,
                    *self._share(then=True, payer=payer, group=group),
                )
        yield from self._payer_table(section.tables[0], f"{at}/tables/0")

    def _payer_table(self, table: Table, at: str) -> Iterator[Trace]:
        for row, payer in enumerate(self._told.moved.payers):
            made = (
                (Method.VALUE, (self._cells("claims", payer=payer),)),
                (Method.SHARE, self._share(payer=payer)),
                (Method.SHARE, self._share(payer=payer, then=True)),
                (Method.BEHAVIOR, self._parts((payer,))),
            )
            yield from _row(table, at, row, made)

    def _reasons(self, section: Section, at: str) -> Iterator[Trace]:
        chart: MixChart = section.figures[0]  # type: ignore[assignment]
        for row, (label, *shares) in enumerate(chart.rows):
            category = self._told.moved.categories[row][0]
            for place, (value, then) in enumerate(zip(shares, (True, False), strict=True), start=1):
                yield _trace(
                    f"{at}/figures/0/rows/{row}/{place}",
                    (section.heading, label, "before" if then else "now"),
                    value,
                    ValueKind.SHARE,
                    Method.PART,
                    self._cells("claims", then=then, outcome=category),
                    self._cells("claims", then=then, outcome="denied"),
                )

    def _ended(self, section: Section, at: str) -> Iterator[Trace]:
        for row, one in enumerate(self._told.over):
            end = "ended" if one.ended else "accepted_on"
            made = tuple(
                (Method.VALUE, (_of(one, name),)) for name in ("onset", end, "dollars_per_month")
            )
            yield from _row(section.tables[0], f"{at}/tables/0", row, made, named=one.fingerprint)

    def _watchlist(self, section: Section, at: str) -> Iterator[Trace]:
        for row, one in enumerate(self._told.watchlist):
            made = tuple(
                (Method.VALUE, (_of(one, name),)) for name in ("onset", "dollars_per_month")
            )
            yield from _row(section.tables[0], f"{at}/tables/0", row, made, named=one.fingerprint)

    def _alerts(self, section: Section, at: str) -> Iterator[Trace]:
        counted = ("opened", "resolved", "judged_real", "judged_noise", *self._told.muted)
        for row, name in enumerate(counted):
            made = ((Method.VALUE, (self._alerted(name),)),)
            yield from _row(section.tables[0], f"{at}/tables/0", row, made)

    def _files(self, section: Section, at: str) -> Iterator[Trace]:
        for row, one in enumerate(self._told.files):
            made = tuple(
                (Method.VALUE, (FileOrigin(name=one.name, upload=one.upload, counted=counted),))
                for counted in ("claims", "rejected")
            )
            named = one.upload or str(row)
            yield from _row(section.tables[0], f"{at}/tables/0", row, made, named=named)

    def _payers(self, section: Section, at: str) -> Iterator[Trace]:
        # The state, a word, has no number.
        for row, one in enumerate(self._told.payers):
            whole = CellOrigin(
                measure="claims",
                first=one.since,
                last=max(one.since, self._told.watched_on),
                payers=(one.payer,),
            )
            recent = self._recent(one)
            denied = replace(whole, outcome="denied")
            made = (
                (Method.VALUE, (recent,)),
                (Method.SHARE, (denied, whole)),
                (Method.SMALLEST_CHANGE, (denied, whole, recent)),
                (Method.LATEST, (whole,)),
            )
            yield from _row(section.tables[0], f"{at}/tables/0", row, made, skip=2)

    def _recent(self, one: PayerWatch) -> CellOrigin:
        last = self._told.watched_on
        first = last - dt.timedelta(days=RECENT_DAYS - 1)
        return CellOrigin(measure="claims", first=first, last=last, payers=(one.payer,))


# -- findings -------------------------------------------------------------------------------------

#: Signals whose claims are those that were denied.
_OF_DENIALS = (Signal.DENIAL_RATE, Signal.DENIAL_REASON_MIX)


def _of(finding: Finding, *path: str | int) -> FindingOrigin:
    """Return a number of a finding."""
    segment = finding.segment
    groups = () if OTHER_GROUPS in segment.procedure_groups else segment.procedure_groups
    denied = "denied" if finding.signal in _OF_DENIALS else ""
    return FindingOrigin(
        fingerprint=finding.fingerprint,
        path=path,
        detector=finding.detector,
        as_of=finding.as_of,
        cells=CellOrigin(
            measure="claims",
            first=finding.onset,
            last=max(finding.onset, finding.ended or finding.as_of),
            payers=() if segment.payer == ALL_PAYERS else (segment.payer,),
            procedure_groups=groups,
            outcome=segment.category or denied,
        ),
    )


def _finding(section: Section, at: str, finding: Finding) -> Iterator[Trace]:
    is_log = finding.unit == "log_ratio"
    yield from _finding_figures(section, at, finding, is_log=is_log)
    for place, figure in enumerate(section.figures):
        where = f"{at}/figures/{place}"
        if isinstance(figure, RunChart):
            for name in ("observed", "expected", "low", "high"):
                yield _trace(
                    f"{where}/{name}",
                    (section.heading, figure.title, name),
                    getattr(figure, name),
                    figure.kind,
                    Method.EXP if is_log else Method.VALUE,
                    _of(finding, "evidence", name),
                    named=finding.fingerprint,
                )
        elif isinstance(figure, MixChart):
            yield from _finding_reasons(section, figure, where, finding)
    for table in section.tables:
        for row, values in enumerate(table.rows):
            seen, usual, size = (
                _of(finding, "evidence", "groups", str(values[0]), place) for place in range(3)
            )
            made = (
                (Method.VALUE, (size,)),
                (Method.ROUNDED, (seen,)),
                (Method.SHARE, (seen, size)),
                (Method.SHARE, (usual, size)),
            )
            yield from _row(table, f"{at}/tables/0", row, made, named=finding.fingerprint)


def _finding_figures(
    section: Section, at: str, finding: Finding, *, is_log: bool
) -> Iterator[Trace]:
    """Trace the key figures; the change, which is written in words, and its interval as numbers."""
    kind = ValueKind.DAYS if finding.unit == "days" else ValueKind.POINTS
    if finding.unit == "claims":
        kind = ValueKind.COUNT
    method = Method.EXPM1 if is_log else Method.VALUE
    made: dict[str, list[tuple[str, Method, tuple[str | int, ...]]]] = {
        "A month": [("value", Method.VALUE, ("dollars_per_month",))],
        "Held up": [("value", Method.VALUE, ("dollars_per_month",))],
        "Since": [("value", Method.VALUE, ("onset",))],
        "Claims since": [("value", Method.VALUE, ("claims",))],
        "Change": [
            ("value", method, ("effect",)),
            ("note", method, ("interval", 0)),
            ("note", method, ("interval", 1)),
        ],
    }
    for place, figure in enumerate(section.key_figures):
        for where, how, path in made[figure.label]:
            origin = _of(finding, *path)
            value = figure.value
            if figure.label == "Change":
                value = origin.value(finding)
                value = math.expm1(value) if is_log else value
            ends = tuple("high" if end else "low" for end in path[1:])
            yield _trace(
                f"{at}/key_figures/{place}/{where}",
                (section.heading, figure.label, *ends),
                value,
                kind if figure.label == "Change" else figure.kind,
                how,
                origin,
                named=finding.fingerprint,
            )


def _finding_reasons(
    section: Section, chart: MixChart, at: str, finding: Finding
) -> Iterator[Trace]:
    evidence = finding.evidence
    known = {
        category_words(one): one for one in {*evidence.reasons_before, *evidence.reasons_since}
    }
    for row, (label, *shares) in enumerate(chart.rows):
        for place, (value, when) in enumerate(zip(shares, ("before", "since"), strict=True), 1):
            yield _trace(
                f"{at}/rows/{row}/{place}",
                (section.heading, label, when),
                value,
                ValueKind.SHARE,
                Method.VALUE,
                _of(finding, "evidence", f"reasons_{when}", known[label]),
                named=finding.fingerprint,
            )


def _row(
    table: Table,
    at: str,
    row: int,
    made: Sequence[tuple[Method, tuple[Origin, ...]]],
    *,
    named: str = "",
    skip: int = 1,
) -> Iterator[Trace]:
    """Trace the numbers of a row that has ``skip`` texts before them."""
    values = table.rows[row]
    for place, (method, origins) in enumerate(made, start=skip):
        column, value = table.columns[place], values[place]
        if value is not None:
            words = (table.caption, str(values[0]), column.label)
            where = f"{at}/rows/{row}/{place}"
            yield _trace(where, words, value, column.kind, method, *origins, named=named)
