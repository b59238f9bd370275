"""From events to deliveries, in the transaction of whoever staged the event.

A listener of phase ``transaction`` (:class:`WebhookListener`) writes the bytes of the event once
per form (:class:`~claimkit_django.webhooks.models.Message`), and
:mod:`~claimkit_django.webhooks.addressing` one delivery per endpoint that wants it. So a webhook exists if and only if the change did that it tells of. A replay is a new
delivery of a message that is there already, with the same ``webhook-id``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Max

from claimkit.events import EndpointPinged
from claimkit.tenants import use_tenant
from claimkit.types import SystemClock
from claimkit.webhooks.payloads import Detail, make_body, subject_of
from claimkit_django.conf import config
from claimkit_django.runtime import make_bus, open_store, plugins
from claimkit_django.uids import new_message_uid
from claimkit_django.webhooks.addressing import Addressed, address, may_be_told, wake
from claimkit_django.webhooks.models import Delivery, Endpoint, Message

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from claimkit.events import Event, Phase
    from claimkit.types import TenantKey
    from claimkit.webhooks.payloads import EventType

__all__ = ["WebhookListener", "ping", "replay", "replay_since"]

_BATCH = 1_000
#: What two long subjects have in common lets one wait for the other; no more.
_SUBJECT = 100


class WebhookListener:
    """Writes deliveries of every event that has an event type."""

    name = "webhooks"
    topics: frozenset[str] = frozenset()
    phase: Phase = "transaction"

    def __init__(self, using: str) -> None:
        self._using = using

    def handle(self, event: Event) -> None:
        """Write a message per form and a delivery per endpoint; three statements.

        Where the tenant has many endpoints, workers write the deliveries.

        Raises:
            InvalidPayload: no webhook can be made of the event; the work rolls back.
        """
        event_type = plugins().event_types.get(event.topic)
        if event_type is None:
            return
        most = config().webhooks.fan_out_inline
        with use_tenant(event.tenant):
            rows = Endpoint.objects.using(self._using).filter(enabled=True).order_by("pk")
            if isinstance(event, EndpointPinged):
                rows = rows.filter(uid=event.endpoint)
            names = ("pk", "detail", "event_types", "confirmed_at", "order")
            found = list(rows.values_list(*names)[: most + 1])
            if len(found) > most:
                self._write(event_type, event, [one.value for one in Detail], fan_out_after=0)
                wake(self._using)
                return
            wanted = [
                (pk, detail, confirmed_at is None, order)
                for pk, detail, topics, confirmed_at, order in found
                if isinstance(event, EndpointPinged) or event.topic in topics or "*" in topics
            ]
            messages = self._write(event_type, event, sorted({one[1] for one in wanted}))
            # A ping is how an endpoint is confirmed: it waits for nothing.
            can_wait = not isinstance(event, EndpointPinged)
            address(
                [
                    Addressed(messages[detail], pk, waits=waits and can_wait, order=order)
                    for pk, detail, waits, order in wanted
                ],
                using=self._using,
            )

    def _write(
        self, event_type: EventType, event: Event, forms: Iterable[str], **values: Any
    ) -> dict[str, Message]:
        """Write the message of an event in some forms; return it by form."""
        uid = new_message_uid()
        messages = [
            Message(
                uid=uid,
                event_type=event_type.name,
                version=event_type.version,
                detail=form,
                occurred_at=event.at,
                body=make_body(event_type, event, Detail(form)),
                subject=subject_of(event_type, event)[:_SUBJECT],
                **values,
            )
            for form in forms
        ]
        if messages:
            Message.objects.using(self._using).bulk_create(messages)
        return {one.detail: one for one in messages}


def ping(tenant: TenantKey, endpoint: Endpoint, *, using: str) -> None:
    """Send a test webhook to one endpoint, whatever it subscribes to.

    It carries the challenge by which an endpoint that is not confirmed shows that it wants
    webhooks.
    """
    bus = make_bus(open_store(using))
    with bus.transaction(transaction.atomic(using=using)):
        bus.stage(
            EndpointPinged(
                tenant=tenant,
                at=SystemClock().now(),
                endpoint=endpoint.uid,
                challenge=endpoint.challenge,
            )
        )


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
        locked = rows.select_for_update(no_key=True)
        names = ("pk", "confirmed_at", "order")
        enabled = {pk: (at, order) for pk, at, order in locked.values_list(*names)}
        related = Delivery.objects.using(using).filter(
            may_be_told(), lane_id__in=enabled, message_id__in={message for message, _ in asked}
        )
        under_way = set(related.filter(Delivery.live()).values_list("message_id", "lane_id"))
        latest = related.values_list("message_id", "lane_id").annotate(latest=Max("replay"))
        again = [
            Addressed(
                asked[message, lane].message,
                lane,
                waits=enabled[lane][0] is None,
                order=enabled[lane][1],
                replay=number + 1,
            )
            for message, lane, number in latest.order_by("message_id")
            if (message, lane) in asked and (message, lane) not in under_way
        ]
        address(again, using=using)
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
