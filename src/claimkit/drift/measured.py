"""Detector of a measure: its mean in each payer and procedure group, against what it was or should be.

The story of a night: :class:`_Past` lays the measure's cells out by place and day, :func:`_fit` says
what is usual before the scan range (or takes the measure's reference), and :func:`_hits` scores
trailing windows of the mean change, weighted by precision, against the detector's part of the budget.
What passed is followed against the fit of its first night until it is over.

The statistic is that of allowed amounts (:mod:`claimkit.drift.allowed`): the mean change of x over a
window is normal with variance (W + s² Σw²)/W² + 1/p, where w are the daily sums of 1/σ² and W their sum,
s² the extra variance of batches (Var = w + s²w², by moments) and p the precision of what is usual.
Values are winsorized at three standard deviations (Huber 1964), so that one odd claim is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import MEASURES, Cells
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
from claimkit.drift.measures import Change
from claimkit.drift.scan import WINDOWS
from claimkit.drift.statistics import NO_SCORE, batch_slope, cumulate, sum_by, threshold
from claimkit.drift.streams import SCAN_WINDOW
from claimkit.drift.wording import date_words
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.config import DriftConfig
    from claimkit.drift.episodes import Episode
    from claimkit.drift.measures import Measure
    from claimkit.types import Cents

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["MeasureDetector"]

#: Of the scale: change that is never counted, from the past and from a reference, and winsorizing
#: half-width at least and at most.
_DEAD_ZONE, _DEAD_ZONE_REFERENCE = 0.004, 0.01
_MIN_CLIP, _CLIP = 0.1, 0.5
_CLIP_DEVIATIONS = 3.0
#: Claims that a place needs in the baseline, and a window to be scored; small ones count in their payer.
_MIN_BASELINE = 20
_MIN_CLAIMS = 15
_VARIANCE_CLAIMS = 20.0
_BUDGET_PART = 0.1
#: Days that a measure with a reference needs: enough to know its variance.
_REFERENCE_DAYS = 28
_MIN_SCAN = 14
_MONTH = 30.0
_MIN_ACTIVE_PART = 0.6
#: Precision of a reference: it is not estimated.
_EXACTLY = 1e12
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
        self, cube: Mapping[str, Cells], *, start: dt.date, end: dt.date, config: DriftConfig
    ) -> Sequence[Finding]:
        """Return every incident that the nights from ``start`` to ``end`` would have told, in order."""
        return self._look(cube, day_of(start), end, config, known=None, muted=frozenset())

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
        past = _Past.of(cube, self.measure, day_of(last))
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

    def _place(self, past: _Past, finding: Finding) -> int | None:
        place = finding.segment
        group = place.procedure_groups[0] if place.procedure_groups else None
        return past.places.get((place.payer, group))

    def _finding(self, past: _Past, episode: Episode[_Fit]) -> Finding:
        sums, place, onset = episode.fit.measured, episode.place, episode.onset
        night = past.days - 1 if episode.ended is None else episode.ended
        settled = night >= episode.told + _SETTLE_DAYS
        size, error = sums.change(place, episode.told + 1 if settled else onset, night + 1)
        if math.isinf(error):
            # Nothing came since the night that told; what is known of it is all there is.
            size, error = sums.change(place, onset, night + 1)
        before = sums.usual(place, onset, night + 1)
        worse = past.sign * self.measure.scale
        payer, group = past.names_of(place)
        change = Change(
            payer=payer,
            procedure_groups=() if group is None else (group,),
            onset=date_of(past.first + onset),
            as_of=date_of(past.first + night),
            before=before * worse,
            since=(before + size) * worse,
            claims=round(past.claims_of(place, onset, night + 1)),
            cents=past.cents_of(place, onset, night + 1),
        )
        dollars = self.measure.dollars(change)
        effect, half = size * worse, _Z95 * error * self.measure.scale
        is_alert = episode.tier is Tier.ALERT
        return Finding(
            fingerprint=episode.known.fingerprint
            if episode.known
            else fingerprint(
                detector=self.name,
                signal=self._signal,
                payer=payer,
                anchor=f"{group or ''}\x1f{date_of(past.first + episode.opened).isoformat()}",
            ),
            signal=self._signal,
            segment=Segment(payer=payer, procedure_groups=change.procedure_groups),
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

    def _why(self, past: _Past, episode: Episode[_Fit], *, settled: bool) -> tuple[str, ...]:
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Past:
    """A measure's rows up to a night; day 0 is ``first``. Rows are by cell: one payer and group.

    Places are payers first, then cells; ``owner`` is each cell's payer. ``x`` is turned so that
    larger is worse.
    """

    payers: Sequence[str]
    groups: Sequence[str]
    #: −1 where a fall is worse.
    sign: float
    first: int
    days: int
    cell_payer: Ints
    cell_group: Ints
    cell: Ints
    day: Ints
    claims: Floats
    x: Floats
    square: Floats
    cents: Ints
    places: Mapping[tuple[str, str | None], int]

    @classmethod
    def of(cls, cube: Mapping[str, Cells], measure: Measure, as_of: int) -> _Past | None:
        cells = cube.get(MEASURES.name)
        if cells is None or measure.name not in cells.names["measure"]:
            return None
        code = list(cells.names["measure"]).index(measure.name)
        rows = cells.take(
            (cells.labels["measure"] == code)
            & (cells.numbers["day"] <= as_of)
            & (cells.measures["claims"] > 0)
        )
        if not len(rows):
            return None
        sign = 1.0 if measure.worse == "up" else -1.0
        first = int(rows.numbers["day"].min())
        payers, groups = rows.names["payer"], rows.names["procedure_group"]
        key = rows.labels["payer"] * len(groups) + rows.labels["procedure_group"]
        used, cell = np.unique(key, return_inverse=True)
        owner, group = used // len(groups), used % len(groups)
        present = np.unique(owner)
        rank = np.full(len(payers), -1)
        rank[present] = np.arange(len(present))
        names = [payers[at] for at in present.tolist()]
        places: dict[tuple[str, str | None], int] = {
            (name, None): at for at, name in enumerate(names)
        }
        for at, (payer, its) in enumerate(zip(owner.tolist(), group.tolist(), strict=True)):
            places[payers[payer], groups[its]] = len(names) + at
        return cls(
            payers=names,
            groups=groups,
            sign=sign,
            first=first,
            days=as_of - first + 1,
            cell_payer=rank[owner],
            cell_group=group,
            cell=cell.astype(np.int64),
            day=rows.numbers["day"] - first,
            claims=rows.measures["claims"].astype(np.float64),
            x=rows.measures["value"].astype(np.float64) * (sign / 1e4),
            square=rows.measures["value_squared"] / 1e8,
            cents=rows.measures["cents"],
            places=places,
        )

    @property
    def cells(self) -> int:
        return len(self.cell_payer)

    @property
    def owners(self) -> list[int]:
        """Return the payer of each place."""
        return [*range(len(self.payers)), *self.cell_payer.tolist()]

    def by_payer(self, values: Floats) -> Floats:
        """Sum an array over the cells of each payer; its first axis is cells."""
        summed = np.zeros((len(self.payers), *values.shape[1:]))
        np.add.at(summed, self.cell_payer, values)
        return summed

    def names_of(self, place: int) -> tuple[str, str | None]:
        """Return payer and group of a place; a payer as a whole has no group."""
        cell = place - len(self.payers)
        if cell < 0:
            return self.payers[place], None
        return self.payers[self.cell_payer[cell]], self.groups[self.cell_group[cell]]

    def rows_of(self, place: int, start: int, end: int) -> NDArray[np.bool_]:
        """Return the rows of a place on ``start <= day < end``."""
        cell = place - len(self.payers)
        mine = self.cell_payer[self.cell] == place if cell < 0 else self.cell == cell
        rows: NDArray[np.bool_] = mine & (self.day >= start) & (self.day < end)
        return rows

    def claims_of(self, place: int, start: int, end: int) -> float:
        return float(self.claims[self.rows_of(place, start, end)].sum())

    def cents_of(self, place: int, start: int, end: int) -> Cents:
        return int(self.cents[self.rows_of(place, start, end)].sum())

    def sums(self, center: Floats, clip: Floats, start: int, end: int) -> tuple[Floats, ...]:
        """Return claims, Σ(x − center) and squares, winsorized at ±clip; cell by day."""
        rows = np.flatnonzero((self.day >= start) & (self.day < end))
        cell, claims = self.cell[rows], self.claims[rows]
        middle, limit = center[cell], clip[cell] * claims
        total = self.x[rows] - claims * middle
        square = self.square[rows] - 2 * middle * self.x[rows] + claims * middle**2
        outside = np.abs(total) > limit
        total = np.clip(total, -limit, limit)
        square = np.where(outside, clip[cell] * limit, square)
        key, shape = cell * (end - start) + self.day[rows] - start, (self.cells, end - start)
        return tuple(sum_by(key, one, *shape) for one in (claims, total, square))


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Days against what is usual, as cumulative sums by place: Σ(x − usual)/σ², Σ1/σ², claims."""

    score: Floats
    weight: Floats
    claims: Floats
    #: Σw² of daily weights w.
    squares: Floats
    #: Σ usual/σ²: divided by the weight, what is usual for the mix of some days.
    level: Floats
    #: s² of each place, and the precision of what is usual.
    slope: Floats
    precision: Floats
    #: The most that a single claim can add to a score.
    one_claim: Floats

    def change(self, place: int, start: int, end: int) -> tuple[float, float]:
        """Return the mean change over ``start <= day < end`` and its standard error."""
        weight = float(self.weight[place, end] - self.weight[place, start])
        if weight <= 0:
            return 0.0, math.inf
        score = float(self.score[place, end] - self.score[place, start])
        squares = float(self.squares[place, end] - self.squares[place, start])
        variance = (weight + float(self.slope[place]) * squares) / weight**2
        return score / weight, math.sqrt(variance + 1 / float(self.precision[place]))

    def usual(self, place: int, start: int, end: int) -> float:
        """Return what was usual for the claims of those days."""
        weight = float(self.weight[place, end] - self.weight[place, start])
        level = float(self.level[place, end] - self.level[place, start])
        return level / weight if weight > 0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """What is usual before a week of nights: from ``start`` to ``end``, and all days against it."""

    start: int
    end: int
    #: Winsorized at three standard deviations for the scan, and wide, so that sizes keep their size.
    scanned: _Sums
    measured: _Sums
    is_ready: NDArray[np.bool_]


