"""Who is told of an alert, when, and why not: a pure pipeline with a reason for each decision.

:func:`decide` asks, in this order: is there something to say at all; has somebody silenced it; does
a wider alert say it already; did people judge it to be noise; which routes want it; was it said a short while ago; is it night.
What is muted stays visible and is never counted as told, so it is said once the mute is over.
An alert that became more severe passes everything but a silence and a missing route or channel.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from claimkit.alerts.lifecycle import AlertState, Breadth, Subject, Told
from claimkit.errors import ConfigError
from claimkit.types import Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
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
    "first_instant",
    "inhibitor_of",
    "routes_for",
    "told_now",
]


#: Episodes that are told at once; from the next on it flaps, and is told once in so long.
_STEADY_EPISODES = 3
_DAMPING = dt.timedelta(hours=24)
_MINUTE = dt.timedelta(minutes=1)


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
    #: A wider alert that is live says it already.
    INHIBITED = "inhibited"
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
    #: Further dimension → values of which it has one, such as ``{"procedure_group": {"MRI"}}``.
    dimensions: Mapping[str, frozenset[str] | set[str]] = field(default_factory=dict)

    def takes(self, subject: Subject) -> bool:
        """Whether it matches what an alert is about."""
        plain = (
            (subject.payer, self.payers),
            (subject.kind, self.kinds),
            (subject.source, self.sources),
        )
        return all(not wanted or one in wanted for one, wanted in plain) and all(
            not wanted.isdisjoint(subject.dimensions.get(name, ()))
            for name, wanted in self.dimensions.items()
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
        end = first_instant(local.date() + dt.timedelta(days=days), self.end, zone)
        return end if end > now else None


def first_instant(day: dt.date, at: dt.time, zone: ZoneInfo) -> dt.datetime:
    """Return the first instant (UTC) of a day at which the clock shows a time or a later one."""
    wall = dt.datetime.combine(day, at.replace(fold=0), tzinfo=zone)
    instant = wall.astimezone(dt.UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return instant
    # The clock jumps over it, and this is as long after the jump as it was to be.
    after = instant.astimezone(zone).utcoffset()
    while (instant - _MINUTE).astimezone(zone).utcoffset() == after:
        instant -= _MINUTE
    return instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Who else is told when nobody acknowledges in time."""

    #: Since the route was told first in this episode.
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
    #: Steps of escalation that are taken once it is done.
    steps: int = 0
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


#: Kind of an alert → kinds that follow from it: they say nothing that it does not say.
_EXPLAINS: Mapping[str, frozenset[str]] = {
    "import_missing": frozenset({"payer_silent", "volume"}),
    "payer_silent": frozenset({"volume"}),
}


def inhibitor_of(alert: Alert, others: Iterable[Alert]) -> str:
    """Return the fingerprint of the alert that says what this one says; empty where none does.

    One of the same kind about the whole tenant says what those about its payers say, and one about
    a payer what those about its parts say; a file that never came explains payers of which nothing
    is heard. It must be live, and as severe. Of several, the widest is returned.
    """
    found = [one for one in others if _inhibits(one, alert)]
    return (
        min(
            found, key=lambda one: (one.subject.breadth, one.opened_at, one.fingerprint)
        ).fingerprint
        if found
        else ""
    )


def _inhibits(wide: Alert, narrow: Alert) -> bool:
    if not wide.state.is_live or wide.severity.rank < narrow.severity.rank:
        return False
    if wide.subject.breadth is Breadth.PAYER and wide.subject.payer != narrow.subject.payer:
        return False
    if narrow.subject.kind in _EXPLAINS.get(wide.subject.kind, ()):
        return wide.subject.breadth <= narrow.subject.breadth
    is_alike = (wide.subject.source, wide.subject.kind) == (
        narrow.subject.source,
        narrow.subject.kind,
    )
    return is_alike and wide.subject.breadth < narrow.subject.breadth


