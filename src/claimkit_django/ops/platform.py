"""Watches the site itself and tells operators, by rows that belong to no tenant.

The story: :func:`watch` reads the series of this site (:func:`read`), compares them with those at the
begin of the window, writes down which rules fire, and what each operators' channel is to be told;
:func:`tell` sends that, each channel on its own, with repetitions that end. A fault of any of it is
counted in a row that a gauge shows, and raised to nobody: who watches must not be what breaks.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.module_loading import import_string

from claimkit.alerts.channels import Notification, NotificationItem, SendResult
from claimkit.errors import ConfigError, UnknownName
from claimkit.ops import metrics
from claimkit.ops.platform import RULES, Judged, PlatformRule, Readings, assess, judge
from claimkit.outbox import Backoff, parse_wait
from claimkit_django.conf import config
from claimkit_django.ops.metrics import is_installed, samples
from claimkit_django.ops.models import (
    PlatformAlert,
    PlatformReading,
    PlatformTelling,
    PlatformWatch,
)
from claimkit_django.runtime import plugins

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from claimkit.alerts.channels import Channel
    from claimkit.types import Json

__all__ = ["OperatorChannel", "Watched", "channels", "gauges", "read", "watch"]

logger = logging.getLogger(__name__)

_KEEP = dt.timedelta(days=1)
_WAITS = ("1m", "5m", "15m", "1h", "4h")
_LEASE = dt.timedelta(minutes=3)
_OVER = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorChannel:
    """A way of telling operators, from ``OPS.ALERT_CHANNELS``."""

    #: Kind, and a digest of the settings: a changed one is another.
    key: str
    channel: Channel = field(repr=False)
    settings: Mapping[str, Json] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What one watch found and did."""

    judged: Sequence[Judged] = ()
    told: int = 0
    retried: int = 0
    dead: int = 0
    #: What of it failed, in a word; empty where all is well.
    fault: str = ""


def channels() -> list[OperatorChannel]:
    """Return the channels of operators.

    Raises:
        ConfigError: one of ``OPS.ALERT_CHANNELS`` cannot be used.
        UnknownName: it is of no kind that is known.
    """
    known: dict[str, Channel] = dict(plugins().channels)
    for app in apps.get_app_configs():
        path: str = getattr(app, "channel_kinds", "")
        if path:
            known |= import_string(path)()
    return [_channel(text, known) for text in config().ops.alert_channels]


def _channel(text: str, known: Mapping[str, Channel]) -> OperatorChannel:
    kind, _, rest = text.partition(" ")
    if kind not in known:
        raise UnknownName.of("channel", kind, known)
    try:
        settings = json.loads(rest or "{}")
    except ValueError:
        raise ConfigError(
            f"what follows {kind!r} in OPS.ALERT_CHANNELS is no JSON",
            remedy='Write it like: email {"to": ["ops@example.org"]}',
        ) from None
    digest = hashlib.sha256(rest.encode()).hexdigest()[:8]
    channel = known[kind]
    return OperatorChannel(
        key=f"{kind}:{digest}", channel=channel, settings=channel.check(settings)
    )


def read(using: str) -> Readings:
    """Return what the series of this site say now; a query or two per room.

    Requests and tasks are those of all processes where ``PROMETHEUS_MULTIPROC_DIR`` is set, else of
    this one, and unknown without ``prometheus-client``.
    """
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for name, labels, value in samples(using):
        found.setdefault(name, []).append((labels, value))

    def total(series: metrics.Series, **where: str) -> float | None:
        rows = found.get(series.name)
        if rows is None:
            return None
        return sum(
            value
            for labels, value in rows
            if all(labels.get(name, "").startswith(one) for name, one in where.items())
        )

    def worst(series: metrics.Series) -> float | None:
        return max((value for _, value in found.get(series.name, ())), default=None)

    seconds: dict[str, float] = {}
    for labels, value in found.get(f"{metrics.HTTP_SECONDS.name}_bucket", ()):
        seconds[labels["le"]] = seconds.get(labels["le"], 0.0) + value
    counted = is_installed()
    return Readings(
        requests=(total(metrics.HTTP_REQUESTS) or 0.0) if counted else None,
        errors=total(metrics.HTTP_REQUESTS, status="5") or 0.0,
        seconds=seconds,
        tasks=(total(metrics.TASKS) or 0.0) if counted else None,
        failures=total(metrics.TASKS, state="failure") or 0.0,
        connections=total(metrics.DATABASE_CONNECTIONS),
        connections_limit=worst(metrics.DATABASE_CONNECTIONS_LIMIT),
        oldest_due=worst(metrics.OUTBOX_OLDEST_DUE),
        oldest_unlinked=worst(metrics.AUDIT_OLDEST_UNLINKED),
    )


