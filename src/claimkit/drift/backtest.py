"""Backtest: what the watch would have told over past months, night by night, on a tenant's own claims.

The story: :func:`backtest` reads each cube table once. With today's knowledge, a detector that can
looks at all nights in one pass (:class:`~claimkit.drift.detectors.Replays`), a year in seconds. With
the knowledge of then, each run sees only what had become known by its evening
(:func:`~claimkit.drift.cube.as_known`), and its findings pass :func:`~claimkit.drift.findings.reconcile`
as in a live watch. Levels that people accepted are compared with from the day of the acceptance on.
Nothing is recorded and nobody is told.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from claimkit.drift.cube import DECISIONS, as_known
from claimkit.drift.detectors import Replays, choose_detectors, share_budget
from claimkit.drift.findings import Tier, reconcile
from claimkit.drift.nights import ready_on
from claimkit.drift.power import watched_payers
from claimkit.drift.reading import reach_days, read_cube
from claimkit.errors import InvalidWindow
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells
    from claimkit.drift.detectors import Detector
    from claimkit.drift.findings import Finding
    from claimkit.drift.power import PayerWatch
    from claimkit.stores import Store
    from claimkit.types import Clock, Day, Progress, TenantKey

__all__ = ["Backtest", "BacktestMonth", "Knowledge", "backtest"]

logger = logging.getLogger(__name__)

_MONTH_DAYS = 365.25 / 12


class Knowledge(StrEnum):
    """What each past night may know of the claims that were decided before it."""

    #: All that is known today, such as corrections that came weeks later.
    NOW = "now"
    #: Only what had been imported by then. History that the first import brought counts as known
    #: on the day of its decision: there was no earlier night to know it.
    THEN = "then"


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestMonth:
    """What one calendar month, or the part of it that was replayed, would have brought."""

    #: First day of the month.
    month: dt.date
    nights: int
    #: Findings first told in this month, by tier.
    alerts: int
    watch: int
    #: Alerts that ended in this month.
    resolved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What the nights from ``start`` to ``end`` would have told."""

    tenant: TenantKey
    start: dt.date
    end: dt.date
    knowledge: Knowledge
    #: First night on which some payer had history enough to be watched; None if none had.
    watched_from: dt.date | None
    #: Every finding, in the order in which it would have been told (``detected_on``), as it stood
    #: at its end or at ``end``.
    findings: tuple[Finding, ...]
    months: tuple[BacktestMonth, ...]
    #: Each payer at the end, largest volume first, with the smallest change that its volume shows.
    payers: tuple[PayerWatch, ...]
    #: Decisions read, and rows of the cube.
    decisions: int
    cells: int

    @property
    def alerts(self) -> tuple[Finding, ...]:
        """Findings that would have been pushed to people."""
        return tuple(one for one in self.findings if one.tier is Tier.ALERT)

    @property
    def watched_nights(self) -> int:
        """Nights on which some payer could be watched."""
        return 0 if self.watched_from is None else (self.end - self.watched_from).days + 1

    @property
    def alerts_per_month(self) -> float | None:
        """Alerts for each month of 30.4 watched nights; None where nothing could be watched."""
        nights = self.watched_nights
        return len(self.alerts) / nights * _MONTH_DAYS if nights else None


def backtest(
    *,
    tenant: TenantKey,
    store: Store,
    detectors: Mapping[str, Detector],
    config: DriftConfig,
    clock: Clock,
    start: dt.date | None = None,
    end: dt.date | None = None,
    knowledge: Knowledge = Knowledge.NOW,
    every_days: int = 7,
    progress: Progress | None = None,
) -> Backtest:
    """Replay past nights and return what they would have told; writes nothing.

    Args:
        tenant: Whose claims.
        store: Where its cube is.
        detectors: Name → detector; those that ``config.detectors`` names run, in that order.
        config: Settings of the room.
        clock: Decisions dated after its today are left out.
        start: First night; None means ``config.first_scan_days`` nights up to ``end``.
        end: Last night; None means the day of the last decision.
        knowledge: What each night may know.
        every_days: With the knowledge of then, nights between two runs; each run looks at the
            nights since the one before. One is a run every night, which takes longest.
        progress: Told of each step.

    Raises:
        InvalidWindow: ``start`` is after ``end``, or ``every_days`` is less than one.
        UnknownName: a configured detector is not registered.
    """
    chosen = choose_detectors(config.detectors, detectors, progress)
    config = share_budget(chosen, config)
    nights = _asked_nights(start, end or clock.now().date(), every_days, config)
    is_then = knowledge is Knowledge.THEN
    reading = read_cube(
        tenant,
        store.cube,
        as_of=end,
        days=reach_days(nights, config),
        clock=clock,
        by_known_day=is_then,
        progress=progress,
    )
    last = reading.as_of
    first = last - dt.timedelta(days=nights - 1) if start is None else start
    if first > last:
        raise InvalidWindow("the first night of a backtest is after the last decision")
    accepted = store.findings.accepted(tenant)
    found: list[Finding] = []
    for detector in chosen:
        past = _Past(detector, reading.cube, first, last, config, accepted, progress)
        found += past.runs(every_days) if is_then else past.replayed()
    found.sort(key=lambda one: (one.detected_on or one.onset, one.fingerprint))
    decisions = reading.cube[DECISIONS.name]
    if is_then:
        decisions = as_known(decisions, by=max(day_of(last), _first_known(reading.cube)))
    logger.info("drift backtested", extra={"found": len(found), "cells": reading.cells})
    return Backtest(
        tenant=tenant,
        start=first,
        end=last,
        knowledge=knowledge,
        watched_from=_watched_from(decisions, first, last, config),
        findings=tuple(found),
        months=tuple(_months(found, first, last)),
        payers=watched_payers(decisions, as_of=last, config=config),
        decisions=int(decisions.measures["claims"].sum()),
        cells=reading.cells,
    )


