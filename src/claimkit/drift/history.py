"""A tenant's recent past as arrays: what every statistic of the ``lattice`` detector is computed from.

Hides how sparse cube cells become arrays of bounded size: payers without the volume to say
anything are left out, small procedure groups of a payer are folded into one, rare denial
categories into another. A *cell* here is one payer and procedure group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import DECISIONS, INFLOW, MAX_AGE, MONEY, Cells
from claimkit.drift.statistics import sum_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.types import Day

__all__ = [
    "AGE_BANDS",
    "OTHER_CATEGORIES",
    "OTHER_GROUPS",
    "UNKNOWN_BAND",
    "Arrivals",
    "Decisions",
    "History",
    "Payments",
    "make_history",
]

#: First age in days of every band but the first; DRIFT bands 0-4, 5-8, ..., 45 and more.
_BAND_EDGES = np.array([5, 9, 13, 17, 22, 30, 45])
#: Bands of age at decision; the last one holds decisions whose submission is unknown.
AGE_BANDS = _BAND_EDGES.size + 2
UNKNOWN_BAND = AGE_BANDS - 1
#: What small groups and rare categories are folded into.
OTHER_GROUPS = "other procedures"
OTHER_CATEGORIES = "other reasons"
#: Decisions of a payer, or of one of its groups, below which it is left out or folded.
_MIN_CLAIMS = 30
#: Denial categories that are told apart; the rest is rare.
_MAX_CATEGORIES = 12
_MIN_CATEGORY_SHARE = 0.005
#: Days before the night that are looked at, at most; bounds memory whatever a cube holds.
_MAX_DAYS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """First decisions, sorted by day; columns of equal length.

    ``day`` counts from the first day of the history, ``reason`` indexes its categories and is −1
    for paid claims, ``age`` is −1 where unknown. Money in cents.
    """

    day: NDArray[np.int64]
    cell: NDArray[np.int64]
    age: NDArray[np.int64]
    band: NDArray[np.int64]
    reason: NDArray[np.int64]
    #: Group and CARC, an index into ``History.codes``.
    code: NDArray[np.int64]
    claims: NDArray[np.float64]
    charge: NDArray[np.float64]
    allowed: NDArray[np.float64]
    #: Where each day begins, with one more entry for the end.
    offsets: NDArray[np.int64]

    def rows(self, start: int, end: int) -> slice:
        """Return the rows of days ``start <= day < end``."""
        last = len(self.offsets) - 1
        start, end = min(max(start, 0), last), min(max(end, 0), last)
        return slice(int(self.offsets[start]), int(self.offsets[max(start, end)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Payments:
    """Allowed against charge of paid claims, sorted by day: sums of x = ln(allowed / charge)."""

    day: NDArray[np.int64]
    cell: NDArray[np.int64]
    claims: NDArray[np.float64]
    #: Sum of x and of its square.
    ratio: NDArray[np.float64]
    squared: NDArray[np.float64]
    allowed: NDArray[np.float64]
    offsets: NDArray[np.int64]

    def rows(self, start: int, end: int) -> slice:
        """Return the rows of days ``start <= day < end``."""
        last = len(self.offsets) - 1
        start, end = min(max(start, 0), last), min(max(end, 0), last)
        return slice(int(self.offsets[start]), int(self.offsets[max(start, end)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Claims submitted, sorted by day; columns of equal length."""

    day: NDArray[np.int32]
    cell: NDArray[np.int32]
    claims: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Days ``0 .. days - 1``, of which day 0 is ``first`` and the last one is the night.

    Attributes:
        payers, groups, categories, codes: Names that numbers index.
        cell_payer, cell_group: For each cell its payer and group; sorted by both.
        starts: First cell of each payer.
        since: For each payer the first day with a decision.
        decided: Decisions.
        paid: Payments.
        inflow: Claims submitted, payer by day.
        arrived: The same by cell.
    """

    payers: Sequence[str]
    groups: Sequence[str]
    categories: Sequence[str]
    codes: Sequence[str]
    first: Day
    days: int
    cell_payer: NDArray[np.int64]
    cell_group: NDArray[np.int64]
    starts: NDArray[np.int64]
    since: NDArray[np.int64]
    decided: Decisions
    paid: Payments
    inflow: NDArray[np.float64]
    arrived: Arrivals

    @property
    def cells(self) -> int:
        """How many pairs of payer and group there are."""
        return len(self.cell_payer)

    def by_payer(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum an array over the cells of each payer; its first axis is cells."""
        summed: NDArray[np.float64] = np.add.reduceat(values, self.starts, axis=0)
        return summed

    def by_group(self, values: NDArray[np.float64], missing: float) -> NDArray[np.float64]:
        """Return an array whose first axis is cells as payer by group by the rest of its axes."""
        shape = (len(self.payers), len(self.groups), *values.shape[1:])
        laid = np.full(shape, missing)
        laid[self.cell_payer, self.cell_group] = values
        return laid

    def cells_of(self, payer: int) -> slice:
        """Return the cells of one payer."""
        ends = [*self.starts[1:].tolist(), self.cells]
        return slice(int(self.starts[payer]), ends[payer])


