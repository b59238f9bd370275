"""How often a payer denies claims of one kind, where there are many of them or hardly any.

Counts form a tree: the tenant's payers, a payer's procedure groups, and in each whether an authorization number
was stated. A node with few decisions says little by itself, so its rate is drawn to what is expected of it, the more the
less it says: x denials of n decisions where a share m is expected have the mean

    (x + K m) / (n + K)

the mean of a beta distribution with the shapes K m + x and K (1 − m) + n − x (empirical Bayes: Gelman et al.,
*Bayesian Data Analysis*, 3rd ed., section 5.3; Carlin and Louis, *Bayesian Methods for Data Analysis*, 3rd ed., ch. 5).
K, as how many decisions the expectation counts, comes from the tenant's own data: how much nodes differ from what is
expected beyond chance (:func:`claimkit.drift.statistics.prior_strength`). No decision counts in what is
expected of its own node.

What is expected of a payer's procedure group is the rate of the payer's other groups times what other payers make of
the group, both as odds. What is expected of claims with a number is the rate of the others of their group.

Decisions count less the older they are, half after :data:`HALF_LIFE_DAYS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.dimensions import slice_values
from claimkit.drift.statistics import beta_quantile, prior_strength, sum_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.drift.cube import Cells
    from claimkit.types import Day

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["HALF_LIFE_DAYS", "DenialRates", "Stale", "authorization_states", "learn"]

HALF_LIFE_DAYS = 180.0
#: Of a claim's authorization: nobody tells, with and without a number.
_STATES: tuple[str, ...] = ("", "with number", "without number")
#: Least and most of a share that an expectation can be.
_EDGE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """Decisions that say nothing of today: a payer's, before the day on which it changed."""

    #: Empty means all payers.
    payer: str
    #: Empty means all procedure groups.
    groups: tuple[str, ...]
    before: Day


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenialRates:
    """Beta distributions of denial rates by payer, procedure group and authorization.

    The axes of ``alpha`` and ``beta`` are payers, groups, and whether nobody tells of a number, there is one,
    or there is none; those of the counts are payers and groups.
    """

    payers: Mapping[str, int]
    groups: Mapping[str, int]
    alpha: Floats
    beta: Floats
    #: Decisions and denials behind the rates, old ones counted whole and stale ones not at all.
    claims: Floats
    denied: Floats
    #: The same by authorization, with and without a number; zero where the cube does not keep it.
    told_claims: Floats
    told_denied: Floats
    #: Rate of all claims.
    overall: float

    def place(self, payer: str, group: str, authorization: str) -> tuple[int, int, int]:
        """Return where a claim's rate is; a group or state that nobody knows is what is last on its axis."""
        return self.payers.get(payer, -1), self.groups.get(group, -1), _state(authorization)

    def mean(self, places: Ints) -> Floats:
        """Return the expected denial rates, 0 to 1, of places as rows."""
        alpha, beta = self._shapes(places)
        found: Floats = alpha / (alpha + beta)
        return found

    def interval(self, places: Ints, *, level: float) -> tuple[Floats, Floats]:
        """Return the ends between which the rates lie with a probability of ``level``."""
        alpha, beta = self._shapes(places)
        low = beta_quantile((1 - level) / 2, alpha, beta)
        return low, beta_quantile((1 + level) / 2, alpha, beta)

    def _shapes(self, places: Ints) -> tuple[Floats, Floats]:
        at = tuple(places.T)
        return self.alpha[at], self.beta[at]


