"""Allowed amounts: paid claims that a payer prices lower than it used to.

The statistic is x = ln(allowed / charge) of each paid claim, centered on its cell's usual value,
winsorized and weighted by precision. It is scanned winsorized at three standard deviations (Huber,
*Robust estimation of a location parameter*, Ann. Math. Stat. 35, 1964): partial payments, one claim in a
hundred, would otherwise make up half of the variance of a payer that prices evenly, and their
skewness most of its false alarms. A fall is *measured* winsorized at ±0.5, so that a large one keeps
its size. *Allowed*, not *paid*: paid falls every January with
deductibles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.scan import WINDOWS, Scores
from claimkit.drift.shared import GROUP_ALLOWED, shared_shift
from claimkit.drift.statistics import NO_SCORE, batch_slope, cumulate, log_choose, sum_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from claimkit.drift.baseline import Span
    from claimkit.drift.history import History

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = [
    "Allowed",
    "Drop",
    "drops_by_cell",
    "fit_allowed",
    "localize_drop",
    "measure_drop",
    "scan_allowed",
]

#: Fall in log units that is never counted.
_DEAD_ZONE = 0.004
#: Winsorizing half-width around a cell's usual value, in log units: for measuring, and the least
#: for scanning (cells of the cube hold a tenth of a log unit).
_CLIP = 0.5
_MIN_CLIP = 0.1
#: The same for scanning, in standard deviations.
_CLIP_DEVIATIONS = 3.0
#: Paid claims that a cell needs in the baseline, and a window needs to be scored.
_MIN_BASELINE = 20
_MIN_CLAIMS = 15
#: Prior weight, in claims, of the payer's variance for that of a cell.
_VARIANCE_CLAIMS = 20.0
#: Relative trend that the error of an effect allows for.
_TREND_SD = 0.002
_REST_SCORE = 2.0
_REST_PART = 0.35
_NEARLY_ALL = 0.8
#: Variance that says nothing.
_NOTHING = 1e9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Allowed:
    """What is normal, and the scan range as cumulative sums, cell by day.

    ``score`` sums (x − mean) / variance, ``weight`` sums 1 / variance: their quotient is the mean
    change, and 1 / weight its variance without over-dispersion.
    """

    start: int
    span: Span
    #: Usual value of each cell: winsorizing center, and mean around it and variance as measured.
    center: Floats
    mean: Floats
    variance: Floats
    is_tested: NDArray[np.bool_]
    #: Precision of each cell's mean.
    precision: Floats
    slope: Floats
    inflation: float
    #: Over-dispersion factor of a payer's typical day.
    typical: Floats
    score: Floats
    weight: Floats
    claims: Floats
    #: Cumulated squares of daily weights, of cells and of payers.
    squares: Floats
    payer_squares: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A change of allowed amounts in log units; negative is a fall."""

    cells: tuple[int, ...] | None
    size: float
    error: float
    claims: float


def fit_allowed(history: History, span: Span) -> Allowed:
    """Fit each cell's usual allowed share of charges, and lay out the scan range."""
    center = _centers(history, span)
    wide = np.full(history.cells, _CLIP)
    usual = _usual(history, _sums(history, center, wide, span.start, span.end))
    clip = np.clip(_CLIP_DEVIATIONS * np.sqrt(usual.variance), _MIN_CLIP, _CLIP)
    base = _sums(history, center, clip, span.start, span.end)
    robust = _usual(history, base)
    is_tested = usual.claims >= _MIN_BASELINE
    score, weight = robust.weighted(base, is_tested)
    slope, inflation = _dispersion(history, score, weight)
    by_day = history.by_payer(weight)
    scanned = _sums(history, center, clip, span.end, span.until)
    scan_score, scan_weight = robust.weighted(scanned, is_tested)
    return Allowed(
        start=span.end,
        span=span,
        center=center,
        mean=usual.mean,
        variance=usual.variance,
        is_tested=is_tested,
        precision=np.where(is_tested, robust.claims / robust.variance, 1e-9),
        slope=slope,
        inflation=inflation,
        typical=inflation * (1 + slope * (by_day**2).sum(1) / np.maximum(by_day.sum(1), 1e-9)),
        score=cumulate(scan_score),
        weight=cumulate(scan_weight),
        claims=cumulate(np.where(is_tested[:, None], scanned[0], 0.0)),
        squares=cumulate(scan_weight**2),
        payer_squares=cumulate(history.by_payer(scan_weight) ** 2),
    )


