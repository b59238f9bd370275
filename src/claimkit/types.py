"""Shared words: money, days, windows, clocks, JSON."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, NewType, Protocol, TypeAlias, runtime_checkable

from claimkit.errors import InvalidMoney, InvalidWindow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "PARTS_DAYS",
    "Cents",
    "Clock",
    "DateWindow",
    "Day",
    "Json",
    "Progress",
    "Severity",
    "SystemClock",
    "TenantKey",
    "date_of",
    "day_of",
    "from_cents",
    "to_cents",
]

#: The stable, public name of a tenant, such as ``"northside"``; never a database id.
TenantKey = NewType("TenantKey", str)
#: An exact amount of money in minor units (US cents); negative for reversals.
Cents: TypeAlias = int
#: Whole days since 1970-01-01; what cubes and dataframes count in.
Day: TypeAlias = int
#: Lines of one submission that are decided further apart are not one decision.
PARTS_DAYS = 30
#: What ``json.dumps`` takes without a ``default``.
Json: TypeAlias = "None | bool | int | float | str | Sequence[Json] | Mapping[str, Json]"


class Severity(StrEnum):
    """How much something matters, from least to most; of a drift by money and size of the change."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(Severity).index(self)


_EPOCH = dt.date(1970, 1, 1).toordinal()
_CENT = Decimal("0.01")


def day_of(date: dt.date) -> Day:
    """Return the day number of ``date``.

    >>> day_of(dt.date(1970, 1, 2))
    1
    """
    return date.toordinal() - _EPOCH


def date_of(day: Day) -> dt.date:
    """Return the date of day number ``day``; the inverse of :func:`day_of`."""
    return dt.date.fromordinal(day + _EPOCH)


def to_cents(amount: Decimal | str | int) -> Cents:
    """Return an amount of dollars as whole cents.

    Raises:
        InvalidMoney: not a number, not finite, or more than two decimals.

    >>> to_cents("1234.5"), to_cents(Decimal("-0.01"))
    (123450, -1)
    """
    try:
        value = Decimal(amount)
        cents = value.scaleb(2)
        whole = int(cents)
    except (InvalidOperation, ValueError, OverflowError):
        raise InvalidMoney("an amount is not an exact number") from None
    if cents != whole:
        raise InvalidMoney("an amount has more than two decimals")
    return whole


def from_cents(cents: Cents) -> Decimal:
    """Return whole cents as dollars with two decimals.

    >>> from_cents(123450)
    Decimal('1234.50')
    """
    return (Decimal(cents) * _CENT).quantize(_CENT)


@dataclass(frozen=True, slots=True)
class DateWindow:
    """Days from ``start`` up to, but not including, ``end``."""

    start: dt.date
    end: dt.date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise InvalidWindow("a window must end after it starts")

    def __contains__(self, date: dt.date) -> bool:
        return self.start <= date < self.end

    def __iter__(self) -> Iterator[dt.date]:
        return (self.start + dt.timedelta(days=n) for n in range(self.days))

    @property
    def days(self) -> int:
        """How many days the window holds, at least 1."""
        return (self.end - self.start).days


class Clock(Protocol):
    """Where ``now`` comes from; passed in, so that tests and replays choose it."""

    def now(self) -> dt.datetime:
        """Return the current instant as an aware datetime in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> dt.datetime:
        """Return the current instant as an aware datetime in UTC."""
        return dt.datetime.now(dt.UTC)


@runtime_checkable
class Progress(Protocol):
    """Told how far long work has come; must return quickly and never raise."""

    def __call__(self, step: str, done: int, total: int | None) -> None:
        """Take note that ``done`` of ``total`` units of ``step`` are behind us.

        Args:
            step: What is going on, in words for people: ``"reading era_0412.835"``.
            done: Units done so far (bytes, claims or nights; the step says which).
            total: Units in all, or None where nobody knows.
        """
        ...
