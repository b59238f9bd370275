"""The life of an alert: from signals to open, acknowledged, resolved and open again.

A *signal* is a fact that somebody reported; an *alert* is what people deal with. There is one live
alert per fingerprint, whoever reports how often. Whether anybody is told is decided elsewhere
(:mod:`claimkit.alerts.policy`): here nothing depends on it, so a muted alert is as true as any.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from claimkit.errors import AlertConflict
from claimkit.types import Severity

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from claimkit.types import Cents

__all__ = [
    "Alert",
    "AlertSignal",
    "AlertState",
    "Breadth",
    "Change",
    "Subject",
    "Told",
    "acknowledge",
    "apply",
    "forget",
    "resolve",
]


class AlertState(StrEnum):
    """Where an alert is in its life."""

    OPEN = "open"
    #: Somebody deals with it; nobody is told again unless it becomes more severe.
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"

    @property
    def is_live(self) -> bool:
        """Whether there is still something to do."""
        return self is not AlertState.RESOLVED


class Change(StrEnum):
    """What a signal did to an alert."""

    OPENED = "opened"
    #: Resolved a short while ago, and here again.
    REOPENED = "reopened"
    #: More severe than it was.
    ESCALATED = "escalated"
    #: The same again.
    SEEN = "seen"
    RESOLVED = "resolved"
    #: The end of something that is not open.
    NOTHING = "nothing"


class Breadth(IntEnum):
    """How much of a tenant an alert is about, from all of it to one thing."""

    TENANT = 0
    PAYER = 1
    PART = 2


#: What rooms call it when all payers moved alike, or none is meant.
_ALL_PAYERS = frozenset({"", "all payers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an alert is about, in words that may go to anybody; nothing of a patient."""

    #: The room or plugin that reports it, such as ``drift``.
    source: str
    #: What changed, such as ``denial_rate``.
    kind: str
    #: Normalized name; empty where it is about no payer.
    payer: str = ""
    #: One sentence.
    summary: str = ""
    onset: dt.date | None = None
    #: Money at risk per 30 days.
    dollars_per_month: Cents = 0
    #: Further dimension → its values, where it is about a part of a payer or about one thing, such
    #: as ``{"procedure_group": ("MRI",)}``; values in any order.
    dimensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: What was measured, in the unit of its kind, such as percent of rows; None where nothing was.
    figure: float | None = None

    @property
    def breadth(self) -> Breadth:
        """How much of a tenant it is about."""
        if self.dimensions:
            return Breadth.PART
        return Breadth.TENANT if self.payer in _ALL_PAYERS else Breadth.PAYER


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSignal:
    """A fact that somebody reported; the same again changes nothing."""

    #: What tells incidents apart; at most 64 characters.
    fingerprint: str
    #: False reports its end.
    is_firing: bool
    severity: Severity
    #: Aware UTC instant.
    at: dt.datetime
    subject: Subject
    #: Too little for an alert unless a rule of the tenant asks for one; without such a rule it
    #: reports the end.
    needs_rule: bool = False
    #: Key of the rule that decided; empty where none did.
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the channels of a route know of an alert."""

    severity: Severity
    at: dt.datetime
    #: When they were told first in this episode.
    since: dt.datetime
    #: Steps of escalation that were taken.
    steps: int = 0
    #: Keys of the channels that were told, those of steps too: they learn of the end.
    channels: tuple[str, ...] = ()
    #: They know that it ended, or it ended and opened again since.
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What people deal with, as the policy needs to know it."""

    fingerprint: str
    subject: Subject
    state: AlertState = AlertState.OPEN
    severity: Severity = Severity.LOW
    opened_at: dt.datetime
    #: When the latest signal was reported.
    seen_at: dt.datetime
    #: Signals so far.
    count: int = 1
    #: 1, and one more each time that it opens again.
    episode: int = 1
    resolved_at: dt.datetime | None = None
    #: How severe it was when somebody acknowledged it; None where nobody did.
    acknowledged: Severity | None = None
    #: Key of the rule that decided last; empty where none did.
    rule: str = ""
    #: Key of a route → what its channels were last told.
    told: Mapping[str, Told] = field(default_factory=dict)

    @property
    def is_told(self) -> bool:
        """Whether somebody was told of this episode, and not of its end."""
        return any(not one.is_over for one in self.told.values())

    @property
    def is_escalated(self) -> bool:
        """Whether somebody was told of this episode, and it is more severe than anybody was told."""
        known = [one.severity.rank for one in self.told.values() if not one.is_over]
        return bool(known) and self.severity.rank > max(known)

    @property
    def is_worse_than_acknowledged(self) -> bool:
        """Whether it is more severe than whoever deals with it knew, told or not."""
        known = [one.severity.rank for one in self.told.values() if not one.is_over]
        if self.acknowledged is not None:
            known.append(self.acknowledged.rank)
        return bool(known) and self.severity.rank > max(known)


