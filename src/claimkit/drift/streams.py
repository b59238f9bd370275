"""Streams: daily denials observed and expected, at every level of payer, procedure and reason.

A stream is one series of days. There are four levels, and two axes on which their windows are
scanned: by decision day, and by submission day. All streams of a level share the level's part
of the false-alert budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.baseline import at_least, chance_variance, expect, reason_counts
from claimkit.drift.shared import GROUP_DENIALS, compare, shared_change
from claimkit.drift.statistics import cumulate, threshold, trials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from claimkit.drift.baseline import Baseline
    from claimkit.drift.history import History
    from claimkit.drift.shared import Shared

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["BUDGET_SHARES", "SCAN_WINDOW", "Level", "Streams", "make_streams", "thresholds"]

#: Longest window of decision days that is tested; the baseline ends before it.
SCAN_WINDOW = 56
#: Streams with fewer expected denials in 28 days are not tested; their claims count in all others.
_MIN_EXPECTED = 0.2
#: Variance that says nothing.
_NOTHING = 1e9
#: Days of a month, for the budget.
_MONTH = 30.0


class Level(IntEnum):
    """Levels of the lattice, and the other families that share the budget."""

    PAYER = 0
    CELL = 1
    PAYER_REASON = 2
    CELL_REASON = 3
    SWAP = 4
    SPEED = 5
    ALLOWED_PAYER = 6
    ALLOWED_CELL = 7
    TENANT = 8


#: Each level's part of the false-alert budget.
BUDGET_SHARES = {
    Level.PAYER: 0.20,
    Level.CELL: 0.20,
    Level.PAYER_REASON: 0.15,
    Level.CELL_REASON: 0.15,
    Level.SWAP: 0.05,
    Level.SPEED: 0.10,
    Level.ALLOWED_PAYER: 0.05,
    Level.ALLOWED_CELL: 0.05,
    Level.TENANT: 0.05,
}
#: How often a level's streams cross a threshold by chance, as a part of what as many Gaussian ones on
#: one axis do. Two axes see the same decisions twice, windows that share their days move together,
#: and the dead zones take from chance most of what it gives to large streams. Simulated with the
#: library's own scores, 3.0 to 4.5, on tenants in which nothing happens; rounded up by a third.
_OCCASIONS = {
    Level.PAYER: 0.85,
    Level.CELL: 0.45,
    Level.PAYER_REASON: 1.4,
    Level.CELL_REASON: 0.85,
    Level.ALLOWED_PAYER: 0.6,
    Level.ALLOWED_CELL: 0.25,
}


def thresholds(level: Level, streams: float, budgets: tuple[float, ...]) -> tuple[float, ...]:
    """Return for each budget the score that ``streams`` streams of a level exceed at that rate.

    Args:
        level: Whose part of the budget.
        streams: How many streams share it, as Gaussian ones.
        budgets: False findings per tenant and month, all levels together.
    """
    occasions = max(streams * _OCCASIONS.get(level, 1.0), 1.0)
    share = BUDGET_SHARES[level] / _MONTH / occasions
    return tuple(threshold(budget * share) for budget in budgets)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Streams:
    """All streams of the scan range, as cumulative sums with a leading zero.

    Attributes:
        start: Day of the history at which the scan range begins.
        level, payer, cell, reason: What each stream is; −1 where a level has none.
        row: Each stream's row in ``claims``: payers first, then cells.
        observed, expected, squares: ΣO, ΣE and ΣE² of each stream.
        claims: Decisions of payers, then of cells.
        slope: s² of each stream.
        precision: Denials behind each stream's baseline.
        payer_observed, payer_expected: Payer by (all, each reason) by day: what payers share.
        payer_ageless: Payer by day: what is expected whatever the age.
        cell_observed, cell_expected: Cell by day: what payers share in a group.
        limits: For each budget the threshold of each stream.
        kept: For each level the mask of its streams that are tested.
    """

    history: History
    baseline: Baseline
    start: int
    level: Ints
    payer: Ints
    cell: Ints
    reason: Ints
    row: Ints
    observed: Floats
    expected: Floats
    squares: Floats
    claims: Floats
    slope: Floats
    precision: Floats
    typical: Floats
    payer_observed: Floats
    payer_expected: Floats
    payer_ageless: Floats
    cell_observed: Floats
    cell_expected: Floats
    limits: tuple[Floats, ...]
    kept: tuple[NDArray[np.bool_], ...]

    def shared(self, end: int, windows: Sequence[int]) -> Shared:
        """Return what all payers share in the windows that end at a position of the sums."""
        starts = [end - days for days in windows]
        observed = self.payer_observed[..., [end]] - self.payer_observed[..., starts]
        expected = self.payer_expected[..., [end]] - self.payer_expected[..., starts]
        return shared_change(
            self.baseline, np.moveaxis(observed, -1, 0), np.moveaxis(expected, -1, 0), windows
        )

    def usual(self, end: int, windows: Sequence[int], shared: Shared) -> tuple[Floats, Floats]:
        """Return by what else each stream's expectation is multiplied, and its relative variance.

        Window by stream: what payers share in one group beyond what they share in all, and the rate
        whatever the age (:func:`~claimkit.drift.baseline.at_least`).
        """
        starts = [end - days for days in windows]
        ageless = self.payer_ageless[:, [end]] - self.payer_ageless[:, starts]
        everything = self.payer_expected[:, 0, [end]] - self.payer_expected[:, 0, starts]
        older = at_least(ageless, everything).T
        expected = (self.cell_expected[:, [end]] - self.cell_expected[:, starts]).T
        observed = (self.cell_observed[:, [end]] - self.cell_observed[:, starts]).T
        of_group, variance = self._of_groups(
            observed, expected * (shared.ratio[..., 0] * older)[:, self.history.cell_payer], windows
        )
        total = np.maximum(everything.T, 1e-9)
        by_payer = self.history.by_payer
        mixed = by_payer((of_group * expected).T).T / total
        mixed = np.where(everything.T > 1e-9, mixed, 1.0)
        uncertain = by_payer((variance * expected**2).T).T / total**2
        factor = np.concatenate([mixed, of_group], 1)[:, self.row] * older[:, self.payer]
        return factor, np.concatenate([uncertain, variance], 1)[:, self.row]

    def _of_groups(
        self, observed: Floats, expected: Floats, windows: Sequence[int]
    ) -> tuple[Floats, Floats]:
        """Return for each window and cell what the other payers share in its group."""
        baseline, history = self.baseline, self.history
        slow = np.array([[baseline.dispersion.slow(days, 1)] for days in windows])
        variance = baseline.typical_cell / np.maximum(expected, 1e-9) + 1 / baseline.denials + slow
        # Who has nothing in a group says nothing about it.
        laid = history.by_group(np.stack([observed, expected, variance], 2).transpose(1, 0, 2), 0.0)
        laid[..., 2][laid[..., 1] <= 0] = _NOTHING
        seen, due, spread = (np.moveaxis(laid[..., each], 2, 0) for each in range(3))
        shared = compare(seen, due, spread, GROUP_DENIALS)
        where = history.cell_payer, history.cell_group
        return shared.ratio[:, where[0], where[1]], shared.variance[:, where[0], where[1]]

    def dispersion(self, start: int, end: int) -> Floats:
        """Return φ of each stream's window from the sizes of the batches that are in it."""
        squares = self.squares[:, end] - self.squares[:, start]
        expected = self.expected[:, end] - self.expected[:, start]
        claims = (self.claims[:, end] - self.claims[:, start])[self.row]
        return _inflated(self.slope, squares, expected, claims)

    def spread(self, days: int) -> Floats:
        """Return the relative variance of each stream's expectation in a window of ``days``.

        The baseline's own error, and the slow wobble around it.
        """
        slow = self.baseline.dispersion.slow
        by_level = np.array([slow(days, level) for level in range(4)])
        spread: Floats = 1 / self.precision + by_level[self.level]
        return spread