def _asked_nights(
    start: dt.date | None, latest: dt.date, every_days: int, config: DriftConfig
) -> int:
    """Return how many nights are asked for at most; the last decision may be before ``latest``."""
    if every_days < 1:
        raise InvalidWindow("runs must be at least one day apart")
    nights = config.first_scan_days if start is None else (latest - start).days + 1
    if nights < 1:
        raise InvalidWindow("the first night of a backtest is after its last one")
    return nights


@dataclass(frozen=True, slots=True)
class _Past:
    """The nights that one detector looks at again."""

    detector: Detector
    cube: Mapping[str, Cells]
    start: dt.date
    end: dt.date
    config: DriftConfig
    accepted: Sequence[Finding]
    progress: Progress | None

    def replayed(self) -> Sequence[Finding]:
        """Return what the nights tell with today's knowledge: in one pass, or else one by one."""
        if isinstance(self.detector, Replays):
            return self.detector.replay(
                self.cube,
                start=self.start,
                end=self.end,
                config=self.config,
                accepted_findings=self.accepted,
            )
        evenings = ((night, self.cube) for night in _nights(self.start, self.end))
        return self._reconciled(evenings, replace(self.config, scan_days=1), self.progress)

    def runs(self, every_days: int) -> Sequence[Finding]:
        """Return what runs tell of which each knows what had become known by its evening."""
        first_known = _first_known(self.cube)
        total = (self.end - self.start).days + 1

        def evenings() -> Iterator[tuple[dt.date, Mapping[str, Cells]]]:
            first = self.start + dt.timedelta(days=min(every_days, total) - 1)
            for night in _nights(first, self.end, every_days):
                _tell(self.progress, (night - self.start).days + 1, total)
                known = max(day_of(night), first_known)
                yield night, {name: as_known(cells, by=known) for name, cells in self.cube.items()}

        return self._reconciled(evenings(), replace(self.config, scan_days=every_days), None)

    def _reconciled(
        self,
        evenings: Iterator[tuple[dt.date, Mapping[str, Cells]]],
        config: DriftConfig,
        progress: Progress | None,
    ) -> Sequence[Finding]:
        """Run one evening after the other on what the log would hold by then."""
        standing: dict[str, Finding] = {}
        over: list[Finding] = []
        for at, (night, cube) in enumerate(evenings, start=1):
            _tell(progress, at, None)
            accepted = [one for one in self.accepted if (one.accepted_on or one.as_of) <= night]
            closed = [one for one in standing.values() if _is_accepted(one, accepted)]
            over.extend(replace(one, ended=night) for one in closed)
            for one in closed:
                del standing[one.fingerprint]
            before = tuple(standing.values())
            found = self.detector.detect(
                cube,
                as_of=night,
                config=config,
                open_findings=before,
                accepted_findings=accepted,
            )
            recorded = reconcile(before, found, as_of=night)
            standing |= {
                one.fingerprint: one for one in (*recorded.new, *recorded.worse, *recorded.same)
            }
            for one in recorded.resolved:
                standing.pop(one.fingerprint, None)
            over.extend(recorded.resolved)
        return (*over, *standing.values())


def _nights(start: dt.date, end: dt.date, every: int = 1) -> Iterator[dt.date]:
    """Yield every so many nights from ``start``, and ``end`` last whatever is left over."""
    night = start
    while night < end:
        yield night
        night += dt.timedelta(days=every)
    yield end


def _is_accepted(finding: Finding, accepted: Sequence[Finding]) -> bool:
    """Whether people have accepted the change that a finding of a past night tells of."""
    return any(
        (one.detector, one.signal, one.segment.payer)
        == (finding.detector, finding.signal, finding.segment.payer)
        and (finding.detected_on or finding.onset) <= (one.accepted_on or one.as_of)
        for one in accepted
    )


def _first_known(cube: Mapping[str, Cells]) -> Day:
    days = [int(one.numbers["known_day"].min()) for one in cube.values() if len(one)]
    return min(days, default=0)


def _watched_from(
    decisions: Cells, start: dt.date, end: dt.date, config: DriftConfig
) -> dt.date | None:
    """Return the first night from ``start`` on which the first payer is ready."""
    counted = decisions.measures["claims"] > 0
    if not counted.any():
        return None
    since = int(decisions.numbers[DECISIONS.day][counted].min())
    ready = max(start, date_of(ready_on(since, since, config)))
    return ready if ready <= end else None


def _months(findings: Sequence[Finding], start: dt.date, end: dt.date) -> Iterator[BacktestMonth]:
    told = Counter(
        (_month_of(one.detected_on), one.tier) for one in findings if one.detected_on is not None
    )
    ended = Counter(
        _month_of(one.ended) for one in findings if one.tier is Tier.ALERT and one.ended is not None
    )
    month = _month_of(start)
    while month <= end:
        following = _month_of(month + dt.timedelta(days=31))
        nights = (min(end + dt.timedelta(days=1), following) - max(start, month)).days
        yield BacktestMonth(
            month=month,
            nights=nights,
            alerts=told[month, Tier.ALERT],
            watch=told[month, Tier.WATCH],
            resolved=ended[month],
        )
        month = following


def _month_of(day: dt.date) -> dt.date:
    return day.replace(day=1)


def _tell(progress: Progress | None, done: int, total: int | None) -> None:
    if progress is not None:
        progress("replaying nights", done, total)
