"""What to warn of today: an end that comes near, and units that run out.

``review`` asks :func:`steps` how early the payer must be asked, looks at both ends of an authorization, and says
the nearest step of each that was reached. Whether a step was told already is for the caller to know: a step of the same
:attr:`Warned.basis` is told once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from claimkit.authorizations.model import AuthorizationState

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from claimkit.authorizations.forecast import Forecast
    from claimkit.authorizations.model import Authorization

__all__ = ["Warned", "WarningKind", "review", "steps"]


class WarningKind(StrEnum):
    """What comes to an end."""

    EXPIRY = "expiry"
    EXHAUSTION = "exhaustion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """One step that was reached."""

    kind: WarningKind
    #: Days before the end at which one is warned; 0 where nothing is left.
    step: int
    #: Days that are left.
    days_left: int
    ends_on: dt.date
    #: What the end hangs on: the same step is told again only where this changed.
    basis: str


def steps(warn_days: Iterable[int], lead_days: int) -> tuple[int, ...]:
    """Return the days before an end at which one is warned, fewest first.

    >>> steps((30, 14, 3), 45)
    (0, 3, 14, 30, 45)
    """
    return tuple(sorted({0, *warn_days, lead_days}))


def review(
    authorization: Authorization,
    expected: Forecast,
    *,
    today: dt.date,
    at_days: Sequence[int],
) -> tuple[Warned, ...]:
    """Return what to warn of, at most one step of each kind.

    The end of the units is the early end of the forecast's interval, and only one before the end of the
    period counts: units that outlast it need no warning.

    Args:
        authorization: One that was not renewed.
        expected: When its units run out.
        today: The day, in the tenant's time zone.
        at_days: From :func:`steps`.
    """
    state = authorization.state(today)
    if state is AuthorizationState.EXPIRED:
        return ()
    found = []
    left = (authorization.valid_until - today).days
    step = _step(left, at_days)
    if step is not None:
        found.append(
            Warned(
                kind=WarningKind.EXPIRY,
                step=step,
                days_left=left,
                ends_on=authorization.valid_until,
                basis=authorization.valid_until.isoformat(),
            )
        )
    ends_on = expected.earliest
    if (
        state is AuthorizationState.UPCOMING
        or ends_on is None
        or ends_on > authorization.valid_until
    ):
        return tuple(found)
    left = (ends_on - today).days
    # Day 0 is said of units that are used up; a forecast alone never says it.
    near = [one for one in at_days if one > 0]
    step = 0 if state is AuthorizationState.EXHAUSTED else _step(left, near)
    if step is not None:
        found.append(
            Warned(
                kind=WarningKind.EXHAUSTION,
                step=step,
                days_left=max(0, left),
                ends_on=ends_on,
                basis=f"{authorization.units_authorized.normalize():f}",
            )
        )
    return tuple(found)


def _step(left: int, at_days: Sequence[int]) -> int | None:
    return next((one for one in sorted(at_days) if left <= one), None)