def make_streams(
    history: History,
    baseline: Baseline,
    *,
    budgets: tuple[float, ...],
    is_ready: NDArray[np.bool_],
    among: Streams | None = None,
) -> Streams:
    """Lay out the streams of the scan range of ``baseline``.

    Args:
        history: The past.
        baseline: What is normal.
        budgets: False findings per month that are tolerated, one per tier.
        is_ready: Payers with enough history to be tested.
        among: Streams of the same night whose thresholds are kept, where these take the place of
            some of them.
    """
    span = baseline.span
    daily = expect(history, baseline.rate, baseline.age_factor, span.end, span.until)
    days, categories = span.scanned, len(history.categories)
    counts = reason_counts(history, span.end, span.until)
    of_reason = daily.expected[:, None] * baseline.share[..., None]
    observed = _levels(history, daily.observed, counts)
    expected = _levels(history, daily.expected, of_reason)
    layout = _layout(history)
    kept = _tested(expected, layout, days=days, is_ready=is_ready)
    level = np.concatenate([np.full(int(keep.sum()), at) for at, keep in enumerate(kept)])
    payer, cell, reason = (
        np.concatenate([axes[which][keep] for axes, keep in zip(layout, kept, strict=True)])
        for which in range(3)
    )
    tested = cumulate(_pick(expected, kept))
    squares = cumulate(_pick(expected, kept) ** 2)
    slope = _pick(_slopes(history, baseline), kept)
    claims = cumulate(np.concatenate([history.by_payer(daily.claims), daily.claims]))
    row = np.where(cell < 0, payer, len(history.payers) + cell)
    return Streams(
        history=history,
        baseline=baseline,
        start=span.end,
        level=level,
        payer=payer,
        cell=cell,
        reason=reason,
        row=row,
        observed=cumulate(_pick(observed, kept)),
        expected=tested,
        squares=squares,
        claims=claims,
        slope=slope,
        precision=_pick(_precisions(history, baseline, daily.expected.sum(1)), kept),
        typical=_inflated(slope, squares[:, -1], tested[:, -1], claims[row, -1]),
        payer_observed=cumulate(_by_reason(observed, categories)),
        payer_expected=cumulate(_by_reason(expected, categories)),
        payer_ageless=cumulate(history.by_payer(daily.claims * baseline.ageless[:, None])),
        cell_observed=cumulate(daily.observed),
        cell_expected=cumulate(daily.expected),
        limits=_limits(
            level,
            trials(tested[:, -1] * 28.0 / days),
            budgets,
            among=among,
        ),
        kept=kept,
    )


