"""The cube: additive counts from which every drift statistic is computed, and where it is kept.

A cube is a few tables of *signed deltas*. When a claim's facts change, the old facts are posted
with −1 and the new ones with +1, so the tables equal a rebuild from all claims, whatever the
order and repetition of uploads. Each delta carries the day on which it became known, so that any
past night can be replayed as it was known then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from claimkit.types import Day, TenantKey

__all__ = [
    "DECISIONS",
    "INFLOW",
    "MONEY",
    "TABLES",
    "Cells",
    "CubeStore",
    "CubeTable",
]


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
#: the submission is unknown. ``outcome`` is ``"paid"``, or the denial category of a denied claim
#: (``"unmapped"`` where the source tells no CARC). Money in cents.
DECISIONS = CubeTable(
    name="decisions",
    labels=("payer", "procedure_group", "outcome"),
    numbers=("decided_day", "age_days"),
    day="decided_day",
    measures=("claims", "charge", "allowed", "paid"),
)
#: Allowed against charge of paid first decisions. ``ratio_bin`` is floor(x / 0.1) of
#: x = ln(allowed / charge); ``ratio`` and ``ratio_squared`` sum round(1e4 x) and its square, so that
#: sums are exact and outliers can be winsorized by bin.
MONEY = CubeTable(
    name="money",
    labels=("payer", "procedure_group"),
    numbers=("decided_day", "ratio_bin"),
    day="decided_day",
    measures=("claims", "ratio", "ratio_squared", "allowed"),
)
#: First-pass claims by submission day, decided or not. Money in cents.
INFLOW = CubeTable(
    name="inflow",
    labels=("payer", "procedure_group"),
    numbers=("submitted_day",),
    day="submitted_day",
    measures=("claims", "charge"),
)
TABLES: Mapping[str, CubeTable] = {table.name: table for table in (DECISIONS, MONEY, INFLOW)}


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
    ) -> Cells:
        """Return rows with ``since <= table.day < until`` that were known by ``known_by``.

        One query. Rows with equal keys but ``known_day`` are summed unless all-zero; the result is
        sorted by its axes (labels by name), so equal content gives equal arrays in every store.
        The result has no ``known_day``.
        """
        ...

    def clear(self, tenant: TenantKey) -> None:
        """Forget a tenant's cube, before a rebuild."""
        ...