def apply(
    alert: Alert | None, signal: AlertSignal, *, reopen_within: dt.timedelta
) -> tuple[Alert | None, Change]:
    """Return the alert after a signal, and what it did.

    Args:
        alert: The live one of this fingerprint, else the last resolved one, else None.
        signal: What was reported.
        reopen_within: A resolved alert opens again within this time; later it is a new one.

    A signal that is older than what is known counts, and changes neither severity nor subject: in
    whatever order they arrive, the latest decides.
    """
    if alert is None or not alert.state.is_live:
        if not signal.is_firing:
            return alert, Change.NOTHING
        if alert is None or alert.resolved_at is None:
            return _opened(signal), Change.OPENED
        if signal.at <= alert.resolved_at:
            # Reported before the end, and late.
            return replace(alert, count=alert.count + 1), Change.NOTHING
        if signal.at - alert.resolved_at > reopen_within:
            return _opened(signal), Change.OPENED
        # What was told stays known: who flaps is told of less often.
        told = {key: replace(one, is_over=True, steps=0) for key, one in alert.told.items()}
        return replace(
            _opened(signal), count=alert.count + 1, episode=alert.episode + 1, told=told
        ), Change.REOPENED
    if signal.at < alert.seen_at:
        return replace(alert, count=alert.count + 1), Change.SEEN
    if not signal.is_firing:
        ended = resolve(alert, at=signal.at)
        return replace(ended, count=alert.count + 1), Change.RESOLVED
    is_worse = signal.severity.rank > alert.severity.rank
    return replace(
        alert,
        severity=signal.severity,
        subject=signal.subject,
        seen_at=signal.at,
        count=alert.count + 1,
        rule=signal.rule,
    ), Change.ESCALATED if is_worse else Change.SEEN


def acknowledge(alert: Alert) -> Alert:
    """Return the alert as somebody's task.

    Raises:
        AlertConflict: it is resolved.
    """
    if not alert.state.is_live:
        raise AlertConflict("a resolved alert cannot be acknowledged")
    return replace(alert, state=AlertState.ACKNOWLEDGED, acknowledged=alert.severity)


def resolve(alert: Alert, *, at: dt.datetime) -> Alert:
    """Return the alert as resolved; one that is stays as it is."""
    if not alert.state.is_live:
        return alert
    return replace(alert, state=AlertState.RESOLVED, resolved_at=at, seen_at=max(at, alert.seen_at))


def forget(alert: Alert, route: str, channels: Iterable[str]) -> Alert:
    """Return the alert as if some channels of a route had not been told of it."""
    known = alert.told[route]
    left = tuple(one for one in known.channels if one not in set(channels))
    told = {key: one for key, one in alert.told.items() if key != route}
    return replace(alert, told={**told, route: replace(known, channels=left)} if left else told)


def _opened(signal: AlertSignal) -> Alert:
    return Alert(
        fingerprint=signal.fingerprint,
        subject=signal.subject,
        severity=signal.severity,
        opened_at=signal.at,
        seen_at=signal.at,
        rule=signal.rule,
    )