def _fit(past: _Past, measure: Measure, night: int, config: DriftConfig) -> _Fit | None:
    """Fit the baseline that serves the week of ``night``; None while there is too little."""
    week = night - (night + past.first) % 7
    if measure.reference is None:
        spare = week - config.min_baseline_days - _MIN_SCAN
        end = week - min(SCAN_WINDOW, max(_MIN_SCAN, spare))
        needed = config.min_baseline_days
    else:
        # What is usual is known, and all days up to the week tell the variance.
        end, needed = week, _REFERENCE_DAYS
    start = max(0, end - config.baseline_days)
    if end - start < needed:
        return None
    rows = (past.day >= start) & (past.day < end)
    claims = np.bincount(past.cell[rows], past.claims[rows], past.cells)
    center = np.bincount(past.cell[rows], past.x[rows], past.cells) / np.maximum(claims, 1)
    if measure.reference is not None:
        center = np.full(past.cells, past.sign * measure.reference / measure.scale)
    is_tested = claims >= (_MIN_BASELINE if measure.reference is None else 1)
    wide = np.full(past.cells, _CLIP)
    _, variance = _spread(past, past.sums(center, wide, start, end))
    clip = np.clip(_CLIP_DEVIATIONS * np.sqrt(variance), _MIN_CLIP, _CLIP)
    is_fixed = measure.reference is not None
    scanned, measured = (
        _against(past, (start, end), center, one, np.where(is_tested, claims, 0.0), is_fixed)
        for one in (clip, wide)
    )
    counts = past.sums(center, wide, start, end)[0]
    active = np.concatenate([past.by_payer(counts), counts]) > 0
    weeks = np.add.reduceat(active, np.arange(0, end - start, 7), axis=1) > 0
    return _Fit(start, end, scanned, measured, weeks.sum(1) >= _MIN_ACTIVE_PART * needed / 7)