@dataclass(frozen=True, slots=True)
class _Usual:
    """What x is usually, cell by cell."""

    claims: Floats
    mean: Floats
    variance: Floats

    def weighted(
        self, sums: tuple[Floats, Floats, Floats], is_tested: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Return Σ(x − mean)/variance and Σ1/variance, cell by day."""
        counts, total, _ = sums
        mine, per = is_tested[:, None], self.variance[:, None]
        return (
            np.where(mine, (total - self.mean[:, None] * counts) / per, 0.0),
            np.where(mine, counts / per, 0.0),
        )


def _usual(history: History, sums: tuple[Floats, Floats, Floats]) -> _Usual:
    claims, total, square = (each.sum(1) for each in sums)
    mean = total / np.maximum(claims, 1)
    variance = np.maximum(0.0, square - claims * mean**2) / np.maximum(claims - 1, 1)
    of_payer = history.by_payer(variance * claims) / np.maximum(history.by_payer(claims), 1)
    variance = (variance * claims + _VARIANCE_CLAIMS * of_payer[history.cell_payer]) / (
        claims + _VARIANCE_CLAIMS
    )
    # Claims that are all priced alike have no variance; a tenth of a percent keeps this finite.
    return _Usual(claims, mean, np.maximum(variance, 1e-6))


def _centers(history: History, span: Span) -> Floats:
    """Return the mean of each cell over the baseline, as if nothing were winsorized."""
    rows = history.paid.rows(span.start, span.end)
    cell = history.paid.cell[rows]
    claims = np.bincount(cell, history.paid.claims[rows], history.cells)
    total = np.bincount(cell, history.paid.ratio[rows], history.cells)
    center: Floats = total / np.maximum(claims, 1)
    return center


def _sums(
    history: History, center: Floats, clip: Floats, start: int, end: int
) -> tuple[Floats, Floats, Floats]:
    """Return claims, Σ(x − center) and its squares, winsorized by bin at ±clip; cell by day."""
    paid = history.paid
    rows = paid.rows(start, end)
    cell, claims = paid.cell[rows], paid.claims[rows]
    middle = center[cell]
    total = paid.ratio[rows] - claims * middle
    square = paid.squared[rows] - 2 * middle * paid.ratio[rows] + claims * middle**2
    limit = clip[cell] * claims
    outside = np.abs(total) > limit
    total = np.clip(total, -limit, limit)
    square = np.where(outside, clip[cell] * limit, square)
    days = end - start
    key = cell * days + paid.day[rows] - start
    shape = (history.cells, days)
    return sum_by(key, claims, *shape), sum_by(key, total, *shape), sum_by(key, square, *shape)


def _dispersion(history: History, score: Floats, weight: Floats) -> tuple[Floats, float]:
    payers = len(history.payers)
    by_day, rest = history.by_payer(weight), history.by_payer(score)
    slope = batch_slope(rest**2, by_day, np.arange(payers), payers)
    weeks = by_day.shape[1] // 7
    if not weeks:
        return slope, 1.0
    shape = (payers, weeks, 7)
    variance = by_day + slope[:, None] * by_day**2
    week_rest = rest[:, -7 * weeks :].reshape(shape).sum(2)
    week_variance = variance[:, -7 * weeks :].reshape(shape).sum(2)
    square = np.minimum(week_rest**2 / np.maximum(week_variance, 1e-9), 9)
    inflation = (float(square.sum()) + 20) / (square.size + 20)
    return slope, float(np.clip(inflation, 1.0, 4.0))


def scan_allowed(
    history: History, allowed: Allowed, night: int, *, reach: Ints
) -> tuple[Scores, Scores]:
    """Return the worst fall of each payer and of each cell over windows that end on ``night``."""
    end = night - allowed.start + 1
    owner, payers = history.cell_payer, len(history.payers)
    best = np.full(payers, NO_SCORE), np.zeros(payers, np.int64)
    best_cell = np.full(history.cells, NO_SCORE), np.zeros(history.cells, np.int64)
    windows = [days for days in WINDOWS if days <= end]
    moved, uncertain = _shared_by_group(history, allowed, end, windows)
    for which, days in enumerate(windows):
        start = end - days
        score = allowed.score[:, end] - allowed.score[:, start]
        weight = allowed.weight[:, end] - allowed.weight[:, start]
        claims = allowed.claims[:, end] - allowed.claims[:, start]
        squares = allowed.squares[:, end] - allowed.squares[:, start]
        payer_squares = allowed.payer_squares[:, end] - allowed.payer_squares[:, start]
        own = weight**2 * (1 / allowed.precision + uncertain[which])
        variance = (weight + allowed.slope[owner] * squares) * allowed.inflation + own
        fall = -(score + (_DEAD_ZONE - moved[which]) * weight)
        z_cell = np.where(
            (claims >= _MIN_CLAIMS) & (reach[owner] >= days),
            fall / np.sqrt(np.maximum(variance, 1e-9)),
            NO_SCORE,
        )
        payer_weight = history.by_payer(weight)
        payer_variance = (payer_weight + allowed.slope * payer_squares) * allowed.inflation
        payer_variance += history.by_payer(own)
        z_payer = np.where(
            (history.by_payer(claims) >= _MIN_CLAIMS) & (reach >= days),
            history.by_payer(fall) / np.sqrt(np.maximum(payer_variance, 1e-9)),
            NO_SCORE,
        )
        for (scores, spans), z in ((best, z_payer), (best_cell, z_cell)):
            better = z > scores
            scores[better], spans[better] = z[better], days
    return Scores(*best), Scores(*best_cell)


def _shared_by_group(
    history: History, allowed: Allowed, end: int, windows: Sequence[int]
) -> tuple[Floats, Floats]:
    """Return the change of x that other payers share in a cell's group, and its variance.

    Window by cell. A group whose codes are counted in another one, or are new, moves what all payers
    allow in it, and is no payer's doing (:mod:`claimkit.drift.shared`).
    """
    starts = [end - days for days in windows]
    score = (allowed.score[:, [end]] - allowed.score[:, starts]).T
    weight = (allowed.weight[:, [end]] - allowed.weight[:, starts]).T
    typical = allowed.typical[history.cell_payer]
    is_seen = weight > 0
    per = np.where(is_seen, weight, 1.0)
    change = np.where(is_seen, score / per, 0.0)
    # Who has nothing in a group says nothing about it.
    variance = np.where(is_seen, typical / per + 1 / allowed.precision, _NOTHING)
    laid = np.stack([change, variance], 2).transpose(1, 0, 2)
    seen = history.by_group(laid, _NOTHING)
    absent = seen[..., 1] >= _NOTHING
    shift = np.where(absent, 0.0, seen[..., 0])
    shared = shared_shift(np.moveaxis(shift, 2, 0), np.moveaxis(seen[..., 1], 2, 0), GROUP_ALLOWED)
    where = history.cell_payer, history.cell_group
    return shared.ratio[:, where[0], where[1]] - 1, shared.variance[:, where[0], where[1]]


def localize_drop(
    history: History, allowed: Allowed, payer: int, start: int, end: int
) -> tuple[int, ...] | None:
    """Return the cells whose allowed amounts fell over ``start <= day < end``, None for all.

    The same penalized prefix scan as for denials, with the Gaussian likelihood.
    """
    cells = history.cells_of(payer)
    score, weight, _ = _window(history, allowed, cells, start, end)
    active = np.flatnonzero(weight > 0)
    if not len(active):
        return None
    caution = np.minimum(1, np.sqrt(weight[active] / np.median(weight[active])))
    order = active[np.argsort(score[active] / weight[active] * caution, kind="stable")]
    fall, total = (-score[order]).cumsum(), weight[order].cumsum()
    price = log_choose(len(order))
    price[-1] = 0.0
    scale = allowed.typical[payer]
    size = int(np.argmax(np.maximum(0, fall) ** 2 / (2 * total) / scale - price)) + 1
    if size < len(order):
        rest_fall = float(-score[order[size:]].sum())
        rest_total = float(weight[order[size:]].sum())
        inside = fall[size - 1] / total[size - 1]
        is_up = rest_fall / math.sqrt(rest_total * scale) > _REST_SCORE
        if (is_up and rest_fall / rest_total > _REST_PART * inside) or (
            total[size - 1] > _NEARLY_ALL * total[-1]
        ):
            size = len(order)
    if size == len(order):
        return None
    return tuple(sorted(int(at) + cells.start for at in order[:size]))


def measure_drop(
    history: History,
    allowed: Allowed,
    payer: int,
    cells: tuple[int, ...] | None,
    start: int,
    end: int,
) -> Drop:
    """Return the mean change of x in a place over ``start <= day < end``, with its error."""
    where = history.cells_of(payer) if cells is None else np.array(cells)
    score, weight, claims = _window(history, allowed, where, start, end)
    total = float(weight.sum())
    if total <= 0:
        return Drop(cells=cells, size=0.0, error=math.inf, claims=0.0)
    factor = float(allowed.typical[payer])
    behind = float(allowed.precision[where][weight > 0].sum())
    return Drop(
        cells=cells,
        size=float(score.sum()) / total,
        error=math.sqrt(factor * (1 / total + 1 / max(behind, 1e-9)) + _TREND_SD**2),
        claims=float(claims.sum()),
    )


def drops_by_cell(
    history: History, allowed: Allowed, payer: int, start: int, end: int
) -> tuple[Floats, Floats]:
    """Return Σ(x − mean)/variance and Σ1/variance of a payer's cells over ``start <= day < end``."""
    score, weight, _ = _window(history, allowed, history.cells_of(payer), start, end)
    return score, weight


def _window(
    history: History, allowed: Allowed, where: slice | NDArray[np.int64], start: int, end: int
) -> tuple[Floats, Floats, Floats]:
    """Return Σ(x − mean)/variance, Σ1/variance and claims of some cells over some days."""
    wide = np.full(history.cells, _CLIP)
    claims, total, _ = _sums(history, allowed.center, wide, start, end)
    tested = allowed.is_tested[where]
    counts, sums = claims[where].sum(1), total[where].sum(1)
    variance = allowed.variance[where]
    return (
        np.where(tested, (sums - allowed.mean[where] * counts) / variance, 0.0),
        np.where(tested, counts / variance, 0.0),
        np.where(tested, counts, 0.0),
    )
