"""Dates of a billing CSV: how each column writes them, decided once, and then held.

Whether ``03/04/2025`` is in March or in April cannot be told from the cell, and deciding by cell
would give a column two meanings. So a sample of each column decides, and what does not fit later
is a bad row.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, NamedTuple

from claimkit.claims.values import BadCell, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["DateParser", "OrderCount", "count_date_orders", "decide_day_first", "is_serial_column"]

_FIRST_YEAR, _LAST_YEAR = 1970, 2069  # What two-digit years can say with the pivot at 70.
_EXCEL_EPOCH = dt.date(1899, 12, 30)  # Serial 60 is the 29 February 1900 that never was.
_MAX_SERIAL = 60_000
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\Z", re.ASCII)
_SLASHED = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})\Z", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\.0*)?\Z", re.ASCII)
_NAMED = re.compile(
    r"(?:(\d{1,2})[- ]([A-Za-z]{3,9})|([A-Za-z]{3,9})\.? (\d{1,2}),?)[-, ]+(\d{4}|\d{2})\Z",
    re.ASCII,
)
_CLOCK = re.compile(
    r"[T ]\s*\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*"
    r"(?:Z|UTC|GMT|[A-Z]{2,4}|[+-]\d{2}:?\d{2})?\Z",
    re.ASCII,
)
_SERIAL = re.compile(r"\d{1,5}(?:\.\d+)?\Z", re.ASCII)
_NUMERIC = re.compile(r"\d+(?:\.\d+)?\Z", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: This many days above 12 before a column is read as day/month: one odd row must not turn a file.
_DAY_FIRST_EVIDENCE = 3


class DateParser:
    """Turns cells of one column into dates, by decisions made once for the column.

    Args:
        day_first: Whether ``03/04/2025`` is the third of April.
        serials: Whether bare numbers up to 60,000 are Excel day numbers (1900 system).

    >>> DateParser()("01/02/2025"), DateParser(day_first=True)("01/02/2025")
    (datetime.date(2025, 1, 2), datetime.date(2025, 2, 1))
    >>> DateParser(serials=True)("45659")
    datetime.date(2025, 1, 2)
    """

    def __init__(self, *, day_first: bool = False, serials: bool = False) -> None:
        self._day_first = day_first
        self._serials = serials

    def __call__(self, text: str) -> dt.date | None:
        """Return the local date as written, None of an empty text.

        Raises:
            BadCell: not a date, an impossible one, or one outside 1970 to 2069.
        """
        if not text:
            return None
        text = _CLOCK.sub("", text)
        parts = self._parts(text)
        if parts is None:
            if self._serials and _SERIAL.match(text) and 1 <= float(text) < _MAX_SERIAL + 1:
                return self._checked(_EXCEL_EPOCH + dt.timedelta(days=int(float(text))))
            raise BadCell(
                "date_invalid", "this is not a date", "Write dates as 2025-01-31 or 01/31/2025"
            )
        try:
            return self._checked(dt.date(*parts))
        except ValueError as error:
            if isinstance(error, BadCell):
                raise
            raise self._impossible(text) from None

    def _parts(self, text: str) -> tuple[int, int, int] | None:
        match = _ISO.match(text) or _COMPACT.match(text)
        if match:
            return int(match[1]), int(match[2]), int(match[3])
        match = _SLASHED.match(text)
        if match:
            month, day = (2, 1) if self._day_first else (1, 2)
            return _full_year(match[3]), int(match[month]), int(match[day])
        match = _NAMED.match(text)
        if match and (match[2] or match[3])[:3].lower() in _MONTHS:
            month = _MONTHS.index((match[2] or match[3])[:3].lower()) + 1
            return _full_year(match[5]), month, int(match[1] or match[4])
        return None

    def _impossible(self, text: str) -> BadCell:
        match = _SLASHED.match(text)
        if match and int(match[2 if self._day_first else 1]) > 12 >= int(
            match[1 if self._day_first else 2]
        ):
            order = "day/month" if self._day_first else "month/day"
            return BadCell(
                "date_order",
                f"the date does not fit the column, which is read as {order}/year",
                "Use one order throughout, or say which with the date order option",
            )
        return BadCell("date_impossible", "there is no such day", "Correct or empty the date")

    @staticmethod
    def _checked(date: dt.date) -> dt.date:
        if not _FIRST_YEAR <= date.year <= _LAST_YEAR:
            raise BadCell(
                "date_out_of_range",
                f"the year is not between {_FIRST_YEAR} and {_LAST_YEAR}",
                "Leave the cell empty where there is no date yet",
            )
        return date


def _full_year(text: str) -> int:
    year = int(text)
    if len(text) == 4:
        return year
    return year + (1900 if year >= 70 else 2000)


def is_serial_column(cells: Iterable[str]) -> bool:
    """Whether a date column holds Excel day numbers: all its cells are bare numbers."""
    filled = [text for text in map(clean, cells) if text]
    return bool(filled) and all(_NUMERIC.match(text) for text in filled)


class OrderCount(NamedTuple):
    """What a column's sample says of its date order."""

    #: Dates that can only be day/month, only month/day, and either.
    day_first: int = 0
    month_first: int = 0
    either: int = 0


def count_date_orders(cells: Iterable[str]) -> OrderCount:
    """Count what the cells of a column say of its date order.

    >>> count_date_orders(["25/12/2025", "03/04/2025", "2025-02-01"])
    OrderCount(day_first=1, month_first=0, either=1)
    """
    day_first = month_first = either = 0
    for cell in cells:
        match = _SLASHED.match(_CLOCK.sub("", clean(cell)))
        if match is None:
            continue
        one, two = int(match[1]), int(match[2])
        if one > 12 >= two:
            day_first += 1
        elif two > 12 >= one:
            month_first += 1
        else:
            either += 1
    return OrderCount(day_first, month_first, either)


def decide_day_first(own: OrderCount, others: Sequence[OrderCount]) -> bool:
    """Whether a column is day/month: by its own dates, else by those of the file's other columns.

    Month/day is what the United States write, so it takes at least three dates that can only be
    day/month, and a majority of them, to read a column the other way.

    >>> decide_day_first(OrderCount(day_first=1), []), decide_day_first(OrderCount(day_first=9), [])
    (False, True)
    """
    if own.day_first or own.month_first:
        day_first, month_first = own.day_first, own.month_first
    else:
        day_first = sum(one.day_first for one in others)
        month_first = sum(one.month_first for one in others)
    return day_first >= _DAY_FIRST_EVIDENCE and day_first > month_first
