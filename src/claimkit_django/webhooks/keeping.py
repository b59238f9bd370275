"""What is kept of the webhooks room, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from claimkit_django.conf import config
from claimkit_django.retention import RetentionClass
from claimkit_django.webhooks.models import Attempt, Delivery, Message

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["retention_classes"]


def retention_classes() -> Iterator[RetentionClass]:
    """Yield the classes."""
    yield RetentionClass(
        name="deliveries",
        holds="webhooks that were sent or given up, with their attempts",
        model=Delivery,
        expired=lambda before: Q(created_at__lt=before) & ~Delivery.live(),
        keep_days=config().webhooks.keep_days,
        least_days=4,
        children=((Attempt, "delivery_id"),),
    )
    yield RetentionClass(
        name="messages",
        holds="bodies of webhooks of which no delivery is left",
        model=Message,
        expired=lambda before: Q(created_at__lt=before, deliveries__isnull=True),
        keep_days=config().webhooks.keep_days,
        least_days=4,
    )
