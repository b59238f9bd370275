"""The formulas of drift detection, each with its source; plain functions of arrays.

Notation: O observed, E expected events, n claims, φ over-dispersion, h threshold.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "NO_SCORE",
    "batch_slope",
    "beta_quantile",
    "concentration",
    "cumulate",
    "log_choose",
    "poisson_gain",
    "poisson_loss",
    "prior_strength",
    "signed_root",
    "slow_variance",
    "sum_by",
    "tail_root",
    "threshold",
    "trials",
]

#: Score of a window that holds too little to be scored.
NO_SCORE = -9.0
#: ln rate(h) = a + b ln h − h²/2: how often a day one Gaussian stream, scanned over the windows of
#: :data:`claimkit.drift.scan.WINDOWS`, crosses h anew; fitted to 8 million simulated stream-days.
_CROSSING = (-2.94311095, 1.23814638)
#: Scores above this are corrected for the shape of their tail; none below comes near a threshold.
_FAR = 2.5
#: The median of a χ² variable with one degree of freedom.
_CHI2_MEDIAN = 0.455


def signed_root(
    observed: Floats,
    expected: Floats,
    claims: Floats,
    scale: Floats,
    spread: Floats | None = None,
) -> Floats:
    """Return the signed root of the deviance of O events in n claims where E are expected.

    z = sign(O − E) √(D/φ), with the binomial deviance D = 2 [O ln(O/E) + (n − O) ln((n − O)/(n − E))].
    Where Pearson's (O − E)/√V drifts off normal in the tail, this stays close to it
    (Barndorff-Nielsen and Cox, *Inference and Asymptotics*, 1994, ch. 4).

    E itself is known with a relative variance v only. If E/n has a beta distribution of weight
    A = φ (1 − E/n) / (v E/n), in claims, then O is beta-binomial, and the deviance is that of O around
    q = (O + A E/n) / (n + A) plus the prior's around E/n (Griffiths, Biometrics 29, 1973; the profile of
    both is least there). For large counts it is the binomial variance with v E² added; for small
    ones it is far from that: with E = 0.1 known to a factor of three, five events are no wonder.

    >>> signed_root(np.array([20.0]), np.array([10.0]), np.array([100.0]), np.array([1.0])).round(2)
    array([2.98])
    >>> five, tenth, many, one = (np.array([x]) for x in (5.0, 0.1, 1000.0, 1.0))
    >>> signed_root(five, tenth, many, one).round(1), signed_root(five, tenth, many, one, 3 * one).round(1)
    (array([5.4]), array([3.5]))

    Args:
        observed: O.
        expected: E.
        claims: n.
        scale: φ, over-dispersion of the events.
        spread: v, relative variance of E beyond that; None is none.
    """
    claims = np.maximum(claims, 1e-9)
    expected = np.clip(expected, 1e-12, claims * 0.999)
    usual = expected / claims
    rate, prior = usual, np.zeros_like(usual)
    if spread is not None:
        weight = scale * (1 - usual) / (np.maximum(spread, 1e-9) * usual)
        move = (observed - expected) / (claims + weight)
        rate = usual + move
        prior = -weight * (
            usual * np.log1p(move / usual) + (1 - usual) * np.log1p(-move / (1 - usual))
        )
    rest = claims - observed
    half = _plog(observed, claims * rate) + _plog(rest, claims * (1 - rate)) + prior
    deviance = np.maximum(2 * half, 0.0)
    root: Floats = np.sign(observed - expected) * np.sqrt(deviance / scale)
    return root


def tail_root(
    observed: Floats, expected: Floats, claims: Floats, scale: Floats, spread: Floats
) -> Floats:
    """Return the signed root, corrected so that its normal tail is that of O events or more.

    r + ln(u/r)/r where r is above 2.5, with the lattice form of Lugannani and Rice (*Saddle point
    approximation for the distribution of the sum of independent random variables*, Adv. Appl. Prob. 12,
    1980; r* of Barndorff-Nielsen, Biometrika 73, 1986): u = (1 − e^−s) √K″ at the saddle point, where s is
    the log of the odds by which O outruns E, and K″ the variance there. 1/6 is Gosper's, in Stirling's
    formula, and keeps it right where all claims are denied: four of four are ten times less of a
    wonder than their deviance says. Arguments as for :func:`signed_root`.

    >>> four, usual, one, spread = (np.array([x]) for x in (4.0, 0.1, 1.0, 0.1))
    >>> signed_root(four, usual, four, one, spread).round(1)
    array([5.3])
    >>> tail_root(four, usual, four, one, spread).round(1)
    array([4.8])
    """
    root = signed_root(observed, expected, claims, scale, spread)
    far = root > _FAR
    o, e, n, factor, v, r = (
        each[far]
        for each in (observed, expected, claims, scale, np.broadcast_to(spread, root.shape), root)
    )
    more = 1 + o * v / factor
    curvature = o / factor * more * (n - o + 1 / 6) / (n + 1 / 6)
    step = 1 - e / o * more / (1 + e * v / factor)
    root[far] = r + np.log(np.maximum(step, 1e-3) * np.sqrt(curvature) / r) / r
    return root


def _plog(count: Floats, expected: Floats) -> Floats:
    """Return O ln(O/E), zero where O is."""
    safe = np.maximum(count, 1e-9)
    gain: Floats = np.where(count > 1e-9, safe * np.log(safe / np.maximum(expected, 1e-9)), 0.0)
    return gain


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


def poisson_loss(observed: Floats | float, expected: Floats | float) -> Floats:
    """Return the log likelihood ratio of a Poisson rate O/E against 1, zero where O ≥ E.

    E must be above 0. Half the deviance of McCullagh and Nelder, *Generalized Linear Models* (2nd
    ed., 1989), section 2.3; no rounding takes it below zero, so that its root is always there.

    >>> float(poisson_loss(51.0, 51.000000000000014))
    0.0
    """
    ratio = np.log(np.maximum(observed, 1e-12) / np.asarray(expected))
    loss: Floats = np.where(
        np.less(observed, expected),
        np.maximum(observed * ratio - (np.asarray(observed) - expected), 0.0),
        0.0,
    )
    return loss


@lru_cache(maxsize=4096)
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


def trials(expected: Floats) -> Floats:
    """Return as how many Gaussian streams a stream of counts counts, 0 to 0.8.

    A score of counts rises only when something happens, so a stream with few events a month gives
    chance fewer occasions than :func:`threshold` assumes. Simulated for 0.05 to 400 expected
    events in 28 days, on two to five days a week, baseline known or estimated: the crossings of 2.8 to
    4.6 are this part of a Gaussian stream's, or fewer.

    >>> trials(np.array([0.5, 4.0, 100.0])).round(2)
    array([0.29, 0.49, 0.8 ])

    Args:
        expected: Expected events in 28 days.
    """
    part: Floats = np.minimum(0.8, 0.35 * np.maximum(expected, 0.0) ** 0.25)
    return part


def batch_slope(
    squares: Floats,
    variance: Floats,
    owner: NDArray[np.int64],
    owners: int,
    *,
    size: Floats | None = None,
) -> Floats:
    """Return s² of Var(block) = v + s² E² for each owner, by moments.

    A remittance day is one batch whose claims share their luck, so a block's variance grows with
    the square of its size. Residuals are winsorized at three *robust* standard deviations (a cap
    at Poisson ones underestimates s² where it is large). What one owner's blocks tell is often as
    uncertain as it is large, so each is shrunk to all, as far as owners are alike beyond chance
    (empirical Bayes; the variance between them as in DerSimonian and Laird, *Meta-analysis in
    clinical trials*, 1986).

    Args:
        squares: Squared residuals, streams by ... by blocks.
        variance: v, expected variance of each block without its luck, same shape.
        owner: Owner of each stream.
        owners: How many owners there are.
        size: E, what the luck of each block multiplies, same shape; None means v.
    """
    size = variance if size is None else size
    excess, weight, noise = np.zeros((3, owners))
    for one in range(owners):
        mine = owner == one
        square, var, due = (each[mine].ravel() for each in (squares, variance, size))
        large = var >= 5
        spread = 1.0
        if large.sum() >= 12:
            spread = max(1.0, float(np.median(square[large] / var[large])) / _CHI2_MEDIAN)
        excess[one] = (np.minimum(square, 9 * spread * var + 9) - var).sum()
        weight[one] = (due * due).sum()
        # Of a Poisson count the square of its residual varies by v + 2 v².
        noise[one] = (spread * var + 2 * (spread * var) ** 2).sum()
    pool = max(0.0, excess.sum() / max(weight.sum(), 1e-9))
    own = excess / np.maximum(weight, 1e-9)
    error = noise / np.maximum(weight, 1e-9) ** 2 + 1e-12
    precision = np.where(weight > 0, 1 / error, 0.0)
    total = max(precision.sum(), 1e-12)
    unlike = float((precision * (own - pool) ** 2).sum()) - (np.count_nonzero(weight) - 1)
    between = max(0.0, unlike / max(total - (precision**2).sum() / total, 1e-12))
    slope: Floats = np.maximum(0.0, pool + between / (between + error) * (own - pool))
    return slope


def slow_variance(residuals: Floats, variance: Floats, expected: Floats, days: int) -> float:
    """Return τ² of Var(block) = v + τ² E² for blocks of ``days`` days, by moments; 0 to 0.09.

    What moves slowly (a backlog at the payer, a new clerk) moves a whole block by the same factor,
    so it grows with the square of what is expected: it governs large payers, and is nothing beside
    the chance of rare events. The moment equation r² − v = τ² E² is weighted by 1/v² (McCullagh
    and Nelder, *Generalized Linear Models*, 1989, ch. 10), squares are winsorized at three *robust*
    standard deviations, and 20 average blocks without any of it are added.

    Args:
        residuals: O − E, streams by day.
        variance: What chance and batches make of their squares.
        expected: E.
        days: Length of a block.
    """
    streams, length = residuals.shape
    blocks = length // days
    if not blocks or not streams:
        return 0.0
    shape = (streams, blocks, days)
    rest, var, due = (
        each[:, -blocks * days :].reshape(shape).sum(2) for each in (residuals, variance, expected)
    )
    var = np.maximum(var, 0.5)
    large = var >= 5
    typical = 1.0
    if large.sum() >= 12:
        typical = max(1.0, float(np.median(rest[large] ** 2 / var[large])) / _CHI2_MEDIAN)
    # The baseline was fitted to these blocks, which takes one degree of freedom.
    square = np.minimum(rest**2, 9 * typical * var) / (1 - 1 / max(blocks, 2))
    weight = (due / var) ** 2
    information = float((weight * due**2).sum())
    prior = 20 * information / weight.size
    if information <= 0:
        return 0.0
    slope = float((weight * (square - var)).sum()) / (information + prior)
    return float(np.clip(slope, 0.0, 0.09))


def concentration(counts: Floats, shares: Floats) -> float:
    """Return how many events of its own make an owner's shares outweigh everybody's; 5 to 1000.

    The K of counts that are Dirichlet-multinomial around ``shares``, by the moments of Pearson's
    X², whose mean is (R − 1) Σ [1 + (n − 1)/(K + 1)] (Mosimann, Biometrika 49, 1962).

    >>> concentration(np.array([[90.0, 10.0], [10.0, 90.0]]), np.array([0.5, 0.5]))
    5.0
    >>> concentration(np.array([[50.0, 50.0], [50.0, 50.0]]), np.array([0.5, 0.5]))
    1000.0

    Args:
        counts: Events, owner by category.
        shares: Everybody's share of each category; they sum to 1.
    """
    size = counts.sum(1, keepdims=True)
    usual = size * shares
    owners = size[:, 0] > 1
    if not owners.any() or len(shares) < 2:
        return 5.0
    pearson = float(((counts - usual)[owners] ** 2 / np.maximum(usual[owners], 1e-9)).sum())
    free = len(shares) - 1
    alike = (pearson / free - int(owners.sum())) / float((size[owners] - 1).sum())
    return float(np.clip(1 / max(alike, 1e-6) - 1, 5.0, 1000.0))


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


def beta_quantile(level: float, first: Floats, second: Floats) -> Floats:
    """Return the quantile of beta distributions, to about 1e-9: for each pair of shapes.

    Bisection of the regularized incomplete beta function, which is summed as the continued fraction
    of DLMF 8.17.22 by the modified method of Lentz (Press et al., *Numerical Recipes*, 3rd ed.,
    sections 5.2 and 6.4).

    >>> beta_quantile(0.5, np.array([1.0, 2.0]), np.array([1.0, 2.0])).round(6).tolist()
    [0.5, 0.5]

    Args:
        level: Probability, above 0 and below 1.
        first: Shape α, above 0; how often it happened, plus the prior.
        second: Shape β, above 0; how often it did not.
    """
    low, high = np.zeros_like(first), np.ones_like(first)
    for _ in range(32):
        middle = (low + high) / 2
        is_below = _beta_cdf(middle, first, second) < level
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    found: Floats = (low + high) / 2
    return found


def prior_strength(events: Floats, size: Floats, expected: Floats) -> float:
    """Return as how many trials an expectation counts beside what was seen; 2 to 2000.

    The K of counts that are beta-binomial around ``expected``, the shapes being K m and K (1 − m): the one
    of greatest likelihood (Griffiths, Biometrics 29, 1973), found by golden sections of ln K. Where
    nothing was seen, 20.

    >>> same = np.full(50, 10.0)
    >>> prior_strength(same, np.full(50, 100.0), np.full(50, 0.1)) > 1000
    True

    Args:
        events: How often it happened; may be parts of one.
        size: Of how many.
        expected: Share that was expected, above 0 and below 1, without what was seen in it.
    """
    seen = size > 0
    if not seen.any():
        return 20.0
    x, n, m = events[seen], size[seen], expected[seen]

    def likelihood(log_k: float) -> float:
        k = math.exp(log_k)
        a, b = k * m, k * (1 - m)
        of_data = _log_gamma(a + x) + _log_gamma(b + n - x) - _log_gamma(a + b + n)
        return float((of_data - _log_gamma(a) - _log_gamma(b) + _log_gamma(a + b)).sum())

    low, high = math.log(2.0), math.log(2_000.0)
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(20):
        first, second = high - ratio * (high - low), low + ratio * (high - low)
        if likelihood(first) >= likelihood(second):
            high = second
        else:
            low = first
    return math.exp((low + high) / 2)


def _beta_cdf(at: Floats, first: Floats, second: Floats) -> Floats:
    """Return the regularized incomplete beta function; the fraction converges on its fast side."""
    swap = at > (first + 1) / (first + second + 2)
    x = np.where(swap, 1 - at, at)
    a, b = np.where(swap, second, first), np.where(swap, first, second)
    log_beta = _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)
    front = np.exp(a * np.log(np.maximum(x, 1e-300)) + b * np.log1p(-x) - log_beta) / a
    tail: Floats = front * _beta_fraction(x, a, b)
    return np.where(swap, 1 - tail, tail)


def _beta_fraction(x: Floats, a: Floats, b: Floats) -> Floats:
    tiny = 1e-300
    c = np.ones_like(x)
    d = 1 / _apart(1 - (a + b) * x / (a + 1), tiny)
    value = d.copy()
    for m in range(1, 2_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _apart(1 + step * d, tiny)
            c = _apart(1 + step / c, tiny)
            value *= c * d
        if np.all(np.abs(c * d - 1) < 1e-12):
            break
    return value


def _apart(values: Floats, tiny: float) -> Floats:
    """Keep a denominator from vanishing."""
    return np.where(np.abs(values) < tiny, tiny, values)


def _log_gamma(values: Floats) -> Floats:
    """Return ln Γ by Stirling's series (DLMF 5.11.1) from 8 on, and by recurrence below; 1e-12."""
    shifted = values + 8
    inverse = 1 / (shifted * shifted)
    series = 1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))
    found = (shifted - 0.5) * np.log(shifted) - shifted + 0.5 * math.log(2 * math.pi)
    found = found + series / shifted
    for step in range(8):
        found = found - np.log(values + step)
    return found
