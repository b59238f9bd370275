"""How good probabilities of denial are, on decisions that they did not learn from.

The verification score is Brier's, the mean squared distance of probability and outcome (0 is best), with its
partition by Murphy (*A new vector partition of the probability score*, J. Appl. Meteorology 12,
1973) into reliability, resolution and uncertainty::

    Brier = reliability − resolution + uncertainty + within

``reliability`` is how far what was said is from what happened (0 is best), ``resolution`` how much it tells claims
apart, ``uncertainty`` what is left to someone who knows the average alone. ``within`` is what is lost by sorting
probabilities into bins (Stephenson, Coelho and Jolliffe, Weather and Forecasting 23, 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.statistics import beta_quantile, sum_by

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Calibration", "ReliabilityBin", "judge"]

_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Claims of which much the same was said: what was said, and what happened."""

    claims: int
    denied: int
    #: Mean probability, 0 to 1.
    predicted: float
    #: Share that was denied, with its 95 % interval (Jeffreys).
    observed: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What became of probabilities; see the module for the parts."""

    #: Days of the decisions that were foretold.
    first: dt.date
    last: dt.date
    claims: int
    denied: int
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float
    #: Brier of someone who says of every claim how often all were denied until then.
    brier_of_average: float
    bins: tuple[ReliabilityBin, ...]

    @property
    def skill(self) -> float:
        """Part of the average's Brier that is saved; 0 is no better than it, below 0 worse."""
        return 1 - self.brier / self.brier_of_average if self.brier_of_average else 0.0


def judge(
    said: Floats,
    average: Floats,
    claims: Floats,
    denied: Floats,
    *,
    first: dt.date,
    last: dt.date,
) -> Calibration:
    """Return how good probabilities were.

    Args:
        said: Probability of each kind of claim.
        average: What somebody who knows the average alone would have said.
        claims: Decisions of each kind, at least one in all.
        denied: Denials among them.
        first: First day of the decisions.
        last: Last day of them.

    >>> import datetime as dt
    >>> half, day = np.array([0.5]), dt.date(2026, 1, 1)
    >>> judge(half, half, np.array([8.0]), np.array([4.0]), first=day, last=day).brier
    0.25
    """
    total = float(claims.sum())
    base = float(denied.sum()) / total
    size, bad, told = _binned(said, claims, denied)
    seen = bad / size
    reliability = float((size * (told - seen) ** 2).sum()) / total
    resolution = float((size * (seen - base) ** 2).sum()) / total
    brier, uncertainty = _brier(said, claims, denied), base * (1 - base)
    return Calibration(
        first=first,
        last=last,
        claims=round(total),
        denied=round(float(denied.sum())),
        brier=brier,
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within=brier - (reliability - resolution + uncertainty),
        brier_of_average=_brier(average, claims, denied),
        bins=tuple(_drawn(size, bad, told)),
    )


def _binned(said: Floats, claims: Floats, denied: Floats) -> tuple[Floats, Floats, Floats]:
    """Return claims, denials and mean probability of bins of about equal size.

    Equal probabilities stay together; bins without claims are left out.
    """
    order = np.argsort(said, kind="stable")
    upto = np.cumsum(claims[order])
    place = np.minimum((_BINS * (upto - claims[order] / 2) / upto[-1]).astype(int), _BINS - 1)
    levels = said[order]
    starts = np.concatenate([[True], levels[1:] != levels[:-1]])
    place = place[np.maximum.accumulate(np.where(starts, np.arange(len(levels)), 0))]
    size, bad, told = (sum_by(place, one[order], _BINS) for one in (claims, denied, claims * said))
    some = size > 0
    return size[some], bad[some], told[some] / size[some]


def _drawn(size: Floats, bad: Floats, told: Floats) -> Iterator[ReliabilityBin]:
    """Yield each bin with the 95 % interval of what was observed (Jeffreys)."""
    low = beta_quantile(0.025, bad + 0.5, size - bad + 0.5)
    high = beta_quantile(0.975, bad + 0.5, size - bad + 0.5)
    for one, wrong, predicted, least, most in zip(
        *(each.tolist() for each in (size, bad, told, low, high)), strict=True
    ):
        yield ReliabilityBin(
            claims=round(one),
            denied=round(wrong),
            predicted=predicted,
            observed=wrong / one,
            low=least,
            high=most,
        )


def _brier(said: Floats, claims: Floats, denied: Floats) -> float:
    lost = denied * (1 - said) ** 2 + (claims - denied) * said**2
    return float(lost.sum() / claims.sum())
