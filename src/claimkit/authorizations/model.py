"""What an authorization is: a payer's leave for so many units of one procedure in a period."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from claimkit.errors import AuthorizationInvalid

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["MOST_UNITS", "Authorization", "AuthorizationState", "Usage"]

#: More units than any payer grants: a typing error, or a shifted column.
MOST_UNITS = Decimal(100_000)


class AuthorizationState(StrEnum):
    """Where an authorization is in its life, on one day."""

    UPCOMING = "upcoming"
    ACTIVE = "active"
    #: No unit is left, and the period is not over.
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used of an authorization, as far as anybody knows.

    ``visits``, ``units`` and ``squares`` are sums over services: 1, the units, the units squared.
    """

    visits: int = 0
    units: Decimal = Decimal(0)
    squares: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """Leave for units of one procedure, from the first to the last day, both included.

    Raises:
        AuthorizationInvalid: the period ends before it begins, or units are negative or absurd.
    """

    number: str
    #: Normalized name.
    payer: str
    procedure: str
    valid_from: dt.date
    valid_until: dt.date
    units_authorized: Decimal
    units_used: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.valid_until < self.valid_from:
            raise AuthorizationInvalid("the period ends before it begins", code="period_reversed")
        if not 0 < self.units_authorized <= MOST_UNITS or not 0 <= self.units_used <= MOST_UNITS:
            raise AuthorizationInvalid(
                f"units are above 0 and at most {MOST_UNITS:,}, used ones from 0 on",
                code="units_out_of_range",
            )

    @property
    def units_left(self) -> Decimal:
        """Units that may still be used; negative where more were used than allowed."""
        return self.units_authorized - self.units_used

    def state(self, today: dt.date) -> AuthorizationState:
        """Return the state on a day."""
        if today > self.valid_until:
            return AuthorizationState.EXPIRED
        if self.units_left <= 0:
            return AuthorizationState.EXHAUSTED
        if today < self.valid_from:
            return AuthorizationState.UPCOMING
        return AuthorizationState.ACTIVE
