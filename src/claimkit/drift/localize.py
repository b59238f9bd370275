"""Where a payer changed and by how much: one segment, one effect with its error.

The subset of procedure groups with the best likelihood ratio is a prefix of the groups sorted by
observed over expected (linear-time subset scanning, Neill 2012), so one sort per reason finds it.
Each subset pays for its freedom of choice, the whole payer is free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.baseline import at_least, expect, reason_counts
from claimkit.drift.shared import shared_change
from claimkit.drift.statistics import log_choose, poisson_gain, signed_root, sum_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from claimkit.drift.baseline import Baseline
    from claimkit.drift.history import History
    from claimkit.drift.shared import Shared

    Floats = NDArray[np.float64]

__all__ = ["Effect", "Place", "Totals", "best_subset", "find_onset", "localize", "measure", "total"]

#: What is left outside a subset belongs to the change when it is itself up by this score ...
_REST_SCORE = 2.0
#: ... and by this part of the effect inside; or when the subset holds this much of the volume.
_REST_PART = 0.35
_NEARLY_ALL = 0.8
#: Relative drift of the baseline itself that the error of an effect allows for.
_TREND_SD = 0.04


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payer changed."""

    #: Cells of the history, sorted; None means all of the payer.
    cells: tuple[int, ...] | None
    #: Category, None means all reasons.
    reason: int | None
    score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A change of a denial rate over some days: observed minus expected, per claim."""

    claims: float
    observed: float
    expected: float
    #: (O − E) / n, and its standard error.
    size: float
    error: float

    @property
    def score(self) -> float:
        """How many standard errors the effect is."""
        return self.size / self.error if self.error > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Totals:
    """Sums over some days: per cell, and denials per cell and reason."""

    days: int
    claims: Floats
    observed: Floats
    expected: Floats
    reasons: Floats
    #: What all payers share.
    shared: Shared
    #: Denials and expected denials, payer by (all, each reason).
    payer_observed: Floats
    payer_expected: Floats


def total(history: History, baseline: Baseline, start: int, end: int) -> Totals:
    """Sum days ``start <= day < end`` against a baseline, which may be an older, frozen one."""
    decided = history.decided
    rows = decided.rows(start, end)
    cell, claims, reason = decided.cell[rows], decided.claims[rows], decided.reason[rows]
    chance = np.minimum(
        baseline.rate[cell] * baseline.age_factor[history.cell_payer[cell], decided.band[rows]],
        0.97,
    )
    denied = reason >= 0
    categories = len(history.categories)
    of_reason = cell[denied] * categories + reason[denied]
    reasons = sum_by(of_reason, claims[denied], history.cells, categories)
    expected = sum_by(cell, claims * chance, history.cells)
    ageless = history.by_payer(sum_by(cell, claims * baseline.ageless[cell], history.cells))
    expected *= at_least(ageless, history.by_payer(expected))[history.cell_payer]
    observed = reasons.sum(1)
    all_observed = history.by_payer(np.concatenate([observed[:, None], reasons], 1))
    usual = expected[:, None] * baseline.share
    all_expected = history.by_payer(np.concatenate([expected[:, None], usual], 1))
    return Totals(
        days=end - start,
        claims=sum_by(cell, claims, history.cells),
        observed=observed,
        expected=expected,
        reasons=reasons,
        shared=shared_change(baseline, all_observed[None], all_expected[None], [end - start]),
        payer_observed=all_observed,
        payer_expected=all_expected,
    )


def localize(history: History, baseline: Baseline, totals: Totals, payer: int) -> Place:
    """Return the one place that explains best why a payer's denials are up."""
    cells = history.cells_of(payer)
    scale = math.sqrt(baseline.typical_payer[payer])
    scale *= baseline.dispersion.inflation(totals.days, float(totals.expected[cells].sum()))
    claims = totals.claims[cells]
    best: tuple[float, int, NDArray[np.int64], int, Floats, Floats] | None = None
    for reason in range(-1, len(history.categories)):
        observed, expected = _of_reason(baseline, totals, payer, cells, reason)
        found = _best_prefix(claims, observed, expected, scale)
        if found is None:
            continue
        score, order, size = found
        if reason >= 0:
            score -= math.log(len(history.categories))
        if best is None or score > best[0]:
            best = (score, reason, order, size, observed, expected)
    if best is None:
        return Place(None, None)
    score, reason, order, size, observed, expected = best
    size = _widened(claims, observed, expected, order, size, scale)
    chosen = None
    if size < len(order):
        chosen = tuple(sorted(int(at) + cells.start for at in order[:size]))
    return Place(chosen, None if reason < 0 else reason, float(score))


def _of_reason(
    baseline: Baseline, totals: Totals, payer: int, cells: slice, reason: int
) -> tuple[Floats, Floats]:
    expected = totals.expected[cells] * totals.shared.ratio[0, payer, reason + 1]
    if reason < 0:
        return totals.observed[cells], expected
    return totals.reasons[cells, reason], expected * baseline.share[cells, reason]


