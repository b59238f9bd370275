"""What operators watch of the webhooks room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, Q
from django.utils import timezone

from claimkit.ops.metrics import WEBHOOK_ENDPOINTS, Sample
from claimkit_django.vitals import OutboxCheck, outbox_samples
from claimkit_django.webhooks.models import Delivery, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.ops.health import Check

__all__ = ["gauges", "health_checks"]


def health_checks(using: str) -> Iterator[Check]:
    """Yield the check of the outbox."""
    yield OutboxCheck("webhooks", Delivery, using=using, worker="claimkit_deliver")


def gauges(using: str) -> Iterator[Sample]:
    """Yield what is due, and how endpoints fare; two queries."""
    yield from outbox_samples("webhooks", Delivery, using=using)
    is_held = Q(held_until__gt=timezone.now())
    is_free = Q(held_until=None) | ~is_held
    counted = (
        Endpoint.unscoped.using(using)
        .order_by()
        .aggregate(
            disabled=Count("pk", filter=Q(enabled=False)),
            unconfirmed=Count("pk", filter=Q(enabled=True, confirmed_at=None)),
            held=Count("pk", filter=Q(enabled=True, confirmed_at__isnull=False) & is_held),
            sending=Count("pk", filter=Q(enabled=True, confirmed_at__isnull=False) & is_free),
        )
    )
    for state, count in counted.items():
        yield Sample(WEBHOOK_ENDPOINTS, count, (state,))
