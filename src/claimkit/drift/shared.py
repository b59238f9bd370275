"""What moves all payers alike in a window, and is therefore no payer's doing.

January's eligibility denials, an error at the provider's own desk, a new mapping from codes to
categories: they move everybody. Each payer is compared with the *other* payers, robustly, so that
one or two payers that really changed do not pass for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from claimkit.drift.baseline import Baseline

    Floats = NDArray[np.float64]

__all__ = [
    "AGREEMENT",
    "GROUP_ALLOWED",
    "GROUP_DENIALS",
    "Prior",
    "Shared",
    "compare",
    "shared_change",
    "shared_shift",
]

#: Standard deviation of how differently payers respond to what they share.
_UNLIKE_SD = 0.05
#: Prior of a shared relative change: usually small, one time in twenty a real one.
_USUAL_SD = 0.05
_LARGE_SD = 0.30
_LARGE_PART = 0.05
#: Payers share in a large change to a different degree, and not on the same day: standard deviation
#: as a part of it.
_UNEVEN = 0.5
#: A window leaves no doubt from this many standard errors on, if this part of the payers, weighted by
#: what they can show, shows half of the change itself.
_UNDOUBTED = 4.0
AGREEMENT = 0.65
#: Residuals beyond this many standard deviations weigh less (Huber).
_HUBER = 1.5
_STEPS = 4
#: Variance of who says nothing; payers that may really have changed; how many of the others it takes,
#: and by how many standard deviations the sum of their squares must be off.
_NOTHING = 1e8
_FARTHEST = 2
_MIN_MIXED = 3
_CHANCE = 3.0
#: A payer is spared by a change of which it lacks half by this many standard deviations.
_SPARED = 1.5
_MIN_RATIO, _MAX_RATIO = 0.4, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What changes that payers share are like, before anything is seen."""

    #: Standard deviation of how differently payers respond to what they share.
    unlike: float = _UNLIKE_SD
    #: Standard deviation of the usual wobble, of a real change, and how often that is.
    usual: float = _USUAL_SD
    large: float = _LARGE_SD
    large_part: float = _LARGE_PART


#: What payers share in one procedure group: another mapping, a new code. Rarer than what they share
#: in all groups, and larger.
GROUP_DENIALS = Prior(usual=0.03, large=0.50, large_part=0.02)
GROUP_ALLOWED = Prior(unlike=0.01, usual=0.003, large=0.15, large_part=0.02)
_EVERYWHERE = Prior()


@dataclass(frozen=True, slots=True)
class Shared:
    """The change that payers share; series are (all, each reason).

    ``ratio`` and ``variance`` are window by payer by series, each from the payers but itself: by what
    its expected denials are multiplied, and the relative variance of that. ``size`` and ``error`` are
    window by series: the typical payer's relative change, and its standard error; ``agreement`` the
    part of the payers, weighted by what they can show, that show half of it themselves.
    """

    ratio: Floats
    variance: Floats
    size: Floats
    error: Floats
    agreement: Floats


def shared_change(
    baseline: Baseline, observed: Floats, expected: Floats, days: Sequence[int]
) -> Shared:
    """Return what payers share in each of some windows.

    The location of the relative changes x = O/E − 1 by Huber's estimator (*Robust estimation of a
    location parameter*, Ann. Math. Stat. 35, 1964), then shrunk under a prior that is a mixture of
    two normals: the usual wobble, and now and then a real change (a spike and slab; Mitchell and
    Beauchamp, JASA 83, 1988). With the slab, a fault that raises everybody's denials by a third is
    taken out in full, as soon as the other payers show it. Where one of the windows leaves no doubt of
    a shared change, it is what the slab of all windows is centered on, so that short ones, in which
    others show little, know of it.

    Args:
        baseline: What is normal.
        observed: Denials, window by payer by (all, each reason).
        expected: Expected denials, same shape.
        days: Length of each window.
    """
    return compare(observed, expected, _relative_variance(baseline, expected, days))


def compare(
    observed: Floats, expected: Floats, variance: Floats, prior: Prior = _EVERYWHERE
) -> Shared:
    """Return what payers share, given the relative variance of each one's O around E.

    All three are window by payer by series.
    """
    return shared_shift(observed / np.maximum(expected, 1e-9) - 1, variance, prior)


def shared_shift(change: Floats, variance: Floats, prior: Prior) -> Shared:
    """Return what payers share, given each one's change and its variance, window by payer by series."""
    middle = _weighted_median(change, 1 / (variance + prior.unlike**2))
    unrest = _unrest(change - middle, variance)
    weight = 1 / (variance + unrest + prior.unlike**2)
    precision, root = weight, np.sqrt(weight)
    for _ in range(_STEPS):
        distance = np.abs(change - middle) * root
        weight = precision * np.minimum(1.0, _HUBER / np.maximum(distance, 1e-9))
        total, weighted = _sum(weight), _sum(weight * change)
        middle = weighted / total
    # Without others there is nothing to compare with, and nothing is taken out.
    others = np.maximum(total - weight, 0.0)
    alone = others < 1e-6 * total
    left = np.where(alone, 1.0, others)
    size = np.where(alone, 0.0, (weighted - weight * change) / left)
    agreement = (precision * (change > middle / 2)).sum(1) / precision.sum(1)
    # What some changed and others did not is theirs, and neither taken out nor told of all.
    few = _is_of_few(change, variance + prior.unlike**2, middle)
    size, agreement = np.where(few, 0.0, size), np.where(few[:, 0], 0.0, agreement)
    center = _undoubted(middle[:, 0], 1 / np.sqrt(total[:, 0]), agreement)
    ratio, uncertain = _shrunk(size, 1 / left, center, prior)
    uncertain = uncertain + unrest
    return Shared(
        ratio=np.where(alone, 1.0, ratio),
        variance=np.where(alone, 0.0, uncertain),
        size=middle[:, 0],
        error=1 / np.sqrt(total[:, 0]),
        agreement=agreement,
    )


