"""What a period's denials were made of, and how they differ from the period before.

Everything comes from the cube's first decisions. A difference of two periods is taken apart into
more or fewer claims, another mix of claims, and payers that decide otherwise, after Kitagawa
(*Components of a difference between two rates*, JASA 50, 1955): each part is computed at the mean
of the two periods, so the parts add up to the whole, whichever period comes first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import DECISIONS
from claimkit.types import day_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from claimkit.drift.cube import Cells
    from claimkit.reports.periods import Period

    Floats = NDArray[np.float64]

__all__ = ["LEAST_DECIDED", "Movement", "Totals", "beyond_chance", "movement_of"]

#: Decisions below which a share says nothing.
LEAST_DECIDED = 10
#: Standard errors within which a share counts as not moved.
_CHANCE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over first decisions; money in cents."""

    decided: int
    denied: int
    charge: int
    denied_charge: int
    paid: int

    @property
    def denial_rate(self) -> float | None:
        """Denied of decided; None where nothing was decided."""
        return self.denied / self.decided if self.decided else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Movement:
    """One period beside the one before.

    ``decided`` and ``denied`` are payer by procedure group, for now and before; the axes are
    ordered by how much was decided in both, most first.
    """

    now: Totals
    before: Totals
    payers: tuple[str, ...]
    groups: tuple[str, ...]
    decided: tuple[Floats, Floats]
    denied: tuple[Floats, Floats]
    #: Denial category → denied claims before and now; most now first.
    categories: tuple[tuple[str, int, int], ...]
    #: Parts of the difference of denied charges, in cents: more claims, another mix, and each payer.
    by_volume: float
    by_mix: float
    by_payer: tuple[tuple[str, float], ...]

    @property
    def by_payer_ranked(self) -> list[tuple[str, float]]:
        """``by_payer`` with the largest parts first, whichever way they go."""
        return sorted(self.by_payer, key=lambda each: (-abs(each[1]), each[0]))


def beyond_chance(denied: float, decided: float, was_denied: float, was_decided: float) -> float:
    """Return by how much a denial rate moved, 0 where that may be chance or there is no earlier one.

    Chance is two standard errors of the pooled rate.

    >>> beyond_chance(40, 100, 8, 100), beyond_chance(12, 100, 8, 100)
    (0.32, 0.0)
    """
    if was_decided < LEAST_DECIDED:
        return 0.0
    change = denied / decided - was_denied / was_decided
    pooled = (denied + was_denied) / (decided + was_decided)
    error = math.sqrt(max(pooled * (1 - pooled), 1e-9) * (1 / decided + 1 / was_decided))
    return change if abs(change) > _CHANCE * error else 0.0