def _best_prefix(
    claims: Floats, observed: Floats, expected: Floats, scale: float
) -> tuple[float, NDArray[np.int64], int] | None:
    """Return score, order and size of the best prefix of cells sorted by observed over expected."""
    active = np.flatnonzero(expected > 0)
    if not len(active):
        return None
    order = active[np.argsort(-(observed[active] / (expected[active] + 0.5)), kind="stable")]
    gain = poisson_gain(observed[order].cumsum(), expected[order].cumsum())
    price = log_choose(len(order))
    price[-1] = 0.0
    score = gain / scale - price
    # A payer-wide rise by so many points is not proportional to expected; it has its own gain.
    added = _points_gain(claims[active], observed[active], expected[active])
    score[-1] = max(score[-1], added / scale)
    at = int(np.argmax(score))
    return float(score[at]), order, at + 1


def _points_gain(claims: Floats, observed: Floats, expected: Floats) -> float:
    """Return the log likelihood ratio of a rise by the same points in every cell, zero of a fall.

    Poisson means E + c n against E; c is the root of the score, found by bisection.
    """
    low, high = 0.0, 1.0

    def slope(points: float) -> float:
        return float((claims * (observed / (expected + points * claims) - 1)).sum())

    if not claims.sum() or slope(low) <= 0:
        return 0.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    gain = observed * np.log1p(low * claims / expected) - low * claims
    return float(gain.sum())


def _widened(
    claims: Floats,
    observed: Floats,
    expected: Floats,
    order: NDArray[np.int64],
    size: int,
    scale: float,
) -> int:
    """Return the size of the subset, all cells where the rest moved along (complement test)."""
    if size >= len(order):
        return size
    inside, rest = order[:size], order[size:]
    rest_claims = float(claims[rest].sum())
    rest_rise = float(observed[rest].sum() - expected[rest].sum())
    score = signed_root(
        np.array([observed[rest].sum()]),
        np.array([expected[rest].sum()]),
        np.array([rest_claims]),
        np.array([scale]),
    )[0]
    rise = float(observed[inside].sum() - expected[inside].sum())
    rate = rise / max(float(claims[inside].sum()), 1.0)
    moved_along = score > _REST_SCORE and rest_rise / max(rest_claims, 1.0) > _REST_PART * rate
    if moved_along or claims[inside].sum() > _NEARLY_ALL * claims.sum():
        return len(order)
    return size


def measure(
    history: History,
    baseline: Baseline,
    totals: Totals,
    payer: int,
    cells: tuple[int, ...] | None,
    reason: int | None = None,
) -> Effect:
    """Return the effect in a place: excess denials per claim, with its standard error.

    The error holds over-dispersed sampling, the baseline's own error, and a slow benign trend.
    """
    where = history.cells_of(payer) if cells is None else np.array(cells)
    claims = float(totals.claims[where].sum())
    if reason is None:
        observed = float(totals.observed[where].sum())
        expected = float(totals.expected[where].sum() * totals.shared.ratio[0, payer, 0])
        factor = (
            float(baseline.typical_payer[payer])
            if cells is None
            else float(np.mean(baseline.typical_cell[where]))
        )
    else:
        observed = float(totals.reasons[where, reason].sum())
        share = baseline.share[where, reason]
        expected = float(
            (totals.expected[where] * share).sum() * totals.shared.ratio[0, payer, reason + 1]
        )
        factor = float(baseline.typical_payer_reason[payer, reason])
    if claims < 1:
        return Effect(claims=claims, observed=0.0, expected=0.0, size=0.0, error=math.inf)
    rate = min(max(observed / claims, 1 / claims), 1.0)
    factor *= baseline.dispersion.inflation(totals.days, expected)
    variance = claims * rate * (1 - rate) * factor
    behind = max(5.0, expected / claims * float(baseline.claims[where].sum()))
    variance += expected**2 / behind * factor + (expected * _TREND_SD) ** 2
    variance += expected**2 * float(
        totals.shared.variance[0, payer, 0 if reason is None else reason + 1]
    )
    return Effect(
        claims=claims,
        observed=observed,
        expected=expected,
        size=(observed - expected) / claims,
        error=math.sqrt(variance) / claims,
    )


def find_onset(
    history: History,
    baseline: Baseline,
    payer: int,
    place: tuple[tuple[int, ...] | None, int | None],
    first: int,
    last: int,
    end: int,
) -> int:
    """Return the day from ``first`` to ``last`` since when a place is most likely changed.

    The maximum likelihood estimate of a change point, with Poisson counts: the start s that
    maximizes the gain of days ``s <= day < end``. Later decisions sharpen it, so it is not the
    window that happened to raise the finding.
    """
    cells, reason = place
    daily = expect(history, baseline.rate, baseline.age_factor, first, end)
    where = history.cells_of(payer) if cells is None else np.array(cells)
    if reason is None:
        observed = daily.observed[where].sum(0)
        expected = daily.expected[where].sum(0)
    else:
        observed = reason_counts(history, first, end)[where][:, reason].sum(0)
        expected = (daily.expected[where] * baseline.share[where, reason][:, None]).sum(0)
    since_observed = observed[::-1].cumsum()[::-1][: last - first + 1]
    since_expected = expected[::-1].cumsum()[::-1][: last - first + 1]
    return first + int(np.argmax(poisson_gain(since_observed, since_expected)))


def best_subset(
    claims: Floats, observed: Floats, expected: Floats, scale: float
) -> NDArray[np.int64] | None:
    """Return which parts of a whole explain a rise best; None where that is the whole.

    Parts compete as the procedure groups of a payer do in :func:`localize`.
    """
    found = _best_prefix(claims, observed, expected, scale)
    if found is None:
        return None
    _, order, size = found
    size = _widened(claims, observed, expected, order, size, scale)
    return None if size == len(order) else order[:size]
