"""Speed: claims that wait too long, from what is pending and how fast the payer used to decide.

Each day's decisions are compared with the claims at risk: the sum over pending claims of the
payer's usual hazard at their age, times its weekday factor (the observed-minus-expected process of
Biswas and Kalbfleisch, *A risk-adjusted CUSUM in continuous time*, Stat. Med. 27, 2008). So a
slow-down shows within days, before a single late claim has been decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import MAX_AGE
from claimkit.drift.holidays import is_federal_holiday
from claimkit.drift.scan import WINDOWS, Scores
from claimkit.drift.shared import compare
from claimkit.drift.statistics import NO_SCORE, batch_slope, cumulate, sum_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from claimkit.drift.baseline import Span
    from claimkit.drift.history import History

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["AtRisk", "Speed", "delay", "fit_speed", "make_at_risk", "scan_speed", "slow_since"]

#: Relative shortfall of decisions that is never counted.
_DEAD_ZONE = 0.03
#: Least over-dispersion of a window.
_MIN_DISPERSION = 1.25
_MIN_EXPECTED = 5.0
#: A day on which all other payers decided less than this part of what was due is a day off, because a
#: payer decides all of a day or nothing; from the second part on it is a full one.
_DAY_OFF = 0.3
_FULL_DAY = 0.6
#: Decisions of others that must have been due to tell, and where hardly any came.
_OFF_EXPECTED = 40.0
_SILENT_DAY = 0.15
_SILENT_EXPECTED = 8.0
#: With fewer payers there are no others left without one of them.
_FEW_PAYERS = 4
#: Pending claims older than this are not counted in the size of a delay.
_COUNTED_AGE = 90
_WEEK_DAYS = 7
#: Days over which arrivals are averaged.
_ARRIVAL_DAYS = 30


@dataclass(frozen=True, slots=True, eq=False)
class AtRisk:
    """Pending and decided claims, payer by day by age in days (0 .. MAX_AGE − 1)."""

    pending: NDArray[np.float32]
    decided: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Speed:
    """Decisions observed and due, payer by day from ``start``, as cumulative sums."""

    start: int
    span: Span
    observed: Floats
    expected: Floats
    dispersion: Floats
    #: Payers whose pending claims are known.
    is_ready: NDArray[np.bool_]
    #: Decisions due behind each payer's pace; without end where it is the baseline's.
    known: Floats


def make_at_risk(history: History) -> AtRisk:
    """Follow each day's submissions until they are decided."""
    payers, days = len(history.payers), history.days
    decided = history.decided
    known = decided.age >= 0
    owner = history.cell_payer[decided.cell[known]]
    key = (owner * days + decided.day[known]) * (MAX_AGE + 1) + decided.age[known]
    counts = sum_by(key, decided.claims[known], payers, days, MAX_AGE + 1)
    by_age = counts[..., :MAX_AGE].astype(np.float32)
    pending = np.zeros((payers, days, MAX_AGE), np.float32)
    left = np.zeros((payers, MAX_AGE), np.float32)
    for day in range(days):
        today = pending[:, day]
        today[:, 1:] = left[:, :-1]
        today[:, 0] = history.inflow[:, day]
        left = np.maximum(0, today - by_age[:, day])
    return AtRisk(pending, by_age)


