"""What operators watch of the webhooks room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit_django.vitals import OutboxCheck
from claimkit_django.webhooks.models import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.ops.health import Check

__all__ = ["health_checks"]


def health_checks(using: str) -> Iterator[Check]:
    """Yield the check of the outbox."""
    yield OutboxCheck("webhooks", Delivery, using=using, worker="claimkit_deliver")
