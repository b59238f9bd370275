"""What people do with alerts: acknowledge, assign, comment, resolve, judge."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from claimkit.alerts import lifecycle
from claimkit.errors import AlertConflict
from claimkit.events import AlertResolved
from claimkit.tenants import current_tenant
from claimkit_django.alerts.board import evaluate, told_as
from claimkit_django.alerts.models import Alert, AlertEntry, Judgment
from claimkit_django.alerts.rows import alert_of, put
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.turns import take_turn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from claimkit.alerts.judgments import Verdict
    from claimkit.types import Cents
    from claimkit_django.tenants.models import Tenant

__all__ = ["acknowledge", "assign", "comment", "judge", "resolve"]


def acknowledge(uid: str, *, actor: str, using: str) -> Alert:
    """Take an alert as one's task: nobody is told of it again unless it becomes more severe.

    Raises:
        AlertConflict: it is resolved.
        Alert.DoesNotExist: the tenant in scope has none of this name.
    """
    with _turn(uid, using) as (tenant, row):
        put(row, lifecycle.acknowledge(alert_of(row)))
        row.assignee = row.assignee or actor
        _note(row, AlertEntry.What.ACKNOWLEDGED, actor, using)
        _save(row, tenant, using)
    return row


def assign(uid: str, *, assignee: str, due_on: dt.date | None, actor: str, using: str) -> Alert:
    """Say who deals with an alert, and by when.

    Raises:
        AlertConflict: it is resolved.
        Alert.DoesNotExist: the tenant in scope has none of this name.
    """
    with _turn(uid, using) as (_tenant, row):
        if row.state == Alert.State.RESOLVED:
            raise AlertConflict("a resolved alert is nobody's task")
        row.assignee, row.due_on = assignee, due_on
        row.save(using=using, update_fields=["assignee", "due_on"])
        _note(row, AlertEntry.What.ASSIGNED, actor, using, text=assignee)
    return row


def comment(uid: str, *, text: str, actor: str, using: str) -> Alert:
    """Write something down for others.

    Raises:
        Alert.DoesNotExist: the tenant in scope has none of this name.
    """
    with _turn(uid, using) as (_tenant, row):
        _note(row, AlertEntry.What.COMMENTED, actor, using, text=text)
    return row


def resolve(uid: str, *, actor: str, using: str) -> Alert:
    """Say that an alert is over; the same signal within some days opens it again.

    Raises:
        AlertConflict: it is resolved already.
        Alert.DoesNotExist: the tenant in scope has none of this name.
    """
    bus = make_bus(open_store(using))
    with bus.transaction(transaction.atomic(using=using)), _turn(uid, using) as (tenant, row):
        if row.state == Alert.State.RESOLVED:
            raise AlertConflict("the alert is resolved already")
        now = timezone.now()
        put(row, lifecycle.resolve(alert_of(row), at=now))
        _note(row, AlertEntry.What.RESOLVED, actor, using)
        _save(row, tenant, using)
        bus.stage(told_as(AlertResolved, row, current_tenant(), now))
    return row


def judge(
    uid: str,
    *,
    verdict: Verdict,
    actor: str,
    is_decisive: bool,
    reason: str = "",
    note: str = "",
    recovered: Cents | None = None,
    recovered_on: dt.date | None = None,
    using: str,
) -> Alert:
    """Keep what somebody thinks of an alert, and what came of it.

    Args:
        uid: Which alert.
        verdict: Real, noise, or to be followed up.
        actor: Who says so.
        is_decisive: Whether the person may mute alone.
        reason: A word of the tenant's own.
        note: For people.
        recovered: Money that came back, in cents, at least 0.
        recovered_on: When; required with ``recovered``.
        using: Alias of the database.

    Raises:
        Alert.DoesNotExist: the tenant in scope has none of this name.
    """
    with _turn(uid, using) as (tenant, row):
        Judgment.objects.using(using).create(
            alert=row,
            verdict=verdict.value,
            reason=reason,
            note=note,
            actor=actor,
            is_decisive=is_decisive,
            judged_at=timezone.now(),
            severity=row.severity,
            recovered=recovered,
            recovered_on=recovered_on,
        )
        _note(row, AlertEntry.What.JUDGED, actor, using, reason=verdict.value, text=note)
        if row.state != Alert.State.RESOLVED:
            _save(row, tenant, using)
    return row


@contextmanager
def _turn(uid: str, using: str) -> Iterator[tuple[Tenant, Alert]]:
    with transaction.atomic(using=using):
        tenant = take_turn(current_tenant(), using)
        yield tenant, Alert.objects.using(using).get(uid=uid)


def _save(row: Alert, tenant: Tenant, using: str) -> None:
    row.save(using=using)
    evaluate(tenant, [row], now=timezone.now(), using=using)


def _note(
    row: Alert, what: str, actor: str, using: str, *, reason: str = "", text: str = ""
) -> None:
    AlertEntry.objects.using(using).create(
        alert=row, at=timezone.now(), what=what, actor=actor, reason=reason, text=text
    )
