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
from claimkit.drift.statistics import batch_slope, block_inflation, sum_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from claimkit.drift.history import History

    Floats = NDArray[np.float64]

__all__ = ["Baseline", "Dispersion", "Expected", "Span", "expect", "fit_baseline", "reason_counts"]

#: Prior weight of a cell's rate, in claims, and of its shares of reasons, in denials.
_CELL_CLAIMS = 100.0
_REASON_DENIALS = 15.0
#: Prior weight of the age curve, in denials.
_AGE_DENIALS = 15.0
_MAX_PROBABILITY = 0.97


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
    """How much more than by chance denials vary, by payer: Var = (E + s² ΣE²) · inflation(days).

    The s² of the four levels: payer, cell, payer and reason, cell and reason.
    """

    payer: Floats
    cell: Floats
    payer_reason: Floats
    cell_reason: Floats
    week: float
    month: float

    def inflation(self, days: float) -> float:
        """Return how much a window of ``days`` varies beyond its batches; log-linear in days."""
        if days <= 7:
            return float(1 + (self.week - 1) * np.log(max(days, 1.0)) / np.log(7))
        steps = min(1.5, float(np.log(days / 7) / np.log(4)))
        return self.week + (self.month - self.week) * steps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """What is normal, from the days of ``span`` before the scan range.

    Attributes:
        span: Where it comes from.
        rate: π of each cell.
        age_factor: ρ, payer by age band.
        share: Share of each reason in a cell's denials, cell by reason.
        claims: Claims of each cell.
        denials: Denials behind π and the shares, priors included: the precision of the baseline.
        payer_denials, reason_denials: The same by payer, and by cell and reason.
        dispersion: Over-dispersion.
        typical: Over-dispersion factor φ of a typical day, for ``typical.payer`` (payer),
            ``cell`` (cell) and ``payer_reason`` (payer by reason).
        days: Days of each payer's history inside the baseline.
    """

    span: Span
    rate: Floats
    age_factor: Floats
    share: Floats
    claims: Floats
    denials: Floats
    payer_denials: Floats
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
    share, reason_denials = _shares(history, reasons)
    expected = expect(history, rate, factor, span.start, span.end)
    dispersion = _dispersion(history, span, expected, share)
    by_day = history.by_payer(expected.expected)
    owner = history.cell_payer
    count = np.bincount(owner, minlength=len(history.payers))
    mean_share = history.by_payer(share) / count[:, None]
    per_reason = by_day[:, None] * mean_share[..., None]
    return Baseline(
        span=span,
        rate=rate,
        age_factor=factor,
        share=share,
        claims=claims.sum(1),
        denials=denials.sum(1) + _CELL_CLAIMS * prior,
        payer_denials=history.by_payer(denials.sum(1)) + 1,
        reason_denials=reason_denials,
        dispersion=dispersion,
        typical_payer=1 + dispersion.payer * _batch_size(by_day),
        typical_cell=1 + dispersion.cell[owner] * _batch_size(expected.expected),
        typical_payer_reason=1 + dispersion.payer_reason[:, None] * _batch_size(per_reason),
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
    payer_rate = (history.by_payer(denied) + 1) / (history.by_payer(in_cell) + 10)
    group_rate = (np.bincount(group, denied, groups) + 1) / (
        np.bincount(group, in_cell, groups) + 10
    )
    overall = max(float(denied.sum()), 0.5) / max(float(in_cell.sum()), 1.0)
    prior = np.clip(payer_rate[owner] * group_rate[group] / overall, 0.003, 0.8)
    rate: Floats = (denied + _CELL_CLAIMS * prior) / (in_cell + _CELL_CLAIMS)
    factor: Floats = np.ones((len(history.payers), AGE_BANDS))
    for _ in range(3):
        expected = history.by_payer(claims * rate[:, None])
        factor = (history.by_payer(denials) + _AGE_DENIALS) / (expected + _AGE_DENIALS)
        weighted = (claims * factor[owner]).sum(1)
        rate = (denied + _CELL_CLAIMS * prior) / (weighted + _CELL_CLAIMS)
    return rate, factor, prior


def _shares(history: History, denials: Floats) -> tuple[Floats, Floats]:
    """Return each reason's share of a cell's denials, and the denials behind it."""
    owner, group = history.cell_payer, history.cell_group
    categories = denials.shape[1]
    if not categories:
        return denials, denials
    of_payer = history.by_payer(denials) + 0.5
    of_payer /= of_payer.sum(1, keepdims=True)
    of_group = np.full((len(history.groups), categories), 0.5)
    np.add.at(of_group, group, denials)
    of_group /= of_group.sum(1, keepdims=True)
    overall = denials.sum(0) + 0.5
    overall /= overall.sum()
    prior = of_payer[owner] * of_group[group] / overall
    prior /= prior.sum(1, keepdims=True)
    full = denials + _REASON_DENIALS * prior
    return full / (denials.sum(1, keepdims=True) + _REASON_DENIALS), full


def _dispersion(history: History, span: Span, expected: Expected, share: Floats) -> Dispersion:
    owner = history.cell_payer
    owners = len(history.payers)
    each = np.arange(owners)
    by_day = history.by_payer(expected.expected)
    rest_cell = expected.observed - expected.expected
    rest = history.by_payer(rest_cell)
    payer = batch_slope(rest**2, by_day, each, owners)
    variance = by_day + payer[:, None] * by_day**2
    week = block_inflation(rest, variance, 7)
    counts = reason_counts(history, span.start, span.end)
    of_reason = expected.expected[:, None] * share[..., None]
    rest_reason = history.by_payer(counts - of_reason)
    return Dispersion(
        payer=payer,
        cell=batch_slope(rest_cell**2, expected.expected, owner, owners),
        payer_reason=batch_slope(rest_reason**2, history.by_payer(of_reason), each, owners),
        cell_reason=batch_slope((counts - of_reason) ** 2, of_reason, owner, owners),
        week=week,
        month=max(week, block_inflation(rest, variance, 28)),
    )


def _batch_size(expected: Floats) -> Floats:
    """Return the size of a typical batch: ΣE² / ΣE over days."""
    size: Floats = (expected**2).sum(-1) / np.maximum(expected.sum(-1), 1e-9)
    return size
