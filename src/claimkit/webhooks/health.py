"""How an endpoint fares: left alone while it fails, disabled once it fails for days.

Pure: a record of what happened, and what follows from it. The record is kept with the endpoint,
so that neither a restart nor another worker forgives anything.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from claimkit.outbox import Lane

if TYPE_CHECKING:
    from claimkit.config import WebhooksConfig

__all__ = ["Health", "parse_retry_after"]

_FIRST_HOLD = dt.timedelta(seconds=30)
_LONGEST_HOLD = dt.timedelta(hours=1)
_LONGEST_WAIT = dt.timedelta(hours=24)
#: "Not so fast", and gateways whose server is down: the endpoint needs a rest, not the message.
_THROTTLING = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known of an endpoint's recent past.

    >>> now = dt.datetime(2026, 4, 12, tzinfo=dt.UTC)
    >>> Health().after_failure(now, limit=2).held_until is None
    True
    >>> Health().after_failure(now, limit=2).after_failure(now, limit=2).held_until - now
    datetime.timedelta(seconds=30)
    """

    #: Failures since the last success.
    failures: int = 0
    #: First of these.
    failing_since: dt.datetime | None = None
    #: Nothing is sent before this instant; after it one probe decides.
    held_until: dt.datetime | None = None

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to remember."""
        return self == Health()

    def after_success(self) -> Health:
        """Return the record after a success: all is forgiven."""
        return Health()

    def after_failure(
        self,
        now: dt.datetime,
        *,
        limit: int,
        status: int = 0,
        asked: dt.timedelta | None = None,
    ) -> Health:
        """Return the record after a failure.

        Args:
            now: When it failed.
            limit: Failures in a row after which the endpoint is left alone.
            status: What it answered; 0 for no answer.
            asked: What its ``Retry-After`` asked for.
        """
        failures = self.failures + 1
        hold = dt.timedelta()
        if failures >= limit:
            hold = min(_FIRST_HOLD * 2 ** min(failures - limit, 16), _LONGEST_HOLD)
        if status in _THROTTLING and asked is not None:
            hold = max(hold, min(asked, _LONGEST_WAIT))
        return replace(
            self,
            failures=failures,
            failing_since=self.failing_since or now,
            held_until=now + hold if hold else self.held_until,
        )

    def has_failed_too_long(self, now: dt.datetime, config: WebhooksConfig) -> bool:
        """Whether the endpoint has done nothing but fail for so long that it is disabled."""
        if self.failing_since is None:
            return False
        return now - self.failing_since >= dt.timedelta(days=config.disable_after_days)

    def lane(self, key: str, *, limit: int) -> Lane:
        """Return how the outbox may serve the endpoint: one probe at a time while it is held."""
        if self.failures >= limit:
            return Lane(key=key, held_until=self.held_until, width=1)
        return Lane(key=key, held_until=self.held_until)


def parse_retry_after(text: str, now: dt.datetime) -> dt.timedelta | None:
    """Return the wait that ``Retry-After`` asks for, 24 hours at most; None for junk.

    Seconds or a date (RFC 9110 §10.2.3). Never raises.

    >>> parse_retry_after("120", dt.datetime(2026, 4, 12, tzinfo=dt.UTC))
    datetime.timedelta(seconds=120)
    """
    if text.isascii() and text.isdigit():
        return (
            _LONGEST_WAIT if len(text) > 9 else min(dt.timedelta(seconds=int(text)), _LONGEST_WAIT)
        )
    try:
        until = parsedate_to_datetime(text)
        wait = until.replace(tzinfo=until.tzinfo or dt.UTC) - now
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return min(max(wait, dt.timedelta()), _LONGEST_WAIT)
