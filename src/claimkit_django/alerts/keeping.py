"""What is kept of the alerts room, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from claimkit_django.alerts.board import PREVIEW_DAYS
from claimkit_django.alerts.models import (
    Alert,
    AlertEntry,
    Judgment,
    Notification,
    NotificationItem,
    Signal,
)
from claimkit_django.retention import RetentionClass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["retention_classes"]


def retention_classes() -> Iterator[RetentionClass]:
    """Yield the classes."""
    yield RetentionClass(
        name="notifications",
        holds="what was sent about alerts",
        model=Notification,
        expired=lambda before: Q(created_at__lt=before) & ~Notification.live(),
        keep_days=365,
        least_days=4,
        children=((NotificationItem, "notification_id"),),
    )
    yield RetentionClass(
        name="alerts",
        holds="alerts that are over, with their history and judgments",
        model=Alert,
        expired=lambda before: Q(resolved_at__lt=before),
        least_days=30,
        children=(
            (NotificationItem, "alert_id"),
            (AlertEntry, "alert_id"),
            (Judgment, "alert_id"),
        ),
    )
    yield RetentionClass(
        name="alert_signals",
        holds="what was reported other than by drift, for previews of rules",
        model=Signal,
        expired=lambda before: Q(at__lt=before),
        keep_days=PREVIEW_DAYS,
    )
