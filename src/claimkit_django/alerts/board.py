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
from typing import TYPE_CHECKING

from django.db import connections, transaction
from django.db.models import JSONField, Max, Q
from django.utils import timezone

from claimkit.alerts import lifecycle, policy, rules
from claimkit.alerts.judgments import noise_until
from claimkit.errors import ConfigError, UnknownName
from claimkit.events import AlertOpened, AlertResolved
from claimkit.types import TenantKey
from claimkit_django.alerts.models import (
    Alert,
    AlertEntry,
    Judgment,
    Rule,
    Signal,
)
from claimkit_django.alerts.rows import Policy, alert_of, judgments_of, put, row_of, rule_of
from claimkit_django.alerts.telling import enqueue, withdraw
from claimkit_django.bulk import BulkTable, OnConflict, insert_columns
from claimkit_django.conf import config
from claimkit_django.tenants.changes import note_change
from claimkit_django.tenants.scope import enter
from claimkit_django.tenants.turns import take_turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from claimkit.events import Event
    from claimkit_django.tenants.models import Tenant

__all__ = ["DRIFT", "PREVIEW_DAYS", "evaluate", "evaluate_due", "look_again", "receive"]

logger = logging.getLogger(__name__)

#: Signals with this source are not kept: what drift knew of any past day can be computed.
DRIFT = "drift"
#: For so long previews of rules look back.
PREVIEW_DAYS = 90
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
            _keep(taken, using)
            known_rules = _rules(using) if taken else []
            known = _latest({one.fingerprint for one in taken}, using)
            changed: dict[str, Alert] = {}
            entries: list[AlertEntry] = []
            following: list[Event] = []
            for signal in taken:
                ruled = _ruled(signal, known.get(signal.fingerprint), known_rules)
                touched = _apply(ruled, known, entries, following, tenant) if ruled else None
                if touched is not None:
                    changed[touched.uid] = touched
            new = {uid: one for uid, one in changed.items() if one.pk is None}
            Alert.objects.using(using).bulk_create(new.values())
            _decide(row, list(changed.values()), entries, now=now, using=using)
            # A new one has muted nothing yet.
            _look_at_inhibited([changed[uid] for uid in changed.keys() - new.keys()], now, using)
    return following


def evaluate(row: Tenant, alerts: Sequence[Alert], *, now: dt.datetime, using: str) -> None:
    """Decide again about alerts that somebody changed, in the caller's transaction and turn."""
    _decide(row, list(alerts), [], now=now, using=using)
    _look_at_inhibited(alerts, now, using)


def look_again(*, using: str) -> None:
    """Let the next worker decide about all live alerts of the tenant in scope.

    For whoever changed who is told: an alert that nobody could be told of is told now.
    """
    rows = Alert.objects.using(using).filter(~Q(state=Alert.State.RESOLVED) | Q(owes_end=True))
    rows.update(look_at=timezone.now())


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
                _look_at_inhibited(alerts, now, using)
                count += len(alerts)
    return count


def _keep(signals: Sequence[lifecycle.AlertSignal], using: str) -> None:
    """Write down what drift cannot compute again; retention removes what no preview looks at."""
    Signal.objects.using(using).bulk_create(
        row_of(one) for one in signals if one.subject.source != DRIFT
    )


def _rules(using: str) -> list[rules.Rule]:
    """Return the rules of the tenant in scope, in order; one query."""
    found = []
    for one in Rule.objects.using(using).filter(enabled=True):
        try:
            found.append(rule_of(one))
        except (UnknownName, ConfigError):
            # Of a plugin or a version that is gone: better an alert too many than none.
            logger.warning("a rule cannot be used", extra={"rule": one.uid})
    return found