def watch(
    *,
    using: str,
    only: Collection[str] = (),
    is_dry: bool = False,
    now: dt.datetime | None = None,
) -> Watched:
    """Look at the site once, and tell operators what is new; raises nothing.

    Args:
        using: Alias of the database.
        only: Names of rules; empty for all.
        is_dry: Change nothing and tell nobody.
        now: The present.
    """
    moment = now or timezone.now()
    rules = [one for name, one in RULES.items() if not only or name in only]
    try:
        if is_dry:
            return Watched(judged=_judge(rules, read(using), moment, using))
        known, readings = channels(), read(using)
        with transaction.atomic(using=using):
            judged = _judge(rules, readings, moment, using)
            PlatformReading.objects.using(using).filter(at__lt=moment - _KEEP).delete()
            PlatformReading.objects.using(using).create(at=moment, readings=readings.as_json())
            for one in judged:
                _keep(one, known, moment, using)
        done = tell(known, now=moment, using=using)
        _note(using, moment)
    except Exception as error:
        # Isolation point: a watch that fails must show as a metric, and stop no timer.
        logger.exception("the site could not be watched")
        if not is_dry:
            _note(using, None)
        return Watched(fault=type(error).__name__)
    return replace(done, judged=judged)


def _judge(
    rules: Sequence[PlatformRule], readings: Readings, now: dt.datetime, using: str
) -> list[Judged]:
    since = now - dt.timedelta(minutes=config().ops.alert_window_minutes)
    kept = PlatformReading.objects.using(using).filter(at__lt=now)
    # Where nobody looked within the window, it begins when somebody last did.
    row = kept.filter(at__gte=since).order_by("at").first() or kept.order_by("-at").first()
    before = Readings.from_json(row.readings) if row is not None else None
    firing = set(
        PlatformAlert.objects.using(using).filter(is_firing=True).values_list("rule", flat=True)
    )
    return [
        judge(one, assess(one, before, readings), was_firing=one.name in firing) for one in rules
    ]


def _keep(judged: Judged, known: Sequence[OperatorChannel], now: dt.datetime, using: str) -> None:
    """Write down what became of a rule, and what is to be told of it."""
    rows = PlatformAlert.objects.using(using)
    rows.get_or_create(rule=judged.rule.name)
    alert = rows.select_for_update().get(rule=judged.rule.name)
    begins = judged.is_firing and not alert.is_firing
    ends = alert.is_firing and not judged.is_firing
    if begins:
        alert.since, alert.episode = now, alert.episode + 1
    alert.is_firing = judged.is_firing
    if judged.figure is not None:
        alert.figure, alert.summary = judged.figure, judged.summary
    alert.save(using=using)
    tellings = PlatformTelling.objects.using(using).filter(alert=alert, episode=alert.episode)
    if ends:
        # Only those who were told of its beginning, and nothing that is still to be said of it.
        told = set(tellings.filter(state="done").values_list("channel", flat=True))
        tellings.filter(state="due").update(state="dead", reason="over")
        _ask(alert, [one.key for one in known if one.key in told], _OVER, now, using)
    elif alert.is_firing and alert.since is not None:
        hours = config().ops.alert_repeat_hours
        number = int((now - alert.since) / dt.timedelta(hours=hours)) if hours > 0 else 0
        _ask(alert, [one.key for one in known], number, now, using)


