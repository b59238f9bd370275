"""The life of incidents over a run of nights: opened, refined, measured again, ended.

A payer has at most one open incident of each family. It opens with the first score over a
threshold, as an alert or on the watch list, and keeps the baseline of that week for good. Once a
week it is localized anew on all days since onset, measured on the decisions after it opened (which
nobody selected, so the winner's curse is gone), and checked for its end: the end needs evidence of
its own, so that an incident does not come and go with the noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from claimkit.drift.allowed import localize_drop, measure_drop
from claimkit.drift.findings import Signal
from claimkit.drift.localize import find_onset, localize, measure, total
from claimkit.drift.nights import REFIT_DAYS, Family, Week, scan_length, week_start
from claimkit.drift.speed import delay, make_at_risk, slow_since
from claimkit.drift.streams import SCAN_WINDOW
from claimkit.drift.tenantwide import measure_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from claimkit.config import DriftConfig
    from claimkit.drift.history import History
    from claimkit.drift.nights import Hit
    from claimkit.drift.speed import AtRisk
    from claimkit.drift.streams import Level

__all__ = ["Incident", "Measured", "Run", "replay_nights"]

#: Nights after which an incident is measured on later decisions only, and may end.
_SETTLE_DAYS = 14
#: An incident ends when some trailing window says so with this log likelihood ratio, "no change"
#: against half of the change; on the watch list it is enough that it is the likelier.
_END_EVIDENCE = 2.0
_END_EVIDENCE_WATCH = 0.0
_END_WINDOWS = (14, 28, 56)
#: A delay is over when less than this part of it is left.
_DELAY_LEFT = 0.35


class Measured(NamedTuple):
    """What was believed of an incident on one night."""

    night: int
    cells: tuple[int, ...] | None
    reason: int | None
    effect: float
    error: float


@dataclass(slots=True, kw_only=True)
class Incident:
    """One incident on its way; days are positions in the history."""

    family: Family
    signal: Signal
    payer: int
    level: Level
    score: float
    limits: tuple[float, float]
    week: Week
    #: First night over the watch threshold, and over the one for alerts.
    opened: int
    alerted: int | None
    #: Days since when it is followed, refined or measured: the night of the latest threshold.
    told: int
    onset: int
    cells: tuple[int, ...] | None = None
    reason: int | None = None
    #: Share of claims, days, or log units; see :class:`claimkit.drift.findings.Finding`.
    effect: float = 0.0
    error: float = 0.0
    #: Part of the decisions due that did not come, in the window that told.
    shortfall: float = 0.0
    #: Measured on later decisions only.
    is_settled: bool = False
    ended: int | None = None
    #: Identity in the log, for incidents of an earlier run.
    fingerprint: str = ""
    #: What is known now no longer supports the night that raised it.
    is_revised: bool = False
    #: What was believed on each night that measured it, the night of the alert first.
    course: list[Measured] = field(default_factory=list)
    #: Effect that the end is tested against: the largest that was believed.
    believed: float = 0.0


class Run:
    """Nights of one history in order, with what is open on the way.

    Args:
        history: The past.
        config: Settings of the room.
    """

    def __init__(self, history: History, config: DriftConfig) -> None:
        self.history = history
        self.config = config
        self.at_risk: AtRisk = make_at_risk(history)
        self.incidents: list[Incident] = []
        self._open: dict[tuple[Family, int], Incident] = {}
        self._week: tuple[int, Week] | None = None
        #: For each family and payer the day across which windows may not reach back.
        self._floor = {
            family: np.full(len(history.payers), -(10**6), np.int64) for family in Family
        }

    def week(self, night: int) -> Week | None:
        """Return the fit that serves ``night``, or None before there is any baseline."""
        start = week_start(night, self.history.first)
        if start - scan_length(self.history, start, self.config) < REFIT_DAYS:
            return None
        if self._week is None or self._week[0] != start:
            self._week = (start, Week(self.history, self.at_risk, start, self.config))
        return self._week[1]

    def mute(self, family: Family, payer: int) -> None:
        """Look at a payer no more, in one family."""
        self._floor[family][payer] = 10**6

    def adopt(self, incident: Incident) -> None:
        """Take an incident that is open already, from an earlier run."""
        self.incidents.append(incident)
        self._open[incident.family, incident.payer] = incident

    def night(self, night: int, *, is_last: bool) -> None:
        """Look at one night; incidents are refined once a week and on the last night."""
        week = self.week(night)
        if week is None:
            return
        reach = {family: night - floor for family, floor in self._floor.items()}
        for hit in week.hits(night, reach):
            self._take(hit, week, night)
        for incident in list(self._open.values()):
            since = night - incident.told
            if night >= incident.told and (is_last or (since and since % REFIT_DAYS == 0)):
                self._follow(incident, night)

    def _take(self, hit: Hit, week: Week, night: int) -> None:
        key = (hit.family, hit.payer)
        known = self._open.get(key)
        if known is None:
            incident = Incident(
                family=hit.family,
                signal=hit.signal,
                payer=hit.payer,
                level=hit.level,
                score=hit.score,
                limits=hit.limits,
                week=week,
                opened=night,
                alerted=night if hit.is_alert else None,
                told=night,
                onset=night - hit.days + 1,
                cells=None if hit.cell is None else (hit.cell,),
                reason=hit.reason,
            )
            self.adopt(incident)
            self._measure(incident, night)
        elif known.alerted is None and hit.is_alert and night >= known.told:
            known.alerted = known.told = night
            known.signal, known.level, known.reason = hit.signal, hit.level, hit.reason
            known.cells = None if hit.cell is None else (hit.cell,)
            known.score, known.limits = hit.score, hit.limits
            known.week = week
            known.onset = night - hit.days + 1
            self._measure(known, night)

    def _measure(self, incident: Incident, night: int) -> None:
        """Localize and measure an incident that passed a threshold tonight."""
        incident.course.clear()
        self._measure_again(incident, night)
        incident.believed = incident.effect

    def _measure_again(self, incident: Incident, night: int) -> None:
        _MEASURES[incident.family](self, incident, night)
        incident.course.append(
            Measured(night, incident.cells, incident.reason, incident.effect, incident.error)
        )

    def _follow(self, incident: Incident, night: int) -> None:
        if _has_ended(self, incident, night):
            incident.ended = night
            del self._open[incident.family, incident.payer]
            self._floor[incident.family][incident.payer] = night
            return
        if night > incident.told:
            self._measure_again(incident, night)


def replay_nights(
    history: History,
    first: int,
    last: int,
    config: DriftConfig,
    *,
    known: Sequence[Callable[[Run], Incident | None]] = (),
    muted: Sequence[tuple[Family, int]] = (),
    on_night: Callable[[int], None] | None = None,
) -> Run:
    """Look at the nights ``first <= night <= last`` in order, each with what it could know.

    Args:
        history: The past up to ``last``.
        first: Position of the first night.
        last: Position of the last night.
        config: Settings of the room.
        known: Makers of incidents that are open from earlier runs.
        muted: Families and payers that are not looked at.
        on_night: Told of each night that is done.
    """
    run = Run(history, config)
    for family, payer in muted:
        run.mute(family, payer)
    for make in known:
        incident = make(run)
        if incident is not None:
            run.adopt(incident)
    for night in range(max(first, 0), last + 1):
        run.night(night, is_last=night == last)
        if on_night is not None:
            on_night(night)
    return run


def _measure_denials(run: Run, incident: Incident, night: int) -> None:
    """Localize anew on all days since onset, unless what is found there is no rise."""
    history, baseline, payer = run.history, incident.week.baseline, incident.payer
    incident.is_settled = night >= incident.told + _SETTLE_DAYS
    if night > incident.told:
        told = (incident.cells, incident.reason)
        earliest = max(0, baseline.span.end, incident.told - SCAN_WINDOW)
        incident.onset = find_onset(
            history, baseline, payer, told, earliest, incident.told, night + 1
        )
    start = incident.told + 1 if incident.is_settled else incident.onset
    totals = total(history, baseline, start, night + 1)
    cells, reason = incident.cells, incident.reason
    if incident.signal is Signal.DENIAL_RATE:
        found = localize(
            history, baseline, total(history, baseline, incident.onset, night + 1), payer
        )
        effect = measure(history, baseline, totals, payer, found.cells, found.reason)
        if effect.size > 0:
            cells, reason = found.cells, found.reason
    effect = measure(history, baseline, totals, payer, cells, reason)
    if effect.claims >= 1:
        incident.cells, incident.reason = cells, reason
        incident.effect, incident.error = effect.size, effect.error


def _measure_speed(run: Run, incident: Incident, night: int) -> None:
    span, payer = incident.week.span, incident.payer
    if night == incident.told:
        incident.onset, incident.shortfall = slow_since(
            incident.week.speed, payer, incident.onset, night
        )
    days = night - incident.onset + 1
    shift, error, _ = delay(run.history, run.at_risk, span, payer, night, days)
    incident.effect, incident.error = shift, error
    incident.is_settled = night >= incident.told + _SETTLE_DAYS


def _measure_allowed(run: Run, incident: Incident, night: int) -> None:
    history, allowed, payer = run.history, incident.week.allowed, incident.payer
    cells = localize_drop(history, allowed, payer, incident.onset, night + 1)
    incident.is_settled = night >= incident.told + _SETTLE_DAYS
    start = incident.told + 1 if incident.is_settled else incident.onset
    drop = measure_drop(history, allowed, payer, cells, start, night + 1)
    if drop.size >= 0:
        cells = incident.cells
        drop = measure_drop(history, allowed, payer, cells, start, night + 1)
    if math.isfinite(drop.error):
        incident.cells, incident.effect, incident.error = cells, drop.size, drop.error


def _measure_tenant(run: Run, incident: Incident, night: int) -> None:
    baseline = incident.week.baseline
    incident.is_settled = night >= incident.told + _SETTLE_DAYS
    start = incident.told + 1 if incident.is_settled else incident.onset
    effect = measure_all(baseline, total(run.history, baseline, start, night + 1), incident.reason)
    if effect.claims >= 1:
        incident.effect, incident.error = effect.size, effect.error


_MEASURES: dict[Family, Callable[[Run, Incident, int], None]] = {
    Family.DENIAL: _measure_denials,
    Family.SPEED: _measure_speed,
    Family.ALLOWED: _measure_allowed,
    Family.TENANT: _measure_tenant,
}


def _has_ended(run: Run, incident: Incident, night: int) -> bool:
    if incident.family is Family.SPEED:
        return _delay_has_ended(run, incident, night)
    half = incident.believed / 2
    wanted = _END_EVIDENCE_WATCH if incident.alerted is None else _END_EVIDENCE
    for days in _END_WINDOWS:
        if night - incident.told < days:
            return False
        gain = _end_evidence(run, incident, night, days, half)
        if gain >= wanted:
            return True
    return False


def _delay_has_ended(run: Run, incident: Incident, night: int) -> bool:
    if night - incident.told < REFIT_DAYS:
        return False
    span = incident.week.span
    shift, error, _ = delay(run.history, run.at_risk, span, incident.payer, night, REFIT_DAYS)
    left = _DELAY_LEFT * max(incident.believed, incident.effect)
    return shift < max(left, error / 2)


def _end_evidence(run: Run, incident: Incident, night: int, days: int, half: float) -> float:
    """Return the log likelihood ratio of "back to normal" against "half of it goes on"."""
    start, end = night - days + 1, night + 1
    if incident.family is Family.ALLOWED:
        drop = measure_drop(
            run.history, incident.week.allowed, incident.payer, incident.cells, start, end
        )
        return ((drop.size - half) ** 2 - drop.size**2) / (2 * drop.error**2)
    baseline = incident.week.baseline
    totals = total(run.history, baseline, start, end)
    if incident.family is Family.TENANT:
        effect = measure_all(baseline, totals, incident.reason)
    else:
        effect = measure(
            run.history, baseline, totals, incident.payer, incident.cells, incident.reason
        )
    normal = max(effect.expected * (1 + run.config.dead_zone), 1e-6)
    still = normal + max(half, 1e-6) * effect.claims
    scale = _scale(incident, totals.days, effect.expected)
    return -(effect.observed * math.log(still / normal) - (still - normal)) / scale


def _scale(incident: Incident, days: int, expected: float) -> float:
    baseline = incident.week.baseline
    if incident.family is Family.TENANT:
        factor = float(np.mean(baseline.typical_payer))
    elif incident.reason is not None:
        factor = float(baseline.typical_payer_reason[incident.payer, incident.reason])
    else:
        factor = float(baseline.typical_payer[incident.payer])
    return factor * baseline.dispersion.inflation(days, expected)
