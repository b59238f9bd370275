"""The mean of a measure in each payer and procedure group, against what was usual or should be.

Lays a measure's cells out by place and day (:class:`Past`), and says what is usual before the scan range
of a night (:func:`fit_mean`). A *place* is a payer, or one of its procedure groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import MEASURES, Cells
from claimkit.drift.statistics import batch_slope, cumulate, sum_by
from claimkit.drift.streams import SCAN_WINDOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.config import DriftConfig
    from claimkit.drift.measures import Measure
    from claimkit.types import Cents

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Fit", "Past", "Sums", "fit_mean"]

#: Winsorizing half-width at least and at most, in units of the scale, and in standard deviations.
_MIN_CLIP, _CLIP = 0.1, 0.5
_CLIP_DEVIATIONS = 3.0
#: Claims that a place needs in the baseline; small ones count in their payer.
_MIN_BASELINE = 20
_VARIANCE_CLAIMS = 20.0
#: Days that a measure with a reference needs: enough to know its variance.
_REFERENCE_DAYS = 28
_MIN_SCAN = 14
_MIN_ACTIVE_PART = 0.6
#: Precision of a reference: it is not estimated.
_EXACTLY = 1e12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """A measure's rows up to a night; day 0 is ``first``. Rows are by cell: one payer and group.

    Places are payers first, then cells; ``owner`` is each cell's payer. ``x`` is turned so that
    larger is worse.
    """

    payers: Sequence[str]
    groups: Sequence[str]
    #: −1 where a fall is worse.
    sign: float
    first: int
    days: int
    cell_payer: Ints
    cell_group: Ints
    cell: Ints
    day: Ints
    claims: Floats
    x: Floats
    square: Floats
    cents: Ints
    places: Mapping[tuple[str, str | None], int]

    @classmethod
    def of(cls, cube: Mapping[str, Cells], measure: Measure, as_of: int) -> Past | None:
        """Return what the cube holds of a measure up to day ``as_of``; None where it is nothing."""
        cells = cube.get(MEASURES.name)
        if cells is None or measure.name not in cells.names["measure"]:
            return None
        code = list(cells.names["measure"]).index(measure.name)
        rows = cells.take(
            (cells.labels["measure"] == code)
            & (cells.numbers["day"] <= as_of)
            & (cells.measures["claims"] > 0)
        )
        if not len(rows):
            return None
        sign = 1.0 if measure.worse == "up" else -1.0
        first = int(rows.numbers["day"].min())
        payers, groups = rows.names["payer"], rows.names["procedure_group"]
        key = rows.labels["payer"] * len(groups) + rows.labels["procedure_group"]
        used, cell = np.unique(key, return_inverse=True)
        owner, group = used // len(groups), used % len(groups)
        present = np.unique(owner)
        rank = np.full(len(payers), -1)
        rank[present] = np.arange(len(present))
        names = [payers[at] for at in present.tolist()]
        places: dict[tuple[str, str | None], int] = {
            (name, None): at for at, name in enumerate(names)
        }
        for at, (payer, its) in enumerate(zip(owner.tolist(), group.tolist(), strict=True)):
            places[payers[payer], groups[its]] = len(names) + at
        return cls(
            payers=names,
            groups=groups,
            sign=sign,
            first=first,
            days=as_of - first + 1,
            cell_payer=rank[owner],
            cell_group=group,
            cell=cell.astype(np.int64),
            day=rows.numbers["day"] - first,
            claims=rows.measures["claims"].astype(np.float64),
            x=rows.measures["value"].astype(np.float64) * (sign / 1e4),
            square=rows.measures["value_squared"] / 1e8,
            cents=rows.measures["cents"],
            places=places,
        )

    @property
    def cells(self) -> int:
        """How many pairs of payer and group there are."""
        return len(self.cell_payer)

    @property
    def owners(self) -> list[int]:
        """Return the payer of each place."""
        return [*range(len(self.payers)), *self.cell_payer.tolist()]

    def by_payer(self, values: Floats) -> Floats:
        """Sum an array over the cells of each payer; its first axis is cells."""
        summed = np.zeros((len(self.payers), *values.shape[1:]))
        np.add.at(summed, self.cell_payer, values)
        return summed

    def names_of(self, place: int) -> tuple[str, str | None]:
        """Return payer and group of a place; a payer as a whole has no group."""
        cell = place - len(self.payers)
        if cell < 0:
            return self.payers[place], None
        return self.payers[self.cell_payer[cell]], self.groups[self.cell_group[cell]]

    def rows_of(self, place: int, start: int, end: int) -> NDArray[np.bool_]:
        """Return the rows of a place on ``start <= day < end``."""
        cell = place - len(self.payers)
        mine = self.cell_payer[self.cell] == place if cell < 0 else self.cell == cell
        rows: NDArray[np.bool_] = mine & (self.day >= start) & (self.day < end)
        return rows

    def claims_of(self, place: int, start: int, end: int) -> float:
        """Return the claims of a place on those days."""
        return float(self.claims[self.rows_of(place, start, end)].sum())

    def cents_of(self, place: int, start: int, end: int) -> Cents:
        """Return the sum of the cents of a place on those days."""
        return int(self.cents[self.rows_of(place, start, end)].sum())

    def sums(self, center: Floats, clip: Floats, start: int, end: int) -> tuple[Floats, ...]:
        """Return claims, Σ(x − center) and squares, winsorized at ±clip; cell by day."""
        rows = np.flatnonzero((self.day >= start) & (self.day < end))
        cell, claims = self.cell[rows], self.claims[rows]
        middle, limit = center[cell], clip[cell] * claims
        total = self.x[rows] - claims * middle
        square = self.square[rows] - 2 * middle * self.x[rows] + claims * middle**2
        outside = np.abs(total) > limit
        total = np.clip(total, -limit, limit)
        square = np.where(outside, clip[cell] * limit, square)
        key, shape = cell * (end - start) + self.day[rows] - start, (self.cells, end - start)
        return tuple(sum_by(key, one, *shape) for one in (claims, total, square))


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Days against what is usual, as cumulative sums by place: Σ(x − usual)/σ², Σ1/σ², claims."""

    score: Floats
    weight: Floats
    claims: Floats
    #: Σw² of daily weights w.
    squares: Floats
    #: Σ usual/σ²: divided by the weight, what is usual for the mix of some days.
    level: Floats
    #: s² of each place, and the precision of what is usual.
    slope: Floats
    precision: Floats
    #: The most that a single claim can add to a score.
    one_claim: Floats

    def change(self, place: int, start: int, end: int) -> tuple[float, float]:
        """Return the mean change over ``start <= day < end`` and its standard error."""
        weight = float(self.weight[place, end] - self.weight[place, start])
        if weight <= 0:
            return 0.0, math.inf
        score = float(self.score[place, end] - self.score[place, start])
        squares = float(self.squares[place, end] - self.squares[place, start])
        variance = (weight + float(self.slope[place]) * squares) / weight**2
        return score / weight, math.sqrt(variance + 1 / float(self.precision[place]))

    def usual(self, place: int, start: int, end: int) -> float:
        """Return what was usual for the claims of those days."""
        weight = float(self.weight[place, end] - self.weight[place, start])
        level = float(self.level[place, end] - self.level[place, start])
        return level / weight if weight > 0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What is usual before a week of nights: from ``start`` to ``end``, and all days against it."""

    start: int
    end: int
    #: Winsorized at three standard deviations for the scan, and wide, so that sizes keep their size.
    scanned: Sums
    measured: Sums
    is_ready: NDArray[np.bool_]


def fit_mean(past: Past, measure: Measure, night: int, config: DriftConfig) -> Fit | None:
    """Fit the baseline that serves the week of ``night``; None while there is too little."""
    week = night - (night + past.first) % 7
    if measure.reference is None:
        spare = week - config.min_baseline_days - _MIN_SCAN
        end = week - min(SCAN_WINDOW, max(_MIN_SCAN, spare))
        needed = config.min_baseline_days
    else:
        # What is usual is known, and all days up to the week tell the variance.
        end, needed = week, _REFERENCE_DAYS
    start = max(0, end - config.baseline_days)
    if end - start < needed:
        return None
    rows = (past.day >= start) & (past.day < end)
    claims = np.bincount(past.cell[rows], past.claims[rows], past.cells)
    center = np.bincount(past.cell[rows], past.x[rows], past.cells) / np.maximum(claims, 1)
    if measure.reference is not None:
        center = np.full(past.cells, past.sign * measure.reference / measure.scale)
    is_tested = claims >= (_MIN_BASELINE if measure.reference is None else 1)
    wide = np.full(past.cells, _CLIP)
    _, variance = _spread(past, past.sums(center, wide, start, end))
    clip = np.clip(_CLIP_DEVIATIONS * np.sqrt(variance), _MIN_CLIP, _CLIP)
    is_fixed = measure.reference is not None
    scanned, measured = (
        _against(past, (start, end), center, one, np.where(is_tested, claims, 0.0), is_fixed)
        for one in (clip, wide)
    )
    counts = past.sums(center, wide, start, end)[0]
    active = np.concatenate([past.by_payer(counts), counts]) > 0
    weeks = np.add.reduceat(active, np.arange(0, end - start, 7), axis=1) > 0
    return Fit(start, end, scanned, measured, weeks.sum(1) >= _MIN_ACTIVE_PART * needed / 7)


def _spread(past: Past, sums: tuple[Floats, ...]) -> tuple[Floats, Floats]:
    """Return mean and variance around the center of each cell, the latter shrunk to its payer's."""
    claims, total, square = (one.sum(1) for one in sums)
    mean = total / np.maximum(claims, 1)
    variance = np.maximum(0.0, square - claims * mean**2) / np.maximum(claims - 1, 1)
    of_payer = past.by_payer(variance * claims) / np.maximum(past.by_payer(claims), 1)
    variance = (variance * claims + _VARIANCE_CLAIMS * of_payer[past.cell_payer]) / (
        claims + _VARIANCE_CLAIMS
    )
    # Claims that are all alike have no variance; a tenth of a percent of the scale keeps this finite.
    return mean, np.maximum(variance, 1e-6)