def learn(
    decisions: Cells, slices: Cells, *, as_of: Day, stale: Sequence[Stale] = ()
) -> DenialRates:
    """Return the rates that the decisions up to a day tell; vectorized, one pass over the cells.

    Args:
        decisions: Of :data:`~claimkit.drift.cube.DECISIONS`.
        slices: Of :data:`~claimkit.drift.cube.SLICES`; those that tell of no authorization do not count.
        as_of: The last day; later decisions do not count.
        stale: What no longer counts.
    """
    payers = {name: at for at, name in enumerate(decisions.names["payer"])}
    # The last group is the one that nobody has seen.
    groups = {name: at for at, name in enumerate(decisions.names["procedure_group"])}
    shape = (len(payers), len(groups) + 1)
    counted = _count(decisions, payers, groups, as_of=as_of, stale=stale)
    claims, denied = (sum_by(counted.cell, one, *shape) for one in counted.weighted)
    overall = _rate(denied.sum(), claims.sum())
    expected = _expected(claims, denied, overall)
    prior = prior_strength(denied, claims, expected)
    alpha, beta = np.zeros((*shape, 3)), np.zeros((*shape, 3))
    alpha[..., 0] = prior * expected + denied
    beta[..., 0] = prior * (1 - expected) + claims - denied
    told = _count(slices, payers, groups, as_of=as_of, stale=stale)
    state = authorization_states(slices)[told.rows]
    known = state > 0
    key = (told.cell * 2 + state - 1)[known]
    wide = (*shape, 2)
    told_claims, told_denied = (sum_by(key, one[known], *wide) for one in told.weighted)
    alpha[..., 1:], beta[..., 1:] = _by_authorization(
        told_claims, told_denied, alpha[..., :1], beta[..., :1]
    )
    return DenialRates(
        payers=payers,
        groups=groups,
        alpha=alpha,
        beta=beta,
        claims=sum_by(counted.cell, counted.whole[0], *shape),
        denied=sum_by(counted.cell, counted.whole[1], *shape),
        told_claims=sum_by(key, told.whole[0][known], *wide),
        told_denied=sum_by(key, told.whole[1][known], *wide),
        overall=overall,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """Cells that count: where they belong, and their decisions and denials by age and whole."""

    rows: NDArray[np.bool_]
    cell: Ints
    weighted: tuple[Floats, Floats]
    whole: tuple[Floats, Floats]


def _count(
    cells: Cells,
    payers: Mapping[str, int],
    groups: Mapping[str, int],
    *,
    as_of: Day,
    stale: Sequence[Stale],
) -> _Counted:
    payer = cells.coded("payer", payers)
    group = cells.coded("procedure_group", groups)
    day = cells.numbers[cells.table.day]
    keep = (day <= as_of) & (payer >= 0) & (group >= 0)
    for one in stale:
        old = day < one.before
        if one.payer:
            old = old & (payer == payers.get(one.payer, -1))
        if one.groups:
            old = old & np.isin(group, [groups.get(name, -1) for name in one.groups])
        keep &= ~old
    claims = cells.measures["claims"][keep].astype(np.float64)
    paid = cells.coded("outcome", {"paid": 0})[keep] == 0
    weight = claims * 0.5 ** ((as_of - day[keep]) / HALF_LIFE_DAYS)
    return _Counted(
        keep,
        payer[keep] * (len(groups) + 1) + group[keep],
        (weight, np.where(paid, 0.0, weight)),
        (claims, np.where(paid, 0.0, claims)),
    )


def authorization_states(slices: Cells) -> Ints:
    """Return 1 with a number, 2 without one, 0 where nobody tells, of each row."""
    told = [slice_values(name).get("authorization", "") for name in slices.names["slice"]]
    index = dict(zip(slices.names["slice"], map(_state, told), strict=True))
    return np.maximum(slices.coded("slice", index), 0)


def _state(authorization: str) -> int:
    return _STATES.index(authorization) if authorization in _STATES else 0


def _expected(claims: Floats, denied: Floats, overall: float) -> Floats:
    """Return what is expected of each payer's group from the payer's other groups and the other payers."""
    rates = []
    for axis in (1, 0):
        size, bad = claims.sum(axis, keepdims=True), denied.sum(axis, keepdims=True)
        prior = prior_strength(bad, size, np.full(size.shape, overall))
        rates.append((bad - denied + prior * overall) / (size - claims + prior))
    of_payer, of_group = rates
    return _share(_odds(of_payer) * _odds(of_group) / _odds(np.array(overall)))


def _by_authorization(
    claims: Floats, denied: Floats, alpha: Floats, beta: Floats
) -> tuple[Floats, Floats]:
    """Return the shapes of claims with and without a number; those of the group where nobody tells."""
    # What is known without them: all the others of the group.
    others, well = np.maximum(alpha - denied, _EDGE), np.maximum(beta - claims + denied, _EDGE)
    size = others + well
    expected = np.clip(others / size, _EDGE, 1 - _EDGE)
    weight = np.minimum(prior_strength(denied, claims, expected), size)
    some = claims.sum(2, keepdims=True) > 0
    return (
        np.where(some, weight * expected + denied, alpha),
        np.where(some, weight * (1 - expected) + claims - denied, beta),
    )


def _rate(denied: float, claims: float) -> float:
    return float(np.clip((denied + 0.5) / (claims + 1.0), _EDGE, 1 - _EDGE))


def _odds(share: Floats) -> Floats:
    inside = np.clip(share, _EDGE, 1 - _EDGE)
    odds: Floats = inside / (1 - inside)
    return odds


def _share(odds: Floats) -> Floats:
    share: Floats = np.clip(odds / (1 + odds), _EDGE, 1 - _EDGE)
    return share