def make_history(cube: Mapping[str, Cells], *, as_of: Day) -> History | None:
    """Return the past up to the evening of ``as_of``, or None where nothing can be said of it."""
    decisions = _recent(cube.get(DECISIONS.name), DECISIONS.name, as_of)
    payer_claims = np.bincount(
        decisions.labels["payer"],
        decisions.measures["claims"],
        len(decisions.names["payer"]),
    )
    kept = np.flatnonzero(payer_claims >= _MIN_CLAIMS)
    if not len(kept):
        return None
    payers = tuple(decisions.names["payer"][code] for code in kept.tolist())
    grid = _Grid(payers, decisions)
    decided = grid.place(decisions)
    money = _recent(cube.get(MONEY.name), MONEY.name, as_of)
    inflow = _recent(cube.get(INFLOW.name), INFLOW.name, as_of)
    first = int(decided.numbers["decided_day"].min())
    if len(inflow):
        first = min(first, int(inflow.numbers["submitted_day"].min()))
    days = as_of - first + 1
    categories, reason = _categories(decided)
    cell_payer, cell_group = grid.cells
    since = np.full(len(payers), days, np.int64)
    np.minimum.at(since, cell_payer[grid.of(decided)], decided.numbers["decided_day"] - first)
    return History(
        payers=payers,
        groups=grid.groups,
        categories=categories,
        codes=tuple(decisions.names["reason"]),
        first=first,
        days=days,
        cell_payer=cell_payer,
        cell_group=cell_group,
        starts=np.searchsorted(cell_payer, np.arange(len(payers))),
        since=since,
        decided=_decisions(decided, grid.of(decided), reason, first, days),
        paid=_payments(grid.place(money), grid, first, days),
        inflow=_inflow(inflow, payers, first, days),
        arrived=_arrivals(grid.place(inflow), grid, first),
    )


