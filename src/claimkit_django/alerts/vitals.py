"""What operators watch of the alerts room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count

from claimkit.alerts.lifecycle import AlertState
from claimkit.ops.metrics import ALERTS_OPEN, Sample
from claimkit.types import Severity
from claimkit_django.alerts.models import Alert, Notification
from claimkit_django.vitals import OutboxCheck, outbox_samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.ops.health import Check

__all__ = ["gauges", "health_checks"]

_LIVE = [one.value for one in AlertState if one.is_live]


def health_checks(using: str) -> Iterator[Check]:
    """Yield the check of the outbox."""
    yield OutboxCheck("alerts", Notification, using=using, worker="claimkit_notify")


def gauges(using: str) -> Iterator[Sample]:
    """Yield what is due, and alerts that nobody closed yet; two queries."""
    yield from outbox_samples("alerts", Notification, using=using)
    rows = Alert.unscoped.using(using).filter(state__in=_LIVE).order_by()
    counts = dict(rows.values_list("severity").annotate(Count("pk")))
    for severity in Severity:
        yield Sample(ALERTS_OPEN, counts.get(severity.value, 0), (severity.value,))
