"""The formulas of drift detection, each with its source; plain functions of arrays.

Notation: O observed, E expected events, n claims, φ over-dispersion, h threshold.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "NO_SCORE",
    "batch_slope",
    "block_inflation",
    "cumulate",
    "log_choose",
    "poisson_gain",
    "signed_root",
    "sum_by",
    "threshold",
]

#: Score of a window that holds too little to be scored.
NO_SCORE = -9.0
#: ln rate(h) = a + b ln h − h²/2: how often a day one Gaussian stream, scanned over the windows of
#: :data:`claimkit.drift.scan.WINDOWS`, crosses h anew; fitted to 8 million simulated stream-days.
_CROSSING = (-2.94311095, 1.23814638)
#: The median of a χ² variable with one degree of freedom.
_CHI2_MEDIAN = 0.455


def signed_root(observed: Floats, expected: Floats, claims: Floats, scale: Floats) -> Floats:
    """Return the signed root of the binomial deviance of O events in n claims where E are expected.

    z = sign(O − E) √(2 [O ln(O/E) + (n − O) ln((n − O)/(n − E))] / φ). Where Pearson's
    (O − E)/√V drifts off normal in the tail, this stays close to it (Barndorff-Nielsen and Cox,
    *Inference and Asymptotics*, 1994, ch. 4).

    >>> signed_root(np.array([20.0]), np.array([10.0]), np.array([100.0]), np.array([1.0])).round(2)
    array([2.98])
    """
    expected = np.clip(expected, 1e-9, claims * 0.999 + 1e-9)
    rest, rest_expected = np.maximum(claims - observed, 1e-9), claims - expected
    event = observed * np.log(np.maximum(observed, 1e-9) / expected)
    other = np.where(
        claims - observed > 1e-9,
        rest * np.log(rest / np.maximum(rest_expected, 1e-9)),
        0.0,
    )
    deviance = np.maximum(2 * (event + other), 0.0)
    root: Floats = np.sign(observed - expected) * np.sqrt(deviance / scale)
    return root


def poisson_gain(observed: Floats, expected: Floats) -> Floats:
    """Return the log likelihood ratio of a Poisson rate O/E against 1, zero where O ≤ E.

    O ln(O/E) − (O − E): the expectation-based scan statistic of Neill, *Fast subset scan for
    spatial pattern detection* (JRSS B 74, 2012).
    """
    above = observed > expected
    safe = np.maximum(expected, 1e-12)
    gain: Floats = np.where(
        above, observed * np.log(np.maximum(observed, 1e-12) / safe) - (observed - expected), 0.0
    )
    return gain


def threshold(rate: float) -> float:
    """Return h such that one stream crosses it ``rate`` times a day by chance.

    >>> round(threshold(0.1 / 30 / 1400), 2)
    4.89
    """
    low, high = 2.0, 12.0
    target = math.log(max(rate, 1e-30))
    for _ in range(60):
        middle = (low + high) / 2
        if _CROSSING[0] + _CROSSING[1] * math.log(middle) - middle * middle / 2 > target:
            low = middle
        else:
            high = middle
    return high


def batch_slope(squares: Floats, variance: Floats, owner: NDArray[np.int64], owners: int) -> Floats:
    """Return s² of Var(block) = v + s² v² for each owner, by moments.

    A remittance day is one batch whose claims share their luck, so a block's variance grows with
    the square of its size. Residuals are winsorized at three *robust* standard deviations (a cap
    at Poisson ones underestimates s² where it is large), and each owner is shrunk half-way to all.

    Args:
        squares: Squared residuals, streams by ... by blocks.
        variance: Expected variance of each block, same shape.
        owner: Owner of each stream.
        owners: How many owners there are.
    """
    numerator, denominator = np.zeros(owners), np.zeros(owners)
    for one in range(owners):
        mine = owner == one
        square, var = squares[mine].ravel(), variance[mine].ravel()
        large = var >= 5
        spread = 1.0
        if large.sum() >= 12:
            spread = max(1.0, float(np.median(square[large] / var[large])) / _CHI2_MEDIAN)
        numerator[one] = (np.minimum(square, 9 * spread * var + 9) - var).sum()
        denominator[one] = (var * var).sum()
    pool = max(0.0, numerator.sum() / max(denominator.sum(), 1e-9))
    weight = denominator / 2 + 1e-9
    slope: Floats = np.maximum(0.0, (numerator + weight * pool) / (denominator + weight))
    return slope


def block_inflation(residuals: Floats, variance: Floats, days: int) -> float:
    """Return by how much sums over ``days`` days vary more than the batch model says; 1 to 4.

    Catches slow wobble. Shrunk to 1 with the weight of 20 average blocks, residuals winsorized
    at three standard deviations.

    Args:
        residuals: O − E, payer by day.
        variance: What the batch model expects of their squares.
        days: Length of a block.
    """
    owners, length = residuals.shape
    blocks = length // days
    if not blocks:
        return 1.0
    shape = (owners, blocks, days)
    rest = residuals[:, -blocks * days :].reshape(shape).sum(2)
    var = variance[:, -blocks * days :].reshape(shape).sum(2)
    square = np.minimum(rest**2 / np.maximum(var, 0.5), 9) / (1 - 1 / max(blocks, 2))
    weight = np.minimum(var, 50)
    prior = 20 * float(weight.mean())
    total = float(weight.sum()) + prior
    if total <= 0:
        return 1.0
    return float(np.clip((float((square * weight).sum()) + prior) / total, 1.0, 4.0))


def sum_by(key: NDArray[np.int64], weights: Floats, *shape: int) -> Floats:
    """Return the sums of ``weights`` by flat index ``key``, as an array of ``shape``.

    >>> sum_by(np.array([0, 3, 3]), np.array([1.0, 2.0, 3.0]), 2, 2).tolist()
    [[1.0, 0.0], [0.0, 5.0]]
    """
    sums = np.bincount(key, weights, math.prod(shape))
    return sums.astype(np.float64, copy=False).reshape(shape)


def cumulate(values: Floats) -> Floats:
    """Return cumulative sums over the last axis, with a leading zero."""
    out = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=out[..., 1:])
    return out


def log_choose(size: int) -> Floats:
    """Return ln C(size, m) for m = 1..size: the price of having chosen m of ``size`` groups."""
    return np.array(
        [
            math.lgamma(size + 1) - math.lgamma(m + 1) - math.lgamma(size - m + 1)
            for m in range(1, size + 1)
        ]
    )