def _spread(past: _Past, sums: tuple[Floats, ...]) -> tuple[Floats, Floats]:
    """Return mean and variance around the center of each cell, the latter shrunk to its payer's."""
    claims, total, square = (one.sum(1) for one in sums)
    mean = total / np.maximum(claims, 1)
    variance = np.maximum(0.0, square - claims * mean**2) / np.maximum(claims - 1, 1)
    of_payer = past.by_payer(variance * claims) / np.maximum(past.by_payer(claims), 1)
    variance = (variance * claims + _VARIANCE_CLAIMS * of_payer[past.cell_payer]) / (
        claims + _VARIANCE_CLAIMS
    )
    # Claims that are all alike have no variance; a tenth of a percent of the scale keeps this finite.
    return mean, np.maximum(variance, 1e-6)


def _against(
    past: _Past,
    span: tuple[int, int],
    center: Floats,
    clip: Floats,
    claims: Floats,
    is_fixed: bool,  # noqa: FBT001 - private, and one of two ways to know what is usual
) -> _Sums:
    """Return all days against what is usual, winsorized at ``center`` ± ``clip``.

    ``claims`` are those of each cell in the baseline, zero where it is not tested.
    """
    start, end = span
    mean, variance = _spread(past, past.sums(center, clip, start, end))
    if is_fixed:
        mean = np.zeros(past.cells)
    counts, total, _ = past.sums(center, clip, 0, past.days)
    counts = np.where(claims[:, None] > 0, counts, 0.0)
    weight = counts / variance[:, None]
    score = np.where(counts > 0, total - mean[:, None] * counts, 0.0) / variance[:, None]
    precision = np.where(claims > 0, claims / variance, 0.0)
    both = [np.concatenate([past.by_payer(one), one]) for one in (score, weight, counts)]
    level = weight * (center + mean)[:, None]
    payers = len(past.payers)
    rest, size = both[0][:payers, start:end], both[1][:payers, start:end]
    # Around the payer's own mean: a lasting distance from a reference is no noise.
    rest = rest - size * (rest.sum(1) / np.maximum(size.sum(1), 1e-9))[:, None]
    slope = batch_slope(rest**2, size, np.arange(payers), payers)
    known = np.concatenate([past.by_payer(precision), precision])
    single = np.where(claims > 0, clip / variance, 0.0)
    return _Sums(
        score=cumulate(both[0]),
        weight=cumulate(both[1]),
        claims=cumulate(both[2]),
        squares=cumulate(both[1] ** 2),
        level=cumulate(np.concatenate([past.by_payer(level), level])),
        slope=np.concatenate([slope, slope[past.cell_payer]]),
        precision=np.full(len(known), _EXACTLY) if is_fixed else np.maximum(known, 1e-9),
        one_claim=np.concatenate([_largest(past, single), single]),
    )


