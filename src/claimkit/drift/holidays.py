"""US federal holidays: days on which payers do not decide."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING

from claimkit.types import date_of

if TYPE_CHECKING:
    from claimkit.types import Day

__all__ = ["federal_holidays", "is_federal_holiday"]

#: Month and day of the fixed ones (5 U.S.C. 6103).
_FIXED = ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))
#: Month, weekday (Monday is 0) and ordinal of the others; −1 is the last of the month.
_FLOATING = ((1, 0, 3), (2, 0, 3), (5, 0, -1), (9, 0, 1), (10, 0, 2), (11, 3, 4))


@lru_cache(maxsize=64)
def federal_holidays(year: int) -> frozenset[dt.date]:
    """Return the federal holidays of ``year`` as observed, and the day after Thanksgiving.

    >>> sorted(federal_holidays(2026))[0].isoformat(), len(federal_holidays(2026))
    ('2026-01-01', 12)
    """
    days = {_observed(dt.date(year, month, day)) for month, day in _FIXED}
    for month, weekday, ordinal in _FLOATING:
        days.add(_nth(year, month, weekday, ordinal))
    days.add(_nth(year, 11, 3, 4) + dt.timedelta(days=1))
    return frozenset(days)


def is_federal_holiday(day: Day) -> bool:
    """Whether day number ``day`` is one of :func:`federal_holidays`."""
    date = date_of(day)
    # New Year's Day on a Saturday is observed in the old year.
    return date in federal_holidays(date.year) or date in federal_holidays(date.year + 1)


def _observed(date: dt.date) -> dt.date:
    return date + dt.timedelta(days={5: -1, 6: 1}.get(date.weekday(), 0))


def _nth(year: int, month: int, weekday: int, ordinal: int) -> dt.date:
    if ordinal > 0:
        first = dt.date(year, month, 1)
        return first + dt.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (ordinal - 1))
    last = dt.date(year, month + 1, 1) - dt.timedelta(days=1)
    return last - dt.timedelta(days=(last.weekday() - weekday) % 7)
