"""From signals to alerts to notifications: what a signal, the clock or a person changes, in one transaction.

Everything here holds the tenant's turn, so that two workers never decide about one alert at once,
and takes a fixed number of statements for any number of signals. What is to be told becomes a
:class:`~claimkit_django.alerts.models.Notification` in the same transaction: nobody is told of what was
rolled back, and what was decided is told even if every process dies right after.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.models import Max, Q
from django.utils import timezone

from claimkit.alerts import lifecycle, policy
from claimkit.alerts.judgments import noise_until
from claimkit.alerts.rules import apply_rules
from claimkit.errors import UnknownName
from claimkit.events import AlertOpened, AlertResolved
from claimkit.types import Severity, TenantKey
from claimkit_django.alerts.models import (
    Alert,
    AlertEntry,
    Judgment,
    Notification,
    NotificationItem,
    Rule,
)
from claimkit_django.alerts.rows import Policy, alert_of, judgments_of, put, rule_of
from claimkit_django.bulk import BulkTable, OnConflict, insert_columns
from claimkit_django.conf import config
from claimkit_django.tenants.changes import note_change
from claimkit_django.tenants.scope import enter
from claimkit_django.tenants.turns import take_turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from claimkit.events import Event
    from claimkit_django.tenants.models import Tenant

__all__ = ["CHANNEL", "evaluate", "evaluate_due", "look_again", "receive"]

logger = logging.getLogger(__name__)

#: Channel of the NOTIFY that wakes workers.
CHANNEL = "claimkit_alerts"
_PAGE = 500
_SAID = {lifecycle.Change.SEEN, lifecycle.Change.NOTHING}
_JUDGED_WITHIN = dt.timedelta(days=90)


def receive(
    tenant: TenantKey, signals: Iterable[lifecycle.AlertSignal], *, now: dt.datetime, using: str
) -> list[Event]:
    """Apply signals, decide who is told, and return what follows, for the caller to stage.

    Args:
        tenant: Whose signals.
        signals: In any order; the same again changes nothing but a count.
        now: The present.
        using: Alias of the database.

    Raises:
        TenantUnknown: there is no such tenant, or it is not active.
    """
    taken = list(signals)
    with transaction.atomic(using=using):
        row = take_turn(tenant, using)
        with enter(row):
            taken = _ruled(taken, using)
            known = _latest({one.fingerprint for one in taken}, using)
            changed: dict[str, Alert] = {}
            entries: list[AlertEntry] = []
            following: list[Event] = []
            for signal in taken:
                touched = _apply(signal, known, entries, following, tenant)
                if touched is not None:
                    changed[touched.uid] = touched
            new = [one for one in changed.values() if one.pk is None]
            Alert.objects.using(using).bulk_create(new)
            _decide(row, list(changed.values()), entries, now=now, using=using)
    return following


def evaluate(row: Tenant, alerts: Sequence[Alert], *, now: dt.datetime, using: str) -> None:
    """Decide again about alerts that somebody changed, in the caller's transaction and turn."""
    _decide(row, list(alerts), [], now=now, using=using)


def look_again(*, using: str) -> None:
    """Let the next worker decide about all live alerts of the tenant in scope.

    For whoever changed who is told: an alert that nobody could be told of is told now.
    """
    live = Alert.objects.using(using).exclude(state=Alert.State.RESOLVED)
    live.update(look_at=timezone.now())


def evaluate_due(*, now: dt.datetime, using: str) -> int:
    """Decide about alerts for which time alone changed something; return how many."""
    count = 0
    due = Alert.unscoped.using(using).filter(look_at__lte=now, tenant__active=True)
    for key in due.order_by().values_list("tenant__key", flat=True).distinct():
        with transaction.atomic(using=using):
            row = take_turn(TenantKey(key), using)
            with enter(row):
                # Another worker may have decided meanwhile: ask again under the turn.
                alerts = list(Alert.objects.using(using).filter(look_at__lte=now)[:_PAGE])
                _decide(row, alerts, [], now=now, using=using)
                count += len(alerts)
    return count


def _ruled(signals: list[lifecycle.AlertSignal], using: str) -> list[lifecycle.AlertSignal]:
    """Return the signals that rules let through, as severe as they say; one query."""
    rules = []
    for one in Rule.objects.using(using).filter(enabled=True):
        try:
            rules.append(rule_of(one))
        except UnknownName:
            # Of a plugin or a version that is gone: better an alert too many than none.
            logger.warning("a rule names an unknown metric", extra={"rule": one.uid})
    if not rules:
        return signals
    ruled = (apply_rules(one, rules)[0] for one in signals)
    return [one for one in ruled if one is not None]


# -- life -------------------------------------------------------------------------------------


def _latest(fingerprints: set[str], using: str) -> dict[str, Alert]:
    """Return the live alert of each fingerprint, else the last resolved one; two queries."""
    rows = Alert.objects.using(using).filter(fingerprint__in=fingerprints)
    newest = rows.order_by().values("fingerprint").annotate(newest=Max("pk"))
    ids = [one["newest"] for one in newest]
    return {one.fingerprint: one for one in Alert.objects.using(using).filter(pk__in=ids)}