def _against(
    past: Past,
    span: tuple[int, int],
    center: Floats,
    clip: Floats,
    claims: Floats,
    is_fixed: bool,  # noqa: FBT001 - private, and one of two ways to know what is usual
) -> Sums:
    """Return all days against what is usual, winsorized at ``center`` ± ``clip``.

    ``claims`` are those of each cell in the baseline, zero where it is not tested.
    """
    start, end = span
    mean, variance = _spread(past, past.sums(center, clip, start, end))
    if is_fixed:
        mean = np.zeros(past.cells)
    counts, total, _ = past.sums(center, clip, 0, past.days)
    counts = np.where(claims[:, None] > 0, counts, 0.0)
    weight = counts / variance[:, None]
    score = np.where(counts > 0, total - mean[:, None] * counts, 0.0) / variance[:, None]
    precision = np.where(claims > 0, claims / variance, 0.0)
    both = [np.concatenate([past.by_payer(one), one]) for one in (score, weight, counts)]
    level = weight * (center + mean)[:, None]
    payers = len(past.payers)
    rest, size = both[0][:payers, start:end], both[1][:payers, start:end]
    # Around the payer's own mean: a lasting distance from a reference is no noise.
    rest = rest - size * (rest.sum(1) / np.maximum(size.sum(1), 1e-9))[:, None]
    slope = batch_slope(rest**2, size, np.arange(payers), payers)
    known = np.concatenate([past.by_payer(precision), precision])
    single = np.where(claims > 0, clip / variance, 0.0)
    return Sums(
        score=cumulate(both[0]),
        weight=cumulate(both[1]),
        claims=cumulate(both[2]),
        squares=cumulate(both[1] ** 2),
        level=cumulate(np.concatenate([past.by_payer(level), level])),
        slope=np.concatenate([slope, slope[past.cell_payer]]),
        precision=np.full(len(known), _EXACTLY) if is_fixed else np.maximum(known, 1e-9),
        one_claim=np.concatenate([_largest(past, single), single]),
    )


def _largest(past: Past, values: Floats) -> Floats:
    """Return the largest value of each payer's cells."""
    largest = np.zeros(len(past.payers))
    np.maximum.at(largest, past.cell_payer, values)
    return largest
