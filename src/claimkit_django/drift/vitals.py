"""What operators watch of the drift room: that no tenant is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Max, Min, OuterRef, Subquery
from django.utils import timezone

from claimkit.ops.metrics import DRIFT_OLDEST_WATCH, Sample
from claimkit_django.drift.models import WatchRun
from claimkit_django.tenants.models import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["gauges"]


def gauges(using: str) -> Iterator[Sample]:
    """Yield how long ago the tenant was watched whose watch is longest ago; one query.

    Tenants that were never watched are left out: there may be nothing to watch yet.
    """
    runs = WatchRun.unscoped.using(using).filter(
        tenant=OuterRef("pk"), status=WatchRun.Status.SUCCESS
    )
    last = runs.order_by().values("tenant").annotate(last=Max("started_at")).values("last")
    found = (
        Tenant.objects.using(using)
        .filter(active=True)
        .annotate(last=Subquery(last))
        .aggregate(oldest=Min("last"))
    )
    oldest = found["oldest"]
    yield Sample(DRIFT_OLDEST_WATCH, (timezone.now() - oldest).total_seconds() if oldest else 0.0)
