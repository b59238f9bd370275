"""From events to deliveries, in the transaction of whoever staged the event.

A listener of phase ``transaction`` (:class:`WebhookListener`) writes the bytes of the event once
per form (:class:`~claimkit_django.webhooks.models.Message`) and one delivery per endpoint that
wants it. So a webhook exists if and only if the change did that it tells of. A replay is a new
delivery of a message that is there already, with the same ``webhook-id``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import connections, transaction
from django.db.models import Max
from django.utils import timezone

from claimkit.events import EndpointPinged
from claimkit.tenants import use_tenant
from claimkit.types import SystemClock
from claimkit.webhooks.payloads import Detail, make_body
from claimkit_django.runtime import make_bus, open_store, plugins
from claimkit_django.uids import new_message_uid
from claimkit_django.webhooks.models import Delivery, Endpoint, Message
from claimkit_django.webhooks.store import may_be_told

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from claimkit.events import Event, Phase
    from claimkit.types import TenantKey

__all__ = ["CHANNEL", "WebhookListener", "ping", "replay", "replay_since"]

#: Channel of the NOTIFY that wakes workers.
CHANNEL: Final = "claimkit_webhooks"
_BATCH = 1_000


class WebhookListener:
    """Writes deliveries of every event that has an event type."""

    name = "webhooks"
    topics: frozenset[str] = frozenset()
    phase: Phase = "transaction"

    def __init__(self, using: str) -> None:
        self._using = using

    def handle(self, event: Event) -> None:
        """Write a message per form and a delivery per endpoint; three statements.

        Raises:
            InvalidPayload: no webhook can be made of the event; the work rolls back.
        """
        event_type = plugins().event_types.get(event.topic)
        if event_type is None:
            return
        with use_tenant(event.tenant):
            wanted = self._endpoints(event)
            if not wanted:
                return
            uid = new_message_uid()
            messages = {
                detail: Message(
                    uid=uid,
                    event_type=event_type.name,
                    version=event_type.version,
                    detail=detail,
                    occurred_at=event.at,
                    body=make_body(event_type, event, Detail(detail)),
                )
                for detail in sorted({detail for _, detail in wanted})
            }
            made = Message.objects.using(self._using).bulk_create(messages.values())
            by_detail = {one.detail: one for one in made}
            _enqueue(self._using, [(by_detail[detail], pk, 0) for pk, detail in wanted])

    def _endpoints(self, event: Event) -> list[tuple[int, str]]:
        """Return id and form of each endpoint that is told."""
        rows = Endpoint.objects.using(self._using).filter(enabled=True)
        if isinstance(event, EndpointPinged):
            return list(rows.filter(uid=event.endpoint).values_list("pk", "detail"))
        return [
            (pk, detail)
            for pk, detail, topics in rows.values_list("pk", "detail", "event_types")
            if event.topic in topics or "*" in topics
        ]


def ping(tenant: TenantKey, endpoint: str, *, using: str) -> None:
    """Send a test webhook to one endpoint, whatever it subscribes to."""
    bus = make_bus(open_store(using))
    with bus.transaction(transaction.atomic(using=using)):
        bus.stage(EndpointPinged(tenant=tenant, at=SystemClock().now(), endpoint=endpoint))


def replay(tenant: TenantKey, deliveries: Iterable[Delivery], *, using: str) -> int:
    """Send messages again to the endpoints that got them, or did not; return how many.

    ``webhook-id`` stays, so a receiver that keeps it does nothing the second time. A delivery
    whose message is on its way to the endpoint already, or tells it too much now, is passed over.
    """
    asked = {(one.message_id, one.lane_id): one for one in deliveries}
    with use_tenant(tenant), transaction.atomic(using=using):
        # One at a time per endpoint, so that two replays do not take the same number.
        lanes = {lane for _, lane in asked}
        rows = Endpoint.objects.using(using).filter(pk__in=lanes, enabled=True)
        enabled = set(rows.select_for_update(no_key=True).values_list("pk", flat=True))
        related = Delivery.objects.using(using).filter(
            may_be_told(), lane_id__in=enabled, message_id__in={message for message, _ in asked}
        )
        under_way = set(related.filter(Delivery.live()).values_list("message_id", "lane_id"))
        latest = related.values_list("message_id", "lane_id").annotate(latest=Max("replay"))
        again = [
            (asked[message, lane].message, lane, number + 1)
            for message, lane, number in latest.order_by()
            if (message, lane) in asked and (message, lane) not in under_way
        ]
        _enqueue(using, again)
    return len(again)


def replay_since(
    tenant: TenantKey,
    endpoint: Endpoint,
    *,
    since: dt.datetime,
    until: dt.datetime | None = None,
    only_failed: bool = True,
    using: str,
) -> int:
    """Send what an endpoint missed, or all it was sent, between two instants; return how many."""
    with use_tenant(tenant):
        rows = Delivery.objects.using(using).filter(lane=endpoint, created_at__gte=since)
        if until is not None:
            rows = rows.filter(created_at__lt=until)
        if only_failed:
            done = rows.filter(state=Delivery.State.DONE).values("message_id")
            rows = rows.exclude(message_id__in=done)
        count, last = 0, 0
        while page := list(
            rows.filter(pk__gt=last).select_related("message").order_by("pk")[:_BATCH]
        ):
            last = page[-1].pk
            count += replay(tenant, page, using=using)
            # A replay is itself a delivery since then; it is not replayed in turn.
            rows = rows.filter(pk__lte=_newest(rows, page))
    return count


def _newest(rows: Any, page: list[Delivery]) -> int:
    newest: int | None = rows.filter(replay=0).aggregate(newest=Max("pk"))["newest"]
    return max(newest or 0, page[-1].pk)


def _enqueue(using: str, wanted: list[tuple[Message, int, int]]) -> None:
    if not wanted:
        return
    now = timezone.now()
    Delivery.objects.using(using).bulk_create(
        [
            Delivery(message=message, lane_id=lane, replay=number, due_at=now)
            for message, lane, number in wanted
        ],
        batch_size=_BATCH,
    )
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Delivered at the commit, and only if there is one.
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
