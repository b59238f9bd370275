"""A dead-man's switch: what should come again and does not is an alert.

Files with claims, watches of drift, and claims of each payer beat; each beat says when the next is
late. It is written after the commit of whoever beats, so that two imports never wait for each
other; a beat that is lost is made up by the next.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, ClassVar

from django.db import transaction
from django.utils import timezone

from claimkit.alerts.lifecycle import AlertSignal, Subject
from claimkit.events import ClaimsChanged, ClaimsImported, WatchEnded
from claimkit.types import Severity, TenantKey
from claimkit_django.alerts.board import receive
from claimkit_django.alerts.models import Heartbeat
from claimkit_django.conf import config
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter
from claimkit_django.tenants.turns import find_tenant, take_turn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from claimkit.events import Event, Phase

__all__ = ["PulseListener", "beat", "find_late"]

_Beat = tuple[str, str]
_IMPORT: _Beat = (Heartbeat.Name.IMPORT.value, "")
_WATCH: _Beat = (Heartbeat.Name.WATCH.value, "")
#: Days on which a payer was there before anybody waits for it.
_KNOWN_DAYS = 5
#: Heartbeats of one tenant that a round looks at.
_MOST = 500


class PulseListener:
    """Lets what was heard of beat."""

    name = "alerts_pulse"
    topics: ClassVar[frozenset[str]] = frozenset(
        one.topic for one in (ClaimsChanged, ClaimsImported, WatchEnded)
    )
    phase: Phase = "committed"

    def __init__(self, using: str) -> None:
        self._using = using

    def handle(self, event: Event) -> Iterable[Event] | None:
        """Write down that it was there, and end the alert that it was not."""
        beats: set[_Beat] = set()
        if isinstance(event, ClaimsImported):
            beats = {_IMPORT}
        elif isinstance(event, WatchEnded) and event.status == "success":
            beats = {_WATCH}
        elif isinstance(event, ClaimsChanged):
            payers = {one.after.payer for one in event.changes if one.after is not None}
            beats = {(Heartbeat.Name.PAYER.value, one) for one in payers if one}
        if beats:
            beat(event.tenant, beats, now=timezone.now(), using=self._using)
        return None


def beat(tenant: TenantKey, beats: set[_Beat], *, now: dt.datetime, using: str) -> None:
    """Write down what was there; one query on all but the first of a day.

    Args:
        tenant: Whose it is; one that is no longer active is left alone.
        beats: Name and payer of each.
        now: The present.
        using: Alias of the database.
    """
    row = find_tenant(tenant, using)
    if not row.active:
        return
    with enter(row):
        rows = Heartbeat.objects.using(using)
        names = {name for name, _ in beats}
        payers = {payer for _, payer in beats}
        known = {
            (one.name, one.payer): one for one in rows.filter(name__in=names, payer__in=payers)
        }
        new = [
            Heartbeat(name=name, payer=payer, beat_at=now, late_at=_late_at(name, now, 1, 0))
            for name, payer in sorted(beats - known.keys())
        ]
        old = [one for one in known.values() if one.is_late or one.beat_at.date() != now.date()]
        late = [one for one in old if one.is_late]
        for one in old:
            _again(one, now)
        with transaction.atomic(using=using):
            # Another worker may have made one meanwhile.
            rows.bulk_create(new, ignore_conflicts=True)
            rows.bulk_update(old, ["beat_at", "beats", "longest_days", "late_at", "is_late"])
        if late:
            signals = [_signal(one, now, is_firing=False) for one in late]
            bus = make_bus(open_store(using))
            with bus.transaction(transaction.atomic(using=using)):
                for event in receive(tenant, signals, now=now, using=using):
                    bus.stage(event)


def _again(row: Heartbeat, now: dt.datetime) -> None:
    days = max((now - row.beat_at).days, 0)
    row.longest_days = max(row.longest_days, days)
    row.beats += now.date() != row.beat_at.date()
    row.beat_at, row.is_late = now, False
    row.late_at = _late_at(row.name, now, row.beats, row.longest_days)


def _late_at(name: str, now: dt.datetime, beats: int, longest_days: int) -> dt.datetime | None:
    """Return when it is late; a payer that was seldom there, or is often away, is waited for longer."""
    room = config().alerts
    days = {
        Heartbeat.Name.IMPORT.value: room.no_import_days,
        Heartbeat.Name.WATCH.value: room.no_watch_days,
        Heartbeat.Name.PAYER.value: room.payer_silent_days,
    }[name]
    if days <= 0 or (name == Heartbeat.Name.PAYER.value and beats < _KNOWN_DAYS):
        return None
    is_payer = name == Heartbeat.Name.PAYER.value
    return now + dt.timedelta(days=max(days, 2 * longest_days) if is_payer else days)


def find_late(*, now: dt.datetime, using: str) -> int:
    """Open alerts of what is late of all tenants; return how many are."""
    due = Heartbeat.unscoped.using(using).filter(
        is_late=False, late_at__lte=now, tenant__active=True
    )
    count = 0
    for key in due.order_by().values_list("tenant__key", flat=True).distinct():
        tenant = TenantKey(key)
        bus = make_bus(open_store(using))
        with bus.transaction(transaction.atomic(using=using)):
            row = take_turn(tenant, using)
            with enter(row):
                rows = Heartbeat.objects.using(using).select_for_update()
                late = list(rows.filter(is_late=False, late_at__lte=now)[:_MOST])
                Heartbeat.objects.using(using).filter(pk__in=[one.pk for one in late]).update(
                    is_late=True
                )
            signals = [_signal(one, now, is_firing=True) for one in late]
            for event in receive(tenant, signals, now=now, using=using):
                bus.stage(event)
            count += len(late)
    return count


#: What is late → kind of alert, how severe it is, and what is said.
_SAID = {
    Heartbeat.Name.IMPORT.value: ("import_missing", Severity.HIGH, "No file with claims came"),
    Heartbeat.Name.WATCH.value: ("watch_missing", Severity.HIGH, "Nobody watched for drift"),
    Heartbeat.Name.PAYER.value: ("payer_silent", Severity.MEDIUM, "{} was in no file"),
}


def _signal(row: Heartbeat, now: dt.datetime, *, is_firing: bool) -> AlertSignal:
    kind, severity, said = _SAID[row.name]
    days = (now - row.beat_at).days
    what = said.format(row.payer)
    summary = f"{what} for {days} days." if is_firing else f"{what} until {now.date()}."
    return AlertSignal(
        fingerprint=f"{kind}:{row.pk}",
        is_firing=is_firing,
        severity=severity,
        at=now,
        subject=Subject(
            source="pulse",
            kind=kind,
            payer=row.payer,
            summary=summary,
            onset=row.beat_at.date(),
            figure=float(days),
        ),
    )
