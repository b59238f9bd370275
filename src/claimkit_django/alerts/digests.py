"""Digests that are due: what is open and what was muted, as one notification per channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from claimkit.alerts.digests import Rhythm, note_of
from claimkit.alerts.policy import Action
from claimkit.types import Severity, TenantKey
from claimkit_django.alerts.models import (
    Alert,
    AlertEntry,
    Channel,
    Digest,
    Notification,
    NotificationItem,
)
from claimkit_django.alerts.rows import zone_of
from claimkit_django.alerts.telling import wake
from claimkit_django.tenants.scope import enter
from claimkit_django.tenants.turns import take_turn

if TYPE_CHECKING:
    import datetime as dt

    from claimkit_django.tenants.models import Tenant

__all__ = ["DIGEST_REASONS", "plan_due", "start"]

#: Why an alert is in a digest.
DIGEST_REASONS = ("open", "muted")
#: Alerts that one names; its note counts all.
_MOST = 50


def start(digest: Digest, tenant: Tenant, now: dt.datetime) -> None:
    """Say when a digest that somebody made or changed is due next; the row is not saved."""
    digest.next_at = _rhythm_of(digest).next_after(now, zone_of(tenant))
    digest.told_until = digest.told_until or now


def plan_due(*, now: dt.datetime, using: str) -> int:
    """Make the digests that are due of all tenants; return how many have something to say.

    What an outage left out is told once, in the next one.
    """
    due = Digest.unscoped.using(using).filter(enabled=True, next_at__lte=now, tenant__active=True)
    count = 0
    for key in due.order_by().values_list("tenant__key", flat=True).distinct():
        with transaction.atomic(using=using):
            tenant = take_turn(TenantKey(key), using)
            with enter(tenant):
                # Another worker may have made them meanwhile: ask again under the turn.
                rows = list(Digest.objects.using(using).filter(enabled=True, next_at__lte=now))
                count += sum(_plan(one, tenant, now, using) for one in rows)
    return count


def _rhythm_of(digest: Digest) -> Rhythm:
    is_weekly = digest.every == Digest.Every.WEEK
    return Rhythm(at=digest.at, weekday=digest.weekday if is_weekly else None)


def _plan(digest: Digest, tenant: Tenant, now: dt.datetime, using: str) -> bool:
    """Queue one digest, and say when the next is due; nothing is queued where all is quiet."""
    since, digest.told_until = digest.told_until, now
    start(digest, tenant, now)
    digest.save(using=using, update_fields=["next_at", "told_until"])
    rows = Alert.objects.using(using).exclude(state=Alert.State.RESOLVED)
    muted = _muted(since, now, using)
    also = Alert.objects.using(using).filter(pk__in=muted, state=Alert.State.RESOLVED)
    told = [*rows, *also]
    lanes = Channel.objects.using(using).filter(uid__in=digest.channels, enabled=True)
    if not told or not lanes:
        return False
    told.sort(key=lambda one: (-Severity(one.severity).rank, -one.dollars_per_month, one.pk))
    note = note_of(open_alerts=len(told) - len(also), muted=muted.values())
    waiting = Notification.objects.using(using).filter(
        route=digest.uid, state=Notification.State.DUE, attempts=0
    )
    # One that nobody could be sent yet says less than this one.
    waiting.update(state=Notification.State.CANCELLED, reason="newer_digest")
    made = Notification.objects.using(using).bulk_create(
        [
            Notification(lane=lane, route=digest.uid, due_at=now, planned_at=now, note=note)
            for lane in lanes
        ]
    )
    NotificationItem.objects.using(using).bulk_create(
        [
            NotificationItem(
                notification=notification,
                alert=one,
                episode=one.episode,
                reason="muted" if one.pk in muted else "open",
                severity=one.severity,
            )
            for notification in made
            for one in told[:_MOST]
        ]
    )
    wake(using)
    return True


def _muted(since: dt.datetime, now: dt.datetime, using: str) -> dict[int, str]:
    """Return the alerts that were muted, with the last reason; that of two of a kind does not count."""
    lines = AlertEntry.objects.using(using).filter(
        what=Action.MUTE.value, at__gte=since, at__lt=now, reason__in=_MUTES
    )
    return dict(lines.order_by("pk").values_list("alert_id", "reason"))


#: Reasons for which somebody may miss something; the others say that nothing is to be said.
_MUTES = ("silenced", "inhibited", "judged_noise", "no_route", "no_channel", "flapping")