def decide(
    alert: Alert,
    *,
    routes: Sequence[Route],
    silences: Iterable[Silence],
    noise_until: dt.datetime | None,
    inhibitor: str = "",
    channels: Collection[str] | None = None,
    zone: ZoneInfo,
    now: dt.datetime,
) -> list[Decision]:
    """Return what is done about an alert now: one decision, or one per route that takes it.

    Args:
        alert: As it is.
        routes: In order of priority.
        silences: All that may hold now.
        noise_until: Until when people's judgments mute it; None if they do not.
        inhibitor: Fingerprint of what :func:`inhibitor_of` found; empty for none.
        channels: Keys of channels that are on; None for all. Others hear nothing, and are not
            counted as told.
        zone: The tenant's clock.
        now: The present, in UTC.
    """
    if alert.state is AlertState.RESOLVED and not alert.is_told:
        reason = Reason.TOLD if alert.told else Reason.NEVER_TOLD
        return [Decision(action=Action.MUTE, reason=reason)]
    if alert.state is AlertState.ACKNOWLEDGED and not alert.is_worse_than_acknowledged:
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
    # Whoever was told of the beginning learns of the end, and nothing hides what became worse.
    if inhibitor and alert.state is not AlertState.RESOLVED and not alert.is_escalated:
        return [Decision(action=Action.MUTE, reason=Reason.INHIBITED, by=inhibitor)]
    is_noise = noise_until is not None and noise_until > now and not alert.is_escalated
    if is_noise and alert.state is not AlertState.RESOLVED:
        return [Decision(action=Action.MUTE, reason=Reason.JUDGED_NOISE, again_at=noise_until)]
    if alert.state is AlertState.RESOLVED:
        taken = [one for one in routes if one.key in alert.told]
    else:
        taken = routes_for(alert, routes)
    if not taken:
        return [Decision(action=Action.MUTE, reason=Reason.NO_ROUTE)]
    return [_by_route(alert, _reaching(route, channels), channels, zone, now) for route in taken]


def _on(keys: Iterable[str], channels: Collection[str] | None) -> tuple[str, ...]:
    return tuple(one for one in keys if channels is None or one in channels)


def _reaching(route: Route, channels: Collection[str] | None) -> Route:
    """Return the route with the channels that are on."""
    steps = (replace(one, channels=_on(one.channels, channels)) for one in route.steps)
    return replace(route, channels=_on(route.channels, channels), steps=tuple(steps))


def _by_route(
    alert: Alert,
    route: Route,
    on: Collection[str] | None,
    zone: ZoneInfo,
    now: dt.datetime,
) -> Decision:
    reason, channels, steps = _what_to_say(alert, route, on, now)
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
    decision = Decision(
        action=Action.NOTIFY, reason=reason, by=route.key, channels=channels, steps=steps
    )
    again_at = _next_look(told_now(alert, decision, now), route, now)
    return replace(decision, again_at=again_at)


def _what_to_say(
    alert: Alert, route: Route, on: Collection[str] | None, now: dt.datetime
) -> tuple[Reason | None, tuple[str, ...], int]:
    """Return why the route's channels are told now, which, and how many steps are then taken.

    No reason where they are not told.
    """
    told = alert.told.get(route.key)
    if alert.state is AlertState.RESOLVED:
        if told is None or told.is_over or not route.tells_end:
            return None, (), 0
        return Reason.RESOLVED, _on(told.channels, on), told.steps
    if told is None or told.is_over:
        return Reason.FIRST, route.channels, 0
    everybody = _on(dict.fromkeys((*route.channels, *told.channels)), on)
    if alert.severity.rank > told.severity.rank:
        return Reason.ESCALATED, everybody, told.steps
    if alert.state is AlertState.ACKNOWLEDGED:
        return None, (), 0
    for taken, step in _steps_left(route, told):
        if now - told.since >= step.after:
            return Reason.STEP, step.channels, taken
    if route.repeat_after is not None and now - told.at >= route.repeat_after:
        return Reason.REPEATED, everybody, told.steps
    return None, (), 0


def _steps_left(route: Route, told: Told) -> list[tuple[int, Step]]:
    """Return the steps that are left, and how many are taken with each.

    One that reaches nobody is left out, so that it holds up neither later ones nor repetitions.
    """
    return [
        (number + 1, step)
        for number, step in enumerate(route.steps)
        if number >= told.steps and step.channels
    ]


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
    # One that came due while nobody could be told is taken at the next look.
    looks = [max(told.since + one.after, now) for _, one in _steps_left(route, told)]
    if route.repeat_after is not None:
        looks.append(told.at + route.repeat_after)
    return min(looks, default=None)


def told_now(alert: Alert, decision: Decision, now: dt.datetime) -> Alert:
    """Return the alert once the channels of a decision are told."""
    before = alert.told.get(decision.by)
    if before is None or before.is_over:
        before = Told(severity=alert.severity, at=now, since=now)
    told = Told(
        severity=alert.severity,
        at=now,
        since=before.since,
        steps=decision.steps,
        channels=tuple(dict.fromkeys((*before.channels, *decision.channels))),
        is_over=decision.reason is Reason.RESOLVED,
    )
    return replace(alert, told={**alert.told, decision.by: told})
