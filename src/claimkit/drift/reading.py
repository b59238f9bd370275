"""What a run reads of a tenant's cube: how far back, up to which evening, with one query a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import DECISIONS, MAX_AGE, TABLES
from claimkit.drift.streams import SCAN_WINDOW
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells, CubeStore
    from claimkit.types import Clock, Day, Progress, TenantKey

__all__ = ["CubeReading", "last_decision_day", "reach_days", "read_cube"]

#: Days of history before the baseline that a run needs: claims that wait since then.
_LEAD_DAYS = MAX_AGE
#: A last handful of decisions that follows such a gap is a wrong year in some file, not today.
_STRAGGLER_GAP_DAYS = 60
_STRAGGLER_SHARE = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeReading:
    """The cube of one tenant up to an evening."""

    #: Table name → cells.
    cube: Mapping[str, Cells]
    as_of: dt.date
    #: First and last decision day in what was read; None where there is none.
    since: dt.date | None
    until: dt.date | None

    @property
    def cells(self) -> int:
        """Rows of all tables."""
        return sum(len(cells) for cells in self.cube.values())

    @property
    def decisions(self) -> int:
        """First decisions in it."""
        return int(self.cube[DECISIONS.name].measures["claims"].sum())


def reach_days(nights: int, config: DriftConfig) -> int:
    """Return how many days before an evening a run over the last ``nights`` nights looks back."""
    return nights + SCAN_WINDOW + config.baseline_days + _LEAD_DAYS


def read_cube(
    tenant: TenantKey,
    cube: CubeStore,
    *,
    as_of: dt.date | None,
    days: int,
    clock: Clock,
    known_by: dt.date | None = None,
    by_known_day: bool = False,
    progress: Progress | None = None,
) -> CubeReading:
    """Read each table with one query: decisions first, because they may have to tell the day.

    Args:
        tenant: Whose cube.
        cube: Where it is kept.
        as_of: The evening to look back from; None means the day of the last decision.
        days: How many days before it are read.
        clock: Decisions dated after its today are taken for errors and left out.
        known_by: Leave out what became known later; None means all that is known.
        by_known_day: Keep apart what became known when.
        progress: Told of each table.
    """
    known = None if known_by is None else day_of(known_by)
    last = day_of(clock.now().date() if as_of is None else as_of)
    tables: dict[str, Cells] = {}
    for at, (name, table) in enumerate(TABLES.items()):
        _tell(progress, at, len(TABLES))
        is_open = as_of is None and table is DECISIONS
        cells = cube.read(
            tenant,
            table,
            since=None if is_open else last - days,
            until=last + 1,
            known_by=known,
            by_known_day=by_known_day,
        )
        if is_open:
            last = last_decision_day(cells, last)
            day = cells.numbers[table.day]
            cells = cells.take((day >= last - days) & (day <= last))
        tables[name] = cells
    _tell(progress, len(TABLES), len(TABLES))
    decided = tables[DECISIONS.name].numbers[DECISIONS.day]
    return CubeReading(
        cube=tables,
        as_of=date_of(last),
        since=date_of(int(decided.min())) if len(decided) else None,
        until=date_of(int(decided.max())) if len(decided) else None,
    )


def last_decision_day(decisions: Cells, latest: Day) -> Day:
    """Return the day of the last decision, without stragglers dated far ahead by mistake.

    ``latest`` where there is no decision.
    """
    days, claims = decisions.numbers[DECISIONS.day], decisions.measures["claims"]
    if not len(days):
        return latest
    distinct, place = np.unique(days, return_inverse=True)
    upto = np.cumsum(np.bincount(place, claims))
    for at in np.flatnonzero(np.diff(distinct) > _STRAGGLER_GAP_DAYS).tolist():
        if upto[at] >= (1 - _STRAGGLER_SHARE) * upto[-1]:
            return int(distinct[at])
    return int(distinct[-1])


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress("reading the cube", done, total)
