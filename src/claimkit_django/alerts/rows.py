"""Rows as the core knows them, and back."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from claimkit.alerts import lifecycle, policy
from claimkit.alerts.judgments import Judgment, Verdict
from claimkit.alerts.rules import Comparison, Rule
from claimkit.types import Severity
from claimkit_django.alerts import models

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from claimkit_django.tenants.models import Tenant

__all__ = ["Policy", "alert_of", "judgments_of", "put", "route_of", "rule_of", "silence_of"]

_SUBJECT = ("source", "kind", "payer", "summary", "onset", "dollars_per_month")


class Policy(NamedTuple):
    """All that decides in one tenant, read once for a piece of work."""

    routes: list[policy.Route]
    silences: list[policy.Silence]
    zone: ZoneInfo
    #: Uid of an enabled channel → its id.
    channels: Mapping[str, int]
    #: Uid of a route → minutes to wait for others, and between two notifications.
    waits: Mapping[str, tuple[int, int]]

    @classmethod
    def load(cls, tenant: Tenant, now: dt.datetime, using: str) -> Policy:
        """Read the policy of the tenant in scope; three queries."""
        routes = models.Route.objects.using(using).filter(enabled=True)
        silences = models.Silence.objects.using(using).filter(ends_at__gt=now)
        rows = models.Channel.objects.using(using).filter(enabled=True)
        channels = dict(rows.values_list("uid", "pk"))
        return cls(
            routes=[_reaching(route_of(one), channels) for one in routes],
            silences=[silence_of(one) for one in silences],
            zone=ZoneInfo(tenant.timezone),
            channels=channels,
            waits={one.uid: (one.wait_minutes, one.interval_minutes) for one in routes},
        )


def _reaching(route: policy.Route, channels: Mapping[str, int]) -> policy.Route:
    """Return the route with the channels that can be told something: others were told nothing."""
    return replace(
        route,
        channels=tuple(one for one in route.channels if one in channels),
        steps=tuple(
            replace(step, channels=tuple(one for one in step.channels if one in channels))
            for step in route.steps
        ),
    )


def route_of(row: models.Route) -> policy.Route:
    """Return a route.

    Raises:
        ConfigError: its quiet hours begin when they end.
    """
    quiet = None
    if row.quiet_from is not None and row.quiet_until is not None:
        quiet = policy.QuietHours(begin=row.quiet_from, end=row.quiet_until)
    return policy.Route(
        key=row.uid,
        match=policy.AlertMatch(payers=frozenset(row.payers), kinds=frozenset(row.kinds)),
        least=Severity(row.least_severity),
        channels=tuple(row.channels),
        goes_on=row.goes_on,
        repeat_after=dt.timedelta(hours=row.repeat_hours) if row.repeat_hours else None,
        quiet=quiet,
        steps=tuple(
            policy.Step(
                after=dt.timedelta(minutes=one["after_minutes"]), channels=tuple(one["channels"])
            )
            for one in sorted(row.steps, key=lambda one: one["after_minutes"])
        ),
        tells_end=row.tells_end,
    )


def rule_of(row: models.Rule) -> Rule:
    """Return a rule.

    Raises:
        UnknownName: its metric is no longer known.
    """
    return Rule(
        key=row.uid,
        match=policy.AlertMatch(payers=frozenset(row.payers), kinds=frozenset(row.kinds)),
        metric=row.metric,
        comparison=Comparison(row.comparison),
        threshold=float(row.threshold),
        severity=Severity(row.severity) if row.severity else None,
    )


def silence_of(row: models.Silence) -> policy.Silence:
    """Return a silence."""
    return policy.Silence(
        key=row.uid,
        match=policy.AlertMatch(payers=frozenset(row.payers), kinds=frozenset(row.kinds)),
        fingerprint=row.fingerprint,
        begins_at=row.begins_at,
        ends_at=row.ends_at,
    )


def alert_of(row: models.Alert) -> lifecycle.Alert:
    """Return an alert."""
    return lifecycle.Alert(
        fingerprint=row.fingerprint,
        subject=lifecycle.Subject(**{name: getattr(row, name) for name in _SUBJECT}),
        state=lifecycle.AlertState(row.state),
        severity=Severity(row.severity),
        opened_at=row.opened_at,
        seen_at=row.seen_at,
        count=row.count,
        episode=row.episode,
        resolved_at=row.resolved_at,
        told={
            key: lifecycle.Told(
                severity=Severity(one["severity"]),
                at=dt.datetime.fromisoformat(one["at"]),
                steps=one["steps"],
                channels=tuple(one["channels"]),
                is_over=one["is_over"],
            )
            for key, one in row.told.items()
        },
    )


def put(row: models.Alert, alert: lifecycle.Alert) -> models.Alert:
    """Give a row what is known of its alert; return it."""
    values: dict[str, Any] = {name: getattr(alert.subject, name) for name in _SUBJECT}
    for name in ("opened_at", "seen_at", "count", "episode", "resolved_at", "fingerprint"):
        values[name] = getattr(alert, name)
    values |= {"state": alert.state.value, "severity": alert.severity.value}
    values["summary"] = values["summary"][:500]
    values["told"] = {
        key: {**asdict(one), "severity": one.severity.value, "at": one.at.isoformat()}
        for key, one in alert.told.items()
    }
    for name, value in values.items():
        setattr(row, name, value)
    return row


def judgments_of(rows: Iterable[models.Judgment]) -> list[Judgment]:
    """Return judgments."""
    return [
        Judgment(
            verdict=Verdict(one.verdict),
            actor=one.actor,
            at=one.judged_at,
            severity=Severity(one.severity),
            is_decisive=one.is_decisive,
        )
        for one in rows
    ]
