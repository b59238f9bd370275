"""Who is told of an alert, when, and why not: a pure pipeline with a reason for each decision.

:func:`decide` asks, in this order: is there something to say at all; has somebody silenced it; did
people judge it to be noise; which routes want it; was it said a short while ago; is it night.
What is muted stays visible and is never counted as told, so it is said once the mute is over.
An alert that became more severe passes everything but a silence and a missing route or channel.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from claimkit.alerts.lifecycle import AlertState, Told
from claimkit.errors import ConfigError
from claimkit.types import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

    from claimkit.alerts.lifecycle import Alert

__all__ = [
    "Action",
    "AlertMatch",
    "Decision",
    "QuietHours",
    "Reason",
    "Route",
    "Silence",
    "Step",
    "decide",
    "routes_for",
    "told_now",
]


#: Episodes that are told at once; from the next on it flaps, and is told once in so long.
_STEADY_EPISODES = 3
_DAMPING = dt.timedelta(hours=24)


class Action(StrEnum):
    """What becomes of an alert now."""

    NOTIFY = "notify"
    #: Later, at a known instant.
    WAIT = "wait"
    #: Not now; asked again when something changes.
    MUTE = "mute"


class Reason(StrEnum):
    """Why; kept with each decision."""

    #: Nobody was told of it yet.
    FIRST = "first"
    #: More severe than when somebody was told.
    ESCALATED = "escalated"
    #: Still open after the route's repeat interval.
    REPEATED = "repeated"
    #: Nobody acknowledged it in time: others are told.
    STEP = "step"
    #: It ended, and whoever was told of it learns so.
    RESOLVED = "resolved"
    #: It ended before anybody was told.
    NEVER_TOLD = "never_told"
    #: Somebody deals with it.
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    #: People judged it to be noise.
    JUDGED_NOISE = "judged_noise"
    NO_ROUTE = "no_route"
    #: Every channel of the route is switched off, or gone.
    NO_CHANNEL = "no_channel"
    #: It ends and comes back again and again, and was told a short while ago.
    FLAPPING = "flapping"
    #: Told already, and not to be repeated yet.
    TOLD = "told"
    QUIET_HOURS = "quiet_hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMatch:
    """Which alerts; an empty set matches all.

    >>> from claimkit.alerts.lifecycle import Subject
    >>> AlertMatch(payers={"Aetna"}).takes(Subject(source="drift", kind="volume", payer="Cigna"))
    False
    """

    payers: frozenset[str] | set[str] = frozenset()
    kinds: frozenset[str] | set[str] = frozenset()
    sources: frozenset[str] | set[str] = frozenset()

    def takes(self, subject: object) -> bool:
        """Whether it matches a :class:`~claimkit.alerts.lifecycle.Subject`."""
        return all(
            not wanted or getattr(subject, name) in wanted
            for name, wanted in (
                ("payer", self.payers),
                ("kind", self.kinds),
                ("source", self.sources),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """Hours of the tenant's clock in which nobody is told; critical alerts pass.

    Raises:
        ConfigError: they begin when they end.
    """

    begin: dt.time
    end: dt.time

    def __post_init__(self) -> None:
        if self.begin == self.end:
            raise ConfigError("quiet hours need a begin and another end")

    def until(self, now: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
        """Return when they end (UTC), None outside of them.

        Where the clock jumps over the end, they end with the jump; an hour that comes twice ends
        them the first time, so nobody is told later than the clock on the wall says.
        """
        local = now.astimezone(zone)
        wall = local.time().replace(tzinfo=None, fold=0)
        if self.begin < self.end:
            is_quiet, days = self.begin <= wall < self.end, 0
        else:
            is_quiet = wall >= self.begin or wall < self.end
            days = int(wall >= self.begin)
        if not is_quiet:
            return None
        end = dt.datetime.combine(local.date() + dt.timedelta(days=days), self.end, tzinfo=zone)
        # In a gap, fold=0 reads with the offset of before: as instants the gap's end and later.
        return max(end.astimezone(dt.UTC), now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Who else is told when nobody acknowledges in time."""

    after: dt.timedelta
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which alerts go where, and how often."""

    key: str
    match: AlertMatch = field(default_factory=AlertMatch)
    #: The least severe that it takes.
    least: Severity = Severity.LOW
    #: Keys of channels.
    channels: tuple[str, ...] = ()
    #: Later routes are asked too.
    goes_on: bool = False
    #: Say it again while it is open; None never.
    repeat_after: dt.timedelta | None = None
    quiet: QuietHours | None = None
    #: In order of ``after``.
    steps: tuple[Step, ...] = ()
    #: Whether its channels learn of the end.
    tells_end: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What somebody wants to hear nothing of, for a while."""

    key: str
    match: AlertMatch = field(default_factory=AlertMatch)
    #: One alert only; empty for all that match.
    fingerprint: str = ""
    begins_at: dt.datetime
    ends_at: dt.datetime

    def covers(self, alert: Alert, now: dt.datetime) -> bool:
        """Whether it holds for this alert now."""
        return (
            self.begins_at <= now < self.ends_at
            and self.fingerprint in ("", alert.fingerprint)
            and self.match.takes(alert.subject)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is done about one alert, and why."""

    action: Action
    reason: Reason
    #: Key of the route or the silence that decided; empty where none did.
    by: str = ""
    channels: tuple[str, ...] = ()
    #: When to look again if nothing changes; None for never.
    again_at: dt.datetime | None = None


def routes_for(alert: Alert, routes: Iterable[Route]) -> list[Route]:
    """Return the routes that take an alert, in order, up to the first that does not go on."""
    taken = []
    for route in routes:
        if alert.severity.rank >= route.least.rank and route.match.takes(alert.subject):
            taken.append(route)
            if not route.goes_on:
                break
    return taken


def decide(
    alert: Alert,
    *,
    routes: Sequence[Route],
    silences: Iterable[Silence],
    noise_until: dt.datetime | None,
    zone: ZoneInfo,
    now: dt.datetime,
) -> list[Decision]:
    """Return what is done about an alert now: one decision, or one per route that takes it.

    Args:
        alert: As it is.
        routes: In order of priority.
        silences: All that may hold now.
        noise_until: Until when people's judgments mute it; None if they do not.
        zone: The tenant's clock.
        now: The present, in UTC.
    """
    if alert.state is AlertState.RESOLVED and not alert.is_told:
        reason = Reason.TOLD if alert.told else Reason.NEVER_TOLD
        return [Decision(action=Action.MUTE, reason=reason)]
    if alert.state is AlertState.ACKNOWLEDGED and not alert.is_escalated:
        return [Decision(action=Action.MUTE, reason=Reason.ACKNOWLEDGED)]
    silence = max(
        (one for one in silences if one.covers(alert, now)),
        key=lambda one: one.ends_at,
        default=None,
    )
    if silence is not None:
        return [
            Decision(
                action=Action.MUTE,
                reason=Reason.SILENCED,
                by=silence.key,
                again_at=silence.ends_at,
            )
        ]
    is_noise = noise_until is not None and noise_until > now and not alert.is_escalated
    # Whoever was told of the beginning learns of the end.
    if is_noise and alert.state is not AlertState.RESOLVED:
        return [Decision(action=Action.MUTE, reason=Reason.JUDGED_NOISE, again_at=noise_until)]
    if alert.state is AlertState.RESOLVED:
        taken = [one for one in routes if one.key in alert.told]
    else:
        taken = routes_for(alert, routes)
    if not taken:
        return [Decision(action=Action.MUTE, reason=Reason.NO_ROUTE)]
    return [_by_route(alert, route, zone, now) for route in taken]


def _by_route(alert: Alert, route: Route, zone: ZoneInfo, now: dt.datetime) -> Decision:
    reason, channels = _what_to_say(alert, route, now)
    if reason is None:
        again_at = _next_look(alert, route, now)
        return Decision(action=Action.MUTE, reason=Reason.TOLD, by=route.key, again_at=again_at)
    if not channels:
        return Decision(action=Action.MUTE, reason=Reason.NO_CHANNEL, by=route.key)
    calm_at = _calm_at(alert, route, reason)
    if calm_at is not None and calm_at > now:
        return Decision(action=Action.MUTE, reason=Reason.FLAPPING, by=route.key, again_at=calm_at)
    quiet = route.quiet.until(now, zone) if route.quiet else None
    if quiet is not None and not _is_urgent(alert, reason):
        return Decision(action=Action.WAIT, reason=Reason.QUIET_HOURS, by=route.key, again_at=quiet)
    decision = Decision(action=Action.NOTIFY, reason=reason, by=route.key, channels=channels)
    again_at = _next_look(told_now(alert, decision, now), route, now)
    return replace(decision, again_at=again_at)


def _what_to_say(
    alert: Alert, route: Route, now: dt.datetime
) -> tuple[Reason | None, tuple[str, ...]]:
    """Return why the route's channels are told now, and which; no reason where they are not."""
    told = alert.told.get(route.key)
    if alert.state is AlertState.RESOLVED:
        if told is None or told.is_over or not route.tells_end:
            return None, ()
        return Reason.RESOLVED, told.channels
    if told is None or told.is_over:
        return Reason.FIRST, route.channels
    everybody = tuple(dict.fromkeys((*route.channels, *told.channels)))
    if alert.severity.rank > told.severity.rank:
        return Reason.ESCALATED, everybody
    if alert.state is AlertState.ACKNOWLEDGED:
        return None, ()
    if told.steps < len(route.steps):
        step = route.steps[told.steps]
        if now - alert.opened_at >= step.after:
            return Reason.STEP, step.channels
    if route.repeat_after is not None and now - told.at >= route.repeat_after:
        return Reason.REPEATED, everybody
    return None, ()


def _is_urgent(alert: Alert, reason: Reason) -> bool:
    return alert.severity is Severity.CRITICAL or reason is Reason.ESCALATED


def _calm_at(alert: Alert, route: Route, reason: Reason) -> dt.datetime | None:
    """Return until when an alert that flaps is not told of as new; never one that became worse."""
    told = alert.told.get(route.key)
    if reason is not Reason.FIRST or told is None or alert.episode <= _STEADY_EPISODES:
        return None
    return None if alert.severity.rank > told.severity.rank else told.at + _DAMPING


def _next_look(alert: Alert, route: Route, now: dt.datetime) -> dt.datetime | None:
    """Return when time alone would give a route that was told something to say."""
    told = alert.told.get(route.key)
    if alert.state is not AlertState.OPEN or told is None:
        return None
    looks = [alert.opened_at + one.after for one in route.steps[told.steps :]]
    if route.repeat_after is not None:
        looks.append(told.at + route.repeat_after)
    return min((one for one in looks if one > now), default=None)


def told_now(alert: Alert, decision: Decision, now: dt.datetime) -> Alert:
    """Return the alert once the channels of a decision are told."""
    before = alert.told.get(decision.by)
    if before is None or before.is_over:
        before = Told(severity=alert.severity, at=now)
    told = Told(
        severity=alert.severity,
        at=now,
        steps=before.steps + (decision.reason is Reason.STEP),
        channels=tuple(dict.fromkeys((*before.channels, *decision.channels))),
        is_over=decision.reason is Reason.RESOLVED,
    )
    return replace(alert, told={**alert.told, decision.by: told})
