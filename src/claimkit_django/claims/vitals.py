"""What operators watch of the claims room: files that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, Min
from django.utils import timezone

from claimkit.ops.metrics import UPLOADS_OLDEST_WAITING, UPLOADS_WAITING, Sample
from claimkit_django.claims.models import Upload

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["gauges"]

_UNFINISHED = (Upload.Status.QUEUED, Upload.Status.PROCESSING)


def gauges(using: str) -> Iterator[Sample]:
    """Yield how many files of all tenants wait, and for how long the oldest does; one query."""
    rows = Upload.unscoped.using(using).filter(status__in=_UNFINISHED, tenant__active=True)
    found = {
        status: (count, oldest)
        for status, count, oldest in rows.order_by()
        .values_list("status")
        .annotate(Count("pk"), Min("created_at"))
    }
    for status in _UNFINISHED:
        yield Sample(UPLOADS_WAITING, found.get(status, (0, None))[0], (status.value,))
    oldest = min((one for _, one in found.values()), default=None)
    waited = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    yield Sample(UPLOADS_OLDEST_WAITING, waited)