class _Grid:
    """Which payers and groups get a cell of their own."""

    def __init__(self, payers: Sequence[str], decisions: Cells) -> None:
        self._payers = {name: code for code, name in enumerate(payers)}
        self.groups: tuple[str, ...] = (*decisions.names["procedure_group"], OTHER_GROUPS)
        self._group = {name: code for code, name in enumerate(self.groups)}
        self._other = len(self.groups) - 1
        rows = self.place(decisions)
        key = self._key(rows)
        size = len(payers) * len(self.groups)
        claims = np.bincount(key, rows.measures["claims"], size)
        self._is_folded = claims < _MIN_CLAIMS
        used = np.unique(self._fold(key))
        self.cells = (used // len(self.groups), used % len(self.groups))
        self._cell = np.full(size, -1, np.int64)
        self._cell[used] = np.arange(len(used))

    def place(self, cells: Cells) -> Cells:
        """Return the rows of payers that are kept and, once known, of cells that exist."""
        rows = self._translate(cells.names["payer"], self._payers)[cells.labels["payer"]] >= 0
        placed = cells.take(rows)
        if not hasattr(self, "_cell"):
            return placed
        return placed.take(self.of(placed) >= 0)

    def of(self, cells: Cells) -> NDArray[np.int64]:
        """Return the cell of each row, −1 where there is none."""
        found: NDArray[np.int64] = self._cell[self._fold(self._key(cells))]
        return found

    def _key(self, cells: Cells) -> NDArray[np.int64]:
        payer = self._translate(cells.names["payer"], self._payers)[cells.labels["payer"]]
        group = self._translate(cells.names["procedure_group"], self._group)
        group = np.where(group < 0, self._other, group)[cells.labels["procedure_group"]]
        return payer * len(self.groups) + group

    def _fold(self, key: NDArray[np.int64]) -> NDArray[np.int64]:
        others = key // len(self.groups) * len(self.groups) + self._other
        return np.where(self._is_folded[key], others, key)

    @staticmethod
    def _translate(names: Sequence[str], index: Mapping[str, int]) -> NDArray[np.int64]:
        return np.fromiter((index.get(name, -1) for name in names), np.int64, len(names))


def _recent(cells: Cells | None, name: str, as_of: Day) -> Cells:
    """Return rows of the last days that count something."""
    if cells is None:
        table = {each.name: each for each in (DECISIONS, MONEY, INFLOW)}[name]
        return Cells.empty(table)
    day = cells.numbers[cells.table.day]
    return cells.take((day <= as_of) & (day > as_of - _MAX_DAYS) & (cells.measures["claims"] > 0))


def _categories(decisions: Cells) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the denial categories told apart, and for each row its category, −1 where paid."""
    names = decisions.names["outcome"]
    code = decisions.labels["outcome"]
    counts = np.bincount(code, decisions.measures["claims"], len(names))
    denials = {
        name: counts[at] for at, name in enumerate(names) if name != "paid" and counts[at] > 0
    }
    floor = _MIN_CATEGORY_SHARE * sum(denials.values())
    ranked = sorted(denials, key=lambda name: (-denials[name], name))
    kept = sorted(name for name in ranked[:_MAX_CATEGORIES] if denials[name] >= floor)
    categories = (*kept, OTHER_CATEGORIES) if len(kept) < len(denials) else tuple(kept)
    index = {name: at for at, name in enumerate(kept)}
    translate = np.array(
        [-1 if name == "paid" else index.get(name, len(kept)) for name in names], np.int64
    )
    return categories, translate[code]


def _decisions(
    cells: Cells,
    cell: NDArray[np.int64],
    reason: NDArray[np.int64],
    first: Day,
    days: int,
) -> Decisions:
    day = cells.numbers["decided_day"] - first
    age, code = cells.numbers["age_days"], cells.labels["reason"]
    # Within a day in one order, so that sums of floats never depend on the order of the input.
    order = np.argsort(_packed(day, cell, reason, age, code), kind="stable")
    day, age = day[order], age[order]
    band = np.where(
        age < 0, UNKNOWN_BAND, np.searchsorted(_BAND_EDGES, np.clip(age, 0, MAX_AGE), side="right")
    )
    return Decisions(
        day=day,
        cell=cell[order],
        age=age,
        band=band,
        reason=reason[order],
        code=code[order],
        claims=cells.measures["claims"][order].astype(np.float64),
        charge=cells.measures["charge"][order].astype(np.float64),
        allowed=cells.measures["allowed"][order].astype(np.float64),
        offsets=np.searchsorted(day, np.arange(days + 1)),
    )


def _payments(cells: Cells, grid: _Grid, first: Day, days: int) -> Payments:
    day = cells.numbers["decided_day"] - first
    cell = grid.of(cells)
    key = _packed(day, cell, cells.numbers["ratio_bin"])
    order = np.lexsort((cells.measures["ratio"], key))
    order = order[day[order] >= 0]
    day = day[order]
    return Payments(
        day=day,
        cell=cell[order],
        claims=cells.measures["claims"][order].astype(np.float64),
        ratio=cells.measures["ratio"][order] / 1e4,
        squared=cells.measures["ratio_squared"][order] / 1e8,
        allowed=cells.measures["allowed"][order].astype(np.float64),
        offsets=np.searchsorted(day, np.arange(days + 1)),
    )


def _packed(*axes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one sort key for several axes, the first one most significant."""
    key = np.zeros(len(axes[0]), np.int64)
    for axis in axes:
        low = int(axis.min(initial=0))
        key = key * (int(axis.max(initial=0)) - low + 1) + (axis - low)
    return key


def _inflow(cells: Cells, payers: Sequence[str], first: Day, days: int) -> NDArray[np.float64]:
    index = {name: code for code, name in enumerate(payers)}
    names = cells.names["payer"]
    code = np.fromiter((index.get(name, -1) for name in names), np.int64, len(names))
    payer = code[cells.labels["payer"]] if len(cells) else np.zeros(0, np.int64)
    kept = payer >= 0
    key = payer[kept] * days + cells.numbers["submitted_day"][kept] - first
    return sum_by(key, cells.measures["claims"][kept].astype(np.float64), len(payers), days)


def _arrivals(cells: Cells, grid: _Grid, first: Day) -> Arrivals:
    day, cell = cells.numbers["submitted_day"] - first, grid.of(cells)
    order = np.argsort(_packed(day, cell), kind="stable")
    return Arrivals(
        day=day[order].astype(np.int32),
        cell=cell[order].astype(np.int32),
        claims=cells.measures["claims"][order].astype(np.float64),
    )