def _ask(
    alert: PlatformAlert, keys: Sequence[str], number: int, now: dt.datetime, using: str
) -> None:
    PlatformTelling.objects.using(using).bulk_create(
        [
            PlatformTelling(
                alert=alert, channel=key, episode=alert.episode, number=number, due_at=now
            )
            for key in keys
        ],
        ignore_conflicts=True,
    )


def tell(known: Sequence[OperatorChannel], *, now: dt.datetime, using: str) -> Watched:
    """Send what is due, each by its own channel; one that fails repeats no other."""
    by_key = {one.key: one for one in known}
    told = retried = dead = 0
    due = PlatformTelling.objects.using(using).filter(state="due", due_at__lte=now)
    for telling in due.select_related("alert").order_by("pk"):
        mine = PlatformTelling.objects.using(using).filter(pk=telling.pk)
        # Whoever counts the attempt makes it.
        taken = mine.filter(state="due", attempts=telling.attempts).update(
            attempts=F("attempts") + 1, due_at=now + _LEASE
        )
        if not taken:
            continue
        channel = by_key.get(telling.channel)
        result = (
            _send(channel, telling)
            if channel is not None
            else SendResult(is_sent=False, reason="channel_unknown", is_permanent=True)
        )
        wait = Backoff(waits=tuple(map(parse_wait, _WAITS))).wait_after(
            telling.attempts + 1,
            random=Random(),  # noqa: S311 - scatters waits, protects nothing
            asked=result.retry_after,
        )
        if result.is_sent:
            mine.update(state="done", reason="")
            told += 1
        elif result.is_permanent or wait is None:
            mine.update(state="dead", reason=result.reason[:32])
            dead += 1
        else:
            mine.update(reason=result.reason[:32], due_at=now + wait)
            retried += 1
    return Watched(told=told, retried=retried, dead=dead)


def _send(channel: OperatorChannel, telling: PlatformTelling) -> SendResult:
    alert = telling.alert
    rule = RULES.get(alert.rule)
    if rule is None:
        return SendResult(is_sent=False, reason="rule_unknown", is_permanent=True)
    reasons = {_OVER: "resolved", 0: "first"}
    item = NotificationItem(
        alert=f"platform_{alert.rule}",
        episode=telling.episode,
        reason=reasons.get(telling.number, "repeated"),
        severity=rule.severity,
        kind=f"platform_{alert.rule}",
        payer="",
        summary=alert.summary,
        onset=alert.since.date() if alert.since else None,
        dollars_per_month=0,
    )
    notification = Notification(
        id=f"platform.{telling.pk}", tenant_name="claimkit, the site itself", items=[item]
    )
    try:
        return channel.channel.send(notification, channel.settings)
    except Exception:
        # Isolation point: a channel that breaks its promise must not stop the others.
        logger.exception("a channel failed", extra={"channel": channel.key})
        return SendResult(is_sent=False, reason="internal")


def _note(using: str, ok_at: dt.datetime | None) -> None:
    """Write down that the site was watched, or that it could not be."""
    try:
        with transaction.atomic(using=using):
            rows = PlatformWatch.objects.using(using)
            rows.get_or_create(pk=1)
            changed: dict[str, Any] = (
                {"faults": F("faults") + 1} if ok_at is None else {"ok_at": ok_at, "faults": 0}
            )
            rows.filter(pk=1).update(**changed)
    except DatabaseError:
        # The age of the last watch says so.
        logger.exception("a fault of the watch could not be written down")


def gauges(using: str) -> list[metrics.Sample]:
    """Return how the watch of the site fares itself, its age once there was one; one query."""
    row = PlatformWatch.objects.using(using).filter(pk=1).first()
    found = [metrics.Sample(metrics.PLATFORM_FAULTS, row.faults if row else 0)]
    if row is not None and row.ok_at is not None:
        age = (timezone.now() - row.ok_at).total_seconds()
        found.append(metrics.Sample(metrics.PLATFORM_OLDEST_WATCH, age))
    return found