def _inflated(slope: Floats, squares: Floats, expected: Floats, claims: Floats) -> Floats:
    """Return φ: by what batches multiply the variance of chance."""
    chance = chance_variance(expected, claims)
    factor: Floats = 1 + slope * squares / np.maximum(chance, 1e-9)
    return factor


def _layout(history: History) -> tuple[tuple[Ints, Ints, Ints], ...]:
    """Return payer, cell and reason of every stream, level by level."""
    payers = np.arange(len(history.payers))
    cells = np.arange(history.cells)
    reasons = np.arange(len(history.categories))
    none = np.full_like
    many = len(reasons)
    return (
        (payers, none(payers, -1), none(payers, -1)),
        (history.cell_payer, cells, none(cells, -1)),
        (
            np.repeat(payers, many),
            np.full(len(payers) * many, -1),
            np.tile(reasons, len(payers)),
        ),
        (np.repeat(history.cell_payer, many), np.repeat(cells, many), np.tile(reasons, len(cells))),
    )


def _tested(
    expected: tuple[Floats, ...],
    layout: tuple[tuple[Ints, Ints, Ints], ...],
    *,
    days: int,
    is_ready: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], ...]:
    """Return for each level which of its streams are expected to deny enough to be tested."""
    return tuple(
        # A payer is tested even if it never denied anything: that is what may change.
        ((one.sum(-1) * 28.0 / days >= _MIN_EXPECTED) | (reason + cell == -2)) & is_ready[payer]
        for one, (payer, cell, reason) in zip(expected, layout, strict=True)
    )


def _levels(history: History, of_cells: Floats, of_reasons: Floats) -> tuple[Floats, ...]:
    """Return the streams by day, level by level, from cells and from cells by reason."""
    days = of_cells.shape[-1]
    return (
        history.by_payer(of_cells),
        of_cells,
        history.by_payer(of_reasons).reshape(-1, days),
        of_reasons.reshape(-1, days),
    )


def _by_reason(levels: tuple[Floats, ...], categories: int) -> Floats:
    """Return payers by (all, each reason) by day."""
    total = levels[Level.PAYER]
    payers, days = total.shape
    of_reason = levels[Level.PAYER_REASON].reshape(payers, categories, days)
    return np.concatenate([total[:, None], of_reason], axis=1)


def _slopes(history: History, baseline: Baseline) -> tuple[Floats, ...]:
    """Return s² of every stream's batches, level by level."""
    spread, many = baseline.dispersion, len(history.categories)
    return (
        spread.payer,
        spread.cell[history.cell_payer],
        np.repeat(spread.payer_reason, many),
        np.repeat(spread.cell_reason[history.cell_payer], many),
    )


def _precisions(history: History, baseline: Baseline, expected: Floats) -> tuple[Floats, ...]:
    """Return how many denials of the baseline each stream's expectation rests on."""
    total = np.maximum(history.by_payer(expected), 1e-9)
    # Groups of which little is known make the payer's expectation as uncertain as their part in it.
    error = history.by_payer(baseline.group_error * expected**2) / total**2
    return (
        1 / (1 / baseline.payer_denials + error),
        baseline.denials,
        (1 / (1 / baseline.payer_reasons + error[:, None])).ravel(),
        baseline.reason_denials.ravel(),
    )


def _pick(arrays: tuple[Floats, ...], kept: tuple[NDArray[np.bool_], ...]) -> Floats:
    return np.concatenate([one[keep] for one, keep in zip(arrays, kept, strict=True)])


def _limits(
    level: Ints,
    weight: Floats,
    budgets: tuple[float, ...],
    *,
    among: Streams | None,
) -> tuple[Floats, ...]:
    out = np.zeros((len(budgets), len(level)))
    for at in range(4):
        mine = level == at
        if not mine.any():
            continue
        limits = thresholds(Level(at), float(weight[mine].sum()), budgets)
        if among is not None and (among.level == at).any():
            first = int(np.argmax(among.level == at))
            limits = tuple(float(each[first]) for each in among.limits)
        out[:, mine] = np.array(limits)[:, None]
    return tuple(out)