def fit_speed(history: History, at_risk: AtRisk, span: Span) -> Speed:
    """Fit each payer's hazard and weekdays on the baseline, and expect with them from there on."""
    start = max(min(MAX_AGE, span.end - 1), span.start)
    base = span.end - start
    pending = at_risk.pending[:, start : span.until].astype(np.float64)
    decided = at_risk.decided[:, start : span.until].astype(np.float64)
    hazard = (decided[:, :base].sum(1) + 1e-6) / (pending[:, :base].sum(1) + 1e-3)
    hazard[:, 1:-1] = hazard[:, :-2] * 0.25 + hazard[:, 1:-1] * 0.5 + hazard[:, 2:] * 0.25
    due = np.einsum("jta,ja->jt", pending, hazard)
    observed = decided.sum(2)
    weekday = (np.arange(start, span.until) + history.first) % 7
    is_holiday = np.array(
        [is_federal_holiday(history.first + day) for day in range(start, span.until)]
    )
    working = np.where(is_holiday[None], 0.0, _working(observed, due, weekday, base))
    factor = _weekday_factor(observed, due, weekday, working > 0, base)
    due = working * due * factor[:, weekday]
    observed = working * observed
    level = observed[:, :base].sum(1) / np.maximum(due[:, :base].sum(1), 1e-6)
    due *= level[:, None]
    weeks = base // 7
    dispersion = np.full(len(due), _MIN_DISPERSION)
    if weeks:
        shape = (len(due), weeks, 7)
        week_observed = observed[:, base - 7 * weeks : base].reshape(shape).sum(2)
        week_due = due[:, base - 7 * weeks : base].reshape(shape).sum(2)
        owners = np.arange(len(due))
        slope = batch_slope((week_observed - week_due) ** 2, week_due, owners, len(due))
        dispersion = np.maximum(_MIN_DISPERSION, 1 + slope * week_due.mean(1))
    return Speed(
        start=start,
        span=span,
        observed=cumulate(observed),
        expected=cumulate(due),
        dispersion=dispersion,
        is_ready=observed[:, :base].sum(1) >= _MIN_EXPECTED * 10,
        known=np.full(len(due), np.inf),
    )


def _weekday_factor(
    observed: Floats, due: Floats, weekday: Ints, counted: NDArray[np.bool_], base: int
) -> Floats:
    factor = np.zeros((len(due), 7))
    for day in range(7):
        mine = (weekday[:base] == day)[None] & counted[:, :base]
        on_day = np.where(mine, observed[:, :base], 0.0).sum(1)
        factor[:, day] = on_day / np.maximum(np.where(mine, due[:, :base], 0.0).sum(1), 1e-6)
    return factor


def _working(observed: Floats, due: Floats, weekday: Ints, base: int) -> Floats:
    """Return payer by day: the part of a day that counts, by how everybody else did on it.

    Holidays that no calendar here knows, days whose files are missing, and the first days of a new
    clearinghouse silence all payers, or nearly. A payer that decides once a week, and whose day it
    was, is silent for the week; that the others caught up since then does not tell of it, so that
    it must be known of the day itself. Of the others, the one that lacks most is left out: a large
    payer that is silent alone is not everybody.
    """
    everything = np.ones_like(observed, np.bool_)
    factor = _weekday_factor(observed, due, weekday, everything, base)
    usual = due * factor[:, weekday]
    others_usual, others_observed = _others(usual, observed)
    part = others_observed / np.maximum(others_usual, 1e-9)
    working = np.clip((part - _DAY_OFF) / (_FULL_DAY - _DAY_OFF), 0.0, 1.0)
    is_sure = others_usual >= np.where(part < _SILENT_DAY, _SILENT_EXPECTED, _OFF_EXPECTED)
    return np.where(is_sure, working, 1.0)


def _others(usual: Floats, observed: Floats) -> tuple[Floats, Floats]:
    """Return the sums over all other payers but the one that lacks most, payer by day."""
    rest_usual, rest_observed = usual.sum(0) - usual, observed.sum(0) - observed
    if len(usual) < _FEW_PAYERS:
        return rest_usual, rest_observed
    lacking = np.argsort(observed - usual, axis=0, kind="stable")
    worst = np.where(lacking[0] == np.arange(len(usual))[:, None], lacking[1], lacking[0])
    days = np.arange(usual.shape[1])
    return rest_usual - usual[worst, days], rest_observed - observed[worst, days]


