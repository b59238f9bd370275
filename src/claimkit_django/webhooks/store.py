"""Rows as the core's courier knows them: what is sent, and where it is written down."""

from __future__ import annotations

import hmac
import json
from random import Random
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections, transaction
from django.db.models import Q

from claimkit.events import EndpointDisabled, EndpointPinged, OutboxSettled
from claimkit.outbox import endings_of
from claimkit.tenants import use_tenant
from claimkit.webhooks.deliver import Courier, Parcel, judge
from claimkit.webhooks.deliver import Endpoint as EndpointValue
from claimkit.webhooks.signing import TimedKey, parse_key
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import HttpTransport, Limits
from claimkit.webhooks.trust import Certificates
from claimkit_django.conf import config
from claimkit_django.http.hops import site_id
from claimkit_django.http.spans import span
from claimkit_django.outbox import DatabaseClock, OrmOutbox
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.sealing import open_sealed, seal
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import across_tenants
from claimkit_django.webhooks.addressing import end_of_waiting, fan_out, may_be_told
from claimkit_django.webhooks.models import Attempt, Delivery, Endpoint, EndpointKey

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.outbox import Lane, Lease, Settlement
    from claimkit.webhooks.deliver import LaneReport, Verdict
    from claimkit.webhooks.transport import Reply

__all__ = [
    "OrmDeliveryBook",
    "WebhookOutbox",
    "confirm_endpoint",
    "disable_endpoint",
    "make_courier",
    "target_policy",
    "wait_for_confirmation",
]

_PINGS = Q(message__event_type=EndpointPinged.topic)


