"""The notice about all payers: one statement where everybody's denials rose.

What the typical payer shows (:mod:`claimkit.drift.shared`) is no payer's doing: an error at the
provider's own desk, a new mapping, a change of law. It is told once, and not payer by payer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.findings import Evidence
from claimkit.drift.localize import Effect, total
from claimkit.drift.scan import WINDOWS
from claimkit.drift.shared import AGREEMENT
from claimkit.drift.statistics import NO_SCORE, signed_root
from claimkit.drift.streams import Level, thresholds
from claimkit.types import date_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from claimkit.drift.baseline import Baseline
    from claimkit.drift.history import History
    from claimkit.drift.localize import Totals
    from claimkit.drift.streams import Streams

    Floats = NDArray[np.float64]

__all__ = ["ALL", "Rise", "measure_all", "scan_all", "tenant_evidence"]

#: Number that stands for all payers where one payer's would stand.
ALL = -1
#: A payer alone is compared with nobody, so what it does is told as its own. Of two already, what both
#: show is taken out of each, and would be told nowhere else.
_MIN_PAYERS = 2
#: Relative rise of everybody's denials that is never told; of one reason, which January's eligibility
#: denials alone raise by half.
_DEAD_ZONE = 0.05
_REASON_DEAD_ZONE = 0.80
#: Standard deviation of the usual ups and downs that payers share.
_USUAL_SD = 0.03
#: Fewer denials than this are no matter of all payers.
_MIN_EVENTS = 10
_Z95 = 1.96


@dataclass(frozen=True, slots=True)
class Rise:
    """The window and series in which the typical payer's rise stands out most."""

    score: float
    #: Thresholds of the budgets: half of the level's part is for all reasons together.
    limits: tuple[float, ...]
    days: int
    #: Category, None means all reasons.
    reason: int | None


def scan_all(
    streams: Streams,
    night: int,
    *,
    reach: int,
    budgets: tuple[float, ...],
    is_told: NDArray[np.bool_] | None = None,
) -> Rise | None:
    """Return the rise of all payers that stands out most in the windows that end on ``night``.

    Scored are the denials of all payers but the one with the largest excess, so that no single one
    can raise them, where the typical payer's change is a rise that most payers show. Payers that were
    told of by name (``is_told``) are not told of again as part of all.
    """
    end = night - streams.start + 1
    windows = [days for days in WINDOWS if days <= min(end, reach)]
    if len(streams.history.payers) < _MIN_PAYERS or not windows:
        return None
    others = np.ones(len(streams.history.payers), np.bool_) if is_told is None else ~is_told
    if others.sum() < _MIN_PAYERS:
        return None
    score = _scores(streams, end, windows, others)
    shared = streams.shared(end, windows)
    score[(shared.agreement < AGREEMENT) | (shared.size <= 0)] = NO_SCORE
    reasons = score.shape[1] - 1
    limits = (
        thresholds(Level.TENANT, 2.0, budgets),
        thresholds(Level.TENANT, 2.0 * max(reasons, 1), budgets),
    )
    excess = score - np.array([limits[0][0]] + [limits[1][0]] * reasons)
    window, series = np.unravel_index(int(np.argmax(excess)), score.shape)
    return Rise(
        score=float(score[window, series]),
        limits=limits[int(series > 0)],
        days=windows[int(window)],
        reason=int(series) - 1 if series else None,
    )


def _scores(streams: Streams, end: int, windows: Sequence[int], among: NDArray[np.bool_]) -> Floats:
    """Return the score of each window and series, without the payer whose excess is largest."""
    baseline, starts = streams.baseline, [end - days for days in windows]
    observed = streams.payer_observed[..., [end]] - streams.payer_observed[..., starts]
    expected = streams.payer_expected[..., [end]] - streams.payer_expected[..., starts]
    payers, series = observed.shape[:2]
    counted = streams.claims[:payers, [end]] - streams.claims[:payers, starts]
    claims = np.broadcast_to(counted[:, None], observed.shape)[among]
    observed, expected = observed[among], expected[among]
    top = (observed - expected).argmax(0)[None]

    def others(values: Floats) -> Floats:
        rest: Floats = values.sum(0) - np.take_along_axis(values, top, 0)[0]
        return rest

    dead_zone = np.full((series, 1), _REASON_DEAD_ZONE)
    dead_zone[0] = _DEAD_ZONE
    known = np.concatenate([baseline.payer_denials[:, None], baseline.payer_reasons], 1)
    slow = np.array(
        [[baseline.dispersion.slow(days, level) for days in windows] for level in (0, 2)]
    )
    spread = (
        slow[np.minimum(np.arange(series), 1)] + 1 / known[among].sum(0)[:, None] + _USUAL_SD**2
    )
    factor = np.full((series, len(windows)), float(baseline.typical_payer[among].mean()))
    rest = others(observed)
    score = signed_root(rest, others(expected) * (1 + dead_zone), others(claims), factor, spread)
    score[rest < _MIN_EVENTS] = NO_SCORE
    return score.T


def measure_all(baseline: Baseline, totals: Totals, reason: int | None) -> Effect:
    """Return all payers' excess denials per claim, with its standard error.

    Nothing that payers share is taken out here; the error holds each payer's over-dispersion, its
    baseline's error, and slow wobble.
    """
    series = 0 if reason is None else reason + 1
    observed, expected = totals.payer_observed[:, series], totals.payer_expected[:, series]
    factor = baseline.typical_payer if reason is None else baseline.typical_payer_reason[:, reason]
    known = baseline.payer_denials if reason is None else baseline.payer_reasons[:, reason]
    slow = baseline.dispersion.slow(totals.days, 0 if reason is None else 2)
    variance = (factor * observed + expected**2 * (1 / np.maximum(known, 0.5) + slow)).sum()
    claims = float(totals.claims.sum())
    if claims < 1:
        return Effect(claims=claims, observed=0.0, expected=0.0, size=0.0, error=math.inf)
    return Effect(
        claims=claims,
        observed=float(observed.sum()),
        expected=float(expected.sum()),
        size=float((observed - expected).sum()) / claims,
        error=math.sqrt(max(float(variance), 1.0)) / claims,
    )


def tenant_evidence(
    history: History, baseline: Baseline, weeks: Sequence[tuple[int, int]], reason: int | None
) -> Evidence:
    """Return all payers' weekly denial rates against expected ones."""
    effects = [
        measure_all(baseline, total(history, baseline, start, end), reason) for start, end in weeks
    ]
    size = [max(one.claims, 1.0) for one in effects]
    expected = [one.expected / each for one, each in zip(effects, size, strict=True)]
    band = [_Z95 * one.error if math.isfinite(one.error) else 0.0 for one in effects]
    return Evidence(
        days=tuple(date_of(history.first + start) for start, _ in weeks),
        observed=tuple(one.observed / each for one, each in zip(effects, size, strict=True)),
        expected=tuple(expected),
        low=tuple(max(0.0, usual - half) for usual, half in zip(expected, band, strict=True)),
        high=tuple(min(1.0, usual + half) for usual, half in zip(expected, band, strict=True)),
        claims=tuple(round(one.claims) for one in effects),
    )
