"""The cube: additive counts from which every drift statistic is computed, and where it is kept.

A cube is a few tables of *signed deltas*. When a claim's facts change, the old facts are posted
with −1 and the new ones with +1, so the tables equal a rebuild from all claims, whatever the
order and repetition of uploads. Each delta carries the day on which it became known, so that any
past night can be replayed as it was known then.

What a claim adds to which table is told by :mod:`claimkit.drift.tally`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.types import Day, TenantKey

__all__ = [
    "DECISIONS",
    "INFLOW",
    "MAX_AGE",
    "MEASURES",
    "MONEY",
    "PAYMENTS",
    "SLICES",
    "TABLES",
    "Cells",
    "CubeStore",
    "CubeTable",
    "as_known",
    "canonical",
    "merge",
]

#: Ages above this many days count as this many.
MAX_AGE = 120


@dataclass(frozen=True, slots=True)
class CubeTable:
    """The shape of one cube table; every table is also keyed by ``known_day``."""

    name: str
    #: Axes that hold names (payer, procedure group, ...).
    labels: tuple[str, ...]
    #: Axes that hold small integers.
    numbers: tuple[str, ...]
    #: Which of ``numbers`` the table is read by, in windows of days.
    day: str
    #: Additive integers.
    measures: tuple[str, ...]


#: First decisions. ``age_days`` is submission to decision, 0..120 (120 means 120 or more), -1 where
#: the submission is unknown or later than the decision. ``outcome`` is ``"paid"``, or the denial
#: category of a denied claim (``"unmapped"`` where the source tells no CARC); ``reason`` is the group
#: and CARC of a denied claim, such as ``"CO-197"``. Money in cents.
DECISIONS = CubeTable(
    name="decisions",
    labels=("payer", "procedure_group", "outcome", "reason"),
    numbers=("decided_day", "age_days"),
    day="decided_day",
    measures=("claims", "charge", "allowed", "paid"),
)
#: Allowed against charge of first decisions whose outcome is ``paid`` and whose amounts are positive.
#: ``ratio_bin`` is floor(x / 0.1) of x = ln(allowed / charge); ``ratio`` and ``ratio_squared`` sum
#: round(1e4 x) and its square, so that sums are exact and outliers can be winsorized by bin.
MONEY = CubeTable(
    name="money",
    labels=("payer", "procedure_group"),
    numbers=("decided_day", "ratio_bin"),
    day="decided_day",
    measures=("claims", "ratio", "ratio_squared", "allowed"),
)
#: First-pass claims by submission day, decided or not; without those whose decision is none, and
#: without those that were decided before they were submitted. Money in cents.
INFLOW = CubeTable(
    name="inflow",
    labels=("payer", "procedure_group"),
    numbers=("submitted_day",),
    day="submitted_day",
    measures=("claims", "charge"),
)
#: First decisions by slice: a combination of the further dimensions that the tenant keeps
#: (:mod:`claimkit.drift.dimensions`). No row where it keeps none. ``outcome`` as in DECISIONS.
SLICES = CubeTable(
    name="slices",
    labels=("payer", "procedure_group", "outcome", "slice"),
    numbers=("decided_day",),
    day="decided_day",
    measures=("claims", "charge"),
)
#: Claims that were decided to be paid, by how long their money took: ``wait_days`` is decision to
#: payment, 0..120 (120 means 120 or more), -1 while no payment is known. First-pass claims whose first
#: decision stands, with money to pay. Money in cents.
PAYMENTS = CubeTable(
    name="payments",
    labels=("payer", "procedure_group"),
    numbers=("decided_day", "wait_days"),
    day="decided_day",
    measures=("claims", "paid"),
)
#: Values of the measures that plugins and contracts add (:mod:`claimkit.drift.measures`).
#: ``value_bin`` is floor(x / 0.1) of the scaled value x; ``value`` and ``value_squared`` sum
#: round(1e4 x) and its square, as in MONEY. ``cents`` is the money that the measure names.
MEASURES = CubeTable(
    name="measures",
    labels=("measure", "payer", "procedure_group"),
    numbers=("day", "value_bin"),
    day="day",
    measures=("claims", "value", "value_squared", "cents"),
)
TABLES: Mapping[str, CubeTable] = {
    table.name: table for table in (DECISIONS, MONEY, INFLOW, SLICES, PAYMENTS, MEASURES)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Rows of one cube table as columns of equal length.

    Attributes:
        table: Which table.
        names: For each label axis, the names that its codes index.
        labels: For each label axis, int64 codes into ``names``.
        numbers: For each number axis int64 values; in cells to post, also ``known_day``.
        measures: For each measure, int64 sums.
    """

    table: CubeTable
    names: Mapping[str, Sequence[str]]
    labels: Mapping[str, NDArray[np.int64]]
    numbers: Mapping[str, NDArray[np.int64]]
    measures: Mapping[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(next(iter(self.measures.values())))

    @classmethod
    def empty(cls, table: CubeTable, *, by_known_day: bool = False) -> Cells:
        """Return cells of ``table`` without a row, with or without a column ``known_day``."""
        axes = (*table.numbers, "known_day") if by_known_day else table.numbers
        return cls.from_columns(
            table,
            labels=dict.fromkeys(table.labels, ()),
            numbers=dict.fromkeys(axes, ()),
            measures=dict.fromkeys(table.measures, ()),
        )

    @classmethod
    def from_columns(
        cls,
        table: CubeTable,
        *,
        labels: Mapping[str, Sequence[str]],
        numbers: Mapping[str, Sequence[int] | NDArray[np.int64]],
        measures: Mapping[str, Sequence[int] | NDArray[np.int64]],
    ) -> Cells:
        """Return rows given as columns, with labels as names, in the order given.

        Nothing is summed or sorted; see :func:`canonical`. ``numbers`` may hold ``known_day``.
        """
        names: dict[str, Sequence[str]] = {}
        codes: dict[str, NDArray[np.int64]] = {}
        for axis in table.labels:
            column = labels[axis]
            names[axis] = tuple(sorted(set(column)))
            index = {name: code for code, name in enumerate(names[axis])}
            codes[axis] = np.fromiter(map(index.__getitem__, column), np.int64, len(column))
        return cls(
            table=table,
            names=names,
            labels=codes,
            numbers={axis: np.asarray(column, np.int64) for axis, column in numbers.items()},
            measures={axis: np.asarray(column, np.int64) for axis, column in measures.items()},
        )

    def known_on(self, day: Day) -> Cells:
        """Return the same rows, ready to post as known since ``day``."""
        numbers = {**self.numbers, "known_day": np.full(len(self), day, np.int64)}
        return Cells(
            table=self.table,
            names=self.names,
            labels=self.labels,
            numbers=numbers,
            measures=self.measures,
        )

    def coded(self, axis: str, index: Mapping[str, int]) -> NDArray[np.int64]:
        """Return each row's name on a label axis by an index of one's own, −1 for names not in it."""
        codes = np.array([index.get(name, -1) for name in self.names[axis]], np.int64)
        return codes[self.labels[axis]] if len(codes) else self.labels[axis]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Cells:
        """Return the rows that an index or a mask selects, in its order."""
        return Cells(
            table=self.table,
            names=self.names,
            labels={axis: column[rows] for axis, column in self.labels.items()},
            numbers={axis: column[rows] for axis, column in self.numbers.items()},
            measures={axis: column[rows] for axis, column in self.measures.items()},
        )


class CubeStore(Protocol):
    """Cube tables of all tenants."""

    def post(self, tenant: TenantKey, cells: Cells) -> None:
        """Add the measures of ``cells`` to the stored rows with the same key; set-based.

        Runs in the caller's transaction. A row whose measures are all zero afterwards may go.
        """
        ...

    def read(
        self,
        tenant: TenantKey,
        table: CubeTable,
        *,
        since: Day | None = None,
        until: Day | None = None,
        known_by: Day | None = None,
        by_known_day: bool = False,
    ) -> Cells:
        """Return rows with ``since <= table.day < until`` that were known by ``known_by``.

        One query. Rows with equal keys but ``known_day`` are summed unless all-zero; the result is
        sorted by its axes (labels by name), so equal content gives equal arrays in every store.
        The result has no ``known_day``, unless ``by_known_day`` asks for the deltas of each day
        on which something became known; :func:`as_known` sums them for any past night.
        """
        ...

    def clear(self, tenant: TenantKey) -> None:
        """Forget a tenant's cube, before a rebuild."""
        ...


def canonical(cells: Cells) -> Cells:
    """Return ``cells`` with equal keys summed, all-zero rows dropped, sorted, names compact.

    Rows are sorted by label axes (by name, code point order), then number axes; names that no row
    uses are gone. Equal content therefore gives equal arrays.
    """
    order, first = _group(cells)
    starts = np.flatnonzero(first)
    measures = {
        measure: np.add.reduceat(column[order], starts) if len(starts) else column
        for measure, column in cells.measures.items()
    }
    kept = np.zeros(len(starts), np.bool_)
    for column in measures.values():
        kept |= column != 0
    rows = order[starts[kept]]
    names: dict[str, Sequence[str]] = {}
    labels: dict[str, NDArray[np.int64]] = {}
    for axis, codes in cells.labels.items():
        names[axis], labels[axis] = _compact(cells.names[axis], codes[rows])
    return Cells(
        table=cells.table,
        names=names,
        labels=labels,
        numbers={axis: column[rows] for axis, column in cells.numbers.items()},
        measures={measure: column[kept] for measure, column in measures.items()},
    )


def as_known(cells: Cells, *, by: Day) -> Cells:
    """Return what was known on the evening of day ``by``, from cells that keep ``known_day``.

    The same as reading the store with ``known_by``, without asking it again.
    """
    rows = cells.take(cells.numbers["known_day"] <= by)
    return canonical(
        replace(rows, numbers={axis: rows.numbers[axis] for axis in rows.table.numbers})
    )


def merge(parts: Sequence[Cells]) -> Cells:
    """Return the canonical sum of cells of one table; ``parts`` must not be empty."""
    table = parts[0].table
    names: dict[str, Sequence[str]] = {}
    labels: dict[str, NDArray[np.int64]] = {}
    for axis in table.labels:
        names[axis] = tuple(sorted({name for part in parts for name in part.names[axis]}))
        index = {name: code for code, name in enumerate(names[axis])}
        labels[axis] = np.concatenate(
            [_recode(part.names[axis], index)[part.labels[axis]] for part in parts]
        )
    return canonical(
        Cells(
            table=table,
            names=names,
            labels=labels,
            numbers={
                axis: np.concatenate([part.numbers[axis] for part in parts])
                for axis in parts[0].numbers
            },
            measures={
                measure: np.concatenate([part.measures[measure] for part in parts])
                for measure in table.measures
            },
        )
    )


def _group(cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the order that sorts rows by key, and where in that order each key begins."""
    axes = [_by_name(cells.names[axis], codes) for axis, codes in cells.labels.items()]
    axes.extend(cells.numbers.values())
    size = len(cells)
    if not size:
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    key = np.zeros(size, np.int64)
    room = 1
    for axis in axes:
        low = int(axis.min())
        width = int(axis.max()) - low + 1
        room *= width
        if room >= 2**62:
            break
        key = key * width + (axis - low)
    first = np.zeros(size, np.bool_)
    first[0] = True
    if room < 2**62:
        # One packed key sorts ten times faster than one pass per axis; rows with equal keys are summed,
        # so their order does not matter.
        order = np.argsort(key)
        packed = key[order]
        first[1:] = packed[1:] != packed[:-1]
        return order.astype(np.int64, copy=False), first
    order = np.lexsort(axes[::-1])
    for axis in axes:
        placed = axis[order]
        first[1:] |= placed[1:] != placed[:-1]
    return order.astype(np.int64, copy=False), first


def _by_name(names: Sequence[str], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    rank = {name: place for place, name in enumerate(sorted(set(names)))}
    return _recode(names, rank)[codes]


def _recode(names: Sequence[str], index: Mapping[str, int]) -> NDArray[np.int64]:
    return np.fromiter((index[name] for name in names), np.int64, len(names))


def _compact(
    names: Sequence[str], codes: NDArray[np.int64]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    present = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    used = sorted({names[code] for code in present.tolist()})
    index = {name: code for code, name in enumerate(used)}
    translate = np.array([index.get(name, -1) for name in names], np.int64)
    return tuple(used), translate[codes] if len(codes) else codes