def _largest(past: _Past, values: Floats) -> Floats:
    """Return the largest value of each payer's cells."""
    largest = np.zeros(len(past.payers))
    np.maximum.at(largest, past.cell_payer, values)
    return largest


class _Nights:
    """What :func:`~claimkit.drift.episodes.follow` asks about the nights of one measure."""

    def __init__(
        self, past: _Past, measure: Measure, config: DriftConfig, muted: frozenset[str]
    ) -> None:
        self._past, self._measure, self._config = past, measure, config
        self._muted = np.array([past.names_of(at)[0] in muted for at in past.places.values()])

    def fit(self, night: int) -> _Fit | None:
        """Return the fit that serves ``night``."""
        return _fit(self._past, self._measure, night, self._config)

    def hits(self, fit: _Fit, night: int, reach: Ints) -> Iterator[Hit]:
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

    def is_over(self, fit: _Fit, place: int, told: int, night: int) -> bool:
        """Whether the last four weeks hold less than half of the change since the night that told."""
        if night - told < _END_DAYS:
            return False
        sums = fit.measured
        recent, _ = sums.change(place, night + 1 - _END_DAYS, night + 1)
        believed, _ = sums.change(place, max(0, told - _SETTLE_DAYS), told + _SETTLE_DAYS)
        return recent < max(_DEAD_ZONE, believed / 2)

    def onset(self, fit: _Fit, place: int, first: int, night: int) -> int:
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

    def _scores(self, fit: _Fit, night: int, reach: Ints) -> tuple[Floats, Ints]:
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

    def _limits(self, fit: _Fit) -> tuple[float, float]:
        streams = max(1, int(fit.is_ready.sum()))
        alert, watch = (
            threshold(_BUDGET_PART * budget / _MONTH / streams)
            for budget in (self._config.budget, self._config.watch_budget)
        )
        return alert, watch


def _evidence(past: _Past, sums: _Sums, place: int, night: int, measure: Measure) -> Evidence:
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
