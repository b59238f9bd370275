"""The life of incidents over a run of nights: opened, refined, measured again, ended.

An incident opens with the first score over a threshold, as an alert or on the watch list, and keeps
the baseline of that week for good. Once a week it is localized anew on all days since onset, measured
on the decisions after it opened (which nobody selected, so the winner's curse is gone), and checked
for its end: the end needs evidence of its own, so that an incident does not come and go with the
noise. While an alert is open, its payer is compared with the level that the alert brought
(:mod:`claimkit.drift.plateau`), so that the next change of the same family is an incident of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from claimkit.drift.allowed import localize_drop, measure_drop
from claimkit.drift.findings import Signal
from claimkit.drift.localize import find_onset, localize, measure, total
from claimkit.drift.nights import REFIT_DAYS, Family, Week, scan_length, week_start
from claimkit.drift.plateau import SETTLE_DAYS, Plateau
from claimkit.drift.recoding import recode
from claimkit.drift.speed import delay, make_at_risk, slow_since
from claimkit.drift.streams import SCAN_WINDOW
from claimkit.drift.tenantwide import measure_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from claimkit.config import DriftConfig
    from claimkit.drift.history import History
    from claimkit.drift.nights import Hit
    from claimkit.drift.speed import AtRisk
    from claimkit.drift.streams import Level

__all__ = ["Incident", "Measured", "Run", "delay_of", "replay_nights"]

#: Nights on a plateau before it is looked at: the shortest window.
_FIRST_LOOK = 3
#: The last days of a plateau that tell the pace there; before them, the queue still grows.
_PACE_DAYS = 28
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


@dataclass(slots=True, kw_only=True, eq=False)
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

    @property
    def plateau(self) -> Plateau | None:
        """The level that it came on top of; None where that is the baseline's."""
        return self.week.plateaus.get((self.family, self.payer))

    @property
    def measured_from(self) -> int:
        """The first day that tells how large it is: once it is settled, of the days after it was told."""
        return self.told + 1 if self.is_settled else self.onset


