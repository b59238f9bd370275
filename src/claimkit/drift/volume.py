"""Detector ``volume``: payers whose decided claims dry up or fall off, and a feed that stops for all.

Decisions of the last one to four weeks against the payer's own weekdays in the half year before, as a
Poisson count with over-dispersion from weekly sums, relative to how all other payers fare. A payer
that has the claims and does not decide them is slow, which the ``lattice`` detector tells sooner; here
are those to whom fewer claims went, or of whom no claim is known before it is decided. When nobody's
claims come any more it is no payer's doing: one notice about the feed, and none about payers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import DECISIONS, INFLOW, MAX_AGE
from claimkit.drift.findings import (
    ALL_PAYERS,
    Evidence,
    Finding,
    Segment,
    Signal,
    Tier,
    fingerprint,
    rate_severity,
)
from claimkit.drift.statistics import cumulate, poisson_loss, sum_by, threshold
from claimkit.drift.wording import date_words, share_words
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells
    from claimkit.types import Day

    Floats = NDArray[np.float64]

__all__ = ["VolumeDetector"]

#: Whole weeks, so that payers who remit once a week are not silent in between.
_WINDOWS = (7, 14, 21, 28)
#: Falls by less than this are the usual ups and downs of whom one treats, whatever the volume.
_DEAD_ZONE = 0.25
#: With less than this part of what was due, a payer is silent, and its feed has stopped.
_SILENT = 0.15
#: A fall of this much is worth telling; less is for the watch list.
_ALERT_FALL = 0.5
_MIN_EXPECTED = 15.0
_MIN_FEED = 30.0
_MIN_DISPERSION = 1.5
#: Median of a squared standard normal variable (chi-square with one degree of freedom).
_MEDIAN = 0.4549
#: This detector's part of the budget of false alerts.
_BUDGET_PART = 0.1
#: Back when two weeks hold this part of what was usual.
_BACK = 0.75
#: When claims that wait make up more than this part of what is missing, the payer is slow, not idle.
_EXPLAINED = 0.5
#: Days between two fits, on a grid of calendar days.
_REFIT = 7
#: A feed that has been quiet for longer than this has not stopped; it is an old file.
_LIVE_DAYS = 60
_WEEKS_SHOWN = 16
_Z95 = 1.96


class VolumeDetector:
    """Fewer decided claims of one payer, or of none at all."""

    name = "volume"
    budget_part = _BUDGET_PART

    def detect(
        self,
        cube: Mapping[str, Cells],
        *,
        as_of: dt.date,
        config: DriftConfig,
        open_findings: Sequence[Finding] = (),
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        """Return payers that fell off in the last ``config.scan_days`` nights, and those that are back.

        An accepted fall is left out until the payer's baseline lies wholly after it.
        """
        mine = [one for one in open_findings if one.detector == self.name]
        counts = _Counts.of(cube, as_of)
        if counts is None:
            return ()
        horizon = day_of(as_of) - config.baseline_days - _WINDOWS[-1]
        muted = {
            one.segment.payer
            for one in accepted_findings
            if one.detector == self.name and day_of(one.onset) > horizon
        }
        found: list[Finding] = []
        for payer, name in enumerate(counts.payers):
            known = [one for one in mine if one.segment.payer == name]
            if name not in muted:
                found += _follow(counts, payer, cube, config, known)
        found += [
            _ended(one, as_of)
            for one in mine
            if one.segment.payer == ALL_PAYERS and as_of > one.onset
        ]
        return found

    def feed(
        self,
        cube: Mapping[str, Cells],
        *,
        last: dt.date,
        today: dt.date,
        config: DriftConfig,  # noqa: ARG002 - what a feed brings every day needs no setting
    ) -> Finding | None:
        """Return the notice that nobody's decisions came since ``last``, if they were due by now."""
        counts = _Counts.of(cube, last)
        quiet = (today - last).days
        if counts is None or len(counts.payers) < 2 or not _WINDOWS[0] <= quiet <= _LIVE_DAYS:
            return None
        usual = counts.usual(counts.days).sum(0)
        due = sum(float(usual[(counts.first + counts.days + at) % 7]) for at in range(quiet))
        if due < _MIN_FEED:
            return None
        day = date_words(last)
        return replace(
            _blank(self.name, ALL_PAYERS, last, today),
            severity=rate_severity(dollars_per_month=0, effect=0.0, unit="claims"),
            onset=date_of(day_of(last) + 1),
            baseline=float(usual.sum()),
            current=0.0,
            effect=-float(usual.sum()),
            interval=(-float(usual.sum()), -float(usual.sum())),
            score=math.sqrt(2 * due / _MIN_DISPERSION),
            threshold=math.sqrt(2 * _MIN_FEED / _MIN_DISPERSION),
            summary=(
                f"No decision of any payer is known since {day}, where about {round(due):,} were due: "
                "look at your uploads before you look at payers."
            ),
            why=(
                f"All payers went quiet on one day, {quiet} days ago; that is a feed that stopped or "
                "a file that was not imported, not a payer.",
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Counts:
    """Decided claims, payer by day; day 0 is ``first`` and the last one is the night."""

    payers: Sequence[str]
    first: Day
    days: int
    claims: Floats
    #: The mean charge of a decided claim of each payer, in cents.
    charge: Floats

    @classmethod
    def of(cls, cube: Mapping[str, Cells], as_of: dt.date) -> _Counts | None:
        cells = cube.get(DECISIONS.name)
        if cells is None:
            return None
        day = cells.numbers[DECISIONS.day]
        rows = cells.take((day <= day_of(as_of)) & (cells.measures["claims"] > 0))
        if not len(rows):
            return None
        first = int(rows.numbers[DECISIONS.day].min())
        days, payers = day_of(as_of) - first + 1, len(rows.names["payer"])
        key = rows.labels["payer"] * days + rows.numbers[DECISIONS.day] - first
        claims = sum_by(key, rows.measures["claims"].astype(np.float64), payers, days)
        charge = sum_by(rows.labels["payer"], rows.measures["charge"].astype(np.float64), payers)
        return cls(
            payers=rows.names["payer"],
            first=first,
            days=days,
            claims=claims,
            charge=charge / np.maximum(claims.sum(1), 1.0),
        )

    def usual(self, end: int, span: int = 182) -> Floats:
        """Return each payer's mean claims by weekday (day number modulo 7) in the days before ``end``."""
        days = np.arange(max(0, end - span), end)
        mean = np.zeros((len(self.payers), 7))
        for weekday in range(7):
            mine = days[(days + self.first) % 7 == weekday]
            if len(mine):
                mean[:, weekday] = self.claims[:, mine].mean(1)
        return mean

    def expected(self, usual: Floats) -> Floats:
        """Return what was due each day, payer by day; after a holiday payers catch up in the week."""
        due: Floats = usual[:, (np.arange(self.days) + self.first) % 7]
        return due


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """What was usual before a night, and what was seen against it, as cumulative sums."""

    observed: Floats
    due: Floats
    dispersion: Floats
    is_ready: NDArray[np.bool_]


def _fit(counts: _Counts, night: int, config: DriftConfig) -> _Fit:
    """Fit the half year that ends four weeks before the week of ``night``."""
    end = night - (night + counts.first) % _REFIT - _WINDOWS[-1]
    start = max(0, end - config.baseline_days)
    due = counts.expected(counts.usual(max(end, 1), config.baseline_days))
    weeks = max(0, end - start) // 7
    shape = (len(counts.payers), weeks, 7)
    dispersion = np.full(len(counts.payers), _MIN_DISPERSION)
    active = np.zeros(len(counts.payers))
    if weeks:
        seen = counts.claims[:, end - 7 * weeks : end].reshape(shape).sum(2)
        usual = due[:, end - 7 * weeks : end].reshape(shape).sum(2)
        # By the median, so that a holiday week or the first weeks of a feed do not hide a fall.
        spread = np.median((seen - usual) ** 2 / np.maximum(usual, 1.0), axis=1) / _MEDIAN
        dispersion = np.maximum(dispersion, spread)
        active = (seen > 0).mean(1)
    is_long = end - start >= config.min_baseline_days
    return _Fit(
        observed=cumulate(counts.claims),
        due=cumulate(due),
        dispersion=dispersion,
        is_ready=(active >= 0.6) & is_long,
    )


@dataclass(frozen=True, slots=True)
class _Fall:
    """The window in which a payer's fall stands out most."""

    score: float
    #: Thresholds: alert, then watch list.
    limits: tuple[float, float]
    days: int
    observed: float
    expected: float

    @property
    def part(self) -> float:
        """What came of what was due."""
        return self.observed / self.expected


def _score(fit: _Fit, payer: int, night: int, config: DriftConfig) -> _Fall | None:
    """Return the worst fall of a payer in the windows that end on ``night``, None if none counts."""
    if not fit.is_ready[payer]:
        return None
    streams = max(1, int(fit.is_ready.sum()))
    alert, watch = (
        threshold(_BUDGET_PART * budget / 30 / streams)
        for budget in (config.budget, config.watch_budget)
    )
    worst: _Fall | None = None
    for days in _WINDOWS:
        if days > night + 1:
            break
        start, end = night + 1 - days, night + 1
        seen = fit.observed[:, end] - fit.observed[:, start]
        due = fit.due[:, end] - fit.due[:, start]
        others = np.arange(len(seen)) != payer
        if due[others].sum() >= _MIN_FEED and seen[others].sum() < _SILENT * due[others].sum():
            return None  # Nobody decides: the feed, or a holiday that no calendar knows.
        shared = np.clip(seen[others].sum() / max(due[others].sum(), 1e-9), 0.5, 1.5)
        wanted = due[payer] * (shared if due[others].sum() >= _MIN_FEED else 1.0)
        if wanted < _MIN_EXPECTED:
            continue
        floor, count = wanted * (1 - _DEAD_ZONE), float(seen[payer])
        if count >= floor:
            continue
        score = math.sqrt(2 * float(poisson_loss(count, floor)) / fit.dispersion[payer])
        if worst is None or score > worst.score:
            worst = _Fall(score, (alert, watch), days, count, float(wanted))
    return worst


def _follow(
    counts: _Counts,
    payer: int,
    cube: Mapping[str, Cells],
    config: DriftConfig,
    known: Sequence[Finding],
) -> list[Finding]:
    """Look at a payer night after night: what fell, and whether what is open is over."""
    found: list[Finding] = []
    standing: tuple[Finding, _Fit] | None = None
    nights = range(max(0, counts.days - config.scan_days), counts.days)
    last = counts.days - 1
    for one in known[:1]:
        told = day_of(one.detected_on or one.onset) - counts.first
        if not 0 <= told <= last:
            return []
        standing = (one, _fit(counts, told, config))
    fit: _Fit | None = None
    is_known = False
    for night in nights:
        if fit is None or (night + counts.first) % _REFIT == 0:
            fit = _fit(counts, night, config)
        told_now = None
        if standing is None or standing[0].tier is Tier.WATCH:
            fall = _score(fit, payer, night, config)
            if fall and fall.score > min(fall.limits):
                is_slow = _is_slow(counts, cube, payer, night, fall)
                told_now = None if is_slow else _told(counts, fit, payer, night, fall)
        if standing is None:
            standing = None if told_now is None else (told_now, fit)
        elif told_now is not None and told_now.tier is Tier.ALERT:
            is_known = is_known or standing[0] in known
            standing = (replace(told_now, fingerprint=standing[0].fingerprint), standing[1])
        elif _is_back(standing[1], payer, night, day_of(standing[0].onset) - counts.first):
            if is_known or standing[0] in known:
                found.append(
                    _ended(
                        _measured(counts, standing[1], payer, last, standing[0]),
                        date_of(counts.first + night),
                    )
                )
                return found
            standing = None
    if standing is not None:
        found.append(_measured(counts, standing[1], payer, last, standing[0]))
    return found


def _is_back(fit: _Fit, payer: int, night: int, onset: int) -> bool:
    start = max(0, night - 13)
    if night - onset < 14:
        return False
    seen = fit.observed[payer, night + 1] - fit.observed[payer, start]
    due = fit.due[payer, night + 1] - fit.due[payer, start]
    return bool(seen >= _BACK * due)


def _is_slow(
    counts: _Counts, cube: Mapping[str, Cells], payer: int, night: int, fall: _Fall
) -> bool:
    """Whether the claims are there and wait: inflow and the usual ages call for far more decisions."""
    inflow, decided = cube.get(INFLOW.name), cube[DECISIONS.name]
    if inflow is None or not len(inflow):
        return False
    name = counts.payers[payer]
    age = _of_payer(decided, name, "age_days", counts.first + night)
    weights = np.bincount(age[0][age[0] >= 0], age[1][age[0] >= 0], MAX_AGE + 1)
    if weights.sum() < 0.5 * age[1].sum():
        return False
    pace = weights / weights.sum()
    sent = _of_payer(inflow, name, "submitted_day", counts.first + night)
    day = sent[0] - counts.first + MAX_AGE
    size = night + 1 + MAX_AGE
    kept = (day >= 0) & (day < size)
    daily = np.bincount(day[kept], sent[1][kept], size)
    due = np.convolve(daily, pace)[MAX_AGE : MAX_AGE + night + 1]
    start = night + 1 - fall.days
    waiting = float(due[start:].sum()) - fall.observed
    return waiting > _EXPLAINED * (fall.expected - fall.observed)


def _of_payer(cells: Cells, payer: str, axis: str, until: Day) -> tuple[NDArray[np.int64], Floats]:
    """Return a number axis and the claims of one payer's rows up to a day."""
    mine = np.array([name == payer for name in cells.names["payer"]], np.bool_)
    rows = cells.take(
        mine[cells.labels["payer"]]
        & (cells.numbers[cells.table.day] <= until)
        & (cells.measures["claims"] > 0)
    )
    return rows.numbers[axis], rows.measures["claims"].astype(np.float64)


def _blank(detector: str, payer: str, onset: dt.date, as_of: dt.date) -> Finding:
    return Finding(
        fingerprint=fingerprint(
            detector=detector, signal=Signal.VOLUME, payer=payer, anchor=onset.isoformat()
        ),
        signal=Signal.VOLUME,
        segment=Segment(payer=payer),
        detector=detector,
        tier=Tier.ALERT,
        severity=rate_severity(dollars_per_month=0, effect=0.0, unit="claims"),
        onset=onset,
        as_of=as_of,
        unit="claims",
        baseline=0.0,
        current=0.0,
        effect=0.0,
        interval=(0.0, 0.0),
        claims=0,
        dollars_per_month=0,
        score=0.0,
        threshold=0.0,
        summary="",
        preliminary=False,
        detected_on=as_of,
    )


def _told(counts: _Counts, fit: _Fit, payer: int, night: int, fall: _Fall) -> Finding:
    """Return what is known of a fall on the night that told of it."""
    onset = night + 1 - fall.days
    if fall.part < _SILENT:
        # Silent since the day after the last decision.
        seen = np.flatnonzero(counts.claims[payer, : night + 1])
        onset = max(onset, int(seen[-1]) + 1) if len(seen) else onset
    as_of = date_of(counts.first + night)
    is_alert = fall.part < 1 - _ALERT_FALL and fall.score > fall.limits[0]
    limit = fall.limits[0 if is_alert else 1]
    return replace(
        _blank(VolumeDetector.name, counts.payers[payer], date_of(counts.first + onset), as_of),
        tier=Tier.ALERT if is_alert else Tier.WATCH,
        score=fall.score,
        threshold=limit,
        why=(
            f"On {date_words(as_of)} the fall over {fall.days} days scored {fall.score:.1f}; the "
            f"threshold is {limit:.1f}.",
            "Expected is the mean of each weekday in the half year before, times "
            "how all other payers fare; weekly sums of this payer vary "
            f"{fit.dispersion[payer]:.1f} times as much as chance alone.",
            "Pending claims do not explain it: no claims are known to wait, or fewer were sent.",
        ),
    )


def _measured(counts: _Counts, fit: _Fit, payer: int, night: int, told: Finding) -> Finding:
    """Return the finding with what was decided and due from its onset to ``night``, by week."""
    onset = max(0, day_of(told.onset) - counts.first)
    days = max(1, night + 1 - onset)
    seen = float(fit.observed[payer, night + 1] - fit.observed[payer, onset])
    due = float(fit.due[payer, night + 1] - fit.due[payer, onset])
    weekly, usual = seen / days * 7, due / days * 7
    error = math.sqrt(max(seen, 1.0) * fit.dispersion[payer]) / days * 7
    missing = max(0.0, due - seen)
    dollars = round(missing / days * 30 * float(counts.charge[payer]))
    since = date_words(told.onset)
    if seen < _SILENT * due:
        summary = f"{told.segment.payer} has decided almost no claims since {since}"
    else:
        fall = share_words(1 - weekly / max(usual, 1e-9))
        summary = f"{told.segment.payer} has decided {fall} fewer claims than usual since {since}"
    return replace(
        told,
        as_of=date_of(counts.first + night),
        severity=rate_severity(dollars_per_month=dollars, effect=weekly - usual, unit="claims"),
        baseline=usual,
        current=weekly,
        effect=weekly - usual,
        interval=(weekly - usual - _Z95 * error, weekly - usual + _Z95 * error),
        claims=round(seen),
        dollars_per_month=dollars,
        summary=f"{summary}: {round(weekly):,} a week, where {round(usual):,} were usual.",
        evidence=_evidence(counts, fit, payer, night),
        told_dollars_per_month=None,
        told_severity=None,
    )


def _evidence(counts: _Counts, fit: _Fit, payer: int, night: int) -> Evidence:
    """Return decided claims a week against the usual number, with the band of chance."""
    weeks = range(min(_WEEKS_SHOWN, (night + 1) // 7), 0, -1)
    starts = [night + 1 - 7 * at for at in weeks]
    observed = [float(fit.observed[payer, at + 7] - fit.observed[payer, at]) for at in starts]
    due = [float(fit.due[payer, at + 7] - fit.due[payer, at]) for at in starts]
    spread = [_Z95 * math.sqrt(one * fit.dispersion[payer]) for one in due]
    return Evidence(
        days=tuple(date_of(counts.first + at) for at in starts),
        observed=tuple(observed),
        expected=tuple(due),
        low=tuple(max(0.0, one - wide) for one, wide in zip(due, spread, strict=True)),
        high=tuple(one + wide for one, wide in zip(due, spread, strict=True)),
        claims=tuple(round(one) for one in observed),
    )


def _ended(finding: Finding, night: dt.date) -> Finding:
    return replace(finding, as_of=max(night, finding.as_of), ended=night)
