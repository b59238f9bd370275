"""Rows as the core knows them, and back."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from claimkit.alerts import lifecycle, policy
from claimkit.alerts.judgments import Judgment, Verdict
from claimkit.alerts.rules import Comparison, Rule
from claimkit.types import Severity
from claimkit_django.alerts import models

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from claimkit_django.tenants.models import Tenant

__all__ = [
    "Policy",
    "alert_of",
    "judgments_of",
    "put",
    "route_of",
    "row_of",
    "rule_of",
    "signal_of",
    "silence_of",
    "subject_of",
    "zone_of",
]

_SUBJECT = ("source", "kind", "payer", "summary", "onset", "dollars_per_month", "figure")


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
            routes=[route_of(one) for one in routes],
            silences=[silence_of(one) for one in silences],
            zone=zone_of(tenant),
            channels=channels,
            waits={one.uid: (one.wait_minutes, one.interval_minutes) for one in routes},
        )


def zone_of(tenant: Tenant) -> ZoneInfo:
    """Return the tenant's clock; UTC where its time zone does not exist: better late than never."""
    try:
        return ZoneInfo(tenant.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _match_of(row: models.Route | models.Rule | models.Silence) -> policy.AlertMatch:
    return policy.AlertMatch(
        payers=frozenset(row.payers),
        kinds=frozenset(row.kinds),
        dimensions={name: frozenset(values) for name, values in row.dimensions.items()},
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
        match=_match_of(row),
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
        ConfigError: its clear threshold is harder to reach than its threshold.
    """
    return Rule(
        key=row.uid,
        match=_match_of(row),
        metric=row.metric,
        comparison=Comparison(row.comparison),
        threshold=float(row.threshold),
        clear_threshold=None if row.clear_threshold is None else float(row.clear_threshold),
        severity=Severity(row.severity) if row.severity else None,
    )


def silence_of(row: models.Silence) -> policy.Silence:
    """Return a silence."""
    return policy.Silence(
        key=row.uid,
        match=_match_of(row),
        fingerprint=row.fingerprint,
        begins_at=row.begins_at,
        ends_at=row.ends_at,
    )


def subject_of(row: models.Alert | models.Signal) -> lifecycle.Subject:
    """Return what an alert or a signal is about."""
    return lifecycle.Subject(
        **{name: getattr(row, name) for name in _SUBJECT},
        dimensions={name: tuple(values) for name, values in row.dimensions.items()},
    )


def subject_fields(subject: lifecycle.Subject) -> dict[str, Any]:
    """Return the fields of a row that say what an alert or a signal is about."""
    values: dict[str, Any] = {name: getattr(subject, name) for name in _SUBJECT}
    dimensions = {name: list(one) for name, one in subject.dimensions.items()}
    return values | {"summary": subject.summary[:500], "dimensions": dimensions}


def signal_of(row: models.Signal) -> lifecycle.AlertSignal:
    """Return what was reported."""
    return lifecycle.AlertSignal(
        fingerprint=row.fingerprint,
        is_firing=row.is_firing,
        severity=Severity(row.severity),
        at=row.at,
        subject=subject_of(row),
        needs_rule=row.needs_rule,
    )


def row_of(signal: lifecycle.AlertSignal) -> models.Signal:
    """Return a row of what was reported."""
    return models.Signal(
        fingerprint=signal.fingerprint,
        is_firing=signal.is_firing,
        needs_rule=signal.needs_rule,
        severity=signal.severity.value,
        at=signal.at,
        **subject_fields(signal.subject),
    )


def alert_of(row: models.Alert) -> lifecycle.Alert:
    """Return an alert."""
    return lifecycle.Alert(
        fingerprint=row.fingerprint,
        subject=subject_of(row),
        state=lifecycle.AlertState(row.state),
        severity=Severity(row.severity),
        opened_at=row.opened_at,
        seen_at=row.seen_at,
        count=row.count,
        episode=row.episode,
        resolved_at=row.resolved_at,
        acknowledged=Severity(row.acknowledged) if row.acknowledged else None,
        rule=row.rule,
        told={
            key: lifecycle.Told(
                severity=Severity(one["severity"]),
                at=dt.datetime.fromisoformat(one["at"]),
                since=dt.datetime.fromisoformat(one.get("since", one["at"])),
                steps=one["steps"],
                channels=tuple(one["channels"]),
                is_over=one["is_over"],
            )
            for key, one in row.told.items()
        },
    )


def put(row: models.Alert, alert: lifecycle.Alert) -> models.Alert:
    """Give a row what is known of its alert; return it."""
    values = subject_fields(alert.subject)
    for name in ("opened_at", "seen_at", "count", "episode", "resolved_at", "fingerprint", "rule"):
        values[name] = getattr(alert, name)
    values |= {
        "state": alert.state.value,
        "severity": alert.severity.value,
        "acknowledged": alert.acknowledged.value if alert.acknowledged else "",
    }
    values["told"] = {key: _told_as_json(one) for key, one in alert.told.items()}
    for name, value in values.items():
        setattr(row, name, value)
    return row


def _told_as_json(told: lifecycle.Told) -> dict[str, Any]:
    instants = {"at": told.at.isoformat(), "since": told.since.isoformat()}
    return {**asdict(told), "severity": told.severity.value, **instants}


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