class Run:
    """Nights of one history in order, with what is open on the way.

    Args:
        history: The past.
        config: Settings of the room.
        paces: Payer → the plateau of a slower pace that people accepted.
    """

    def __init__(
        self, history: History, config: DriftConfig, *, paces: Mapping[int, Plateau] | None = None
    ) -> None:
        self.history = history
        self.config = config
        self.at_risk: AtRisk = make_at_risk(history)
        self.incidents: list[Incident] = []
        self._paces = paces or {}
        self._open: dict[tuple[Family, int], list[Incident]] = {}
        self._week: tuple[int, Week] | None = None
        self._raised: tuple[Week, Week] | None = None
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

    def past(self, incident: Incident) -> History:
        """Return the history with groups under the names that they had by an incident's week."""
        return recode(self.history, incident.week.moves)

    def adopt(self, incident: Incident) -> None:
        """Take an incident that is open already, from an earlier run; in the order they were told."""
        self.incidents.append(incident)
        self._open.setdefault((incident.family, incident.payer), []).append(incident)

    def accept(
        self, family: Family, payer: int, night: int, history: History, paces: Mapping[int, Plateau]
    ) -> None:
        """Close what is open of a payer because its level was accepted before ``night``.

        Args:
            family: Of the accepted change.
            payer: Whose.
            night: The first one that compares with the accepted level.
            history: The past with that level in it.
            paces: As for a new run.
        """
        self.history, self._paces = history, paces
        self._week = self._raised = None
        for incident in self._open.pop((family, payer), []):
            incident.ended = night

    def night(self, night: int, *, is_last: bool) -> None:
        """Look at one night; incidents are refined once a week and on the last night."""
        week = self.week(night)
        if week is None:
            return
        reach = {family: night - floor for family, floor in self._floor.items()}
        stands = self._stands(week)
        first = {family: longest.copy() for family, longest in reach.items()}
        for family, payer in stands:
            first[family][payer] = 0
        for hit in week.hits(night, first):
            self._take(hit, week, night)
        raised = self.raised_week(week, night)
        if raised is not None:
            for hit in raised.hits(night, reach):
                self._take(hit, raised, night)
        for incident in [one for standing in self._open.values() for one in standing]:
            since = night - incident.told
            if night >= incident.told and (is_last or (since and since % REFIT_DAYS == 0)):
                self._follow(incident, night)

    def raised_week(self, week: Week, night: int) -> Week | None:
        """Return the week for payers that stand on a plateau which ``night`` can be compared with."""
        plateaus = {
            key: one
            for key, one in self._stands(week).items()
            if one is not None and night >= one.end + _FIRST_LOOK - 1
        }
        if not plateaus:
            return None
        if self._raised is None or (
            self._raised[0] is not week or self._raised[1].plateaus != plateaus
        ):
            self._raised = week, week.on_plateaus(plateaus)
        return self._raised[1]

    def _stands(self, week: Week) -> dict[tuple[Family, int], Plateau | None]:
        """Return who is compared with a plateau and no more with the baseline of ``week``."""
        stands: dict[tuple[Family, int], Plateau | None] = {
            (Family.SPEED, payer): _later(pace, week)
            for payer, pace in self._paces.items()
            if pace.onset > week.span.start
        }
        for key, standing in self._open.items():
            alerts = [one for one in standing if one.alerted is not None]
            if alerts:
                stands[key] = None if key[0] is Family.TENANT else _plateau(alerts[-1], week)
        return stands

    def _take(self, hit: Hit, week: Week, night: int) -> None:
        standing = self._open.get((hit.family, hit.payer))
        known = standing[-1] if standing else None
        if known is None or known.alerted is not None:
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
        elif hit.is_alert and night >= known.told:
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

    def until(self, incident: Incident, night: int) -> int:
        """Return the last day that shows what an incident brought: before the next one on top of it."""
        standing = self._open.get((incident.family, incident.payer), [])
        if incident not in standing:
            return night
        later = standing[standing.index(incident) + 1 :]
        onsets = [one.onset for one in later if one.alerted is not None]
        return min([night, *(onset - 1 for onset in onsets)])

    def _measure_again(self, incident: Incident, night: int) -> None:
        _MEASURES[incident.family](self, incident, self.until(incident, night))
        incident.course.append(
            Measured(night, incident.cells, incident.reason, incident.effect, incident.error)
        )

    def _follow(self, incident: Incident, night: int) -> None:
        if _has_ended(self, incident, night):
            incident.ended = night
            self._open[incident.family, incident.payer].remove(incident)
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
    paces: Mapping[int, Plateau] | None = None,
    acceptances: Mapping[int, Callable[[Run], None]] | None = None,
    on_night: Callable[[int], None] | None = None,
) -> Run:
    """Look at the nights ``first <= night <= last`` in order, each with what it could know.

    Args:
        history: The past up to ``last``.
        first: Position of the first night.
        last: Position of the last night.
        config: Settings of the room.
        known: Makers of incidents that are open from earlier runs, in the order they were told.
        paces: Payer → the plateau of a slower pace that people accepted.
        acceptances: Night → what people accepted before it, put into the run.
        on_night: Told of each night that is done.
    """
    run = Run(history, config, paces=paces)
    for make in known:
        incident = make(run)
        if incident is not None:
            run.adopt(incident)
    for night in range(max(first, 0), last + 1):
        if acceptances and night in acceptances:
            acceptances[night](run)
        run.night(night, is_last=night == last)
        if on_night is not None:
            on_night(night)
    return run


def _plateau(incident: Incident, week: Week) -> Plateau:
    """Return the days that show the level which an incident brought, as of a week."""
    start = incident.told + 1
    # As for the baseline, what is scanned must not be part of what it is compared with.
    end = max(start + SETTLE_DAYS, week.span.end)
    if incident.family is Family.SPEED:
        start = max(start, end - _PACE_DAYS)
    return Plateau(
        payer=incident.payer,
        onset=min(incident.onset, start),
        start=start,
        end=end,
        cells=incident.cells,
    )


