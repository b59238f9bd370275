"""Detector of a measure: its mean in each payer and procedure group, against what it was or should be.

The story of a night: :class:`~claimkit.drift.means.Past` lays the cells
out by place and day, :func:`~claimkit.drift.means.fit_mean` says
what is usual before the scan range (or takes the measure's reference), and ``_Nights.hits`` scores
trailing windows of the mean change, weighted by precision, against the detector's part of the budget.
What passed is followed against the fit of its first night until it is over.

The statistic is that of allowed amounts (:mod:`claimkit.drift.allowed`): the mean change of x over a
window is normal with variance (W + s² Σw²)/W² + 1/p, where w are the daily sums of 1/σ² and W their sum,
s² the extra variance of batches (Var = w + s²w², by moments) and p the precision of what is usual.
Values are winsorized at three standard deviations (Huber 1964), so that one odd claim is none.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.episodes import Hit, follow
from claimkit.drift.findings import (
    Evidence,
    Finding,
    Segment,
    Signal,
    Tier,
    fingerprint,
    rate_severity,
)
from claimkit.drift.means import Fit, Past, Sums, fit_mean
from claimkit.drift.measures import MeasuredChange
from claimkit.drift.scan import WINDOWS
from claimkit.drift.statistics import NO_SCORE, threshold
from claimkit.drift.streams import SCAN_WINDOW
from claimkit.drift.wording import date_words
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells
    from claimkit.drift.episodes import Episode
    from claimkit.drift.measures import Measure

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["MeasureDetector"]

#: Of the scale: change that is never counted, from the past and from a reference.
_DEAD_ZONE, _DEAD_ZONE_REFERENCE = 0.004, 0.01
#: Claims that a window needs to be scored.
_MIN_CLAIMS = 15
_BUDGET_PART = 0.1
_MONTH = 30.0
_Z95 = 1.96
_WEEKS_SHOWN = 16
#: Over when the last four weeks hold less than half of the change.
_END_DAYS = 28
_SETTLE_DAYS = 14


class MeasureDetector:
    """Watches one measure; its name is the measure's."""

    budget_part = _BUDGET_PART

    def __init__(self, measure: Measure, *, signal: Signal = Signal.MEASURE) -> None:
        self.measure = measure
        self.name = measure.name
        self._signal = signal

    def detect(
        self,
        cube: Mapping[str, Cells],
        *,
        as_of: dt.date,
        config: DriftConfig,
        open_findings: Sequence[Finding] = (),
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        """Return payers whose measure got worse as of the end of day ``as_of``.

        A payer whose new level was accepted is left out until its baseline lies wholly after it; with
        a reference, for as long as it is accepted.
        """
        first = day_of(as_of) - config.scan_days + 1
        mine = [one for one in open_findings if one.detector == self.name]
        muted = self._muted(accepted_findings, as_of, config)
        return self._look(cube, first, as_of, config, known=mine, muted=muted)

    def replay(
        self,
        cube: Mapping[str, Cells],
        *,
        start: dt.date,
        end: dt.date,
        config: DriftConfig,
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        """Return every incident that the nights from ``start`` to ``end`` would have told, in order.

        Payers whose level was accepted are left out from ``accepted_on`` on, as by :meth:`detect`.
        """
        found = self._look(cube, day_of(start), end, config, known=None, muted=frozenset())
        return [one for one in found if not self._is_muted(one, accepted_findings, config)]

    def _is_muted(self, finding: Finding, accepted: Sequence[Finding], config: DriftConfig) -> bool:
        night = finding.detected_on or finding.as_of
        by_then = [one for one in accepted if one.accepted_on and one.accepted_on <= night]
        return finding.segment.payer in self._muted(by_then, night, config)

    def _muted(
        self, accepted: Sequence[Finding], as_of: dt.date, config: DriftConfig
    ) -> frozenset[str]:
        horizon = day_of(as_of) - config.baseline_days - SCAN_WINDOW
        return frozenset(
            one.segment.payer
            for one in accepted
            if one.detector == self.name
            and (self.measure.reference is not None or day_of(one.onset) > horizon)
        )

    def _look(
        self,
        cube: Mapping[str, Cells],
        first: int,
        last: dt.date,
        config: DriftConfig,
        *,
        known: Sequence[Finding] | None,
        muted: frozenset[str],
    ) -> Sequence[Finding]:
        """Look at nights; ``known`` of None asks for what ended meanwhile as well."""
        past = Past.of(cube, self.measure, day_of(last))
        if past is None:
            return ()
        followed = follow(
            _Nights(past, self.measure, config, muted),
            owners=past.owners,
            first=max(0, first - past.first),
            last=past.days - 1,
            known=[(self._place(past, one), one) for one in known or ()],
            origin=past.first,
        )
        return [
            self._finding(past, one)
            for one in followed
            if known is None or one.ended is None or one.known is not None
        ]

    def _place(self, past: Past, finding: Finding) -> int | None:
        place = finding.segment
        group = place.procedure_groups[0] if place.procedure_groups else None
        return past.places.get((place.payer, group))

    def _finding(self, past: Past, episode: Episode[Fit]) -> Finding:
        sums, place, onset = episode.fit.measured, episode.place, episode.onset
        night = past.days - 1 if episode.ended is None else episode.ended
        settled = night >= episode.told + _SETTLE_DAYS
        size, error = sums.change(place, episode.told + 1 if settled else onset, night + 1)
        if math.isinf(error):
            # Nothing came since the night that told; what is known of it is all there is.
            size, error = sums.change(place, onset, night + 1)
        change = self._change(past, episode, night, size)
        dollars = self.measure.dollars(change)
        effect, half = size * past.sign * self.measure.scale, _Z95 * error * self.measure.scale
        is_alert = episode.tier is Tier.ALERT
        return Finding(
            fingerprint=self._identity(past, episode),
            signal=self._signal,
            segment=Segment(payer=change.payer, procedure_groups=change.procedure_groups),
            detector=self.name,
            tier=episode.tier,
            severity=rate_severity(
                dollars_per_month=dollars, effect=effect, unit=self.measure.unit
            ),
            onset=change.onset,
            as_of=change.as_of,
            unit=self.measure.unit,
            baseline=change.before,
            current=change.before + effect,
            effect=effect,
            interval=(effect - half, effect + half),
            claims=change.claims,
            dollars_per_month=dollars,
            score=episode.score,
            threshold=episode.limits[0 if is_alert else 1],
            summary=self.measure.words(change),
            why=self._why(past, episode, settled=settled),
            evidence=_evidence(past, sums, place, night, self.measure),
            preliminary=not settled,
            detected_on=date_of(past.first + episode.told),
            ended=None if episode.ended is None else date_of(past.first + episode.ended),
        )

    def _identity(self, past: Past, episode: Episode[Fit]) -> str:
        if episode.known is not None:
            return episode.known.fingerprint
        payer, group = past.names_of(episode.place)
        opened = date_of(past.first + episode.opened).isoformat()
        anchor = f"{group or ''}\x1f{opened}"
        return fingerprint(detector=self.name, signal=self._signal, payer=payer, anchor=anchor)

    def _change(self, past: Past, episode: Episode[Fit], night: int, size: float) -> MeasuredChange:
        """Return what happened from the onset to ``night``, as the measure puts it into words."""
        place, onset = episode.place, episode.onset
        before = episode.fit.measured.usual(place, onset, night + 1)
        worse = past.sign * self.measure.scale
        payer, group = past.names_of(place)
        return MeasuredChange(
            payer=payer,
            procedure_groups=() if group is None else (group,),
            onset=date_of(past.first + onset),
            as_of=date_of(past.first + night),
            before=before * worse,
            since=(before + size) * worse,
            claims=round(past.claims_of(place, onset, night + 1)),
            cents=past.cents_of(place, onset, night + 1),
        )

    def _why(self, past: Past, episode: Episode[Fit], *, settled: bool) -> tuple[str, ...]:
        fit = episode.fit
        if self.measure.reference is None:
            first, last = (
                date_words(date_of(past.first + day)) for day in (fit.start, fit.end - 1)
            )
            against = f"Usual is the mean of {first} to {last}, by procedure group."
        else:
            against = "It is compared with what it should be, not with this payer's past."
        limit = episode.limits[0 if episode.tier is Tier.ALERT else 1]
        reasons = [
            f"On {date_words(date_of(past.first + episode.told))} the mean of "
            f"{self.name.replace('_', ' ')} scored {episode.score:.1f}; the threshold is {limit:.1f}.",
            against,
            "The score allows for values that vary from claim to claim and from batch to batch; "
            "odd values are cut at three standard deviations.",
        ]
        if not settled:
            reasons.append(
                "The size is preliminary: it is estimated from the days that raised the finding."
            )
        return tuple(reasons)


class _Nights:
    """What :func:`~claimkit.drift.episodes.follow` asks about the nights of one measure."""

    def __init__(
        self, past: Past, measure: Measure, config: DriftConfig, muted: frozenset[str]
    ) -> None:
        self._past, self._measure, self._config = past, measure, config
        self._muted = np.array([past.names_of(at)[0] in muted for at in past.places.values()])

    def fit(self, night: int) -> Fit | None:
        """Return the fit that serves ``night``."""
        return fit_mean(self._past, self._measure, night, self._config)

    def hits(self, fit: Fit, night: int, reach: Ints) -> Iterator[Hit]:
        """Yield of each payer the place that stands out most: the payer, or one of its groups."""
        best, days = self._scores(fit, night, reach)
        owners = np.array(self._past.owners)
        limits = self._limits(fit)
        passed = np.flatnonzero(best > limits[1])
        for payer in np.unique(owners[passed]).tolist():
            mine = passed[owners[passed] == payer]
            at = int(mine[np.argmax(best[mine])])
            yield Hit(
                owner=payer,
                place=at,
                days=int(days[at]),
                score=float(best[at]),
                limits=limits,
            )

    def is_over(self, fit: Fit, place: int, told: int, night: int) -> bool:
        """Whether the last four weeks hold less than half of the change since the night that told."""
        if night - told < _END_DAYS:
            return False
        sums = fit.measured
        recent, _ = sums.change(place, night + 1 - _END_DAYS, night + 1)
        believed, _ = sums.change(place, max(0, told - _SETTLE_DAYS), told + _SETTLE_DAYS)
        return recent < max(_DEAD_ZONE, believed / 2)

    def onset(self, fit: Fit, place: int, first: int, night: int) -> int:
        """Return the day from which the change is clearest, from the window that told on.

        The one that maximizes the Gaussian likelihood ratio (ΣS)²/2W (Hinkley 1970). With a reference the
        change may be as old as the data, so the search goes back over the whole baseline.
        """
        if self._measure.reference is not None:
            first = fit.start
        sums, starts = fit.scanned, np.arange(first, night + 1)
        score = sums.score[place, night + 1] - sums.score[place, starts]
        weight = sums.weight[place, night + 1] - sums.weight[place, starts]
        gain = np.where(score > 0, score**2 / np.maximum(weight, 1e-9), 0.0)
        return int(starts[int(gain.argmax())])

    def _scores(self, fit: Fit, night: int, reach: Ints) -> tuple[Floats, Ints]:
        sums, end = fit.scanned, night + 1
        zone = _DEAD_ZONE if self._measure.reference is None else _DEAD_ZONE_REFERENCE
        size = len(sums.precision)
        best, days = np.full(size, NO_SCORE), np.zeros(size, np.int64)
        for window in WINDOWS:
            start = end - window
            if start < (fit.end if self._measure.reference is None else fit.start):
                break
            weight = sums.weight[:, end] - sums.weight[:, start]
            squares = sums.squares[:, end] - sums.squares[:, start]
            # Values may be skew: what rests on one odd claim is none.
            change = sums.score[:, end] - sums.score[:, start] - zone * weight - sums.one_claim
            variance = weight + sums.slope * squares + weight**2 / sums.precision
            z = change / np.sqrt(np.maximum(variance, 1e-9))
            few = sums.claims[:, end] - sums.claims[:, start] < _MIN_CLAIMS
            z[few | ~fit.is_ready | self._muted | (reach < window)] = NO_SCORE
            better = z > best
            best[better], days[better] = z[better], window
        return best, days

    def _limits(self, fit: Fit) -> tuple[float, float]:
        streams = max(1, int(fit.is_ready.sum()))
        alert, watch = (
            threshold(_BUDGET_PART * budget / _MONTH / streams)
            for budget in (self._config.budget, self._config.watch_budget)
        )
        return alert, watch


def _evidence(past: Past, sums: Sums, place: int, night: int, measure: Measure) -> Evidence:
    """Return the weekly mean against what is usual for the week's mix, with the band of chance."""
    count = min(_WEEKS_SHOWN, (night + 1) // 7)
    starts = [night + 1 - 7 * at for at in range(count, 0, -1)]
    worse = past.sign * measure.scale
    rows = []
    for start in starts:
        size, error = sums.change(place, start, start + 7)
        error = error if math.isfinite(error) else 0.0
        usual = sums.usual(place, start, start + 7)
        claims = past.claims_of(place, start, start + 7)
        rows.append(((usual + size) * worse, usual * worse, _Z95 * error * measure.scale, claims))
    return Evidence(
        days=tuple(date_of(past.first + start) for start in starts),
        observed=tuple(seen for seen, *_ in rows),
        expected=tuple(usual for _, usual, *_ in rows),
        low=tuple(usual - half for _, usual, half, _ in rows),
        high=tuple(usual + half for _, usual, half, _ in rows),
        claims=tuple(round(claims) for *_, claims in rows),
    )
