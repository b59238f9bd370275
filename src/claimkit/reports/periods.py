"""Periods that reports are about, and when the report of a period is due in a tenant's time zone."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from claimkit.drift.wording import date_words
from claimkit.errors import ConfigError, InvalidWindow

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Calendar", "Period", "PeriodKind", "missed", "period_before", "period_of"]

_LONG_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
#: Longest custom period; more is several reports.
_MAX_DAYS = 732


class PeriodKind(StrEnum):
    """What kind of period a report is about."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Whole days, first and last included.

    Raises:
        InvalidWindow: the last day is before the first, or the period is longer than two years.
        ConfigError: the days are not those of a week (Monday to Sunday), month or quarter.
    """

    kind: PeriodKind
    first: dt.date
    last: dt.date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InvalidWindow(f"the period ends on {self.last}, before it begins on {self.first}")
        if self.days > _MAX_DAYS:
            raise InvalidWindow(f"a report is about {_MAX_DAYS} days at most, not {self.days}")
        if self.kind is not PeriodKind.CUSTOM:
            usual = _holding(self.kind, self.first)
            if usual != (self.first, self.last):
                raise ConfigError(
                    f"{self.first} to {self.last} is no {self.kind} period; "
                    f"the one of that day is {usual[0]} to {usual[1]}"
                )

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    @property
    def words(self) -> str:
        """What people call it.

        >>> period_of(PeriodKind.QUARTERLY, dt.date(2026, 5, 3)).words
        'the second quarter of 2026'
        >>> period_of(PeriodKind.WEEKLY, dt.date(2026, 5, 3)).words
        'the week of 27 Apr 2026'
        """
        if self.kind is PeriodKind.WEEKLY:
            return f"the week of {date_words(self.first)}"
        if self.kind is PeriodKind.MONTHLY:
            return f"{_LONG_MONTHS[self.first.month - 1]} {self.first.year}"
        if self.kind is PeriodKind.QUARTERLY:
            number = ("first", "second", "third", "fourth")[(self.first.month - 1) // 3]
            return f"the {number} quarter of {self.first.year}"
        return f"{date_words(self.first)} to {date_words(self.last)}"


def period_of(kind: PeriodKind, day: dt.date) -> Period:
    """Return the week (from Monday), month or quarter that holds a day.

    Raises:
        ConfigError: a custom period is not told by one of its days.
    """
    if kind is PeriodKind.CUSTOM:
        raise ConfigError("a custom period needs its first and its last day")
    first, last = _holding(kind, day)
    return Period(kind=kind, first=first, last=last)


def period_before(period: Period) -> Period:
    """Return the period before: of the same kind, or of the same length where it is custom."""
    end = period.first - dt.timedelta(days=1)
    if period.kind is PeriodKind.CUSTOM:
        start = end - dt.timedelta(days=period.days - 1)
        return Period(kind=period.kind, first=start, last=end)
    return period_of(period.kind, end)


def _holding(kind: PeriodKind, day: dt.date) -> tuple[dt.date, dt.date]:
    if kind is PeriodKind.WEEKLY:
        first = day - dt.timedelta(days=day.weekday())
        return first, first + dt.timedelta(days=6)
    months = 1 if kind is PeriodKind.MONTHLY else 3
    month = (day.month - 1) // months * months
    first = dt.date(day.year, month + 1, 1)
    end = month + months
    return first, dt.date(day.year + end // 12, end % 12 + 1, 1) - dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """When reports of a kind are due: so many days after their period ended, at a time of day.

    The time is that of a clock on the wall in ``timezone``. Where a clock skips it in spring, the
    report is due when the clock has jumped, as much later; where it comes twice in fall, at the
    first.

    Raises:
        ConfigError: a custom period, a time that is none, days below 0 or above 28, or a time zone
            that the IANA database does not have.
    """

    kind: PeriodKind
    timezone: str = "UTC"
    #: ``HH:MM``.
    at: str = "06:00"
    #: Days after the last day of the period; 1 is the morning after.
    after_days: int = 1

    def __post_init__(self) -> None:
        if self.kind is PeriodKind.CUSTOM:
            raise ConfigError("a schedule is weekly, monthly or quarterly")
        if not _CLOCK.fullmatch(self.at):
            raise ConfigError(f"{self.at!r} is no time of day such as 06:00")
        if not 0 < self.after_days <= 28:
            raise ConfigError("a report is due 1 to 28 days after its period")
        self._zone()

    def due(self, period: Period) -> dt.datetime:
        """Return the aware UTC instant from which the period's report is due."""
        day = period.last + dt.timedelta(days=self.after_days)
        wall = dt.datetime.combine(day, dt.time.fromisoformat(self.at), self._zone())
        return wall.astimezone(dt.UTC)

    def latest(self, now: dt.datetime) -> Period:
        """Return the latest period whose report is due at an aware instant."""
        period = period_of(self.kind, now.astimezone(self._zone()).date())
        while self.due(period) > now:
            period = period_before(period)
        return period

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ConfigError(
                f"{self.timezone!r} is no time zone of the IANA database",
                remedy="Use one such as America/New_York",
            ) from None


def missed(
    calendar: Calendar, *, after: dt.date | None, now: dt.datetime, most: int
) -> list[Period]:
    """Return the periods whose reports are due and not made, oldest first.

    Args:
        calendar: When reports are due.
        after: Last day of the latest period that has a report; None where none was ever made,
            and only the latest period is due.
        now: Aware instant.
        most: How many are caught up after an outage, the latest ones; 1 or more.
    """

    def back() -> Iterator[Period]:
        period = calendar.latest(now)
        while after is not None and period.last > after:
            yield period
            period = period_before(period)

    if after is None:
        return [calendar.latest(now)]
    found = []
    for one in back():
        found.append(one)
        if len(found) >= most:
            break
    return found[::-1]