def _later(pace: Plateau, week: Week) -> Plateau:
    """Return the plateau of an accepted pace as of a week."""
    end = max(pace.end, week.span.end)
    return replace(pace, start=max(pace.onset, end - _PACE_DAYS), end=end)


def _measure_denials(run: Run, incident: Incident, night: int) -> None:
    """Localize anew on all days since onset, unless what is found there is no rise."""
    history, baseline, payer = run.past(incident), incident.week.baseline, incident.payer
    incident.is_settled = night >= incident.told + SETTLE_DAYS
    if night > incident.told:
        told = (incident.cells, incident.reason)
        earliest = max(0, baseline.span.end, incident.told - SCAN_WINDOW)
        if incident.plateau is not None:
            earliest = max(earliest, incident.plateau.end)
        incident.onset = find_onset(
            history, baseline, payer, told, earliest, incident.told, night + 1
        )
    start = incident.measured_from
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
    if night == incident.told:
        incident.onset, incident.shortfall = slow_since(
            incident.week.speed, incident.payer, incident.onset, night
        )
    incident.effect, incident.error, _ = delay_of(run, incident, night, night - incident.onset + 1)
    incident.is_settled = night >= incident.told + SETTLE_DAYS


def delay_of(run: Run, incident: Incident, night: int, days: int) -> tuple[float, float, float]:
    """Return by how many days decisions come later than on the level before, error, usual mean."""
    history, span, payer = run.past(incident), incident.week.span, incident.payer
    shift, error, usual = delay(history, run.at_risk, span, payer, night, days)
    if incident.plateau is None:
        return shift, error, usual
    last = incident.plateau.end - 1
    before, _, _ = delay(history, run.at_risk, span, payer, last, REFIT_DAYS)
    return shift - before, error * math.sqrt(2), usual + before


def _measure_allowed(run: Run, incident: Incident, night: int) -> None:
    history, allowed, payer = run.past(incident), incident.week.allowed, incident.payer
    cells = localize_drop(history, allowed, payer, incident.onset, night + 1)
    incident.is_settled = night >= incident.told + SETTLE_DAYS
    start = incident.measured_from
    drop = measure_drop(history, allowed, payer, cells, start, night + 1)
    if drop.size >= 0:
        cells = incident.cells
        drop = measure_drop(history, allowed, payer, cells, start, night + 1)
    if math.isfinite(drop.error):
        incident.cells, incident.effect, incident.error = cells, drop.size, drop.error


def _measure_tenant(run: Run, incident: Incident, night: int) -> None:
    baseline = incident.week.baseline
    incident.is_settled = night >= incident.told + SETTLE_DAYS
    totals = total(run.past(incident), baseline, incident.measured_from, night + 1)
    effect = measure_all(baseline, totals, incident.reason)
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
    shift, error, _ = delay_of(run, incident, night, REFIT_DAYS)
    left = _DELAY_LEFT * max(incident.believed, incident.effect)
    return shift < max(left, error / 2)


def _end_evidence(run: Run, incident: Incident, night: int, days: int, half: float) -> float:
    """Return the log likelihood ratio of "back to normal" against "half of it goes on"."""
    start, end = night - days + 1, night + 1
    if incident.family is Family.ALLOWED:
        drop = measure_drop(
            run.past(incident), incident.week.allowed, incident.payer, incident.cells, start, end
        )
        return ((drop.size - half) ** 2 - drop.size**2) / (2 * drop.error**2)
    baseline = incident.week.baseline
    totals = total(run.past(incident), baseline, start, end)
    if incident.family is Family.TENANT:
        effect = measure_all(baseline, totals, incident.reason)
    else:
        effect = measure(
            run.past(incident), baseline, totals, incident.payer, incident.cells, incident.reason
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
