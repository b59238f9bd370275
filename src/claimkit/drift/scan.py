"""The scan: each night, the best-scoring window of every stream, on two axes.

A window-limited generalized likelihood ratio (Lai, *Sequential changepoint detection*, JRSS B 57,
1995): the maximum over trailing windows of the signed-root score, scaled by over-dispersion and by
how well the baseline is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.shared import shared_change
from claimkit.drift.statistics import NO_SCORE, signed_root, sum_by, tail_root, threshold
from claimkit.drift.streams import BUDGET_SHARES, SCAN_WINDOW, Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from claimkit.drift.shared import Shared
    from claimkit.drift.streams import Streams

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["SUBMITTED_WINDOWS", "WINDOWS", "Scores", "Swap", "scan", "scan_swaps"]

#: Trailing windows of decision days.
WINDOWS = (3, 5, 7, 10, 14, 21, 28, 42, 56)
#: Trailing windows of submission days.
SUBMITTED_WINDOWS = (10, 14, 21, 28, 42, 56)
#: Fewer observed events than this are no evidence, whatever was expected.
_MIN_EVENTS = 3
#: Shortest window in which a swap of reasons is looked for.
_SWAP_DAYS = 14
#: Both sides of a swap must be at least this far off.
_SWAP_SCORE = 1.5


@dataclass(frozen=True, slots=True)
class Scores:
    """Best score of each stream, and the length in days of its window."""

    score: Floats
    days: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One reason taking over from another inside a payer, at constant total."""

    payer: int
    reason: int
    days: int
    score: float
    #: Thresholds of the budgets, as in ``Streams.limits``.
    limits: tuple[float, ...]


def scan(streams: Streams, night: int, *, dead_zone: float, reach: Ints) -> Scores:
    """Return the best window of every stream that ends on ``night``, over both axes.

    Args:
        streams: What to scan.
        night: Day of the history.
        dead_zone: Relative rise that is never counted.
        reach: For each payer the longest window that may be used: windows must not reach back
            across the end of an earlier incident.
    """
    end = night - streams.start + 1
    windows = [days for days in WINDOWS if days <= end]
    shared = streams.shared(end, windows)
    factor, variance = streams.usual(end, windows, shared)
    decided = _scan_decided(streams, night, dead_zone, reach, (shared, factor, variance))
    # What decision days show of groups and ages holds for the claims that were sent in them.
    sent = [windows.index(days) for days in SUBMITTED_WINDOWS if days in windows]
    submitted = _scan_submitted(streams, night, dead_zone, reach, (factor[sent], variance[sent]))
    better = submitted.score > decided.score
    return Scores(
        np.where(better, submitted.score, decided.score),
        np.where(better, submitted.days, decided.days),
    )


def _scan_decided(
    streams: Streams,
    night: int,
    dead_zone: float,
    reach: Ints,
    usual: tuple[Shared, Floats, Floats],
) -> Scores:
    end = night - streams.start + 1
    size = len(streams.level)
    best, best_days = np.full(size, NO_SCORE), np.zeros(size, np.int64)
    limit = reach[streams.payer]
    windows = [days for days in WINDOWS if days <= end]
    shared, factor, variance = usual
    for which, days in enumerate(windows):
        start = end - days
        observed = streams.observed[:, end] - streams.observed[:, start]
        expected = streams.expected[:, end] - streams.expected[:, start]
        claims = (streams.claims[:, end] - streams.claims[:, start])[streams.row]
        at = which, streams.payer, streams.reason + 1
        score = tail_root(
            observed,
            expected * shared.ratio[at] * factor[which] * (1 + dead_zone),
            claims,
            streams.dispersion(start, end),
            streams.spread(days) + shared.variance[at] + variance[which],
        )
        score[(observed < _MIN_EVENTS) | (limit < days)] = NO_SCORE
        better = score > best
        best[better], best_days[better] = score[better], days
    return Scores(best, best_days)


def _scan_submitted(
    streams: Streams, night: int, dead_zone: float, reach: Ints, usual: tuple[Floats, Floats]
) -> Scores:
    """Score windows of submission days: what is decided so far of the claims submitted in them.

    A change that applies by submission or service date is diluted by old claims on the decision
    axis and undiluted here; each decision is still conditioned on its age.
    """
    size = len(streams.level)
    best, best_days = np.full(size, NO_SCORE), np.zeros(size, np.int64)
    claims, expected, denials = _cohorts(streams, night)
    limit = reach[streams.payer]
    end = night - streams.start + 1
    windows = [days for days in SUBMITTED_WINDOWS if days <= end]
    shared = _shared_cohorts(streams, expected, denials, windows)
    factor, variance = usual
    for which, days in enumerate(windows):
        observed = _levels(streams, denials[..., days - 1])
        window_expected = _expected_levels(streams, expected[:, days - 1])
        counted = claims[:, days - 1]
        decided = np.concatenate([streams.history.by_payer(counted), counted])[streams.row]
        at = which, streams.payer, streams.reason + 1
        score = tail_root(
            observed,
            window_expected * shared.ratio[at] * factor[which] * (1 + dead_zone),
            decided,
            streams.typical,
            streams.spread(days) + shared.variance[at] + variance[which],
        )
        score[(observed < _MIN_EVENTS) | (limit < days)] = NO_SCORE
        better = score > best
        best[better], best_days[better] = score[better], days
    return Scores(best, best_days)


