"""Telling people: lease notifications from the outbox, send each by its channel, write down what happened.

Each channel is a lane: one that fails or is slow delays no other, and its repetitions never send
another channel's notification again. A worker that dies after a send and before it is written down sends
it once more; mail and pagers know it again by its id.
"""

from __future__ import annotations

import datetime as dt
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from django.db import connections, transaction
from django.db.models import Max
from django.utils import timezone

from claimkit.alerts import channels as core
from claimkit.events import OutboxSettled
from claimkit.outbox import Backoff, Ending, Settlement, endings_of, parse_wait
from claimkit.tenants import use_tenant
from claimkit.types import Severity
from claimkit_django.alerts.board import evaluate_due
from claimkit_django.alerts.channels import kinds, opened
from claimkit_django.alerts.digests import DIGEST_REASONS, plan_due
from claimkit_django.alerts.models import AlertEntry, Channel, Notification, NotificationItem
from claimkit_django.alerts.pulse import find_late
from claimkit_django.conf import config
from claimkit_django.outbox import DatabaseClock, OrmOutbox
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import across_tenants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.outbox import Lease

__all__ = ["Notified", "notify_due", "send"]

logger = logging.getLogger(__name__)

#: Longer than any channel may take; a plugin's has some seconds.
_LEASE = dt.timedelta(minutes=3)
_PER_LANE = 10
_TO_COME = (Notification.State.DUE, Notification.State.LEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """What one round did."""

    #: Alerts for which time alone changed something.
    evaluated: int = 0
    sent: int = 0
    retried: int = 0
    #: Given up.
    dead: int = 0

    def __add__(self, other: Notified) -> Notified:
        return Notified(
            **{name: getattr(self, name) + getattr(other, name) for name in Notified.__slots__}
        )


def notify_due(*, using: str, threads: int = 1) -> Notified:
    """Decide what is due by the clock, and send all notifications that are due; return what was done."""
    now = timezone.now()
    find_late(now=now, using=using)
    done = Notified(evaluated=evaluate_due(now=now, using=using))
    plan_due(now=now, using=using)
    outbox = OrmOutbox(Notification, Channel, using=using, tenants=Tenant._meta.db_table)
    clock = DatabaseClock(using)
    while True:
        with across_tenants():
            leases = outbox.lease(now=clock.now(), ttl=_LEASE, lanes=threads, per_lane=_PER_LANE)
        if not leases:
            return done
        lanes: dict[str, list[Lease]] = {}
        for one in leases:
            lanes.setdefault(one.lane, []).append(one)
        if threads == 1:
            done = sum((_serve(one, outbox, using) for one in lanes.values()), done)
            continue
        with ThreadPoolExecutor(len(lanes), thread_name_prefix="claimkit-notify") as pool:
            served = pool.map(lambda one: _serve_apart(one, outbox, using), lanes.values())
            done = sum(served, done)


def _serve_apart(leases: Sequence[Lease], outbox: OrmOutbox, using: str) -> Notified:
    try:
        return _serve(leases, outbox, using)
    finally:
        connections[using].close()


def _serve(leases: Sequence[Lease], outbox: OrmOutbox, using: str) -> Notified:
    """Send the notifications of one channel; each is written down at once."""
    done = Notified()
    tenant = leases[0].tenant
    with use_tenant(tenant):
        channel = (
            Channel.objects.using(using).filter(pk=int(leases[0].lane), tenant__active=True).first()
        )
        items = _items([int(one.id) for one in leases], int(leases[0].lane), using)
        name = Tenant.objects.using(using).values_list("name", flat=True).get(key=tenant)
        for lease in leases:
            told = items.get(int(lease.id), [])
            if channel is None or not channel.enabled or not told:
                reason = "channel_disabled" if told else "nothing_left"
                settlement = Settlement(lease=lease, ending=Ending.CANCELLED, reason=reason)
            else:
                settlement = _settlement(lease, _send(channel, name, told))
            _record(settlement, channel, told, outbox, using)
            done += Notified(
                sent=settlement.ending is Ending.DONE,
                retried=settlement.ending is Ending.RETRY,
                dead=settlement.ending is Ending.DEAD,
            )
    return done


def _items(notifications: list[int], lane: int, using: str) -> dict[int, list[NotificationItem]]:
    """Return what is left to say in each notification; two queries.

    One that failed is tried again later, and meanwhile the channel may have been told something newer
    of the same alert. Then the old is left out: said after the end, a pager would call somebody again.
    """
    rows = NotificationItem.objects.using(using).filter(notification__in=notifications)
    items = list(rows.select_related("alert", "notification").order_by("pk"))
    later = (
        NotificationItem.objects.using(using)
        .filter(
            alert__in={one.alert_id for one in items},
            notification__lane=lane,
            notification__state__in=[*_TO_COME, Notification.State.DONE],
        )
        .exclude(reason__in=DIGEST_REASONS)
        .order_by()
        .values_list("alert_id")
        .annotate(latest=Max("notification_id"))
    )
    latest = dict(later)
    found: dict[int, list[NotificationItem]] = {}
    for one in items:
        is_digest = one.reason in DIGEST_REASONS
        if is_digest or one.notification_id >= latest.get(one.alert_id, 0):
            found.setdefault(one.notification_id, []).append(one)
    return found


def _send(channel: Channel, tenant: str, told: Sequence[NotificationItem]) -> core.SendResult:
    notification = core.Notification(
        id=told[0].notification.uid,
        tenant_name=tenant,
        digest=told[0].notification.note,
        items=sorted(
            map(_item_of, told), key=lambda one: (-one.severity.rank, -one.dollars_per_month)
        ),
    )
    return send(channel, notification)


def send(channel: Channel, notification: core.Notification) -> core.SendResult:
    """Send a notification by a channel, now; a channel that raises is a failure like others."""
    kind = kinds().get(channel.kind)
    if kind is None:
        return core.SendResult(is_sent=False, reason="channel_unknown")
    try:
        return kind.send(notification, opened(channel.sealed_settings))
    except Exception:
        # Isolation point: a channel that breaks its promise must not stop the others.
        logger.exception("a channel failed", extra={"channel": channel.uid, "kind": channel.kind})
        return core.SendResult(is_sent=False, reason="internal")


def _item_of(item: NotificationItem) -> core.NotificationItem:
    alert, page = item.alert, config().alerts.page
    return core.NotificationItem(
        alert=alert.uid,
        episode=item.episode,
        reason=item.reason,
        severity=Severity(item.severity),
        kind=alert.kind,
        payer=alert.payer,
        summary=alert.summary,
        onset=alert.onset,
        dollars_per_month=alert.dollars_per_month,
        link=page.replace("{uid}", alert.uid),
    )


def _settlement(lease: Lease, result: core.SendResult) -> Settlement:
    if result.is_sent:
        return Settlement(lease=lease, ending=Ending.DONE)
    reason = result.reason[:32]
    back_off = Backoff(waits=tuple(map(parse_wait, config().alerts.retry_waits)))
    wait = back_off.wait_after(
        lease.attempt,
        random=Random(),  # noqa: S311 - scatters waits, protects nothing
        asked=result.retry_after,
    )
    if result.is_permanent or wait is None:
        return Settlement(lease=lease, ending=Ending.DEAD, reason=reason)
    return Settlement(lease=lease, ending=Ending.RETRY, reason=reason, due_at=timezone.now() + wait)


def _record(
    settlement: Settlement,
    channel: Channel | None,
    told: Sequence[NotificationItem],
    outbox: OrmOutbox,
    using: str,
) -> None:
    """Write down what happened: what becomes of the notification, and a line for each of its alerts."""
    bus = make_bus(open_store(using))
    with bus.transaction(transaction.atomic(using=using)):
        with across_tenants():
            settled = outbox.settle([settlement])
        bus.stage(
            OutboxSettled(
                tenant=settlement.lease.tenant,
                at=timezone.now(),
                outbox="alerts",
                endings=endings_of([settlement], settled),
            )
        )
        if not settled or settlement.ending is Ending.CANCELLED:
            return
        is_sent = settlement.ending is Ending.DONE
        AlertEntry.objects.using(using).bulk_create(
            [
                AlertEntry(
                    alert=one.alert,
                    at=timezone.now(),
                    what=AlertEntry.What.SENT if is_sent else AlertEntry.What.FAILED,
                    reason=one.reason if is_sent else settlement.reason,
                    by=channel.uid if channel is not None else "",
                )
                for one in told
            ]
        )
