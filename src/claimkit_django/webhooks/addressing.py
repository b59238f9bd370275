"""Who gets a message: one delivery per endpoint that wants it.

Where few endpoints of the tenant want to hear anything, deliveries are written with the message.
Where many do, the message says so (``fan_out_after``), and workers write them batch by batch,
so that whoever caused the event waits for one row however many endpoints there are.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import connections, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from claimkit.events import EndpointPinged
from claimkit.tenants import use_tenant
from claimkit.types import TenantKey
from claimkit.webhooks.payloads import Detail
from claimkit_django.conf import config
from claimkit_django.runtime import plugins
from claimkit_django.tenants.scope import across_tenants
from claimkit_django.webhooks.models import Delivery, Endpoint, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CHANNEL", "Addressed", "address", "end_of_waiting", "fan_out", "may_be_told", "wake"]

#: Channel of the NOTIFY that wakes workers.
CHANNEL: Final = "claimkit_webhooks"
_BATCH = 1_000


class Addressed(NamedTuple):
    """A message for an endpoint."""

    message: Message
    #: Database id of the endpoint.
    endpoint: int
    #: Whether it waits until the endpoint is confirmed.
    waits: bool = False
    #: What the endpoint says of it: ``any``, ``subject`` or ``all``.
    order: str = Endpoint.OrderChoices.ANY.value
    #: 0 for the first; then one more for each replay.
    replay: int = 0


def address(addressed: Iterable[Addressed], *, using: str, now: dt.datetime | None = None) -> None:
    """Write deliveries, in the tenant in scope and the caller's transaction, and wake workers.

    They are due ``now``; at once, by the clock of the database, if not given: workers go by no other.
    """
    at_once = now or _now_by(connections[using])
    later = end_of_waiting(now or timezone.now())
    rows = [
        Delivery(
            message=one.message,
            lane_id=one.endpoint,
            replay=one.replay,
            queue=_queue_of(one),
            due_at=later if one.waits else at_once,
        )
        for one in addressed
    ]
    if rows:
        Delivery.objects.using(using).bulk_create(rows, batch_size=_BATCH)
        wake(using)


def fan_out(using: str, *, now: dt.datetime) -> int:
    """Write up to a thousand deliveries of a message that waits for it; return how many.

    Any number of workers may call it: one at a time goes on with a message, from where the last
    one stopped. Endpoints that were added after the event are not told. What it writes is due
    ``now``.
    """
    with across_tenants():
        waiting = Message.unscoped.using(using).filter(fan_out_after__isnull=False)
        found = waiting.order_by("pk").values_list("pk", "tenant__key").first()
    if found is None:
        return 0
    with use_tenant(TenantKey(found[1])), transaction.atomic(using=using):
        mine = Message.objects.using(using).filter(pk=found[0], fan_out_after__isnull=False)
        # A write first: it takes the turn, and what is read afterwards is the last one's result.
        if not mine.update(fan_out_after=F("fan_out_after")):
            return 0
        message = mine.get()
        endpoints = Endpoint.objects.using(using).filter(
            enabled=True,
            detail=message.detail,
            created_at__lte=message.created_at,
            pk__gt=message.fan_out_after,
        )
        page = list(
            endpoints.order_by("pk").values_list("pk", "event_types", "confirmed_at", "order")[
                :_BATCH
            ]
        )
        wanted = [
            Addressed(message, pk, waits=confirmed_at is None, order=order)
            for pk, topics, confirmed_at, order in page
            if message.event_type in topics or "*" in topics
        ]
        address(wanted, using=using, now=now)
        mine.update(fan_out_after=page[-1][0] if len(page) == _BATCH else None)
    return len(wanted)


def _now_by(connection: Any) -> Any:
    """Return the present of a database, in no query of its own."""
    return Now() if connection.vendor == "postgresql" else timezone.now()


def _queue_of(one: Addressed) -> str:
    """Return which deliveries of the endpoint go one after the other; a ping waits for none."""
    if one.message.event_type == EndpointPinged.topic:
        return ""
    queues = {
        Endpoint.OrderChoices.ALL.value: "*",
        Endpoint.OrderChoices.SUBJECT.value: one.message.subject,
    }
    return queues.get(one.order, "")


def may_be_told() -> Q:
    """Return which deliveries still go: to an endpoint that became thin, nothing that tells more.

    Whoever made it thin may move it elsewhere, where an owner let nobody hear payer and money.
    """
    plain = [name for name, one in plugins().event_types.items() if one.more is None]
    is_thin = Q(message__detail=Detail.THIN.value) | Q(message__event_type__in=plain)
    return Q(lane__detail=Detail.FULL.value) | is_thin


def end_of_waiting(at: dt.datetime) -> dt.datetime:
    """Return when webhooks that wait for a confirmation are given up."""
    return at + dt.timedelta(days=config().webhooks.disable_after_days)


def wake(using: str) -> None:
    """Wake workers at the commit, and only if there is one; a hint where the database has none."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
