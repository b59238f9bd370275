"""What is decided to be told becomes notifications: grouped by channel and route, taken back in time."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Max, Q

from claimkit.alerts import policy
from claimkit.types import Severity
from claimkit_django.alerts.models import Alert, Notification, NotificationItem

if TYPE_CHECKING:
    from claimkit_django.alerts.rows import Policy

__all__ = ["CHANNEL", "enqueue", "wake", "withdraw"]

#: Channel of the NOTIFY that wakes workers.
CHANNEL = "claimkit_alerts"


def withdraw(rows: list[Alert], using: str) -> dict[int, dict[str, set[str]]]:
    """Take alerts that are over out of notifications that nobody has seen.

    Returns:
        Id of an alert → route → channels that were to learn of its beginning.
    """
    withdrawn: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    if not rows:
        return withdrawn
    waiting = Notification.objects.using(using).filter(state=Notification.State.DUE, attempts=0)
    items = NotificationItem.objects.using(using).filter(
        alert__in=[one.pk for one in rows], notification__in=waiting
    )
    found = list(
        items.filter(reason=policy.Reason.FIRST.value).select_related("notification__lane")
    )
    for one in found:
        withdrawn[one.alert_id][one.notification.route].add(one.notification.lane.uid)
    NotificationItem.objects.using(using).filter(pk__in=[one.pk for one in found]).delete()
    touched = {one.notification_id for one in found}
    waiting.filter(pk__in=touched).exclude(
        pk__in=NotificationItem.objects.using(using)
        .filter(notification__in=touched)
        .values("notification_id")
    ).update(state=Notification.State.CANCELLED, reason="nothing_left")
    return withdrawn


def enqueue(
    wanted: list[tuple[policy.Decision, Alert]],
    rulebook: Policy,
    *,
    now: dt.datetime,
    using: str,
) -> None:
    """Put alerts into the notifications that wait, or into new ones; six statements at most."""
    by_notification: dict[tuple[int, str], list[tuple[policy.Decision, Alert]]] = defaultdict(list)
    for decision, row in wanted:
        for uid in dict.fromkeys(decision.channels):
            # One that was told and is switched off now hears nothing more.
            if uid in rulebook.channels:
                by_notification[rulebook.channels[uid], decision.by].append((decision, row))
    if not by_notification:
        return
    lanes = {lane for lane, _ in by_notification}
    related = Notification.objects.using(using).filter(lane_id__in=lanes)
    waiting = {
        (one.lane_id, one.route): one
        for one in related.filter(state=Notification.State.DUE, attempts=0).select_for_update()
    }
    latest = {
        (one["lane_id"], one["route"]): one["latest"]
        for one in related.order_by()
        .values("lane_id", "route")
        .annotate(latest=Max("planned_at", filter=~Q(state=Notification.State.CANCELLED)))
    }
    new, sooner = [], []
    for key, told in by_notification.items():
        at = _when(told, rulebook.waits.get(key[1], (0, 0)), latest.get(key), now)
        notification = waiting.get(key)
        if notification is None:
            notification = Notification(lane_id=key[0], route=key[1], due_at=at, planned_at=at)
            waiting[key] = notification
            new.append(notification)
        elif at < notification.due_at:
            notification.due_at = notification.planned_at = at
            sooner.append(notification)
    Notification.objects.using(using).bulk_create(new)
    if sooner:
        Notification.objects.using(using).bulk_update(sooner, ["due_at", "planned_at"])
    _add_items(by_notification, waiting, using)
    wake(using)


def wake(using: str) -> None:
    """Let a worker that waits look now, once the transaction is in."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def _when(
    told: list[tuple[policy.Decision, Alert]],
    waits: tuple[int, int],
    latest: dt.datetime | None,
    now: dt.datetime,
) -> dt.datetime:
    """Return when a notification is due: at once for what became worse or is critical."""
    is_urgent = any(
        one.reason is policy.Reason.ESCALATED or row.severity == Severity.CRITICAL.value
        for one, row in told
    )
    if is_urgent:
        return now
    wait, interval = (dt.timedelta(minutes=one) for one in waits)
    return max(now + wait, latest + interval) if latest is not None else now + wait


def _add_items(
    by_notification: dict[tuple[int, str], list[tuple[policy.Decision, Alert]]],
    notifications: dict[tuple[int, str], Notification],
    using: str,
) -> None:
    waiting = NotificationItem.objects.using(using).filter(
        notification__in=[notifications[key].pk for key in by_notification],
        reason=policy.Reason.FIRST.value,
    )
    # Whoever has not heard of an alert yet hears of it for the first time, whatever it became.
    unheard = set(waiting.values_list("notification_id", "alert_id"))
    items: list[Any] = []
    for key, told in by_notification.items():
        for decision, row in told:
            is_first = (notifications[key].pk, row.pk) in unheard
            reason = policy.Reason.FIRST if is_first else decision.reason
            items.append(
                NotificationItem(
                    notification=notifications[key],
                    alert=row,
                    episode=row.episode,
                    reason=reason.value,
                    severity=row.severity,
                )
            )
    NotificationItem.objects.using(using).bulk_create(
        items,
        # Of an alert that is said twice before anybody is told, the latest is said.
        update_conflicts=True,
        unique_fields=["tenant", "notification", "alert"],
        update_fields=["episode", "reason", "severity"],
    )