def _is_of_few(change: Floats, variance: Floats, middle: Floats) -> NDArray[np.bool_]:
    """Return where a change is rather that of some payers than of all; window by 1 by series.

    Of the payers that can tell, k show the change and d beyond doubt not even half of it. That all
    share it takes one cause, and d payers that are spared for reasons of their own; that they do not
    takes k causes. Where a payer's own cause is as rare as a common one, fewer causes are likelier, and
    the change is that of few while k <= d + 1: two of two are all, two of three are those two.
    """
    half, error = np.abs(middle) / 2, np.sqrt(variance)
    shown = change * np.sign(middle)
    is_spared = shown < half - _SPARED * error
    count = ((half > error) & ~is_spared).sum(1, keepdims=True)
    spared = is_spared.sum(1, keepdims=True)
    few: NDArray[np.bool_] = (spared > 0) & (count <= spared + 1)
    return few


def _unrest(rest: Floats, variance: Floats) -> Floats:
    """Return the variance between payers where most of them moved, each another way; else zero.

    Another mapping mixes groups that each payer denies and prices in its own way, another
    clearinghouse delays each payer by its own calendar. The null that one payer is compared with is
    then what the others do, not what chance alone would (Efron, *Large-scale simultaneous hypothesis
    testing: the choice of a null hypothesis*, JASA 99, 2004): the variance between them by moments,
    without the two payers that are farthest off, and only where chance does not explain it.
    """
    is_there = variance < _NOTHING
    weight = np.where(is_there, 1 / variance, 0.0)
    square = rest**2 * weight
    order = np.argsort(-square, axis=1, kind="stable")[:, _FARTHEST:]
    count = np.maximum(is_there.sum(1, keepdims=True) - _FARTHEST, 0)
    seen = np.take_along_axis(square, order, 1).sum(1, keepdims=True)
    weights = np.take_along_axis(weight, order, 1).sum(1, keepdims=True)
    excess = seen - count - _CHANCE * np.sqrt(2 * count)
    is_known = (count >= _MIN_MIXED) & (excess > 0)
    unrest: Floats = np.where(is_known, excess / np.maximum(weights, 1e-12), 0.0)
    return unrest


def _sum(values: Floats) -> Floats:
    """Return sums over payers."""
    summed: Floats = values.sum(1, keepdims=True)
    return summed


def _relative_variance(baseline: Baseline, expected: Floats, days: Sequence[int]) -> Floats:
    """Return the relative variance of O around E, window by payer by (all, each reason)."""
    spread = baseline.dispersion
    factor = np.concatenate([baseline.typical_payer[:, None], baseline.typical_payer_reason], 1)
    known = np.concatenate([baseline.payer_denials[:, None], baseline.payer_reasons], 1)
    slow = np.repeat([[[spread.slow(each, 2)]] for each in days], factor.shape[1], 2)
    slow[..., 0] = [[spread.slow(each, 0)] for each in days]
    variance: Floats = factor / np.maximum(expected, 1e-9) + 1 / np.maximum(known, 0.5) + slow
    return variance


def _weighted_median(values: Floats, weights: Floats) -> Floats:
    """Return the weighted median over payers."""
    order = np.argsort(values, axis=1, kind="stable")
    upto = np.take_along_axis(weights, order, 1).cumsum(1)
    at = (upto < upto[:, -1:] / 2).sum(1, keepdims=True)
    median: Floats = np.take_along_axis(values, np.take_along_axis(order, at, 1), 1)
    return median


def _undoubted(size: Floats, error: Floats, agreement: Floats) -> Floats:
    """Return for each series the change of the window that shows it best, 0 where none does."""
    score = np.where(agreement >= AGREEMENT, np.abs(size) / error, 0.0)
    best = score.argmax(0)[None]
    chosen = np.take_along_axis(size, best, 0)[0]
    center: Floats = np.where(np.take_along_axis(score, best, 0)[0] > _UNDOUBTED, chosen, 0.0)
    return center


def _shrunk(size: Floats, variance: Floats, center: Floats, belief: Prior) -> tuple[Floats, Floats]:
    """Return the posterior mean of 1 + change, and its variance as one payer feels it."""
    usual = belief.usual**2
    is_known = center != 0
    large = (
        np.where(is_known, np.maximum(_UNEVEN * np.abs(center), belief.usual), belief.large) ** 2
    )
    prior = np.where(is_known, 0.5, belief.large_part)
    evidence = np.log((variance + usual) / (variance + large))
    evidence += size**2 / (variance + usual) - (size - center) ** 2 / (variance + large)
    odds = prior / (1 - prior) * np.exp(np.clip(evidence / 2, -50.0, 50.0))
    part = odds / (1 + odds)
    kept_usual, kept_large = usual / (usual + variance), large / (large + variance)
    small, great = size * kept_usual, center + (size - center) * kept_large
    mean = (1 - part) * small + part * great
    uncertain = variance * ((1 - part) * kept_usual + part * kept_large)
    uncertain += part * (1 - part) * (great - small) ** 2 + part * (_UNEVEN * great) ** 2
    return np.clip(1 + mean, _MIN_RATIO, _MAX_RATIO), uncertain