def _cohorts(streams: Streams, night: int) -> tuple[Floats, Floats, Floats]:
    """Return claims, expected denials and denials by reason of claims submitted d days ago or less.

    The last axis is d: 0 for the night itself up to the longest window.
    """
    history, baseline = streams.history, streams.baseline
    decided = history.decided
    rows = decided.rows(night - SCAN_WINDOW + 1, night + 1)
    age = decided.age[rows]
    back = night - decided.day[rows] + age
    known = (age >= 0) & (back < SCAN_WINDOW)
    cell, back = decided.cell[rows][known], back[known]
    claims, reason = decided.claims[rows][known], decided.reason[rows][known]
    band = decided.band[rows][known]
    chance = baseline.rate[cell] * baseline.age_factor[history.cell_payer[cell], band]
    key, shape = cell * SCAN_WINDOW + back, (history.cells, SCAN_WINDOW)
    denied = reason >= 0
    categories = len(history.categories)
    of_reason = (cell[denied] * categories + reason[denied]) * SCAN_WINDOW + back[denied]
    counts = sum_by(of_reason, claims[denied], history.cells, categories, SCAN_WINDOW)
    return (
        sum_by(key, claims, *shape).cumsum(1),
        sum_by(key, claims * np.minimum(chance, 0.97), *shape).cumsum(1),
        counts.cumsum(2),
    )


def _shared_cohorts(
    streams: Streams, expected: Floats, denials: Floats, windows: Sequence[int]
) -> Shared:
    """Return what all payers share in windows of submission days."""
    history, baseline = streams.history, streams.baseline
    ends = [days - 1 for days in windows]
    due = history.by_payer(expected[:, None, ends] * baseline.share[..., None])
    seen = history.by_payer(denials[..., ends])
    observed = np.concatenate([seen.sum(1, keepdims=True), seen], 1)
    usual = np.concatenate([due.sum(1, keepdims=True), due], 1)
    return shared_change(baseline, np.moveaxis(observed, -1, 0), np.moveaxis(usual, -1, 0), windows)


def _levels(streams: Streams, counts: Floats) -> Floats:
    """Return one value per stream from counts by cell and reason."""
    history = streams.history
    of_cell = counts.sum(1)
    of_payer_reason = history.by_payer(counts)
    values = (history.by_payer(of_cell), of_cell, of_payer_reason.ravel(), counts.ravel())
    return np.concatenate([one[keep] for one, keep in zip(values, streams.kept, strict=True)])


def _expected_levels(streams: Streams, expected: Floats) -> Floats:
    history = streams.history
    of_reason = expected[:, None] * streams.baseline.share
    values = (
        history.by_payer(expected),
        expected,
        history.by_payer(of_reason).ravel(),
        of_reason.ravel(),
    )
    return np.concatenate([one[keep] for one, keep in zip(values, streams.kept, strict=True)])


def scan_swaps(
    streams: Streams, night: int, *, dead_zone: float, reach: Ints, budgets: tuple[float, ...]
) -> list[Swap]:
    """Return payers in which one reason rises as another falls, best window each.

    The squared scores of the two add up to χ² with two degrees of freedom under no change; each
    ordered pair of reasons is a stream.
    """
    mine = np.flatnonzero(streams.level == Level.PAYER_REASON)
    if not len(mine):
        return []
    payer, reason = streams.payer[mine], streams.reason[mine]
    payers = np.unique(payer)
    many = len(streams.history.categories)
    limits = tuple(_swap_limit(len(payers) * many * (many - 1), budget) for budget in budgets)
    end = night - streams.start + 1
    best: dict[int, Swap] = {}
    windows = [days for days in WINDOWS if _SWAP_DAYS <= days <= end]
    if not windows:
        return []
    shared = streams.shared(end, windows)
    for which, days in enumerate(windows):
        place = which, payer, reason + 1
        spread = streams.spread(days)[mine] + shared.variance[place]
        up, down = _swap_scores(
            streams, mine, end - days, end, (shared.ratio[place], spread), dead_zone
        )
        for one in payers.tolist():
            at = np.flatnonzero(payer == one)
            if reach[one] < days:
                continue
            rising, falling = at[np.argmax(up[at])], at[np.argmin(down[at])]
            if up[rising] <= _SWAP_SCORE or down[falling] >= -_SWAP_SCORE:
                continue
            score = float(np.hypot(up[rising], down[falling]))
            if one not in best or score > best[one].score:
                best[one] = Swap(
                    payer=one, reason=int(reason[rising]), days=days, score=score, limits=limits
                )
    return [swap for swap in best.values() if swap.score > min(limits)]


def _swap_scores(
    streams: Streams,
    mine: Ints,
    start: int,
    end: int,
    usual: tuple[Floats, Floats],
    dead_zone: float,
) -> tuple[Floats, Floats]:
    """Return each stream's score against a rise and against a fall.

    ``usual`` is by what its expectation is multiplied, and its relative variance.
    """
    ratio, spread = usual
    observed = streams.observed[mine, end] - streams.observed[mine, start]
    expected = (streams.expected[mine, end] - streams.expected[mine, start]) * ratio
    row = streams.row[mine]
    claims = streams.claims[row, end] - streams.claims[row, start]
    scale = streams.dispersion(start, end)[mine]
    return (
        signed_root(observed, expected * (1 + dead_zone), claims, scale, spread),
        signed_root(observed, expected * (1 - dead_zone), claims, scale, spread),
    )


def _swap_limit(pairs: int, budget: float) -> float:
    """Return the threshold of √χ²₂: a normal tail with h √(2π) times as many streams."""
    limit = 5.0
    share = budget * BUDGET_SHARES[Level.SWAP] / 30.0
    for _ in range(4):
        limit = threshold(share / (max(pairs, 1) * limit * np.sqrt(2 * np.pi)))
    return limit