def _apply(
    signal: lifecycle.AlertSignal,
    known: dict[str, Alert],
    entries: list[AlertEntry],
    following: list[Event],
    tenant: TenantKey,
) -> Alert | None:
    """Apply one signal to what is known; return the row where it changed anything."""
    row = known.get(signal.fingerprint)
    before = alert_of(row) if row is not None else None
    alert, change = lifecycle.apply(
        before,
        signal,
        reopen_within=dt.timedelta(days=config().alerts.reopen_days),
    )
    if alert is None or alert == before:
        return None
    if change is lifecycle.Change.OPENED or row is None:
        row = Alert()
    put(row, alert)
    known[signal.fingerprint] = row
    if change not in _SAID:
        entries.append(AlertEntry(alert=row, at=signal.at, what=change.value))
    if change in {lifecycle.Change.OPENED, lifecycle.Change.REOPENED}:
        following.append(told_as(AlertOpened, row, tenant, signal.at))
    if change is lifecycle.Change.RESOLVED:
        following.append(told_as(AlertResolved, row, tenant, signal.at))
    return row


def told_as(
    kind: type[AlertOpened | AlertResolved], row: Alert, tenant: TenantKey, at: dt.datetime
) -> Event:
    """Return the event that tells of an alert."""
    return kind(
        tenant=tenant,
        at=at,
        alert=row.uid,
        kind=row.kind,
        severity=row.severity,
        payer=row.payer,
        summary=row.summary,
        dollars_per_month=row.dollars_per_month,
    )


def _write(rows: Sequence[Alert], using: str) -> None:
    """Write all that is known of alerts that are there; one statement, or a fixed number.

    ``bulk_update`` makes an expression of each cell, which costs milliseconds per alert.
    """
    if not rows:
        return
    connection = connections[using]
    fields = Alert._meta.concrete_fields
    cells = [
        [
            json.dumps(one.told)
            if field.name == "told"
            else field.get_db_prep_save(getattr(one, field.attname), connection)
            for one in rows
        ]
        for field in fields
    ]
    insert_columns(
        using,
        BulkTable(
            name=Alert._meta.db_table,
            columns=tuple(str(one.column) for one in fields),
            key=("id",),
        ),
        cells,
        OnConflict.REPLACE,
    )
    note_change([rows[0].tenant_id], Alert.shown_in, using)


# -- decisions --------------------------------------------------------------------------------


def _decide(
    tenant: Tenant,
    rows: list[Alert],
    entries: list[AlertEntry],
    *,
    now: dt.datetime,
    using: str,
) -> None:
    if not rows and not entries:
        return
    rules = Policy.load(tenant, now, using)
    judged = _judgments({one.fingerprint for one in rows}, now, using)
    withdrawn = _withdraw([one for one in rows if one.state == Alert.State.RESOLVED], using)
    wanted: list[tuple[policy.Decision, Alert]] = []
    for row in rows:
        alert = alert_of(row)
        for route, channels in withdrawn.get(row.pk, {}).items():
            # They were to learn of its beginning, and nobody has told them yet.
            alert = lifecycle.forget(alert, route, channels)
        decisions = policy.decide(
            alert,
            routes=rules.routes,
            silences=rules.silences,
            noise_until=noise_until(
                judgments_of(judged[row.fingerprint]), severity=alert.severity, now=now
            ),
            zone=rules.zone,
            now=now,
        )
        for one in decisions:
            if one.action is policy.Action.NOTIFY:
                alert = policy.told_now(alert, one, now)
                wanted.append((one, row))
            if one.reason is not policy.Reason.TOLD:
                entries.append(
                    AlertEntry(
                        alert=row, at=now, what=one.action.value, reason=one.reason.value, by=one.by
                    )
                )
        put(row, alert)
        row.look_at = min((one.again_at for one in decisions if one.again_at), default=None)
    _write(rows, using)
    _enqueue(wanted, rules, now=now, using=using)
    AlertEntry.objects.using(using).bulk_create(entries)


def _judgments(fingerprints: set[str], now: dt.datetime, using: str) -> dict[str, list[Judgment]]:
    found: dict[str, list[Judgment]] = defaultdict(list)
    rows = Judgment.objects.using(using).filter(
        alert__fingerprint__in=fingerprints, judged_at__gt=now - _JUDGED_WITHIN
    )
    for one in rows.select_related("alert"):
        found[one.alert.fingerprint].append(one)
    return found


def _withdraw(rows: list[Alert], using: str) -> dict[int, dict[str, set[str]]]:
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


def _enqueue(
    wanted: list[tuple[policy.Decision, Alert]],
    rules: Policy,
    *,
    now: dt.datetime,
    using: str,
) -> None:
    """Put alerts into the notifications that wait, or into new ones; six statements at most."""
    by_notification: dict[tuple[int, str], list[tuple[policy.Decision, Alert]]] = defaultdict(list)
    for decision, row in wanted:
        for uid in dict.fromkeys(decision.channels):
            # One that was told and is switched off now hears nothing more.
            if uid in rules.channels:
                by_notification[rules.channels[uid], decision.by].append((decision, row))
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
        at = _when(told, rules.waits.get(key[1], (0, 0)), latest.get(key), now)
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
