"""What every method answers with, and how repeats of it are merged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["MERGED_DAYS", "Alert", "Estimate", "Told"]

#: Repeats of one metric and segment within this many days count once, for every method alike.
MERGED_DAYS = 28


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a method believes of an alert on some later day."""

    effect: float
    error: float
    groups: tuple[int, ...] | None = None
    reason: int | None = None


@dataclass(slots=True, kw_only=True)
class Alert:
    """One statement to people."""

    day: int
    #: ``denial``, ``reason``, ``lag``, ``allowed``; ``tenant`` is a notice about all payers.
    metric: str
    payer: int
    groups: tuple[int, ...] | None = None
    reason: int | None = None
    effect: float = 0.0
    error: float = math.nan
    #: Which stream told.
    level: str = ""
    #: Days after the alert → estimate.
    later: dict[int, Estimate] = field(default_factory=dict)


class Told:
    """Alerts in order of days, without repeats."""

    def __init__(self) -> None:
        self._last: dict[tuple[object, ...], int] = {}
        self.alerts: list[Alert] = []

    def add(self, alert: Alert) -> None:
        """Take an alert unless the same was told within the last four weeks."""
        key = (alert.metric, alert.payer, alert.groups, alert.reason)
        if alert.day - self._last.get(key, -(10**6)) >= MERGED_DAYS:
            self._last[key] = alert.day
            self.alerts.append(alert)
