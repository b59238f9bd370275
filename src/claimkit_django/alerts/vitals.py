"""What operators watch of the alerts room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit_django.alerts.models import Notification
from claimkit_django.vitals import OutboxCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.ops.health import Check

__all__ = ["health_checks"]


def health_checks(using: str) -> Iterator[Check]:
    """Yield the check of the outbox."""
    yield OutboxCheck("alerts", Notification, using=using, worker="claimkit_notify")