def scan_speed(speed: Speed, night: int, *, reach: Ints) -> Scores:
    """Return each payer's worst shortfall of decisions over the windows that end on ``night``."""
    end = night - speed.start + 1
    size = len(speed.dispersion)
    best, best_days = np.full(size, NO_SCORE), np.zeros(size, np.int64)
    windows = [days for days in WINDOWS if days <= end]
    starts = [end - days for days in windows]
    observed = (speed.observed[:, [end]] - speed.observed[:, starts]).T
    due = (speed.expected[:, [end]] - speed.expected[:, starts]).T
    # A new clearinghouse or a file that is missing delays everybody, and is no payer's doing.
    noise = speed.dispersion / np.maximum(due, 1e-9)
    shared = compare(observed[..., None], due[..., None], noise[..., None])
    usual = due * np.minimum(shared.ratio[..., 0], 1.0)
    scale = speed.dispersion * (1 + due / speed.known) + due * shared.variance[..., 0]
    floor = np.maximum(usual * (1 - _DEAD_ZONE), 1e-9)
    event = np.where(observed > 0, observed * np.log(np.maximum(observed, 1e-9) / floor), 0.0)
    deviance = np.maximum(0.0, 2 * (event - (observed - floor)))
    scores = np.sign(floor - observed) * np.sqrt(deviance / scale)
    for days, score, expected in zip(windows, scores, due, strict=True):
        # The weekdays of a new pace are not known, only whole weeks of it.
        is_partial = np.isfinite(speed.known) & (days < _WEEK_DAYS)
        score[(expected < _MIN_EXPECTED) | ~speed.is_ready | (reach < days) | is_partial] = NO_SCORE
        better = score > best
        best[better], best_days[better] = score[better], days
    return Scores(best, best_days)


def slow_since(speed: Speed, payer: int, first: int, night: int) -> tuple[int, float]:
    """Return the day from which a shortfall is clearest, and its size as a share of what was due.

    The windows of the scan are coarse; of all days from the first one of the window that scored, the
    one with the largest Poisson deviance is the most likely onset (Hinkley, *Inference about the
    change-point in a sequence of random variables*, Biometrika 57, 1970).

    Args:
        speed: Decisions observed and due.
        payer: Whose.
        first: First day of the window that scored best.
        night: Its last day.
    """
    end = night - speed.start + 1
    starts = np.arange(first - speed.start, end)
    observed = speed.observed[payer, end] - speed.observed[payer, starts]
    due = np.maximum(speed.expected[payer, end] - speed.expected[payer, starts], 1e-9)
    event = np.where(observed > 0, observed * np.log(np.maximum(observed, 1e-9) / due), 0.0)
    deviance = np.where(observed < due, event - (observed - due), 0.0)
    at = int(deviance.argmax())
    return int(starts[at]) + speed.start, 1 - float(observed[at] / due[at])


def delay(
    history: History, at_risk: AtRisk, span: Span, payer: int, night: int, days: int
) -> tuple[float, float, float]:
    """Return by how many days decisions come later, its standard error, and the usual mean.

    Little's law (Little 1961): the excess of pending claims over what arrivals and the usual
    survival curve leave pending, divided by arrivals a day. A lower bound while the shift is young.
    The error is the standard deviation of the same figure over the baseline.
    """
    start = min(max(MAX_AGE, span.start), span.end - 1)
    pending = at_risk.pending[payer].astype(np.float64)
    exposed = pending[start : span.end].sum(0)
    decided = at_risk.decided[payer, start : span.end].sum(0, dtype=np.float64)
    hazard = np.where(exposed > 0, decided / np.maximum(exposed, 1), 0.0)
    survival = np.concatenate([[1.0], np.cumprod(1 - np.minimum(hazard, 1.0))])[:MAX_AGE]
    inflow = history.inflow[payer]

    def excess(day: int) -> float:
        first = max(0, day - _ARRIVAL_DAYS + 1)
        arrivals = float(inflow[first : day + 1].mean()) + 1e-9
        recent = inflow[max(0, day - _COUNTED_AGE + 1) : day + 1][::-1]
        usual = float((recent * survival[: len(recent)]).sum())
        return (float(pending[day, :_COUNTED_AGE].sum()) - usual) / arrivals

    reference = np.array([excess(day) for day in range(start, span.end, 5)])
    recent = [excess(day) for day in range(max(night - 4, night - days + 1, 0), night + 1)]
    error = float(reference.std(ddof=1)) if len(reference) > 1 else 1.0
    shift = float(np.mean(recent)) - float(reference.mean())
    return shift, max(error, 0.1), float(survival[:_COUNTED_AGE].sum())
