"""Bounds of counts: what few runs can honestly say of a rate or a probability."""

from __future__ import annotations

import math

__all__ = ["binomial_range", "is_above", "is_below", "poisson_range"]

#: Chance of a false verdict that a target is missed.
_LEVEL = 0.01


def poisson_tail(count: int, mean: float) -> float:
    """Return P(X >= count) of a Poisson variable."""
    below = sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(count))
    return max(0.0, 1 - below) if mean > 0 else float(count == 0)


def binomial_tail(count: int, size: int, chance: float) -> float:
    """Return P(X <= count) of a binomial variable."""
    return sum(
        math.comb(size, k) * chance**k * (1 - chance) ** (size - k) for k in range(count + 1)
    )


def is_above(count: int, exposure: float, rate: float) -> bool:
    """Whether ``count`` events in ``exposure`` say that their rate is above ``rate``."""
    return count > 0 and poisson_tail(count, rate * exposure) < _LEVEL


def is_below(count: int, size: int, chance: float) -> bool:
    """Whether ``count`` successes of ``size`` say that their chance is below ``chance``."""
    return size > 0 and binomial_tail(count, size, chance) < _LEVEL


def _root(wanted: float, low: float, high: float, of) -> float:  # noqa: ANN001
    for _ in range(60):
        middle = (low + high) / 2
        if of(middle) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def poisson_range(count: int, exposure: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a rate (Garwood 1936)."""
    most = 10.0 + 4 * count
    low = _root(0.025, 0.0, most, lambda mean: poisson_tail(count, mean)) if count else 0.0
    high = _root(0.975, 0.0, most, lambda mean: poisson_tail(count + 1, mean))
    return low / exposure, high / exposure


def binomial_range(count: int, size: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a probability (Clopper and Pearson 1934)."""
    low = _root(0.025, 0.0, 1.0, lambda p: 1 - binomial_tail(count - 1, size, p)) if count else 0.0
    high = (
        _root(0.975, 0.0, 1.0, lambda p: 1 - binomial_tail(count, size, p)) if count < size else 1.0
    )
    return low, high
