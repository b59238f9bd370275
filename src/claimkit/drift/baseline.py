"""The baseline: what each payer's denials were like before, and how much they vary by chance.

A denial is expected with probability π(cell) · ρ(payer, age band): the cell's own rate, shrunk to
the product of its payer's and its group's, times the payer's curve over the age of claims at
decision. Summed over today's decisions this *is* direct standardization to today's case mix, so
that a change of mix alone moves nothing (Kitagawa 1955: only the rate term is left).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.history import AGE_BANDS
from claimkit.drift.statistics import batch_slope, concentration, slow_variance, sum_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from claimkit.drift.history import History

    Floats = NDArray[np.float64]

__all__ = [
    "Baseline",
    "Dispersion",
    "Expected",
    "Span",
    "at_least",
    "chance_variance",
    "expect",
    "fit_baseline",
    "reason_counts",
]

#: Prior weight of a cell's rate, in claims, and of its shares of reasons, in denials.
_CELL_CLAIMS = 100.0
_REASON_DENIALS = 15.0
#: Prior weight of the age curve, in denials.
_AGE_DENIALS = 15.0
_MAX_PROBABILITY = 0.97
#: Denials from which a group tells how groups differ, and the variance of log rates where too few do.
_KNOWN_DENIALS = 20
_BETWEEN_GROUPS = 0.25


@dataclass(frozen=True, slots=True)
class Span:
    """Days of a history that one fit looks at: baseline ``[start, end)``, then the scan range."""

    start: int
    #: First day of the scan range.
    end: int
    #: End of the scan range, exclusive.
    until: int

    @property
    def scanned(self) -> int:
        """Length of the scan range in days."""
        return self.until - self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Decisions, denials and expected denials, cell by day."""

    claims: Floats
    observed: Floats
    expected: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispersion:
    """How much more than by chance denials vary: Var(window) = E (1 − E/n) + s² ΣE_day² + τ² E².

    The s² of batches at four levels, each by payer: payer, cell, payer and reason, cell and reason.
    The τ² of slow wobble at the same four levels, for windows of a week and of four.
    """

    payer: Floats
    cell: Floats
    payer_reason: Floats
    cell_reason: Floats
    week: tuple[float, float, float, float]
    month: tuple[float, float, float, float]

    def slow(self, days: float, level: int = 0) -> float:
        """Return τ² of a window of ``days``: log-linear between a week and four, then as 1/days."""
        week, month = self.week[level], self.month[level]
        if days <= 7:
            return week
        if days >= 28:
            return month * 28 / days
        return week + (month - week) * float(np.log(days / 7) / np.log(4))

    def inflation(self, days: float, expected: float, level: int = 0) -> float:
        """Return by how much slow wobble multiplies the variance of a window that expects E."""
        return 1 + self.slow(days, level) * expected


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """What is normal, from the days of ``span`` before the scan range.

    Attributes:
        span: Where it comes from.
        rate: π of each cell.
        age_factor: ρ, payer by age band.
        ageless: What is denied of each cell whatever the age.
        group_error: Relative variance of π because too little is known of the cell's group.
        share: Share of each reason in a cell's denials, cell by reason.
        claims: Claims of each cell.
        denials: Denials behind π and the shares, priors included: the precision of the baseline.
        payer_denials, payer_reasons, reason_denials: The same by payer, by payer and reason, and by
            cell and reason.
        dispersion: Over-dispersion.
        typical: Over-dispersion factor φ of a typical day, for ``typical.payer`` (payer),
            ``cell`` (cell) and ``payer_reason`` (payer by reason).
        days: Days of each payer's history inside the baseline.
    """

    span: Span
    rate: Floats
    age_factor: Floats
    ageless: Floats
    group_error: Floats
    share: Floats
    claims: Floats
    denials: Floats
    payer_denials: Floats
    payer_reasons: Floats
    reason_denials: Floats
    dispersion: Dispersion
    typical_payer: Floats
    typical_cell: Floats
    typical_payer_reason: Floats
    days: NDArray[np.int64]


def fit_baseline(history: History, span: Span) -> Baseline:
    """Fit the baseline on ``span``; every cell gets one, however little it has."""
    claims, denials, reasons = _totals(history, span)
    rate, factor, prior = _rates(history, claims, denials)
    share, reason_denials, payer_reasons = _shares(history, reasons)
    expected = expect(history, rate, factor, span.start, span.end)
    dispersion = _dispersion(history, span, expected, share)
    by_day = history.by_payer(expected.expected)
    of_payers = history.by_payer(expected.claims)
    owner = history.cell_payer
    count = np.bincount(owner, minlength=len(history.payers))
    group_error = _group_error(history, claims, denials)
    mean_share = history.by_payer(share) / count[:, None]
    per_reason = by_day[:, None] * mean_share[..., None]
    return Baseline(
        span=span,
        rate=rate,
        age_factor=factor,
        ageless=rate * _mean_factor(history, claims, factor),
        group_error=group_error * (_CELL_CLAIMS / (claims.sum(1) + _CELL_CLAIMS)) ** 2,
        share=share,
        claims=claims.sum(1),
        denials=denials.sum(1) + 1 / (1 / (_CELL_CLAIMS * prior) + group_error),
        payer_denials=history.by_payer(denials.sum(1)) + 1,
        payer_reasons=payer_reasons,
        reason_denials=reason_denials,
        dispersion=dispersion,
        typical_payer=1 + dispersion.payer * _batch_size(by_day, of_payers),
        typical_cell=1 + dispersion.cell[owner] * _batch_size(expected.expected, expected.claims),
        typical_payer_reason=1
        + dispersion.payer_reason[:, None] * _batch_size(per_reason, of_payers[:, None]),
        days=np.maximum(0, span.end - np.maximum(span.start, history.since)),
    )