class WebhookOutbox:
    """The outbox of this room, which looks for work in every tenant."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._rows = OrmOutbox(Delivery, Endpoint, using=using, tenants=Tenant._meta.db_table)

    def lease(
        self, *, now: dt.datetime, ttl: dt.timedelta, lanes: int, per_lane: int
    ) -> Sequence[Lease]:
        """See :meth:`claimkit.outbox.Outbox.lease`; first, what many endpoints want is addressed."""
        fan_out(self._using, now=now)
        with across_tenants():
            return self._rows.lease(now=now, ttl=ttl, lanes=lanes, per_lane=per_lane)

    def settle(self, settlements: Iterable[Settlement]) -> frozenset[str]:
        """See :meth:`claimkit.outbox.Outbox.settle`."""
        with across_tenants():
            return self._rows.settle(settlements)

    def hold(self, lane: Lane) -> None:
        """See :meth:`claimkit.outbox.Outbox.hold`."""
        with across_tenants():
            self._rows.hold(lane)


class OrmDeliveryBook:
    """:class:`claimkit.webhooks.deliver.DeliveryBook` over the tables of this room."""

    def __init__(self, using: str, outbox: WebhookOutbox) -> None:
        self._using = using
        self._outbox = outbox

    def load(self, leases: Sequence[Lease]) -> tuple[EndpointValue | None, Sequence[Parcel]]:
        """See :meth:`claimkit.webhooks.deliver.DeliveryBook.load`; three queries."""
        with use_tenant(leases[0].tenant):
            row = (
                Endpoint.objects.using(self._using)
                .filter(pk=int(leases[0].lane), enabled=True, tenant__active=True)
                .prefetch_related("keys")
                .first()
            )
            if row is None:
                return None, ()
            told = may_be_told()
            if row.confirmed_at is None:
                told &= _PINGS
            found = {
                str(pk): (uid, bytes(body), row.challenge if topic == EndpointPinged.topic else "")
                for pk, uid, body, topic in Delivery.objects.using(self._using)
                .filter(told, pk__in=[int(one.id) for one in leases])
                .values_list("pk", "message__uid", "message__body", "message__event_type")
            }
        parcels = [(one, *found[one.id]) for one in leases if one.id in found]
        return _endpoint(row), [
            Parcel(lease=one, message_id=uid, body=body, challenge=challenge)
            for one, uid, body, challenge in parcels
        ]

    def record(self, report: LaneReport) -> frozenset[str]:
        """See :meth:`claimkit.webhooks.deliver.DeliveryBook.record`; one transaction."""
        tenant = report.settlements[0].lease.tenant
        bus = make_bus(open_store(self._using))
        with use_tenant(tenant), bus.transaction(transaction.atomic(using=self._using)):
            settled = self._outbox.settle(report.settlements)
            bus.stage(
                OutboxSettled(
                    tenant=tenant,
                    at=report.at,
                    outbox="webhooks",
                    endings=endings_of(report.settlements, settled),
                    seconds=[one.seconds for one in report.attempts],
                )
            )
            self._keep_attempts(report)
            for challenge in filter(None, (one.confirmed for one in report.attempts)):
                confirm_endpoint(int(report.lane), challenge, at=report.at, using=self._using)
            verdict = self._judge(report)
            if verdict is not None and verdict.disable:
                uid = disable_endpoint(
                    int(report.lane), verdict.disable, at=report.at, using=self._using
                )
                if uid:
                    bus.stage(
                        EndpointDisabled(
                            tenant=tenant, at=report.at, endpoint=uid, reason=verdict.disable
                        )
                    )
        return settled

    def _keep_attempts(self, report: LaneReport) -> None:
        Attempt.objects.using(self._using).bulk_create(
            [
                Attempt(
                    delivery_id=int(one.lease.id),
                    number=one.lease.attempt,
                    started_at=one.started_at,
                    milliseconds=round(one.seconds * 1_000),
                    status=one.status,
                    reason=one.reason,
                    sealed_response=seal(one.response),
                    key_fingerprints=" ".join(one.keys),
                )
                for one in report.attempts
            ]
        )
        used = {one for attempt in report.attempts for one in attempt.keys}
        if used:
            stale = EndpointKey.objects.using(self._using).filter(
                endpoint_id=int(report.lane), fingerprint__in=used
            )
            # Once a minute is exact enough, and spares a write per batch.
            minute = report.at.replace(second=0, microsecond=0)
            stale.exclude(last_used_at__gte=minute).update(last_used_at=report.at)

    def _judge(self, report: LaneReport) -> Verdict | None:
        """Write how the endpoint fares now; the row is locked only where something changes."""
        if not report.attempts:
            return None
        rows = Endpoint.objects.using(self._using).filter(pk=int(report.lane))
        if all(one.succeeded for one in report.attempts):
            rows = rows.exclude(failures=0, held_until=None, width__gt=1)
            if not rows.exists():
                return None
        row = rows.select_for_update(no_key=True).first()
        if row is None:
            return None
        verdict = judge(row.to_health(), report.attempts, config().webhooks)
        lane = verdict.health.lane(report.lane, limit=config().webhooks.circuit_failures)
        Endpoint.objects.using(self._using).filter(pk=row.pk).update(
            failures=verdict.health.failures,
            failing_since=verdict.health.failing_since,
            held_until=lane.held_until,
            width=lane.width,
        )
        if row.confirmed_at is None:
            # What was under way to its last address is not for this one yet.
            wait_for_confirmation(row.pk, at=report.at, using=self._using)
        return verdict


def confirm_endpoint(pk: int, challenge: str, *, at: dt.datetime, using: str) -> bool:
    """Send to an endpoint of the tenant in scope what waits for it, if that is its challenge.

    Returns:
        Whether it is confirmed now, and was not before.
    """
    with transaction.atomic(using=using):
        waiting = Endpoint.objects.using(using).filter(pk=pk, confirmed_at=None)
        known = waiting.values_list("challenge", flat=True).first()
        if not known or not hmac.compare_digest(known.encode(), challenge.encode()):
            return False
        # Its challenge is asked for again: it changes with the address.
        if not waiting.filter(challenge=known).update(confirmed_at=at, challenge=""):
            return False
        due = Delivery.objects.using(using).filter(lane_id=pk, state=Delivery.State.DUE)
        due.update(due_at=at)
    return True


def wait_for_confirmation(pk: int, *, at: dt.datetime, using: str) -> None:
    """Let what is due to an endpoint of the tenant in scope wait until it is confirmed."""
    due = Delivery.objects.using(using).filter(lane_id=pk, state=Delivery.State.DUE)
    due.exclude(_PINGS).update(due_at=end_of_waiting(at))


def disable_endpoint(pk: int, reason: str, *, at: dt.datetime, using: str) -> str:
    """Disable an endpoint of the tenant in scope and cancel what waits for it.

    Returns:
        Its uid; empty where it is disabled already.
    """
    with transaction.atomic(using=using):
        row = (
            Endpoint.objects.using(using)
            .select_for_update(no_key=True)
            .filter(pk=pk, enabled=True)
            .first()
        )
        if row is None:
            return ""
        Endpoint.objects.using(using).filter(pk=pk).update(
            enabled=False, disabled_reason=reason, disabled_at=at
        )
        # What another worker has in hand ends by itself: it finds the endpoint disabled.
        Delivery.objects.using(using).filter(lane_id=pk, state=Delivery.State.DUE).update(
            state=Delivery.State.CANCELLED, reason="endpoint_disabled"
        )
        return str(row.uid)


def target_policy() -> TargetPolicy:
    """Return where webhooks may go: not to this site itself."""
    own = [one for one in settings.ALLOWED_HOSTS if "*" not in one and not one.startswith(".")]
    allowed = config().webhooks
    # Where development sends to this machine, its name is no secret way in.
    return TargetPolicy.of(allowed, refused_hosts=[] if allowed.allow_http else own)


def make_courier(using: str) -> Courier:
    """Return what serves the endpoints of all tenants on one database."""
    room = config().webhooks
    outbox = WebhookOutbox(using)
    policy = target_policy()
    limits = Limits(total_seconds=room.attempt_seconds, connect_seconds=room.connect_seconds)
    return Courier(
        outbox=outbox,
        book=OrmDeliveryBook(using, outbox),
        make_transport=lambda: _TracedTransport(
            HttpTransport(policy, limits=limits, proxy=room.proxy)
        ),
        clock=DatabaseClock(using),
        random=Random(),  # noqa: S311 - scatters waits, protects nothing
        config=room,
        site=site_id(),
        on_arrive=lambda: _open_all(using),
        on_leave=lambda: None if room.threads == 1 else connections[using].close(),
    )


def _open_all(using: str) -> None:
    """Connect, load plugins, and derive what opens the keys of endpoints: first uses take longest."""
    make_bus(open_store(using))
    with across_tenants():
        Endpoint.unscoped.using(using).filter(pk=0).prefetch_related("keys").first()
    open_sealed(seal(b"\0"))


class _TracedTransport:
    """A transport with a span per attempt, which names neither the address nor what was sent."""

    def __init__(self, inner: HttpTransport) -> None:
        self._inner = inner

    def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        certificates: Certificates | None = None,
    ) -> Reply:
        told: dict[str, Any] = {"http.request.method": "POST", "claimkit.outbox": "webhooks"}
        with span("webhook", "client", told):
            reply = self._inner.post(url, headers, body, certificates=certificates)
            told["http.response.status_code"] = reply.status
            return reply

    def close(self) -> None:
        self._inner.close()


def _endpoint(row: Endpoint) -> EndpointValue:
    keys = [
        TimedKey(key=parse_key(open_sealed(one.sealed).decode()), expires_at=one.expires_at)
        for one in row.keys.all()
    ]
    secret = next((one.key.text for one in keys if one.key.version == "v1"), "")
    headers: dict[str, Any] = json.loads(open_sealed(row.sealed_headers) or b"{}")
    tls: dict[str, str] = json.loads(open_sealed(row.sealed_tls) or b"{}")
    return EndpointValue(
        lane=str(row.pk),
        url=row.url,
        keys=tuple(keys),
        headers=headers,
        legacy_secret=secret if row.legacy_signature else "",
        certificates=Certificates(**tls) if tls else None,
        health=row.to_health(),
    )
