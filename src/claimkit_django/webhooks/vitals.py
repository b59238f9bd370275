"""What operators watch of the webhooks room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit_django.vitals import OutboxCheck, outbox_samples
from claimkit_django.webhooks.models import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.ops.health import Check
    from claimkit.ops.metrics import Sample

__all__ = ["gauges", "health_checks"]


def health_checks(using: str) -> Iterator[Check]:
    """Yield the check of the outbox."""
    yield OutboxCheck("webhooks", Delivery, using=using, worker="claimkit_deliver")


def gauges(using: str) -> Iterator[Sample]:
    """Yield what is due; one query."""
    yield from outbox_samples("webhooks", Delivery, using=using)