def expect(history: History, rate: Floats, age_factor: Floats, start: int, end: int) -> Expected:
    """Return decisions, denials and expected denials of days ``start <= day < end``."""
    rows = history.decided.rows(start, end)
    decided = history.decided
    cell, claims = decided.cell[rows], decided.claims[rows]
    days = end - start
    key = cell * days + decided.day[rows] - start
    shape = (history.cells, days)
    chance = np.minimum(
        rate[cell] * age_factor[history.cell_payer[cell], decided.band[rows]], _MAX_PROBABILITY
    )
    denied = decided.reason[rows] >= 0
    return Expected(
        claims=sum_by(key, claims, *shape),
        observed=sum_by(key[denied], claims[denied], *shape),
        expected=sum_by(key, claims * chance, *shape),
    )


def at_least(ageless: Floats, expected: Floats) -> Floats:
    """Return by what denials expected at their ages are multiplied to be no fewer than ageless ones.

    A denial is likelier at some ages than at others because denials take longer, or less long, than
    payments. When all decisions of a payer come later, each age holds what a younger one used to,
    and its usual rate misleads; the rate whatever the age does not. When many claims are sent at
    once, it is the other way round. A rise counts where both predict fewer denials.

    >>> at_least(np.array([12.0, 9.0]), np.array([10.0, 10.0])).tolist()
    [1.2, 1.0]
    """
    factor: Floats = np.maximum(ageless / np.maximum(expected, 1e-9), 1.0)
    return np.where(expected > 1e-9, factor, 1.0)


def chance_variance(expected: Floats, claims: Floats) -> Floats:
    """Return the variance of denials by chance alone: E (1 − E/n), that of a binomial count.

    >>> chance_variance(np.array([20.0]), np.array([100.0])).tolist()
    [16.0]
    """
    variance: Floats = expected * (1 - np.minimum(expected / np.maximum(claims, 1e-9), 0.97))
    return variance


def reason_counts(history: History, start: int, end: int, cells: slice | None = None) -> Floats:
    """Return denials by cell, reason and day, of all cells or of some."""
    rows = history.decided.rows(start, end)
    decided = history.decided
    lo, hi = (0, history.cells) if cells is None else (cells.start, cells.stop)
    cell, reason = decided.cell[rows], decided.reason[rows]
    picked = (reason >= 0) & (cell >= lo) & (cell < hi)
    days, categories = end - start, len(history.categories)
    key = ((cell[picked] - lo) * categories + reason[picked]) * days
    key += decided.day[rows][picked] - start
    return sum_by(key, decided.claims[rows][picked], hi - lo, categories, days)


def _totals(history: History, span: Span) -> tuple[Floats, Floats, Floats]:
    """Return claims and denials by cell and age band, and denials by cell and reason."""
    rows = history.decided.rows(span.start, span.end)
    decided = history.decided
    cell, claims, reason = decided.cell[rows], decided.claims[rows], decided.reason[rows]
    key = cell * AGE_BANDS + decided.band[rows]
    denied = reason >= 0
    categories = len(history.categories)
    of_reason = cell[denied] * categories + reason[denied]
    return (
        sum_by(key, claims, history.cells, AGE_BANDS),
        sum_by(key[denied], claims[denied], history.cells, AGE_BANDS),
        sum_by(of_reason, claims[denied], history.cells, categories),
    )


def _rates(history: History, claims: Floats, denials: Floats) -> tuple[Floats, Floats, Floats]:
    """Return π, ρ and the prior of π, by iterative proportional fitting."""
    owner, group = history.cell_payer, history.cell_group
    in_cell, denied = claims.sum(1), denials.sum(1)
    groups = len(history.groups)
    overall = max(float(denied.sum()), 0.5) / max(float(in_cell.sum()), 1.0)
    # A payer or group without any past is expected to be like all others.
    payer_rate = (history.by_payer(denied) + 10 * overall) / (history.by_payer(in_cell) + 10)
    group_rate = (np.bincount(group, denied, groups) + 10 * overall) / (
        np.bincount(group, in_cell, groups) + 10
    )
    prior = np.clip(payer_rate[owner] * group_rate[group] / overall, 0.003, 0.8)
    rate: Floats = (denied + _CELL_CLAIMS * prior) / (in_cell + _CELL_CLAIMS)
    factor: Floats = np.ones((len(history.payers), AGE_BANDS))
    for _ in range(3):
        expected = history.by_payer(claims * rate[:, None])
        factor = (history.by_payer(denials) + _AGE_DENIALS) / (expected + _AGE_DENIALS)
        weighted = (claims * factor[owner]).sum(1)
        rate = (denied + _CELL_CLAIMS * prior) / (weighted + _CELL_CLAIMS)
    return rate, factor, prior