def movement_of(decisions: Cells, period: Period, before: Period) -> Movement:
    """Return what moved between two periods.

    Args:
        decisions: Cells of :data:`~claimkit.drift.cube.DECISIONS` that hold both periods.
        period: The period.
        before: The one that it is compared with.
    """
    day = decisions.numbers[DECISIONS.day]
    here = [(day >= day_of(one.first)) & (day <= day_of(one.last)) for one in (period, before)]
    outcome = decisions.names["outcome"]
    is_denied = np.array([name != "paid" for name in outcome], np.bool_)
    denied = is_denied[decisions.labels["outcome"]] if len(outcome) else np.zeros(0, np.bool_)
    cubes = [_sums(decisions, mask, denied) for mask in here]
    both = cubes[0].decided + cubes[1].decided
    rows = np.argsort(-both.sum(1), kind="stable")
    columns = np.argsort(-both.sum(0), kind="stable")
    rows, columns = rows[both.sum(1)[rows] > 0], columns[both.sum(0)[columns] > 0]
    at = np.ix_(rows, columns)
    payers = tuple(decisions.names["payer"][row] for row in rows)
    volume, mix, behavior = _parts(cubes[0].at(at), cubes[1].at(at))
    return Movement(
        now=cubes[0].totals,
        before=cubes[1].totals,
        payers=payers,
        groups=tuple(decisions.names["procedure_group"][column] for column in columns),
        decided=(cubes[0].decided[at], cubes[1].decided[at]),
        denied=(cubes[0].denied[at], cubes[1].denied[at]),
        categories=_categories(decisions, here, outcome),
        by_volume=volume,
        by_mix=mix,
        by_payer=tuple(zip(payers, behavior.tolist(), strict=True)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """One period, payer by procedure group; money in cents."""

    decided: Floats
    denied: Floats
    charge: Floats
    denied_charge: Floats
    totals: Totals

    def at(self, index: tuple[NDArray[np.int64], ...]) -> tuple[Floats, Floats]:
        """Return charges and denied charges of some payers and groups."""
        return self.charge[index], self.denied_charge[index]


def _sums(cells: Cells, mask: NDArray[np.bool_], denied: NDArray[np.bool_]) -> _Sums:
    shape = (len(cells.names["payer"]), len(cells.names["procedure_group"]))
    key = cells.labels["payer"] * shape[1] + cells.labels["procedure_group"]

    def add(measure: str, rows: NDArray[np.bool_]) -> Floats:
        weights = cells.measures[measure][rows].astype(np.float64)
        total = np.bincount(key[rows], weights, shape[0] * shape[1])
        return total.astype(np.float64).reshape(shape)

    def exact(measure: str, rows: NDArray[np.bool_]) -> int:
        return int(cells.measures[measure][rows].sum())

    no = mask & denied
    return _Sums(
        decided=add("claims", mask),
        denied=add("claims", no),
        charge=add("charge", mask),
        denied_charge=add("charge", no),
        totals=Totals(
            decided=exact("claims", mask),
            denied=exact("claims", no),
            charge=exact("charge", mask),
            denied_charge=exact("charge", no),
            paid=exact("paid", mask),
        ),
    )


def _parts(
    now: tuple[Floats, Floats], before: tuple[Floats, Floats]
) -> tuple[float, float, Floats]:
    """Return the parts of the difference of denied charges: volume, mix, and each payer's own."""
    total = [float(charge.sum()) for charge, _ in (now, before)]
    rates = [
        float(no.sum()) / max(all_, 1.0) for (_, no), all_ in zip((now, before), total, strict=True)
    ]
    volume = (total[0] - total[1]) * (rates[0] + rates[1]) / 2
    if not all(total):
        # Nothing to compare with: all of it is more, or fewer, claims.
        whole = float(now[1].sum() - before[1].sum())
        return whole, 0.0, np.zeros(len(now[0]))
    shares = [charge / all_ for (charge, _), all_ in zip((now, before), total, strict=True)]
    cell = [
        _rate(charge, no, rate) for (charge, no), rate in zip((now, before), rates, strict=True)
    ]
    # A cell that one of the periods does not have changed the mix, not a payer's mind.
    only_now, only_before = before[0] <= 0, now[0] <= 0
    cell[1] = np.where(only_now, cell[0], cell[1])
    cell[0] = np.where(only_before, cell[1], cell[0])
    middle = (total[0] + total[1]) / 2
    mix = float(((shares[0] - shares[1]) * (cell[0] + cell[1]) / 2).sum()) * middle
    behavior = ((cell[0] - cell[1]) * (shares[0] + shares[1]) / 2).sum(1) * middle
    return volume, mix, behavior


def _rate(charge: Floats, denied: Floats, usual: float) -> Floats:
    rate: Floats = np.where(charge > 0, denied / np.where(charge > 0, charge, 1.0), usual)
    return rate


def _categories(
    cells: Cells, here: Sequence[NDArray[np.bool_]], outcome: Sequence[str]
) -> tuple[tuple[str, int, int], ...]:
    claims, code = cells.measures["claims"], cells.labels["outcome"]
    counts = [
        np.bincount(code[mask], claims[mask].astype(np.float64), len(outcome)) for mask in here
    ]
    rows = [
        (name, round(before), round(now))
        for name, now, before in zip(outcome, *counts, strict=True)
        if name != "paid" and (now or before)
    ]
    return tuple(sorted(rows, key=lambda row: (-row[2], -row[1], row[0])))