def _ruled(
    signal: lifecycle.AlertSignal, row: Alert | None, known: list[rules.Rule]
) -> lifecycle.AlertSignal | None:
    """Return the signal as rules have it, if they let it through."""
    is_live = row is not None and row.state != Alert.State.RESOLVED
    return rules.apply_rules(signal, known, held_by=row.rule if row and is_live else "")


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
            json.dumps(getattr(one, field.attname))
            if isinstance(field, JSONField)
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
    rulebook = Policy.load(tenant, now, using)
    wide = _wide(rows, using)
    judged = _judgments({one.fingerprint for one in rows}, now, using)
    withdrawn = withdraw([one for one in rows if one.state == Alert.State.RESOLVED], using)
    wanted: list[tuple[policy.Decision, Alert]] = []
    for row in rows:
        alert = alert_of(row)
        for route, channels in withdrawn.get(row.pk, {}).items():
            # They were to learn of its beginning, and nobody has told them yet.
            alert = lifecycle.forget(alert, route, channels)
        decisions = policy.decide(
            alert,
            routes=rulebook.routes,
            silences=rulebook.silences,
            noise_until=noise_until(
                judgments_of(judged[row.fingerprint]), severity=alert.severity, now=now
            ),
            inhibitor=policy.inhibitor_of(alert, wide.get(row.payer, ())),
            channels=rulebook.channels,
            zone=rulebook.zone,
            now=now,
        )
        for one in decisions:
            if one.action is policy.Action.NOTIFY:
                alert = policy.told_now(alert, one, now)
                wanted.append((one, row))
        entries += _lines(row, decisions, now)
        put(row, alert)
        _note_outcome(row, decisions)
    _write(rows, using)
    enqueue(wanted, rulebook, now=now, using=using)
    AlertEntry.objects.using(using).bulk_create(entries)


def _lines(
    row: Alert, decisions: Sequence[policy.Decision], now: dt.datetime
) -> Iterator[AlertEntry]:
    """Yield what the history tells of decisions, with the reason of each."""
    for one in decisions:
        if one.reason is not policy.Reason.TOLD:
            yield AlertEntry(
                alert=row, at=now, what=one.action.value, reason=one.reason.value, by=one.by
            )


def _note_outcome(row: Alert, decisions: Sequence[policy.Decision]) -> None:
    """Keep with an alert when and why it is decided about again."""
    row.look_at = min((one.again_at for one in decisions if one.again_at), default=None)
    reasons = {one.reason: one.by for one in decisions}
    row.inhibited_by = reasons.get(policy.Reason.INHIBITED, "")
    is_over = row.state == Alert.State.RESOLVED
    row.owes_end = is_over and policy.Reason.NO_CHANNEL in reasons


def _wide(rows: Sequence[Alert], using: str) -> dict[str, list[lifecycle.Alert]]:
    """Return payer → the live alerts that may say what those of ``rows`` say; one query."""
    if all(one.state == Alert.State.RESOLVED for one in rows):
        return {}
    others = (
        Alert.objects.using(using)
        .exclude(state=Alert.State.RESOLVED)
        .exclude(pk__in=[one.pk for one in rows])
        .filter(dimensions={})
    )
    by_payer: dict[str, list[lifecycle.Alert]] = defaultdict(list)
    of_all = []
    for one in (alert_of(row) for row in (*others, *rows)):
        if one.subject.breadth is lifecycle.Breadth.TENANT:
            of_all.append(one)
        elif one.subject.breadth is lifecycle.Breadth.PAYER:
            by_payer[one.subject.payer].append(one)
    return {row.payer: [*of_all, *by_payer[row.payer]] for row in rows}


def _look_at_inhibited(rows: Sequence[Alert], now: dt.datetime, using: str) -> None:
    """Let a worker decide again about what these alerts muted: they may no longer; one statement."""
    muting = [one.fingerprint for one in rows if not one.dimensions]
    if muting:
        muted = Alert.objects.using(using).filter(inhibited_by__in=muting)
        muted.exclude(state=Alert.State.RESOLVED).update(look_at=now)


def _judgments(fingerprints: set[str], now: dt.datetime, using: str) -> dict[str, list[Judgment]]:
    found: dict[str, list[Judgment]] = defaultdict(list)
    rows = Judgment.objects.using(using).filter(
        alert__fingerprint__in=fingerprints, judged_at__gt=now - _JUDGED_WITHIN
    )
    for one in rows.select_related("alert"):
        found[one.alert.fingerprint].append(one)
    return found