def _mean_factor(history: History, claims: Floats, factor: Floats) -> Floats:
    """Return each cell's mean of ρ over the ages at which it is decided, shrunk to its payer's."""
    owner = history.cell_payer
    in_payer = history.by_payer(claims)
    usual = (in_payer * factor).sum(1) / np.maximum(in_payer.sum(1), 1.0)
    usual = np.where(in_payer.sum(1) > 0, usual, 1.0)
    mean: Floats = ((claims * factor[owner]).sum(1) + _CELL_CLAIMS * usual[owner]) / (
        claims.sum(1) + _CELL_CLAIMS
    )
    return mean


def _group_error(history: History, claims: Floats, denials: Floats) -> Floats:
    """Return the relative variance of the rate of each cell's group, by what is known of the group.

    Groups differ, by the variance of their log rates less its sampling part (method of moments, as
    in DerSimonian and Laird, *Meta-analysis in clinical trials*, 1986); a group that is new may
    be like any of them.
    """
    groups = len(history.groups)
    seen = np.bincount(history.cell_group, denials.sum(1), groups)
    count = np.bincount(history.cell_group, claims.sum(1), groups)
    known = seen >= _KNOWN_DENIALS
    between = _BETWEEN_GROUPS
    if known.sum() >= 4:
        logs = np.log(seen[known] / count[known])
        between = float(np.clip(logs.var(ddof=1) - (1 / seen[known]).mean(), 0.01, 1.0))
    error: Floats = 1 / (seen + 1 / between)
    return error[history.cell_group]


def _shares(history: History, denials: Floats) -> tuple[Floats, Floats, Floats]:
    """Return each reason's share of a cell's denials, and the denials behind cells and payers.

    Three levels: a payer's shares are shrunk to everybody's, as far as payers are alike; a cell's
    to the product of its payer's and its group's.
    """
    owner, group = history.cell_payer, history.cell_group
    if not denials.shape[1]:
        return denials, denials, history.by_payer(denials)
    overall = denials.sum(0) + 0.5
    overall /= overall.sum()
    known = history.by_payer(denials)
    likeness = concentration(known, overall)
    payer_denials = known + likeness * overall
    of_payer = payer_denials / payer_denials.sum(1, keepdims=True)
    of_group = np.full((len(history.groups), denials.shape[1]), 0.5)
    np.add.at(of_group, group, denials)
    of_group /= of_group.sum(1, keepdims=True)
    prior = of_payer[owner] * of_group[group] / overall
    prior /= prior.sum(1, keepdims=True)
    full = denials + _REASON_DENIALS * prior
    return full / (denials.sum(1, keepdims=True) + _REASON_DENIALS), full, payer_denials


def _dispersion(history: History, span: Span, expected: Expected, share: Floats) -> Dispersion:
    owner = history.cell_payer
    owners = len(history.payers)
    each = np.arange(owners)
    counts = reason_counts(history, span.start, span.end)
    of_reason = expected.expected[:, None] * share[..., None]
    claims = expected.claims
    by_cell = expected.observed - expected.expected, expected.expected, claims
    by_reason = counts - of_reason, of_reason, claims[:, None]
    slopes: list[Floats] = []
    weeks: list[float] = []
    months: list[float] = []
    for (rest, due, size), holders in (
        ([history.by_payer(one) for one in by_cell], each),
        (by_cell, owner),
        ([history.by_payer(one) for one in by_reason], each),
        (by_reason, owner),
    ):
        chance = chance_variance(due, size)
        slope = batch_slope(rest**2, chance, holders, owners, size=due)
        slopes.append(slope)
        own = slope[holders].reshape(-1, *([1] * (due.ndim - 1)))
        variance = chance + own * due**2
        flat = (-1, due.shape[-1])
        rows = rest.reshape(flat), variance.reshape(flat), due.reshape(flat)
        weeks.append(slow_variance(*rows, 7))
        months.append(slow_variance(*rows, 28))
    return Dispersion(
        payer=slopes[0],
        cell=slopes[1],
        payer_reason=slopes[2],
        cell_reason=slopes[3],
        week=(weeks[0], weeks[1], weeks[2], weeks[3]),
        month=(months[0], months[1], months[2], months[3]),
    )


def _batch_size(expected: Floats, claims: Floats) -> Floats:
    """Return the size of a typical batch: ΣE² over the variance of chance, over days."""
    variance = chance_variance(expected, claims).sum(-1)
    size: Floats = (expected**2).sum(-1) / np.maximum(variance, 1e-9)
    return size
