"""Digests: what is open and what was muted, told at a time of the tenant's clock."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claimkit.alerts.policy import first_instant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

__all__ = ["Rhythm", "note_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """When digests are due: every day, or on one weekday.

    Once on each such day, also where the clock jumps over the time (then right after the jump) or
    shows it twice (then the first time).
    """

    at: dt.time
    #: 0 for Monday to 6 for Sunday; None for every day.
    weekday: int | None = None

    def next_after(self, instant: dt.datetime, zone: ZoneInfo) -> dt.datetime:
        """Return the first due instant (UTC) after another one.

        >>> from zoneinfo import ZoneInfo
        >>> sunday = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
        >>> Rhythm(at=dt.time(7), weekday=0).next_after(sunday, ZoneInfo("America/New_York"))
        datetime.datetime(2026, 11, 2, 12, 0, tzinfo=datetime.timezone.utc)
        """
        day = instant.astimezone(zone).date()
        while True:
            due = first_instant(day, self.at, zone)
            if due > instant and self.weekday in (None, day.weekday()):
                return due
            day += dt.timedelta(days=1)


def note_of(*, open_alerts: int, muted: Iterable[str]) -> str:
    """Return in a sentence what is open, and how many alerts were muted for which reason.

    Args:
        open_alerts: Alerts that are not resolved.
        muted: The reason of each alert that was muted.

    >>> note_of(open_alerts=2, muted=["silenced", "judged_noise", "silenced"])
    '2 alerts are open; 3 were muted (2 silenced, 1 judged noise).'
    """
    counts = Counter(muted)
    is_open = "1 alert is open" if open_alerts == 1 else f"{open_alerts} alerts are open"
    if not counts:
        return f"{is_open}; none was muted."
    reasons = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.most_common())
    was = "was" if counts.total() == 1 else "were"
    return f"{is_open}; {counts.total()} {was} muted ({reasons})."
