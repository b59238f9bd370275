"""What operators watch of the reports room: reports and exports that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, Min
from django.db.models.functions import Coalesce
from django.utils import timezone

from claimkit.ops.metrics import REPORTS_OLDEST_WAITING, REPORTS_WAITING, Sample
from claimkit_django.reports.models import ExportRun, ReportRun

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["gauges"]


def gauges(using: str) -> Iterator[Sample]:
    """Yield how many runs of all tenants are not made yet, and for how long nobody touched one; two queries."""
    now, touched = timezone.now(), Coalesce("heartbeat_at", "created_at")
    for kind, model in (("report", ReportRun), ("export", ExportRun)):
        rows = model.unscoped.using(using).filter(status__in=["queued", "running"])
        found = rows.order_by().aggregate(count=Count("pk"), oldest=Min(touched))
        oldest = found["oldest"]
        yield Sample(REPORTS_WAITING, found["count"], (kind,))
        waited = (now - oldest).total_seconds() if oldest else 0.0
        yield Sample(REPORTS_OLDEST_WAITING, waited, (kind,))
